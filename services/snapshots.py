"""A portfolio as of one moment, and its written forms: one to be read again, one with the answer ready to be sent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from terminal.protocol import AccountSnapshot, Position, Side

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INSTANTS = {"taken_at", "opened_at"}
_WORDS = {"login", "server", "broker", "currency", "margin_mode", "symbol"}


@dataclass(frozen=True, slots=True)
class Portfolio:
    """An account with its open positions as of one moment; ``digits`` by symbol is for writing prices.

    ``day_change`` and ``week_change`` are what was gained or lost since the newest point on record that is at least so
    old, without what was paid in or out; None where there is no such point. ``read_at`` is when the terminal was
    asked; what it told may be older.
    """

    account_id: int
    snapshot: AccountSnapshot
    positions: tuple[Position, ...]
    digits: dict[str, int]
    drawdown_percent: Decimal
    max_drawdown_percent: Decimal
    stale: bool
    day_change: Decimal | None
    week_change: Decimal | None
    read_at: datetime

    @property
    def total_profit(self) -> Decimal:
        """Floating profit with swap, in the account's currency."""
        return sum((p.profit + p.swap for p in self.positions), Decimal(0))


@dataclass(frozen=True, slots=True)
class Age:
    """Of when a kept portfolio is, and when the terminal was asked for it, in microseconds since 1970."""

    taken: int
    read: int

    def is_older(self, span: timedelta, now: datetime) -> bool:
        """Whether what it tells is at least so old."""
        return microseconds(now) - self.taken >= span.total_seconds() * 1_000_000

    def is_read_since(self, other: "Age | None") -> bool:
        return other is None or self.read > other.read

    def was_read_within(self, span: timedelta, now: datetime) -> bool:
        """Whether the terminal was asked less than so long ago."""
        return microseconds(now) - self.read < span.total_seconds() * 1_000_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A portfolio in a written form. ``is_shared``: from Redis, where the changes of every replica are heard of."""

    account_id: int
    age: Age
    body: bytes
    is_shared: bool

    @property
    def portfolio(self) -> Portfolio:
        """What it was made from, of the form to be read again."""
        return _decode(self.body, self.account_id, _EPOCH + self.age.read * _MICROSECOND)


def encode(portfolio: Portfolio) -> bytes:
    """To be read again: a line of numbers (account, taken, read), then the portfolio itself."""
    return _head(portfolio) + json.dumps({
        "digits": portfolio.digits, "snapshot": _fields(portfolio.snapshot, AccountSnapshot.__slots__),
        "positions": [_fields(p, Position.__slots__) for p in portfolio.positions],
        "drawdown": [portfolio.drawdown_percent, portfolio.max_drawdown_percent],
        "changes": [portfolio.day_change, portfolio.week_change]}, default=_plain).encode()


def ready_made(portfolio: Portfolio, answer: bytes) -> bytes:
    """To be sent: the same line, then the answer."""
    return _head(portfolio) + answer


def _head(portfolio: Portfolio) -> bytes:
    return b"%d %d %d\n" % (portfolio.account_id, microseconds(portfolio.snapshot.taken_at),
                            microseconds(portfolio.read_at))


def age(head: bytes) -> Age | None:
    """From the beginning of the written form."""
    try:
        _, taken, read = map(int, head.partition(b"\n")[0].split())
        return Age(taken, read)
    except ValueError:
        return None


def parse(raw: bytes, account_id: int, *, is_shared: bool) -> Kept | None:
    """Read a written form; None when it is not of this account or not what we write."""
    head, _, body = raw.partition(b"\n")
    try:
        owner, taken, read = map(int, head.split())
    except ValueError:
        return None
    return Kept(owner, Age(taken, read), body, is_shared) if owner == account_id else None


def _decode(raw: bytes, account_id: int, read_at: datetime) -> Portfolio:
    value = json.loads(raw)
    snapshot = AccountSnapshot(**_revive(value["snapshot"]))
    drawdown, deepest = (Decimal(text) for text in value["drawdown"])
    day, week = (Decimal(text) if text is not None else None for text in value["changes"])
    return Portfolio(account_id, snapshot, tuple(Position(**_revive(p)) for p in value["positions"]),
                     value["digits"], drawdown, deepest, False, day, week, read_at)


def microseconds(at: datetime) -> int:
    """Since 1970."""
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _fields(of: Any, names: Any) -> dict[str, Any]:
    return {name: getattr(of, name) for name in names}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _revive(fields: Mapping[str, Any]) -> dict[str, Any]:
    revived: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _INSTANTS:
            revived[name] = datetime.fromisoformat(value)
        elif name == "side":
            revived[name] = Side(value)
        elif isinstance(value, str) and name not in _WORDS:
            revived[name] = Decimal(value)
        else:
            revived[name] = value
    return revived
