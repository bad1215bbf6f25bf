"""What was paid into an account and out of it, added up from its deals, as of the same moment as its equity."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from terminal import maths
from terminal.mt5 import codes, convert
from terminal.mt5.clock import ServerClock
from terminal.mt5.library import CallFailed, Library

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
SPAN, AHEAD = timedelta(days=366), timedelta(days=1)
SLACK = timedelta(hours=3)
"""How long before the newest deal is read again: a trade server's clock may be put back by an hour."""
TRIES, WAIT_SECONDS = 3, 0.05
READ_SECONDS = 2.0
"""A history that takes longer is read on at the next look: a worker that is late with the figures is ended."""
DOUBT_SECONDS = 30.0
"""Deals that do not add up are left alone for so long."""
EXTERNAL = frozenset({codes.DEAL_BALANCE, codes.DEAL_CREDIT, codes.DEAL_BONUS})


class Flows:
    """Reads all deals of an account once, and from then on the newest; a deal counts once by its ticket.

    All deals together make balance and credit. While they do not, the terminal does not have them all yet, or has not
    got to the newest, and nothing is told: a number that jumps later would look like a deposit.
    """

    def __init__(self, library: Library, clock: ServerClock) -> None:
        self._library, self._clock = library, clock
        self._doubted_until = 0.0
        self._forget()

    def _forget(self) -> None:
        self._start, self._newest_msc = BEGINNING, 0
        self._known: dict[int, int] = {}
        """Deals that may be read again, and when they were made."""
        self._net = self._total = maths.ZERO

    def with_row(self, ask: Callable[[], Any]) -> tuple[Any, Decimal | None]:
        """The account's row, and what had been paid in at that moment; None where that cannot be told."""
        if time.monotonic() < self._doubted_until:
            return ask(), None
        for number in range(TRIES):
            if number:
                time.sleep(WAIT_SECONDS)
            if number == TRIES - 1:
                self._forget()
            before = self._sum()
            row = ask()
            if before is None:
                if number:
                    self._doubt()  # it has not added up, and takes long to read again
                return row, None
            if self._sum() == before and self._explains(row):
                return row, maths.money(before, int(row.currency_digits))
        self._doubt()
        return row, None

    def _doubt(self) -> None:
        self._doubted_until = time.monotonic() + DOUBT_SECONDS

    def _explains(self, row: Any) -> bool:
        """Whether the deals make what is there, to less than the smallest coin."""
        there = convert.exact(row.balance) + convert.exact(row.credit)
        return abs(self._total - there) < Decimal(1).scaleb(-int(row.currency_digits))

    def _sum(self) -> Decimal | None:
        """Of all flows up to now; None while the history cannot be read, or not to its end."""
        began, until = time.monotonic(), self._clock.wall(datetime.now(UTC)) + AHEAD
        try:
            while self._read(until):
                if time.monotonic() - began > READ_SECONDS:
                    return None
        except CallFailed as failed:
            if failed.as_error().code == "terminal_lost":
                raise
            return None
        return self._net

    def _read(self, until: datetime) -> bool:
        """Read on; False when the end has been reached."""
        stop = min(self._start + SPAN, until)
        self._add(self._library.rows("history_deals_get", self._start, stop))
        if stop < until:
            self._start = stop
            return True
        if self._newest_msc:
            self._start = datetime.fromtimestamp(self._newest_msc / 1000, UTC) - SLACK
            again = _msc(self._start)
            self._known = {ticket: at_msc for ticket, at_msc in self._known.items() if at_msc >= again}
        return False

    def _add(self, rows: Sequence[Any]) -> None:
        since = _msc(self._start)
        for row in rows:
            ticket, at_msc = int(row.ticket), int(row.time_msc) or int(row.time) * 1000
            if ticket in self._known or at_msc < since:
                continue
            self._known[ticket] = at_msc
            self._newest_msc = max(self._newest_msc, at_msc)
            amount = sum(map(convert.exact, (row.profit, row.swap, row.commission, row.fee)), maths.ZERO)
            self._total += amount
            if row.type in EXTERNAL:
                self._net += amount


def _msc(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
