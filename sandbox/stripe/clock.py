"""The stand-in's own time: the machine's, and whatever was added to it by advancing."""

import calendar
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

HOUR, DAY = 3600, 86400
Clock = Callable[[], float]
_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "year": 12}


def after(start: int, interval: str, count: int, *, anchor: int | None = None) -> int:
    """The instant ``count`` intervals after ``start``; months keep the anchor's day where the month has it."""
    moment = datetime.fromtimestamp(start, UTC)
    if interval in _DAYS:
        return int((moment + timedelta(days=_DAYS[interval] * count)).timestamp())
    months = moment.year * 12 + moment.month - 1 + _MONTHS[interval] * count
    year, month = divmod(months, 12)
    day = datetime.fromtimestamp(anchor if anchor is not None else start, UTC).day
    last = calendar.monthrange(year, month + 1)[1]
    return int(moment.replace(year=year, month=month + 1, day=min(day, last)).timestamp())
