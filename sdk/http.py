"""Signed requests to the desk, and nothing believed that the desk has not signed in return."""

import asyncio
import random
import secrets
from typing import Any

from sdk.clock import DeskClock
from sdk.errors import NotGenuine, Refused, Unauthenticated, Unreachable
from sdk.keys import Key
from sdk.sealing import Sealing
from sdk.transport import JSON, PREFIX, Raw, Transport, ask_time, parsed
from wire import signing
from wire.envelope import CONTENT_TYPE

# What a desk, or what stands before it, may say without a signature: it only means that nothing has come of it.
UNSIGNED = frozenset({401, 403, 408, 413, 429, 500, 502, 503, 504})

AT_ONCE = 4


class Backoff:
    """Growing pauses with some chance in them, so that a thousand devices do not come back together."""

    def __init__(self, first: float = 1.0, longest: float = 60.0) -> None:
        self._first, self._longest, self._failures = first, longest, 0

    def failed(self, at_least: float = 0.0) -> float:
        """How long to wait after one more failure."""
        pause = min(self._longest, self._first * 2.0 ** min(self._failures, 16))
        self._failures += 1
        return max(at_least, pause * random.uniform(0.5, 1.0))  # noqa: S311

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures = 0


class SignedLine:
    """Asks the desk in the name of a device."""

    def __init__(self, transport: Transport, key: Key, clock: DeskClock, sealing: Sealing | None = None) -> None:
        self._transport, self._key, self._clock, self._sealing = transport, key, clock, sealing
        # Sealed requests go one after the other: the desk takes counters only as they grow.
        self._turn = asyncio.Semaphore(1 if sealing is not None else AT_ONCE)

    async def ask(self, method: str, path: str, body: bytes = b"") -> Any:
        """The desk's answer, None for 204. Refused; Unreachable when there is none that can be believed."""
        await self.know_time()
        async with self._turn:
            return self._meaning(await self._answer(method, path, body))

    async def know_time(self) -> None:
        """Set the clock, if it has not been set yet."""
        if not self._clock.is_set:
            await ask_time(self._transport, self._clock)

    async def _answer(self, method: str, path: str, body: bytes) -> Raw:
        answer = await self._once(method, path, body)
        if answer.status == 401:
            # This machine's clock, or the desk's, has been moved; if it was something else, once is enough.
            await ask_time(self._transport, self._clock)
            answer = await self._once(method, path, body)
            if answer.status == 401:
                raise Unauthenticated("the desk does not know this device by this secret", answer.retry_after)
        if answer.status == 409 and self._sealing is not None and await self._has_gone_on(answer, self._sealing):
            answer = await self._once(method, path, body)
        return answer

    @staticmethod
    async def _has_gone_on(answer: Raw, sealing: Sealing) -> bool:
        """Whether it was the count that was refused; then it goes on from where the desk says."""
        match parsed(answer.body):
            case {"code": "counter_used", "next_counter": int(counter)}:
                await sealing.go_on_from(counter)
                return True
        return False

    async def _once(self, method: str, path: str, body: bytes) -> Raw:
        target, kind, sealed = PREFIX + path, JSON, None
        if self._sealing is not None:
            sealed = await self._sealing.seal(target, body, self._clock.timestamp() * 1000)
            target, body, kind = sealed.target, sealed.body, CONTENT_TYPE
        nonce, timestamp = secrets.token_urlsafe(16), str(self._clock.timestamp())
        text = signing.canonical(method, target, timestamp, nonce, body)
        headers = {"X-Key-Id": self._key.device_id, "X-Timestamp": timestamp, "X-Nonce": nonce,
                   "X-Signature": signing.sign(self._key.secret, text), **({"Content-Type": kind} if body else {})}
        answer = await self._transport.send(method, target, body, headers)
        if not self._is_genuine(answer, nonce):
            if answer.status in UNSIGNED:
                return Raw(answer.status, b"", answer.headers)
            raise NotGenuine(f"an answer ({answer.status}) without the desk's signature")
        return answer if sealed is None else sealed.opened(answer)

    def _is_genuine(self, answer: Raw, nonce: str) -> bool:
        given = answer.headers.getall("X-Signature", [])
        text = signing.canonical_answer(answer.status, nonce, answer.body)
        return len(given) == 1 and signing.is_valid(self._key.secret, text, given[0])

    def _meaning(self, answer: Raw) -> Any:
        if answer.status == 204:
            return None
        if answer.status in (408, 429) or answer.status >= 500 or not answer.body:
            raise Unreachable(f"the desk is busy ({answer.status})", answer.retry_after)
        value = parsed(answer.body)
        if answer.status in (200, 201):
            return value
        if isinstance(value, dict) and isinstance(value.get("code"), str):
            raise Refused(answer.status, value["code"], str(value.get("detail", "")), value)
        raise Unreachable(f"an answer that cannot be read ({answer.status})")
