"""What the broker knows of its customers: accounts, positions, orders, deals; every change is in its file at once."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from terminal.mt5 import wire

ZERO = Decimal(0)
BUY, SELL = 0, 1
BALANCE, CREDIT, BONUS = 2, 3, 6
HEDGING, NETTING = "hedging", "netting"


@dataclass(slots=True)
class Account:
    """``password`` and ``investor`` are digests. ``trade_allowed`` and ``expert_allowed`` are the broker's say."""

    login: int
    server: str
    password: str
    investor: str
    currency: str
    leverage: int
    mode: str
    balance: Decimal
    name: str
    otp: bool = False
    credit: Decimal = ZERO
    digits: int = 2
    fifo_close: bool = False
    trade_allowed: bool = True
    expert_allowed: bool = True
    limit_orders: int = 200


@dataclass(slots=True)
class Position:
    """Prices of 0 are levels that are not set. Times are milliseconds UTC."""

    ticket: int
    login: int
    symbol: str
    type: int
    volume: Decimal
    price_open: Decimal
    sl: Decimal
    tp: Decimal
    magic: int
    comment: str
    reason: int
    opened_msc: int
    updated_msc: int
    identifier: int
    swap: Decimal = ZERO


@dataclass(slots=True)
class Order:
    """An order, waiting or ended."""

    ticket: int
    login: int
    symbol: str
    type: int
    state: int
    volume_initial: Decimal
    volume_current: Decimal
    price_open: Decimal
    sl: Decimal
    tp: Decimal
    magic: int
    comment: str
    reason: int
    filling: int
    type_time: int
    expires_msc: int
    setup_msc: int
    done_msc: int = 0
    position_id: int = 0
    position_by: int = 0


@dataclass(slots=True)
class Deal:
    """One execution, or money paid in or out (``type`` 2, 3 or 6): of no symbol, position or volume."""

    ticket: int
    order: int
    login: int
    symbol: str
    type: int
    entry: int
    magic: int
    position_id: int
    reason: int
    volume: Decimal
    price: Decimal
    profit: Decimal
    comment: str
    at_msc: int
    commission: Decimal = ZERO
    swap: Decimal = ZERO
    fee: Decimal = ZERO


Row = Account | Position | Order | Deal


@dataclass(slots=True)
class Book:
    """Everything in memory by its number, written through to one SQLite file."""

    path: Path
    accounts: dict[int, Account] = field(default_factory=dict)
    positions: dict[int, Position] = field(default_factory=dict)
    pending: dict[int, Order] = field(default_factory=dict)
    ended: dict[int, Order] = field(default_factory=dict)
    deals: dict[int, Deal] = field(default_factory=dict)
    _file: sqlite3.Connection | None = None
    _last: int = 1_000_000

    def open(self) -> None:
        """Go on where the file ends."""
        self._file = sqlite3.connect(self.path, isolation_level=None)
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("PRAGMA synchronous=OFF")
        self._file.execute("CREATE TABLE IF NOT EXISTS rows (shelf TEXT, id INTEGER, body TEXT, "
                           "PRIMARY KEY (shelf, id)) WITHOUT ROWID")
        for shelf, kind in (("accounts", Account), ("positions", Position), ("pending", Order), ("ended", Order),
                            ("deals", Deal)):
            getattr(self, shelf).update(self._load(shelf, kind))
        self._last = max([self._last, *self.positions, *self.pending, *self.ended, *self.deals])

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is written inside is in the file all at once."""
        assert self._file is not None
        if self._file.in_transaction:
            yield
            return
        self._file.execute("BEGIN")
        try:
            yield
        finally:
            self._file.execute("COMMIT")

    def next_ticket(self) -> int:
        self._last += 1
        return self._last

    def put(self, shelf: str, row: Row) -> None:
        """Add a row or write what has changed of it."""
        number = row.login if isinstance(row, Account) else row.ticket
        getattr(self, shelf)[number] = row
        self._execute("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", (shelf, number, json.dumps(wire.plain(row))))

    def drop(self, shelf: str, number: int) -> None:
        getattr(self, shelf).pop(number, None)
        self._execute("DELETE FROM rows WHERE shelf = ? AND id = ?", (shelf, number))

    def positions_of(self, login: int) -> list[Position]:
        return [position for position in self.positions.values() if position.login == login]

    def pending_of(self, login: int) -> list[Order]:
        return [order for order in self.pending.values() if order.login == login]

    def _load(self, shelf: str, kind: type[Any]) -> dict[int, Any]:
        assert self._file is not None
        rows = self._file.execute("SELECT id, body FROM rows WHERE shelf = ? ORDER BY id", (shelf,))
        return {number: wire.revive(kind, json.loads(body)) for number, body in rows}

    def _execute(self, statement: str, values: tuple[Any, ...]) -> None:
        assert self._file is not None
        self._file.execute(statement, values)

def digest(password: str) -> str:
    """What is kept of a password."""
    return hashlib.sha256(b"sandbox:" + password.encode()).hexdigest()
