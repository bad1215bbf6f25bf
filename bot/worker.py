"""Handling stored updates: once each, in order per chat, tried again after a crash, given up after five tries."""

import asyncio
from datetime import timedelta

import structlog
from aiogram import Bot, Dispatcher
from aiogram.types import Update
from pydantic import ValidationError

from bot.clock import now
from bot.replies import Replies
from facts import Inbox
from models.message import InboxState
from runtime import logs
from runtime.supervision import finish
from services import inbox, outbox, updates
from services.desk import Desk
from services.inbox import Claimed

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
HANDLING_SECONDS = 30.0


class Worker:
    """Claims deliveries under a lease and feeds them to the dispatcher, several chats at once."""

    def __init__(self, desk: Desk, bot: Bot, dispatcher: Dispatcher, rules: Inbox) -> None:
        self._desk = desk
        self._bot = bot
        self._dispatcher = dispatcher
        self._rules = rules
        self._running: set[asyncio.Task[None]] = set()
        self._was_busy = False

    async def run(self) -> None:
        """Until the process stops; what is under way is finished."""
        try:
            while not self._desk.supervisor.stopping.is_set():
                if not await self._claim_some():
                    await self._desk.wakes.inbox.wait(LOOK_SECONDS)
        finally:
            await finish(self._running)

    async def _claim_some(self) -> bool:
        room = self._rules.workers - len(self._running)
        if room <= 0 or not (self._was_busy or await self._is_due()):
            return False
        moment = now()
        async with self._desk.database.writing() as session:
            claimed = await inbox.claim(session, updates.SOURCE, self._desk.replica, moment,
                                        timedelta(seconds=self._rules.lease_seconds), room)
        for item in claimed:
            task = asyncio.create_task(self._handle(item))
            self._running.add(task)
            task.add_done_callback(self._done)
        self._was_busy = bool(claimed)
        return self._was_busy

    async def _is_due(self) -> bool:
        async with self._desk.database.reading() as session:
            due = await inbox.next_due(session, updates.SOURCE)
        return due is not None and due <= now()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._desk.wakes.inbox.set()

    async def _handle(self, item: Claimed) -> None:
        """One update: its handler, then its replies and its end in one transaction."""
        logs.begin(update_id=item.external_id)
        replies = Replies(_chat_of(item))
        try:
            update = Update.model_validate_json(item.payload, context={"bot": self._bot})
            async with asyncio.timeout(HANDLING_SECONDS):
                await self._dispatcher.feed_update(self._bot, update, replies=replies)
            await self._finish(item, replies)
        except ValidationError as error:
            # An update we cannot read will not become readable by trying again.
            await self._fail(item, error, attempts=1)
        except Exception as error:
            await self._fail(item, error, attempts=self._rules.max_attempts)

    async def _finish(self, item: Claimed, replies: Replies) -> None:
        moment = now()
        async with self._desk.database.writing() as session:
            for number, payload in enumerate(replies.items):
                await outbox.say(session, replies.chat_id, f"reply:{item.external_id}:{number}", payload, moment)
            await inbox.finish(session, item.id, self._desk.replica, moment)
        log.info("update_handled", lane=item.lane, replies=len(replies.items))
        self._desk.metrics.telegram_updates.labels("handled").inc()
        if replies.items:
            self._desk.wakes.outbox.set()

    async def _fail(self, item: Claimed, error: Exception, attempts: int) -> None:
        log.error("update_failed", attempt=item.attempts + 1, exc_info=error)
        async with self._desk.database.writing() as session:
            state = await inbox.fail(session, item, self._desk.replica, now(), type(error).__name__, attempts)
        self._desk.metrics.telegram_updates.labels("dead" if state == InboxState.DEAD else "retried").inc()


def _chat_of(item: Claimed) -> int:
    return int(item.lane.rpartition(":")[2])
