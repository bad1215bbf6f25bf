"""What refreshes of accounts find out, written down together as soon as the writer is free.

Nobody who asks for positions waits for the writer: what is to be written waits here, and everything that waits
is one transaction. A process that dies loses what it saw in the last moments, and sees the account again.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, AccountStatus
from models.database import Database
from models.order import EquityPeak
from models.position import EquityPoint
from runtime.supervision import Start
from services import accounts, history
from services.equity import Peak, joined, recorded
from services.upsert import insert
from terminal.protocol import AccountSnapshot, Position

log = structlog.get_logger(__name__)

Kept = TypeVar("Kept")
POINT_EVERY = timedelta(minutes=1)
GATHER_SECONDS = 0.1
MOST_REMEMBERED = 10_000
CHUNK = 400


@dataclass(frozen=True, slots=True)
class Point:
    """Equity and balance at one moment, and what had been paid in by then; None where nobody tells."""

    at: datetime
    equity: Decimal
    balance: Decimal
    net_deposits: Decimal | None = None

    def is_due_after(self, last: "Point | None") -> bool:
        """Whether it says something new, and the last one is a minute old."""
        return last is None or (self.at - last.at >= POINT_EVERY and replace(self, at=last.at) != last)


@dataclass(slots=True)
class Levels:
    """Stops and targets by ticket, when they were first seen, and whether they are on record."""

    levels: dict[int, tuple[Decimal | None, Decimal | None]]
    tried_at: datetime
    is_noted: bool = False


@dataclass(slots=True)
class Batch:
    """What waits to be written, each with when it was seen: under load one batch follows the other for hours."""

    points: dict[int, Point] = field(default_factory=dict)
    peaks: dict[int, Peak] = field(default_factory=dict)
    troubles: dict[int, tuple[str, datetime]] = field(default_factory=dict)
    sound: dict[int, tuple[AccountSnapshot, datetime]] = field(default_factory=dict)
    levels: dict[int, tuple[Account, Sequence[Position], datetime]] = field(default_factory=dict)

    def add_peak(self, account_id: int, peak: Peak) -> None:
        """A mark that waits already is only raised."""
        before = self.peaks.get(account_id)
        self.peaks[account_id] = peak if before is None else peak.joined(before)

    def __bool__(self) -> bool:
        return bool(self.points or self.peaks or self.troubles or self.sound or self.levels)


class Observations:
    """Collects what is seen; ``start`` runs the writing in the background."""

    def __init__(self, database: Database, start: Start | None = None) -> None:
        self._database = database
        self._start = start or self._start_here
        self._waiting, self._at_work = Batch(), Batch()
        self._idle = asyncio.Event()
        self._idle.set()
        self._last: dict[int, Point] = {}
        self._levels: dict[int, Levels] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def peak_of(self, account_id: int) -> Peak | None:
        """The peak that is not yet on record."""
        return joined(self._at_work.peaks.get(account_id), self._waiting.peaks.get(account_id))

    def seen(self, account: Account, snapshot: AccountSnapshot, positions: Sequence[Position], peak: Peak | None,
             now: datetime) -> None:
        """The account was read: a point of its curve, its ``peak`` if it has moved, how it and its positions stand."""
        point = Point(snapshot.taken_at, snapshot.equity, snapshot.balance, snapshot.net_deposits)
        if point.is_due_after(self._last.get(account.id)):
            _put(self._last, account.id, point)
            self._waiting.points[account.id] = point
        if peak is not None:
            self._waiting.add_peak(account.id, peak)
        if _has_changed(account, snapshot):
            self._waiting.troubles.pop(account.id, None)
            self._waiting.sound[account.id] = snapshot, now
        self._look_at_levels(account, positions, now)
        self._write()

    def _look_at_levels(self, account: Account, positions: Sequence[Position], now: datetime) -> None:
        """Stops and targets are written when they have changed; what could not be noted is tried once a minute."""
        levels = {p.ticket: (p.stop_loss, p.take_profit) for p in positions}
        known = self._levels.get(account.id)
        if known is not None and known.levels == levels and (known.is_noted or now - known.tried_at < POINT_EVERY):
            return
        _put(self._levels, account.id, Levels(levels, now))
        if positions:
            self._waiting.levels[account.id] = account, positions, now

    def broken(self, account: Account, trouble: str, now: datetime) -> None:
        """The terminal says that the link does not work until somebody changes something."""
        if account.status == AccountStatus.VERIFIED:
            self._waiting.sound.pop(account.id, None)
            self._waiting.troubles[account.id] = trouble, now
            self._write()

    def _write(self) -> None:
        if self._waiting and self._idle.is_set():
            try:
                self._start("observations", self._write_all())
                self._idle.clear()
            except RuntimeError:
                log.warning("observations_wait")  # too much is under way; the next refresh tries again

    def _start_here(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Return when nothing waits to be written."""
        await self._idle.wait()

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(GATHER_SECONDS)
                self._at_work, self._waiting = self._waiting, Batch()
                try:
                    async with self._database.writing() as session:
                        noted = await _write(session, self._at_work)
                    for account_id in noted:
                        if account_id in self._levels and account_id not in self._waiting.levels:
                            self._levels[account_id].is_noted = True
                except BaseException:
                    # A point or a mark comes again with the next refresh; a peak may not.
                    for account_id, peak in self._at_work.peaks.items():
                        self._waiting.add_peak(account_id, peak)
                    for account_id in self._at_work.points:
                        self._last.pop(account_id, None)
                    raise
                finally:
                    self._at_work = Batch()
        finally:
            self._idle.set()


def _put(memory: dict[int, Kept], account_id: int, value: Kept) -> None:
    """Remember it, in the place of what has not been seen for longest when there is too much."""
    memory.pop(account_id, None)
    if len(memory) >= MOST_REMEMBERED:
        del memory[next(iter(memory))]
    memory[account_id] = value


def _has_changed(account: Account, snapshot: AccountSnapshot) -> bool:
    known = account.can_trade, account.leverage, account.margin_mode
    told = snapshot.can_trade, snapshot.leverage, snapshot.margin_mode
    return account.status == AccountStatus.BROKEN or known != told


async def _write(session: AsyncSession, batch: Batch) -> list[int]:
    """Write it all; returns the accounts whose levels are on record."""
    await _write_peaks(session, batch.peaks)
    await _write_points(session, batch.points)
    noted = []
    for account_id in sorted({*batch.troubles, *batch.sound, *batch.levels}):
        if account_id in batch.troubles:
            await accounts.mark_broken(session, account_id, *batch.troubles[account_id])
        if account_id in batch.sound:
            await accounts.mark_sound(session, account_id, *batch.sound[account_id])
        if account_id in batch.levels and await history.note_levels(session, *batch.levels[account_id]):
            noted.append(account_id)
    return noted


async def _write_peaks(session: AsyncSession, peaks: dict[int, Peak]) -> None:
    """Raise what is on record; another replica may have seen a higher peak or a deeper fall meanwhile."""
    for account_id in sorted(peaks):
        known = await session.scalar(
            select(EquityPeak).where(EquityPeak.account_id == account_id).with_for_update())
        peak = peaks[account_id]
        if known is not None:
            peak = peak.joined(recorded(known))
        values = {"peak": peak.equity, "max_drawdown_percent": peak.deepest, "net_deposits": peak.net_deposits,
                  "scale": peak.scale, "updated_at": peak.at}
        statement = insert(session, EquityPeak).values(account_id=account_id, **values)
        await session.execute(statement.on_conflict_do_update(index_elements=["account_id"], set_=values))


async def _write_points(session: AsyncSession, points: dict[int, Point]) -> None:
    """Add to the curves what is still due by what is on record."""
    ids = sorted(points)
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start:start + CHUNK]
        newest = (select(EquityPoint.account_id, func.max(EquityPoint.at).label("at"))
                  .where(EquityPoint.account_id.in_(chunk)).group_by(EquityPoint.account_id).subquery())
        rows = await session.scalars(select(EquityPoint).join(
            newest, (newest.c.account_id == EquityPoint.account_id) & (newest.c.at == EquityPoint.at)))
        last = {row.account_id: Point(row.at, row.equity, row.balance, row.net_deposits) for row in rows}
        due = [{"account_id": account_id, **asdict(point)}
               for account_id in chunk if (point := points[account_id]).is_due_after(last.get(account_id))]
        if due:
            await session.execute(insert(session, EquityPoint).on_conflict_do_nothing(), due)
