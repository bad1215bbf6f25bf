"""Equity over time: the points of an account's curve, its peak and falls, and how the curve is thinned as it ages.

The peak and the deepest fall are kept apart from the curve, so thinning loses nothing of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, bindparam, cast, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.database import Database
from models.order import EquityPeak
from models.position import EquityPoint

HUNDREDTH = Decimal("0.01")
# What a device reports may be absurd: a share of next to nothing has more digits than the usual 28.
_WIDE = Context(prec=80, rounding=ROUND_HALF_UP)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
# How old a point is, and how far apart from then on points are: the last one of each such span stays.
AGES = ((DAY, timedelta(minutes=15)), (WEEK, timedelta(hours=1)), (timedelta(days=90), DAY))
ACCOUNTS_AT_ONCE = 100
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest equity on record and the deepest fall from a peak, in percent."""

    equity: Decimal
    deepest: Decimal

    def with_equity(self, equity: Decimal) -> "Peak":
        """After the account has been seen with this equity."""
        highest = max(self.equity, equity)
        return Peak(highest, max(self.deepest, fall(highest, equity)))

    def joined(self, other: "Peak") -> "Peak":
        """What two who watched the same account know together."""
        return Peak(max(self.equity, other.equity), max(self.deepest, other.deepest))


def joined(*known: Peak | None) -> Peak | None:
    """What all who watched the same account know together; None when nobody does."""
    together: Peak | None = None
    for peak in known:
        together = peak.joined(together) if peak is not None and together is not None else peak or together
    return together


@dataclass(frozen=True, slots=True)
class Past:
    """What is on record of an account; equities are None where no point is that old."""

    peak: Peak | None
    day_ago: Decimal | None
    week_ago: Decimal | None


def fall(peak: Decimal, equity: Decimal) -> Decimal:
    """How far equity is below its peak, in percent."""
    return percent(max(peak - equity, Decimal(0)), peak) if peak > 0 else Decimal("0.00")


def percent(part: Decimal, whole: Decimal) -> Decimal:
    """``part`` of ``whole`` in percent, two digits; 0 of nothing."""
    if whole == 0:
        return Decimal("0.00")
    return _WIDE.quantize(_WIDE.multiply(_WIDE.divide(part, whole), Decimal(100)), HUNDREDTH)


def _equity_before(name: str) -> Any:
    return (select(EquityPoint.equity)
            .where(EquityPoint.account_id == bindparam("account_id"), EquityPoint.at <= bindparam(name))
            .order_by(EquityPoint.at.desc()).limit(1).scalar_subquery())


def _of_peak(column: Any) -> Any:
    return select(column).where(EquityPeak.account_id == bindparam("account_id")).scalar_subquery()


_PAST = select(_of_peak(EquityPeak.peak), _of_peak(EquityPeak.max_drawdown_percent), _equity_before("day"),
               _equity_before("week"))


async def past(session: AsyncSession, account_id: int, now: datetime) -> Past:
    """Peak and reference points in one question: it is asked at every refresh."""
    peak, deepest, day, week = (await session.execute(
        _PAST, {"account_id": account_id, "day": now - DAY, "week": now - WEEK})).one()
    return Past(Peak(peak, deepest) if peak is not None else None, day, week)


async def series(session: AsyncSession, account_id: int, since: datetime) -> list[EquityPoint]:
    """The curve from ``since`` on, oldest first, beginning with the last point before it: there the line comes in.

    Between two points nothing changed that was looked at: an unchanged equity is not written again.
    """
    start = select(func.max(EquityPoint.at)).where(EquityPoint.account_id == account_id, EquityPoint.at < since)
    first = await session.scalar(start)
    return list(await session.scalars(
        select(EquityPoint).where(EquityPoint.account_id == account_id, EquityPoint.at >= (first or since))
        .order_by(EquityPoint.at)))


def spaced(points: Sequence[EquityPoint], width: timedelta) -> list[EquityPoint]:
    """The last point of each span of ``width``."""
    last: dict[int, EquityPoint] = {}
    for point in points:
        last[int(point.at.timestamp() // width.total_seconds())] = point
    return list(last.values())


class Thinner:
    """Thins the curves, some accounts at a time, from the first account to the last and round again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._after = 0

    async def step(self, now: datetime, limit: int) -> int:
        """Thin the next accounts by at most ``limit`` points; returns how many were deleted."""
        async with self._database.reading() as session:
            ids = list(await session.scalars(
                select(EquityPoint.account_id).distinct().where(EquityPoint.account_id > self._after)
                .order_by(EquityPoint.account_id).limit(ACCOUNTS_AT_ONCE)))
            doomed: dict[int, list[datetime]] = {}
            if ids:
                for account_id, at in await session.execute(_superfluous(self._after, ids[-1], now, session, limit)):
                    doomed.setdefault(account_id, []).append(at)
        found = sum(len(moments) for moments in doomed.values())
        if found < limit:
            self._after = ids[-1] if len(ids) == ACCOUNTS_AT_ONCE else 0
        if doomed:
            async with self._database.writing() as session:
                for account_id, moments in doomed.items():
                    await session.execute(delete(EquityPoint).where(
                        EquityPoint.account_id == account_id, EquityPoint.at.in_(moments)))
        return found


def _superfluous(after: int, upto: int, now: datetime, session: AsyncSession, limit: int) -> Select[Any]:
    """Points that share their span with a later one."""
    following = func.lead(EquityPoint.at).over(partition_by=EquityPoint.account_id, order_by=EquityPoint.at)
    points = (select(EquityPoint.account_id, EquityPoint.at, following.label("following"))
              .where(EquityPoint.account_id > after, EquityPoint.account_id <= upto,
                     EquityPoint.at < now - AGES[0][0]).subquery())
    bounds = [*(now - age for age, _ in AGES[1:]), BEGINNING]
    shared = None
    for (age, width), since in zip(AGES, bounds, strict=True):
        seconds = int(width.total_seconds())
        found = ((points.c.at < now - age) & (points.c.at >= since)
                 & (_span(points.c.at, seconds, session) == _span(points.c.following, seconds, session)))
        shared = found if shared is None else shared | found
    assert shared is not None
    return select(points.c.account_id, points.c.at).where(shared).limit(limit)


def _span(at: ColumnElement[datetime], seconds: int, session: AsyncSession) -> ColumnElement[int]:
    """The number of the span of so many seconds that an instant lies in."""
    if session.get_bind().dialect.name == "sqlite":
        return cast(func.strftime("%s", at), Integer) // seconds
    return func.floor(func.extract("epoch", at) / seconds)
