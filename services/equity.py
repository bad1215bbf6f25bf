"""Equity over time: the points of an account's curve, its peak and falls, and how the curve is thinned as it ages.

The peak and the deepest fall are kept apart from the curve, so thinning loses nothing of them. What is paid in is no
gain and what is paid out no loss: changes leave it out, and it scales the peak, so that how far equity is below its
peak stays as it was (a time-weighted return, as GIPS reckons it).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, cast, delete, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from models.database import Database
from models.order import EquityPeak
from models.position import EquityPoint

HUNDREDTH, MILLIONTH = Decimal("0.01"), Decimal("0.000001")
# What a device reports may be absurd: a share of next to nothing has more digits than the usual 28.
_WIDE = Context(prec=80, rounding=ROUND_HALF_UP)
_KEPT = Context(prec=28)
ZERO, ONE = Decimal(0), Decimal(1)
# A peak beyond this is no money, and what devices report may make any; a scale is kept between this and its inverse.
MOST = Decimal("1e30")
# What the scale is multiplied by where the peak starts anew: any peak of before is next to nothing in it.
ANEW = Decimal("1e-12")
DAY, WEEK = timedelta(days=1), timedelta(days=7)
# An account that has not told of its flows for so long is taken for one that does not tell.
UNTOLD = timedelta(days=1)
# How old a point is, and how far apart from then on points are: the last one of each such span stays.
AGES = ((DAY, timedelta(minutes=15)), (WEEK, timedelta(hours=1)), (timedelta(days=90), DAY))
ACCOUNTS_AT_ONCE = 100
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Standing:
    """Equity with what had been paid in by then less what had been paid out; None where nobody tells."""

    equity: Decimal
    net_deposits: Decimal | None

    def flow_since(self, net_deposits: Decimal | None) -> Decimal:
        """What has come in since so much had been paid in; what is not known is taken for nothing."""
        if self.net_deposits is None or net_deposits is None:
            return ZERO
        return self.net_deposits - net_deposits

    def change_since(self, before: "Standing") -> Decimal:
        """What has been gained or lost."""
        return self.equity - before.equity - self.flow_since(before.net_deposits)


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest equity on record and the deepest fall from a peak, in percent.

    The highest equity is in the money that is there now. ``net_deposits`` is what had been paid in when it was last
    told, ``scale`` what all flows together have multiplied the peak by: peaks of before and after a flow compare by
    it. ``at`` is when the account was seen so.
    """

    equity: Decimal
    deepest: Decimal
    net_deposits: Decimal | None = None
    scale: Decimal = ONE
    at: datetime = field(default=BEGINNING, compare=False)

    def seen(self, standing: Standing, at: datetime) -> "Peak":
        """After the account has been seen so.

        One that has told of its flows and just now does not (a terminal that has only begun) will tell again soon. Till
        then nobody knows a flow from a loss, so it leaves no mark.
        """
        if standing.net_deposits is None and self.net_deposits is not None and at - self.at < UNTOLD:
            return self
        flow = standing.flow_since(self.net_deposits)
        before = self._scaled(standing.equity, flow) if flow else self
        highest = max(before.equity, standing.equity)
        return Peak(highest, max(self.deepest, fall(highest, standing.equity)), standing.net_deposits, before.scale, at)

    def _scaled(self, equity: Decimal, flow: Decimal) -> "Peak":
        """After a flow that has led to this equity; the deepest fall stays. With nothing to go by it starts anew."""
        without = equity - flow
        if min(self.equity, equity, without) > 0:
            peak, scale = (_KEPT.plus(_WIDE.divide(_WIDE.multiply(number, equity), without))
                           for number in (self.equity, self.scale))
            if peak < MOST:
                return replace(self, equity=peak, scale=_bounded(scale))
        return replace(self, equity=equity, scale=_bounded(self.scale * ANEW))

    def joined(self, other: "Peak") -> "Peak":
        """What two who watched the same account know together, in the money of whoever has seen it last."""
        newer, older = (self, other) if self._order > other._order else (other, self)
        highest = older.equity
        if older.scale != newer.scale:
            highest = _KEPT.plus(_WIDE.divide(_WIDE.multiply(highest, newer.scale), older.scale))
        return replace(newer, equity=max(newer.equity, highest), deepest=max(newer.deepest, older.deepest))

    @property
    def _order(self) -> tuple[datetime, Decimal, bool, Decimal]:
        return self.at, self.scale, self.net_deposits is not None, self.net_deposits or ZERO


def _bounded(scale: Decimal) -> Decimal:
    """After decades of flows one that has grown out of all proportion is counted from one again."""
    return scale if ONE / MOST < scale < MOST else ONE


def joined(*known: Peak | None) -> Peak | None:
    """What all who watched the same account know together; None when nobody does."""
    together: Peak | None = None
    for peak in known:
        together = peak.joined(together) if peak is not None and together is not None else peak or together
    return together


@dataclass(frozen=True, slots=True)
class Past:
    """What is on record of an account; where no point is that old there is None."""

    peak: Peak | None
    day_ago: Standing | None
    week_ago: Standing | None


def fall(peak: Decimal, equity: Decimal) -> Decimal:
    """How far equity is below its peak, in percent."""
    return percent(max(peak - equity, Decimal(0)), peak) if peak > 0 else Decimal("0.00")


def percent(part: Decimal, whole: Decimal) -> Decimal:
    """``part`` of ``whole`` in percent, two digits; 0 of nothing."""
    if whole == 0:
        return Decimal("0.00")
    # A peak is kept to so many digits: what is half of a hundredth but for the last of them is rounded as half of one.
    exact = _WIDE.multiply(_WIDE.divide(part, whole), Decimal(100))
    return _WIDE.quantize(_WIDE.quantize(exact, MILLIONTH), HUNDREDTH)


def _past() -> Any:
    """One row with the peak and the newest points that are a day and a week old, each null where there is none."""
    account_id: Any = bindparam("account_id")
    day, week = aliased(EquityPoint), aliased(EquityPoint)
    source: Any = select(literal(1)).subquery().outerjoin(EquityPeak, EquityPeak.account_id == account_id)
    for point, name in ((day, "day"), (week, "week")):
        newest = (select(func.max(EquityPoint.at)).where(
            EquityPoint.account_id == account_id, EquityPoint.at <= bindparam(name)).scalar_subquery())
        source = source.outerjoin(point, and_(point.account_id == account_id, point.at == newest))
    return select(
        EquityPeak.peak, EquityPeak.max_drawdown_percent, EquityPeak.net_deposits, EquityPeak.scale,
        EquityPeak.updated_at, day.equity, day.net_deposits, week.equity, week.net_deposits).select_from(source)


_PAST = _past()


async def past(session: AsyncSession, account_id: int, now: datetime) -> Past:
    """Peak and reference points in one question: it is asked at every refresh."""
    *peak, day, paid_by_day, week, paid_by_week = (await session.execute(
        _PAST, {"account_id": account_id, "day": now - DAY, "week": now - WEEK})).one()
    return Past(Peak(*peak) if peak[0] is not None else None,
                Standing(day, paid_by_day) if day is not None else None,
                Standing(week, paid_by_week) if week is not None else None)


def recorded(row: EquityPeak) -> Peak:
    """A peak as it is on record."""
    return Peak(row.peak, row.max_drawdown_percent, row.net_deposits, row.scale, row.updated_at)


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
