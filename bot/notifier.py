"""Drains the outbox at Telegram's pace: what is owed is claimed under a lease, said, and settled."""

import asyncio
import time
from datetime import timedelta

import structlog
from aiogram import Bot
from aiogram.exceptions import (
    TelegramAPIError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramRetryAfter,
)

from bot import messages
from bot.clock import now
from bot.keyboards import Links
from bot.messages import Message
from bot.pacing import Pace
from bot.session import PATIENCE_SECONDS
from facts import Notifier as Rules
from models.message import OutboxKind, OutboxState
from runtime import logs
from runtime.supervision import finish
from services import approvals, outbox, users
from services.desk import Desk
from services.outbox import Claimed

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
GATHER_SECONDS = 0.2
LONGEST_PAUSE = 60.0
SPARE_SECONDS = 5.0
UNCHANGED = "message is not modified"
GONE = ("message to edit not found", "message can't be edited", "MESSAGE_ID_INVALID")


class LeaseLost(Exception):
    """Another replica has taken the row over: it will say it."""


class Notifier:
    """Several messages at once, one at a time per chat, the most urgent first."""

    def __init__(self, desk: Desk, bot: Bot, links: Links, rules: Rules) -> None:
        self._desk = desk
        self._bot = bot
        self._links = links
        self._rules = rules
        self._pace = Pace(rules.rate_per_second, rules.max_rate_per_second, rules.chat_interval_seconds)
        self._running: dict[asyncio.Task[None], int] = {}
        self._was_busy = False
        self._claimed_at = 0.0
        self._held_until: dict[int, float] = {}

    async def run(self) -> None:
        """Until the process stops; messages under way are finished, the rest stays owed."""
        try:
            while not self._desk.supervisor.stopping.is_set():
                self._desk.metrics.telegram_pace.set(self._pace.rate)
                if not await self._claim_some():
                    await self._desk.wakes.outbox.wait(self._pause())
        finally:
            await finish(self._running)

    def _pause(self) -> float:
        return min(LOOK_SECONDS, max(0.01, self._pace.rest_ends_in() or LOOK_SECONDS))

    async def _claim_some(self) -> bool:
        room = self._rules.workers - len(self._running)
        # A claim is a transaction: several messages at once, unless those under way take long.
        waits = room <= len(self._running) and time.monotonic() - self._claimed_at < GATHER_SECONDS
        if room <= 0 or waits or not (self._was_busy or await self._is_due()):
            return False
        self._claimed_at = time.monotonic()
        busy = [*self._running.values(), *self._pace.resting()]
        async with self._desk.database.writing() as session:
            claimed = await outbox.claim(session, self._desk.replica, now(),
                                         timedelta(seconds=self._rules.lease_seconds), room, busy)
            held_until = time.monotonic() + self._rules.lease_seconds
        for item in claimed:
            self._held_until[item.id] = held_until
            task = asyncio.create_task(self._deliver(item))
            self._running[task] = item.chat_id
            task.add_done_callback(self._done)
        self._was_busy = bool(claimed)
        return self._was_busy

    async def _is_due(self) -> bool:
        async with self._desk.database.reading() as session:
            due = await outbox.next_due(session)
        return due is not None and due <= now()

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._desk.wakes.outbox.set()
        if not task.cancelled() and task.exception() is not None:
            # The row stays under its lease and is tried again when that ends.
            log.error("delivery_failed", exc_info=task.exception())

    async def _deliver(self, item: Claimed) -> None:
        try:
            await self._say(item)
        finally:
            del self._held_until[item.id]

    async def _say(self, item: Claimed) -> None:
        logs.begin(outbox_id=item.id)
        try:
            message = await messages.prepare(self._desk, self._links, item)
        except Exception as error:
            log.exception("message_not_prepared")
            await self._again(item, type(error).__name__, is_fault=True)
            return
        if message is None:
            await self._settle(item, OutboxState.SKIPPED)
            return
        await self._speak(item, message)

    async def _speak(self, item: Claimed, message: Message) -> None:
        """Make the call and write down what came of it."""
        try:
            await self._bid_farewell(item, message)
            await self._turn(item)
            message_id = await messages.send(self._bot, item.chat_id, message)
        except LeaseLost:
            log.warning("lease_lost")
        except TelegramRetryAfter as error:
            await self._slow_down(item, float(error.retry_after))
        except TelegramForbiddenError:
            await self._mark_blocked(item)
        except TelegramBadRequest as error:
            await self._refused(item, message, error)
        except (TelegramAPIError, TimeoutError, OSError) as error:
            # It may or may not have arrived; Telegram has no key to ask by, so it is said again. A 404 is about
            # the token or the address, never about a message.
            if message.edits is None:
                self._desk.metrics.outbox_resent.inc()
            await self._again(item, type(error).__name__)
        else:
            self._pace.went_well()
            if item.kind == OutboxKind.CARD:
                self._desk.metrics.cards_sent.inc()
            await self._settle(item, OutboxState.SENT, message, message_id)

    async def _turn(self, item: Claimed) -> None:
        await self._pace.turn()
        await self._hold(item)
        self._pace.spoke(item.chat_id)

    async def _hold(self, item: Claimed) -> None:
        """See to it that the lease outlives the next call, or another replica would say the same meanwhile."""
        if self._held_until[item.id] - time.monotonic() > PATIENCE_SECONDS + SPARE_SECONDS:
            return
        span = max(self._rules.lease_seconds, PATIENCE_SECONDS + SPARE_SECONDS)
        async with self._desk.database.writing() as session:
            if not await outbox.renew(session, item, self._desk.replica, now() + timedelta(seconds=span)):
                raise LeaseLost
        self._held_until[item.id] = time.monotonic() + span

    async def _bid_farewell(self, item: Claimed, message: Message) -> None:
        """Take the buttons off the card that gives way to the new one."""
        if message.replaces is None or message.farewell is None:
            return
        old = Message(message.farewell.text, None, edits=message.replaces)
        await self._turn(item)
        try:
            await messages.send(self._bot, item.chat_id, old)
        except TelegramBadRequest as error:
            log.info("old_card_kept", reason=error.message)

    async def _refused(self, item: Claimed, message: Message, error: TelegramAPIError) -> None:
        if message.edits is not None and UNCHANGED in error.message:
            await self._settle(item, OutboxState.SENT, message, message.edits)
        elif message.edits is not None and any(text in error.message for text in GONE):
            await self._settle(item, OutboxState.SKIPPED, error=error.message)
        elif "chat not found" in error.message:
            await self._mark_blocked(item)
        else:
            log.error("message_refused", reason=error.message, kind=item.kind)
            await self._settle(item, OutboxState.DEAD, error=error.message)

    async def _slow_down(self, item: Claimed, retry_after: float) -> None:
        self._pace.too_fast(retry_after)
        async with self._desk.database.writing() as session:
            await outbox.postpone(session, item, self._desk.replica, now() + timedelta(seconds=retry_after),
                                  counts=False, error="429")

    async def _mark_blocked(self, item: Claimed) -> None:
        moment = now()
        async with self._desk.database.writing() as session:
            await users.mark_blocked(session, item.chat_id, moment)
            await outbox.settle(session, item, self._desk.replica, OutboxState.SKIPPED, moment, error="blocked")

    async def _again(self, item: Claimed, reason: str, *, is_fault: bool = False) -> None:
        """Later, with growing pauses. Only a fault of our own is given up; an outage is waited out."""
        if is_fault and item.attempts + 1 >= self._rules.max_attempts:
            await self._settle(item, OutboxState.DEAD, error=reason)
            return
        pause = min(LONGEST_PAUSE, 0.5 * 2 ** min(item.attempts, 10))
        async with self._desk.database.writing() as session:
            await outbox.postpone(session, item, self._desk.replica, now() + timedelta(seconds=pause), counts=True,
                                  error=reason)

    async def _settle(self, item: Claimed, state: OutboxState, message: Message | None = None,
                      message_id: int | None = None, error: str | None = None) -> None:
        moment = now()
        async with self._desk.database.writing() as session:
            await outbox.settle(session, item, self._desk.replica, state, moment, message_id=message_id, error=error)
            if message is not None and message.card is not None and message_id is not None:
                assert item.approval_id is not None
                await approvals.card_sent(session, item.approval_id, message_id, message.card.digest)
