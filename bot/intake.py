"""Taking updates by long polling: stored and committed before the next request acknowledges them.

Telegram forgets an update once a request names a higher offset, so the offset only moves after the commit.
The first request names none and so receives whatever is unacknowledged; what is known already is not stored
twice. Updates are kept raw: one that no library can parse yet must not stop the others.
"""

import asyncio
import json
from contextlib import suppress
from typing import Any

import aiohttp
import structlog

from bot.clock import now
from bot.setup import ALLOWED_UPDATES
from runtime import strict_json
from runtime.strict_json import InvalidJson
from services import inbox, updates
from services.desk import Desk
from services.inbox import Delivery

log = structlog.get_logger(__name__)

POLL_SECONDS = 20
AT_ONCE = 100
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 15.0
# After a week without updates Telegram may start again with lower ids; long before that we ask without offset.
FORGET_OFFSET_SECONDS = 86_400.0


class PollFailed(Exception):
    """Telegram did not give us updates; ``retry_after`` in seconds when it said how long to wait."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Intake:
    """The polling loop."""

    def __init__(self, desk: Desk, token: str, api_base: str) -> None:
        self._desk = desk
        self._url = f"{api_base}/bot{token}/getUpdates"
        self._offset: int | None = None
        self._heard_at = 0.0

    async def run(self) -> None:
        """Poll until the process stops; failures are waited out, never fatal."""
        stopping, pause = self._desk.supervisor.stopping, FIRST_PAUSE
        timeout = aiohttp.ClientTimeout(total=POLL_SECONDS + 10, sock_connect=5)
        async with aiohttp.ClientSession(timeout=timeout) as client:
            while not stopping.is_set():
                try:
                    await self._until_stopped(self._once(client))
                    pause = FIRST_PAUSE
                except (PollFailed, aiohttp.ClientError, TimeoutError, OSError) as error:
                    wait = getattr(error, "retry_after", None) or pause
                    log.warning("poll_failed", error=type(error).__name__, reason=str(error)[:200], pause=wait)
                    await self._desk.supervisor.sleep(wait)
                    pause = min(pause * 2, LONGEST_PAUSE)

    async def _until_stopped(self, work: Any) -> None:
        """Leave a hanging poll when the process stops: what it would have brought stays with Telegram."""
        polling = asyncio.create_task(work)
        stopped = asyncio.create_task(self._desk.supervisor.stopping.wait())
        done, _ = await asyncio.wait({polling, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if polling not in done:
            polling.cancel()
            with suppress(asyncio.CancelledError):
                await polling
            return
        await polling

    async def _once(self, client: aiohttp.ClientSession) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._heard_at > FORGET_OFFSET_SECONDS:
            self._offset = None
        question: dict[str, Any] = {"timeout": POLL_SECONDS, "limit": AT_ONCE, "allowed_updates": ALLOWED_UPDATES}
        if self._offset is not None:
            question["offset"] = self._offset
        async with client.post(self._url, json=question) as response:
            found = _result(await response.read())
        if not found:
            return
        async with self._desk.database.writing() as session:
            new = await inbox.store(session, updates.SOURCE, _deliveries(found), now())
        self._offset = max(update["update_id"] for update in found) + 1
        self._heard_at = loop.time()
        log.debug("updates_stored", received=len(found), new=new)
        self._desk.wakes.inbox.set()


def _result(raw: bytes) -> list[dict[str, Any]]:
    try:
        answer = strict_json.loads(raw, max_depth=64)
    except InvalidJson as error:
        raise PollFailed("not JSON") from error
    if not isinstance(answer, dict) or answer.get("ok") is not True:
        told = answer if isinstance(answer, dict) else {}
        parameters = told.get("parameters") or {}
        raise PollFailed(str(told.get("description", "no result")), parameters.get("retry_after"))
    return [update for update in answer["result"] if isinstance(update, dict) and "update_id" in update]


def _deliveries(found: list[dict[str, Any]]) -> list[Delivery]:
    return [updates.of_value(update, json.dumps(update, default=str, separators=(",", ":")).encode())
            for update in found]
