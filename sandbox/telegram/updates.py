"""The queue of updates and its two ways out: long polling and the webhook."""

import asyncio
from typing import Any

from sandbox.telegram.errors import conflict
from sandbox.telegram.state import State
from sandbox.telegram.webhook import Courier

OPT_IN = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
OTHER_POLL = "terminated by other getUpdates request; make sure that only one bot instance is running"
WEBHOOK_ACTIVE = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
WEBHOOK_SET = "terminated by setWebhook request"
LONGEST_POLL = 50


class Updates:
    """Updates wait here until the bot has acknowledged them."""

    def __init__(self, state: State, courier: Courier) -> None:
        self._state, self._courier = state, courier
        self._poll: asyncio.Future[None] | None = None

    def add(self, kind: str, payload: dict[str, Any]) -> int | None:
        """Queue one; None when the bot has asked not to get this kind."""
        allowed = self._state.settings.get("allowed_updates") or []
        if kind not in allowed if allowed else kind in OPT_IN:
            return None
        update_id = self._state.add_update(kind, payload)
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)
        self._courier.pump()
        return update_id

    def pending(self, limit: int = 100) -> list[dict[str, Any]]:
        found = []
        for update in self._state.updates.values():
            found.append(update)
            if len(found) >= limit:
                break
        return found

    async def poll(self, offset: int, limit: int, timeout: int) -> list[dict[str, Any]]:
        """getUpdates: forget everything below ``offset``, then answer as soon as there is something."""
        if self._state.webhook.url:
            raise conflict(WEBHOOK_ACTIVE)
        self.end_poll(OTHER_POLL)
        self.acknowledge(offset)
        limit = limit if 1 <= limit <= 100 else 100
        if self._state.updates or timeout <= 0:
            return self.pending(limit)
        poll = self._poll = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(poll, min(timeout, LONGEST_POLL))
        except TimeoutError:
            return []
        return self.pending(limit)

    def acknowledge(self, offset: int) -> None:
        """Forget every update before ``offset``; a negative one counts from the end."""
        ids = list(self._state.updates)
        if offset < 0:
            offset = ids[offset] if -offset <= len(ids) else 0
        for update_id in ids:
            if update_id >= offset:
                break
            self._state.forget_update(update_id)

    def drop_all(self) -> None:
        for update_id in list(self._state.updates):
            self._state.forget_update(update_id)

    def end_poll(self, reason: str | None = None) -> None:
        """End the waiting request: with a conflict, or without a reason as if nothing had come."""
        if self._poll is None or self._poll.done():
            return
        if reason is None:
            self._poll.set_result(None)
        else:
            self._poll.set_exception(conflict(reason))
