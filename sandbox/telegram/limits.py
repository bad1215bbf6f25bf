"""Telegram's published sending limits, as token buckets."""

import time
from dataclasses import dataclass

from sandbox.telegram.errors import too_many_requests


@dataclass(frozen=True, slots=True)
class Limits:
    """Rates are messages a second; None switches a limit off. Edits count like messages."""

    messages_per_second: float | None = 30.0
    chat_per_second: float | None = 1.0
    chat_burst: int = 3
    callback_query_seconds: float = 15.0
    """How long a tap may wait for its answer before Telegram calls it too old."""
    pre_checkout_seconds: float = 10.0
    """How long a payer waits for the bot's word before the payment is off."""
    webhook_retry_seconds: float = 0.5
    """The first pause after a failed delivery; it doubles up to half a minute."""


class Bucket:
    """Refills at ``rate`` tokens a second up to ``size``."""

    def __init__(self, rate: float, size: float, now: float) -> None:
        self._rate, self._size = rate, size
        self._tokens, self._at = size, now

    def wait(self, now: float) -> float:
        """Seconds until a token is there; 0 when one is there now."""
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return max(0.0, (1 - self._tokens) / self._rate)

    def take(self) -> None:
        self._tokens -= 1


class RateLimiter:
    """One bucket for the bot, one for each chat. A refused message costs nothing."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        rate = limits.messages_per_second
        self._overall = Bucket(rate, rate, time.monotonic()) if rate else None
        self._chats: dict[int, Bucket] = {}

    def spend(self, chat_id: int) -> None:
        """Count one message to this chat; BotApiError 429 when it comes too soon."""
        now = time.monotonic()
        buckets = [bucket for bucket in (self._overall, self._chat(chat_id, now)) if bucket is not None]
        wait = max((bucket.wait(now) for bucket in buckets), default=0.0)
        if wait > 0:
            raise too_many_requests(wait)
        for bucket in buckets:
            bucket.take()

    def _chat(self, chat_id: int, now: float) -> Bucket | None:
        rate = self._limits.chat_per_second
        if not rate:
            return None
        if chat_id not in self._chats:
            self._chats[chat_id] = Bucket(rate, self._limits.chat_burst, now)
        return self._chats[chat_id]
