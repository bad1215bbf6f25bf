"""Events on their way: from a commit to Redis, and from Redis to the streams that are open in this process.

One sender at a time, so that what was committed first is told first. One listener wakes the streams of those whom
something was told, by whatever process; while it does not hear Redis no stream is open here, as nobody would wake it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import structlog
from redis.asyncio import Redis
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account
from models.database import Database
from runtime.supervision import Start
from services import event_log, events
from services.errors import TryLater
from services.event_log import AWAY, CHANNEL, EventLog, Place
from services.events import Event, EventKind, Several

log = structlog.get_logger(__name__)

STREAMS_A_USER = 3
AT_ONCE, MOST_WAITING, MOST_OWNERS = 500, 50_000, 50_000
RETRY_SECONDS = 0.5
LISTEN_SECONDS, PAUSE_SECONDS, DUE_SECONDS = 0.25, 1.0, 1.0


@dataclass(eq=False, slots=True)
class Stream:
    """A stream that is open in this process."""

    user_id: int
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    limit: asyncio.Timeout | None = None
    """What ends it in time, to be brought forward when it has to end before."""
    is_over: bool = False
    is_replaced: bool = False

    def end(self) -> None:
        """Let it end now, wherever it waits."""
        self.is_over = True
        if self.limit is not None and not self.limit.expired():
            self.limit.reschedule(asyncio.get_running_loop().time())

    async def woken(self, seconds: float) -> bool:
        """Wait until something was told; False when nothing was for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # wait_for would lose an end that comes together with a word
                await self.wake.wait()
        return self.wake.is_set()


class EventHub:
    """Sends what was noted, and wakes who listens; ``most`` streams at once."""

    def __init__(self, database: Database, redis: Redis, start: Start, *, most: int) -> None:
        self._database = database
        self._redis = redis
        self._start = start
        self._most = most
        self.log = EventLog(redis)
        self._waiting: deque[Event | Several] = deque()
        self._accounts: dict[int, None] = {}
        self._owners: dict[int, int] = {}
        self._is_sending = False
        self._streams: dict[int, list[Stream]] = {}
        self._open = 0
        self._hears = False
        database.on_commit(self._after_commit)

    # -- sending

    def account_changed(self, account_id: int) -> None:
        """Positions or figures of an account are not what they were: tell its owner."""
        if len(self._accounts) < MOST_WAITING:
            self._accounts[account_id] = None
        self._send_soon()

    @property
    def is_sending(self) -> bool:
        """Whether something is on its way to Redis."""
        return self._is_sending

    def _after_commit(self, session: AsyncSession) -> None:
        noted = events.noted(session)
        if not noted:
            return
        self._waiting.extend(noted)
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
        self._send_soon()

    def _send_soon(self) -> None:
        if self._is_sending or not (self._waiting or self._accounts):
            return
        self._is_sending = True
        try:
            self._start("events", self._send())
        except RuntimeError:
            self._is_sending = False  # too much is under way; the listener tries again

    async def _send(self) -> None:
        try:
            while self._waiting or self._accounts:
                if batch := await self._next():
                    await self._append(batch)
                await self._own()
        except (SQLAlchemyError, OSError) as error:
            log.warning("events_wait", error=type(error).__name__)
        finally:
            self._is_sending = False

    async def _next(self) -> list[Event]:
        """What is sent together next, in its order."""
        batch: list[Event] = []
        while self._waiting and len(batch) < AT_ONCE:
            first = self._waiting[0]
            if isinstance(first, Several):
                if batch:
                    break
                async with self._database.reading() as session:
                    found = first.told((await session.execute(first.rows)).all())
                self._waiting.popleft()
                self._waiting.extendleft(reversed(found))
            else:
                batch.append(first)
                self._waiting.popleft()
        return batch

    async def _append(self, batch: Sequence[Event]) -> None:
        name = event_log.new_batch()
        for is_last in (False, True):
            try:
                await self.log.append(batch, name)
                return
            except AWAY as error:
                if is_last:
                    log.warning("events_lost", number=len(batch), error=type(error).__name__)
                else:
                    await asyncio.sleep(RETRY_SECONDS)

    async def _own(self) -> None:
        """Whose the accounts are that have changed: an account never changes its owner."""
        ids = list(self._accounts)[:AT_ONCE]
        if any(account_id not in self._owners for account_id in ids):
            if len(self._owners) + len(ids) > MOST_OWNERS:
                self._owners.clear()
            async with self._database.reading() as session:
                rows = await session.execute(select(Account.id, Account.user_id).where(Account.id.in_(ids)))
                self._owners.update((row.id, row.user_id) for row in rows)
        for account_id in ids:
            del self._accounts[account_id]
            if account_id in self._owners:
                self._waiting.append(Event(self._owners[account_id], EventKind.POSITIONS_UPDATED,
                                           {"account_id": str(account_id)}))

    # -- listening

    @contextmanager
    def enter(self, user_id: int) -> Iterator[Stream]:
        """A stream while the block lasts; of a user who has too many the oldest ends. TryLater without room for it."""
        mine = self._streams.get(user_id, [])
        if not self._hears or (self._open >= self._most and len(mine) < STREAMS_A_USER):
            raise TryLater("Events cannot be told right now. Ask for what you need instead.")
        if len(mine) >= STREAMS_A_USER:
            mine[0].is_replaced = True
            mine[0].end()
            self._leave(mine[0])
        stream = Stream(user_id)
        self._streams.setdefault(user_id, []).append(stream)
        self._open += 1
        try:
            yield stream
        finally:
            self._leave(stream)

    @property
    def is_listened_to(self) -> bool:
        """Whether a stream is open in this process."""
        return self._open > 0

    def _leave(self, stream: Stream) -> None:
        mine = self._streams.get(stream.user_id, [])
        if stream in mine:
            mine.remove(stream)
            self._open -= 1
            if not mine:
                del self._streams[stream.user_id]

    async def open(self, user_id: int, last_id: str | None) -> Place:
        """Where to read on after ``last_id``. InvalidRequest when it is none, TryLater while Redis is away."""
        try:
            return await self.log.open(user_id, last_id)
        except AWAY as error:
            raise TryLater("Events cannot be told right now. Ask for what you need instead.") from error

    async def listen(self, stopping: asyncio.Event) -> None:
        """Wake streams, and tell late events when they are due, until the process stops; then every stream ends."""
        stopped = asyncio.create_task(stopping.wait())
        try:
            while not stopping.is_set():
                hearing = asyncio.create_task(self._hear())
                try:
                    await asyncio.wait([hearing, stopped], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    self._end_all()
                    hearing.cancel()
                    [ended] = await asyncio.gather(hearing, return_exceptions=True)
                if isinstance(ended, Exception):
                    raise ended  # nothing that Redis does: the supervisor tells of it and begins anew
                await asyncio.wait([stopped], timeout=PAUSE_SECONDS)
        finally:
            stopped.cancel()

    async def _hear(self) -> None:
        try:
            async with self._redis.pubsub(ignore_subscribe_messages=False) as channel:
                await channel.subscribe(CHANNEL)
                look_at = time.monotonic()
                while True:
                    said = await channel.get_message(timeout=LISTEN_SECONDS)
                    if said is not None:
                        self._follow(said["type"], said["data"])
                    self._send_soon()
                    if time.monotonic() >= look_at and self._hears and not await self.log.tell_due():
                        look_at = time.monotonic() + DUE_SECONDS
        except AWAY as error:
            log.info("events_unheard", error=type(error).__name__)

    def _follow(self, kind: str, said: bytes | int) -> None:
        if kind == "subscribe":
            self._hears = True
            self._wake(list(self._streams))  # the client connects anew by itself, and may have missed something
        elif isinstance(said, bytes):
            self._wake([int(word) for word in said.split() if word.isdigit()])

    def _wake(self, user_ids: Sequence[int]) -> None:
        for user_id in user_ids:
            for stream in self._streams.get(user_id, ()):
                stream.wake.set()

    def _end_all(self) -> None:
        self._hears = False
        for stream in [stream for mine in self._streams.values() for stream in mine]:
            stream.end()
