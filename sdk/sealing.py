"""Sealed requests: the envelope round a body, and the count that must never go back."""

from dataclasses import dataclass
from typing import Protocol

from sdk.errors import NotGenuine
from sdk.keys import Key
from sdk.transport import Raw, problem_code
from wire import envelope
from wire.envelope import CONTENT_TYPE, Direction, EnvelopeBroken, Keys

STRIDE = 256
"""So many counters are written down as used at once; what a restart leaves of them is never used."""
PLAIN = frozenset({401, 409, 429, 503})
"""What the desk answers before it has opened a request; of 409 only ``counter_used``."""


class Counters(Protocol):
    """Where the count is kept over restarts."""

    async def reserve_counters(self, count: int, at_least: int) -> int: ...

    async def raise_counters(self, at_least: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Sealed:
    """A request as it is sent. ``opened`` reads the answer to it."""

    target: str
    body: bytes
    counter: int
    keys: Keys

    def opened(self, answer: Raw) -> Raw:
        """The answer in plain. NotGenuine when it should have been sealed, or was for another request."""
        if answer.status == 204 and not answer.body:
            return answer
        if answer.headers.get("Content-Type", "") != CONTENT_TYPE:
            if answer.status in PLAIN and (answer.status != 409 or problem_code(answer.body) == "counter_used"):
                return answer
            raise NotGenuine(f"a plain answer ({answer.status}) to a sealed request")
        try:
            text = envelope.open(self.keys, Direction.S2C, self.counter, self.target, answer.body)
        except EnvelopeBroken as error:
            raise NotGenuine(f"an envelope that cannot be opened ({error.fault})") from error
        return Raw(answer.status, text, answer.headers)


class Sealing:
    """Seals one request after the other, each with a counter of its own."""

    def __init__(self, key: Key, counters: Counters) -> None:
        self._keys, self._counters = envelope.keys_of(key.secret, key.device_id), counters
        self._next = self._end = 0

    async def seal(self, target: str, body: bytes, now_ms: int) -> Sealed:
        """``target`` is the path without a query; ``now_ms`` are the milliseconds of the desk's clock."""
        if self._next == self._end:
            # At least the clock: a file put back from a copy does not know how far the count had come.
            self._next = await self._counters.reserve_counters(STRIDE, now_ms if self._end == 0 else 0)
            self._end = self._next + STRIDE
        counter, self._next = self._next, self._next + 1
        target = f"{target}?envelope=v1&counter={counter}"
        sealed = envelope.seal(self._keys, Direction.C2S, counter, target, body) if body else b""
        return Sealed(target, sealed, counter, self._keys)

    async def go_on_from(self, counter: int) -> None:
        """The desk has seen higher counters than this device knows of."""
        await self._counters.raise_counters(counter)
        self._next = self._end = -1
