"""What a device remembers over restarts, in one SQLite file: what was begun, what was sent, what is still to be said.

Every change is on the disk before its call returns; what a power cut takes was never told to anybody.
"""

import asyncio
import os
import sqlite3
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

VERSION = 2
RING = 1_000
"""So many orders are remembered; of those before only the highest number."""
_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE orders (
    magic INTEGER PRIMARY KEY, order_id TEXT NOT NULL, seq INTEGER NOT NULL, phase TEXT NOT NULL, symbol TEXT NOT NULL,
    is_market INTEGER NOT NULL, began_at TEXT NOT NULL, sent_at TEXT, ticket INTEGER, said BLOB, volume TEXT);
CREATE TABLE acks (id INTEGER PRIMARY KEY AUTOINCREMENT, magic INTEGER NOT NULL, body BLOB NOT NULL);
"""
_COLUMNS = "magic, order_id, seq, phase, symbol, is_market, began_at, sent_at, ticket, volume"
_NEWER = {1: "ALTER TABLE orders ADD COLUMN volume TEXT;"}
"""What makes a file of the next version of one of this version."""


class StateBroken(Exception):
    """The file cannot be relied on; the message says what to do."""


class Phase(StrEnum):
    """How far an order has come. ``began``: nothing was handed over yet. ``sent``: it may have been executed."""

    BEGAN = "began"
    SENT = "sent"
    PLACED = "placed"
    FILLED = "filled"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Remembered:
    """An order as it is remembered. ``sent_at`` is when it was handed over, by the desk's clock; ``volume`` the lots
    that may be open because of it."""

    magic: int
    order_id: str
    seq: int
    phase: Phase
    symbol: str
    is_market: bool
    began_at: datetime
    sent_at: datetime | None = None
    ticket: int | None = None
    volume: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Owed:
    """An acknowledgement that the desk has not taken yet, as the body of its request."""

    id: int
    magic: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Start:
    """An account at the beginning of a day; ``net_deposits`` is what had been paid in, None where nobody could tell."""

    equity: Decimal
    net_deposits: Decimal | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose memory a file is."""

    login: str
    server: str


class State:
    """The file's one owner. Its work is done in a thread of its own, one thing after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device-state")
        self._connection: sqlite3.Connection | None = None
        self._is_closed = False

    async def open(self, identity: Identity) -> None:
        """Make or read the file. StateBroken when it is damaged, or another account's."""
        try:
            await self._do(lambda: self._open(identity))
        except sqlite3.OperationalError as error:
            raise StateBroken(f"{self._path} cannot be opened ({error}).") from error

    async def close(self) -> None:
        """Finish what is under way and let go of the file. May be called again."""
        if self._is_closed:
            return
        self._is_closed = True
        await self._do(self._disconnect)
        self._thread.shutdown(wait=False)

    # -- orders --------------------------------------------------------------------------------------------

    async def order(self, magic: int) -> Remembered | None:
        """What is remembered of an order."""
        return await self._do(lambda: _first(self._rows("WHERE magic = ?", magic)))

    async def orders_in(self, *phases: Phase) -> list[Remembered]:
        """The orders that have come so far and no further, in the order they were given."""
        marks = ", ".join("?" * len(phases))
        return await self._do(lambda: self._rows(f"WHERE phase IN ({marks}) ORDER BY seq", *phases))

    async def executed_since(self, moment: datetime) -> list[Remembered]:
        """The orders that may have been executed: of unknown outcome, or handed over since then and not refused."""
        return await self._do(lambda: self._rows(
            "WHERE phase = 'sent' OR (phase IN ('placed', 'filled') AND sent_at >= ?)", moment.isoformat()))

    async def begin(self, order: Remembered) -> None:
        """Write an order down before anybody is told of it."""
        await self._write(lambda: self._put(order))

    async def forget(self, magic: int) -> None:
        """Nothing has been handed over and nothing will be: it may be begun another time."""
        await self._write(lambda: self._file.execute(
            "DELETE FROM orders WHERE magic = ? AND phase = ?", (magic, Phase.BEGAN)))

    async def hand_over(self, magic: int, at: datetime) -> None:
        """From here on the order may have been executed, whatever happens."""
        await self._write(lambda: self._file.execute(
            "UPDATE orders SET phase = ?, sent_at = ? WHERE magic = ?", (Phase.SENT, at.isoformat(), magic)))

    async def settle(self, order: Remembered, phase: Phase, body: bytes, ticket: int | None = None) -> None:
        """What became of an order, and that the desk is owed the word of it: both or neither."""
        def settle() -> None:
            self._put(order)
            self._file.execute("UPDATE orders SET phase = ?, ticket = coalesce(?, ticket), said = ? WHERE magic = ?",
                               (phase, ticket, body, order.magic))
            self._owe(order.magic, body)
            self._push_out()

        await self._write(settle)

    async def say_again(self, magic: int) -> None:
        """The desk has asked again: it is owed the last word of an order once more."""
        def say() -> None:
            row = self._file.execute("SELECT said FROM orders WHERE magic = ?", (magic,)).fetchone()
            if row is not None and row[0] is not None:
                self._owe(magic, row[0])

        await self._write(say)

    async def owed(self) -> list[Owed]:
        """What is still to be said, oldest first."""
        return await self._do(lambda: [Owed(*row) for row in self._file.execute(
            "SELECT id, magic, body FROM acks ORDER BY id")])

    async def paid(self, ack: Owed) -> None:
        """The desk has taken it, or never will."""
        await self._write(lambda: self._file.execute("DELETE FROM acks WHERE id = ?", (ack.id,)))

    async def traded_since(self, moment: datetime, but: int | None = None) -> int:
        """How many orders have been handed over since then, without the one of the magic ``but``."""
        return await self._do(lambda: int(self._file.execute(
            "SELECT count(*) FROM orders WHERE sent_at >= ? AND magic IS NOT ?",
            (moment.isoformat(), but)).fetchone()[0]))

    async def highest_forgotten(self) -> int:
        """The highest number of an order that is not remembered any more."""
        return int(await self._fact("highest_forgotten") or 0)

    # -- facts ---------------------------------------------------------------------------------------------

    async def reserve_counters(self, count: int, at_least: int) -> int:
        """The first of so many counters that nobody has used and nobody else will get."""
        def reserve() -> int:
            first = max(int(self._read("next_counter") or 1), at_least)
            self._keep("next_counter", str(first + count))
            return first

        return await self._write(reserve)

    async def raise_counters(self, at_least: int) -> None:
        """The desk has seen higher ones than this file knows of."""
        def rise() -> None:
            self._keep("next_counter", str(max(int(self._read("next_counter") or 1), at_least)))

        await self._write(rise)

    async def credentials(self) -> tuple[str, str] | None:
        """The device's id and secret as pairing brought them; None before."""
        value = await self._fact("credentials")
        if value is None:
            return None
        device_id, _, secret = value.partition(" ")
        return device_id, secret

    async def keep_credentials(self, device_id: str, secret: str) -> None:
        """Keep what pairing brought: the code is used up."""
        await self._write(lambda: self._keep("credentials", f"{device_id} {secret}"))

    async def day_start(self, day: str, equity: Decimal, net_deposits: Decimal | None) -> Start:
        """The account when this day was first seen, which is now if it has not been. Days before it are not seen again:
        a clock that was ahead must not make what has been lost since forgotten."""
        def start() -> Start:
            known = (self._read("day_start") or "").split(" ")
            if known[0] < day:
                known = [day, str(equity), "" if net_deposits is None else str(net_deposits)]
                self._keep("day_start", " ".join(known))
            return Start(Decimal(known[1]), Decimal(known[2]) if known[2] else None)

        return await self._write(start)

    async def _fact(self, name: str) -> str | None:
        return await self._do(lambda: self._read(name))

    # -- in the thread -------------------------------------------------------------------------------------

    @property
    def _file(self) -> sqlite3.Connection:
        assert self._connection is not None  # it is opened first
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _open(self, identity: Identity) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):  # SQLite would make it readable by everyone
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        if sys.platform != "win32":
            self._path.chmod(0o600)
        self._connection = sqlite3.connect(self._path, isolation_level=None)
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = FULL")
        version = self._file.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._file.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        elif version in _NEWER:
            self._file.executescript(f"BEGIN; {_NEWER[version]} PRAGMA user_version = {version + 1}; COMMIT;")
        elif version != VERSION:
            raise StateBroken(f"{self._path} was written by another version of this program ({version}).")
        if self._file.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("integrity check failed")
        self._check(identity)

    def _check(self, identity: Identity) -> None:
        mine = f"{identity.login} {identity.server}"
        known = self._read("identity")
        if known is None:
            self._file.execute("INSERT INTO facts VALUES ('identity', ?)", (mine,))
        elif known.casefold() != mine.casefold():
            login, _, server = known.partition(" ")
            raise StateBroken(f"{self._path} is the memory of account {login} at {server}. "
                              "Give each account a DATA folder of its own.")

    def _rows(self, where: str, *values: Any) -> list[Remembered]:
        found = self._file.execute(f"SELECT {_COLUMNS} FROM orders {where}", values)  # noqa: S608
        return [Remembered(magic, order_id, seq, Phase(phase), symbol, bool(is_market), _moment(began_at),
                           _moment(sent_at) if sent_at else None, ticket, Decimal(volume or 0))
                for magic, order_id, seq, phase, symbol, is_market, began_at, sent_at, ticket, volume in found]

    def _put(self, order: Remembered) -> None:
        """Insert it where it is not known yet; what is known stays as it is."""
        sent_at = order.sent_at.isoformat() if order.sent_at else None
        self._file.execute(
            f"INSERT INTO orders ({_COLUMNS}) VALUES (?{', ?' * 9}) ON CONFLICT DO NOTHING",  # noqa: S608
            (order.magic, order.order_id, order.seq, order.phase, order.symbol, order.is_market,
             order.began_at.isoformat(), sent_at, order.ticket, str(order.volume)))

    def _owe(self, magic: int, body: bytes) -> None:
        """The same words are owed once, however often they are asked for."""
        self._file.execute("INSERT INTO acks (magic, body) SELECT ?, ? WHERE NOT EXISTS "
                           "(SELECT 1 FROM acks WHERE magic = ? AND body = ?)", (magic, body, magic, body))

    def _push_out(self) -> None:
        """Forget the oldest beyond the ring: first those that are over, then those long executed."""
        (count,) = self._file.execute("SELECT count(*) FROM orders").fetchone()
        if count <= RING:
            return
        pushed = self._file.execute(
            "SELECT magic, seq FROM orders WHERE phase IN ('over', 'filled', 'began') "
            "AND magic NOT IN (SELECT magic FROM acks) ORDER BY phase DESC, seq LIMIT ?", (count - RING,)).fetchall()
        for magic, seq in pushed:
            self._file.execute("DELETE FROM orders WHERE magic = ?", (magic,))
            self._keep("highest_forgotten", str(max(seq, int(self._read("highest_forgotten") or 0))))

    def _read(self, name: str) -> str | None:
        row = self._file.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def _keep(self, name: str, value: str) -> None:
        self._file.execute("INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                           (name, value))

    async def _write(self, work: Callable[[], T]) -> T:
        def transaction() -> T:
            self._file.execute("BEGIN IMMEDIATE")
            try:
                result = work()
            except BaseException:
                self._file.execute("ROLLBACK")
                raise
            self._file.execute("COMMIT")
            return result

        return await self._do(transaction)

    async def _do(self, work: Callable[[], T]) -> T:
        """To its end, although its caller may be cancelled: what was decided is written."""
        try:
            return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work))
        except sqlite3.OperationalError:
            raise  # a full disk, most likely: the file is as it was
        except sqlite3.DatabaseError as error:
            raise StateBroken(
                f"{self._path} cannot be read ({error}). It says which orders were sent already. Look in the terminal "
                "what has been traded, move the file away, and pair the device anew.") from error


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _first(rows: Sequence[T]) -> T | None:
    return rows[0] if rows else None
