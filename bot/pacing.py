"""How fast we may speak: under Telegram's limits, finding the true ones by additive increase and sharp decrease."""

import asyncio
import time
from collections import OrderedDict

INCREASE_PER_SECOND = 0.25
DECREASE = 0.7
ONE_LESSON_SECONDS = 0.5
SLOWEST = 1.0
BURST = 2
MOST_CHATS = 10_000


class Pace:
    """A global rate that adapts, and a small bucket for each chat. Times are of the monotonic clock."""

    def __init__(self, rate: float, most: float, chat_interval: float) -> None:
        self.rate = rate
        self._most = most
        self._interval = chat_interval
        self._tolerance = (BURST - 1) * chat_interval
        self._next_at = 0.0
        self._grown_at = time.monotonic()
        self._slowed_at = float("-inf")
        self._chats: OrderedDict[int, float] = OrderedDict()

    async def turn(self) -> None:
        """Wait for the next turn under the global rate; turns are evenly spaced, never in bursts."""
        moment = time.monotonic()
        at = max(moment, self._next_at)
        self._next_at = at + 1.0 / self.rate
        if at > moment:
            await asyncio.sleep(at - moment)

    def spoke(self, chat_id: int) -> None:
        """Count a message to a chat: by GCRA, BURST at once and one an interval after that."""
        moment = time.monotonic()
        self._chats[chat_id] = max(moment, self._chats.pop(chat_id, 0.0)) + self._interval
        while len(self._chats) > MOST_CHATS:
            self._chats.popitem(last=False)

    def resting(self) -> list[int]:
        """Chats that must not be spoken to yet."""
        moment = time.monotonic()
        for chat_id in [chat for chat, due in self._chats.items() if due <= moment]:
            del self._chats[chat_id]
        return [chat_id for chat_id, due in self._chats.items() if due - self._tolerance > moment]

    def rest_ends_in(self) -> float | None:
        """Seconds until the first resting chat may be spoken to; None when none rests."""
        moment = time.monotonic()
        ends = [due - self._tolerance - moment for due in self._chats.values() if due - self._tolerance > moment]
        return min(ends) if ends else None

    def went_well(self) -> None:
        """Grow slowly with time, so that a quiet hour does not count as proof."""
        moment = time.monotonic()
        self.rate = min(self._most, self.rate + INCREASE_PER_SECOND * min(moment - self._grown_at, 1.0))
        self._grown_at = moment

    def too_fast(self, retry_after: float) -> None:
        """Telegram said 429: slow down for everyone, and let everyone wait a moment."""
        moment = time.monotonic()
        if moment - self._slowed_at > ONE_LESSON_SECONDS:  # those under way together are refused together
            self.rate = max(SLOWEST, self.rate * DECREASE)
            self._slowed_at = self._grown_at = moment
        self._next_at = max(self._next_at, moment + min(retry_after, 1.0))
