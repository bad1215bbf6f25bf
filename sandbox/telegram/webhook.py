"""Delivering updates to the bot's webhook: in order for each chat, again and again until it is taken."""

import asyncio
import time
from typing import Any

import aiohttp

from sandbox.telegram.state import State

LONGEST_PAUSE = 30.0
REQUEST_SECONDS = 60
OWN_LANES = frozenset({"pre_checkout_query", "subscription"})


class Courier:
    """Carries each chat's updates one after the other, at most ``max_connections`` at a time."""

    def __init__(self, state: State, first_pause: float) -> None:
        self._state = state
        self._first_pause = first_pause
        self._session: aiohttp.ClientSession | None = None
        self._lanes: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS))
        self.pump()

    def pump(self) -> None:
        """Set off with whatever waits and has a free lane."""
        if not self._state.webhook.url or self._session is None:
            return
        for update in self._state.updates.values():
            if len(self._lanes) >= self._state.webhook.max_connections:
                return
            lane = lane_of(update)
            if lane not in self._lanes:
                self._lanes[lane] = asyncio.create_task(self._carry(lane, update))

    async def restart(self) -> None:
        """The webhook has changed: recall everyone who is under way and set off anew."""
        await self._recall()
        self.pump()

    async def stop(self) -> None:
        session, self._session = self._session, None
        await self._recall()
        if session is not None:
            await session.close()

    async def _recall(self) -> None:
        lanes, self._lanes = list(self._lanes.values()), {}
        for task in lanes:
            task.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)

    async def _carry(self, lane: str, update: dict[str, Any]) -> None:
        pause = self._first_pause
        while (fault := await self._post(update)) is not None:
            webhook = self._state.webhook
            webhook.last_error_date, webhook.last_error_message = int(time.time()), fault
            self._state.save_webhook(webhook)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        self._state.forget_update(update["update_id"])
        self._lanes.pop(lane, None)
        self.pump()

    async def _post(self, update: dict[str, Any]) -> str | None:
        """Deliver once; what went wrong, None when it was taken."""
        webhook = self._state.webhook
        headers = {"X-Telegram-Bot-Api-Secret-Token": webhook.secret_token} if webhook.secret_token else {}
        if self._session is None:
            return "Shutting down"
        try:
            await self._state.store.committed()
            async with self._session.post(webhook.url, json=update, headers=headers, allow_redirects=False) as answer:
                if 200 <= answer.status < 300:
                    return None
                return f"Wrong response from the webhook: {answer.status} {answer.reason}"
        except TimeoutError:
            return "Read timeout expired"
        except aiohttp.ClientError as error:
            return "Connection refused" if isinstance(error, aiohttp.ClientConnectorError) else str(error)


def lane_of(update: dict[str, Any]) -> str:
    """The lane an update travels in: its chat's, but what a payer waits for never stands behind a message."""
    kind, payload = next((name, value) for name, value in update.items() if name != "update_id")
    if kind in OWN_LANES:
        return f"{kind} {payload.get('from', payload.get('user'))['id']}"
    return str((payload.get("message") or payload).get("chat", payload.get("from"))["id"])
