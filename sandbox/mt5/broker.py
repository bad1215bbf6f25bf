"""The broker: keeps its book, moves its market, and answers the terminals that come to it over TCP."""

import asyncio
import json
import secrets
import struct
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from sandbox.loopback import is_loopback
from sandbox.mt5.book import BALANCE, BUY, HEDGING, ZERO, Account, Book, Deal, Order, digest
from sandbox.mt5.engine import FILLED, PARTLY, Engine
from sandbox.mt5.faults import Faults
from sandbox.mt5.market import Market, now_msc
from sandbox.mt5.reckoning import Reckoning
from sandbox.mt5.rules import DEAL, Request
from sandbox.mt5.servers import DEFAULT_SERVERS, Instrument, ServerSpec, changed, instruments
from sandbox.mt5.session import Hangup, Session

_LENGTH = struct.Struct(">I")
BY_HAND, BY_PROGRAM = 0, 3
KEPT_CALLS = 10_000


class Broker:
    """Build, ``start``, open accounts, move prices, and ``stop`` it in the end; ``path`` is its SQLite file.

    Prices and symbols are steered by the names they are listed under (``EURUSD``), whatever a server calls them.
    """

    def __init__(self, path: Path, servers: Sequence[ServerSpec] = DEFAULT_SERVERS) -> None:
        self.servers = {server.name: server for server in servers}
        self.listed: dict[str, dict[str, Instrument]] = {
            server.name: instruments(server) for server in servers}
        self.book, self.market, self.faults = Book(path), Market(), Faults()
        self.reckoning = Reckoning(self.book, self.market, self.listed)
        self.engine = Engine(self.book, self.market, self.reckoning, self.servers)
        self.away_until: dict[int, int] = {}
        """When the trade server of an account can be reached again, milliseconds UTC."""
        self.auto_trading, self.api_disabled = True, False
        """What is switched in the terminals themselves."""
        self.calls: deque[tuple[int, str]] = deque(maxlen=KEPT_CALLS)
        self.address = ""
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen; port 0 takes a free one. Returns ``host:port``."""
        if not is_loopback(host):
            raise ValueError(f"the broker listens on this machine only, not on {host}")
        self.book.open()
        self._server = await asyncio.start_server(self._serve, host, port)
        self.address = f"{host}:{self._server.sockets[0].getsockname()[1]}"
        return self.address

    async def stop(self) -> None:
        """Hang up on everybody and close the book."""
        if self._server is not None:
            self._server.close()
            for session in self._sessions:
                session.cancel()
            await asyncio.gather(*self._sessions, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None
        self.book.close()

    def write_terminal_folder(self, folder: Path) -> Path:
        """Make a folder that the stand-in takes for a terminal of this broker; returns its program."""
        (folder / "config").mkdir(parents=True, exist_ok=True)
        (folder / "config" / "servers.json").write_text(json.dumps(dict.fromkeys(self.servers, self.address)))
        program = folder / "terminal64.exe"
        program.write_bytes(b"A placeholder: the sandbox's terminal is its broker.\n")
        return program

    # -- customers -----------------------------------------------------------------------------------------

    def add_account(self, login: int | str, password: str, *, server: str | None = None, investor: str | None = None,
                    currency: str = "USD", leverage: int = 100, balance: Decimal = Decimal(10_000),
                    mode: str = HEDGING, otp: bool = False, fifo_close: bool = False, name: str = "") -> Account:
        """Open an account; one that is there already keeps its money and takes the new terms."""
        number, at = int(login), server or next(iter(self.servers))
        if at not in self.servers:
            raise ValueError(f"unknown server {at}")
        digits = 0 if currency == "JPY" else 2
        known = self.book.accounts.get(number)
        account = Account(number, at, digest(password), digest(investor or secrets.token_hex(16)), currency, leverage,
                          mode, known.balance if known else balance, name or f"Account {number}", otp, digits=digits,
                          fifo_close=fifo_close)
        with self.book.together():
            self.book.put("accounts", account)
            if known is None:
                self._write_payment(account, BALANCE, balance)
        return account

    def pay(self, login: int | str, amount: Decimal, kind: int = BALANCE) -> int:
        """Money comes in, or goes out below 0; a credit and a bonus are no balance. Returns the deal's number.

        ValueError when there is not so much to be taken.
        """
        account = self.book.accounts[int(login)]
        kept = "balance" if kind == BALANCE else "credit"
        there = getattr(account, kept)
        if amount < 0 and min(there, self.reckoning.figures(account).free) + amount < 0:
            raise ValueError("There is not so much to be taken.")
        with self.book.together():
            self.change_account(login, **{kept: there + amount})
            return self._write_payment(account, kind, amount)

    def _write_payment(self, account: Account, kind: int, amount: Decimal) -> int:
        deal = Deal(self.book.next_ticket(), 0, account.login, "", kind, 0, 0, 0, 0, ZERO, ZERO, amount,
                    "Deposit" if amount > 0 else "Withdrawal", now_msc())
        self.book.put("deals", deal)
        return deal.ticket

    def change_account(self, login: int | str, **fields: Any) -> None:
        """Set fields of an account: ``trade_allowed``, ``expert_allowed``, ``limit_orders`` …

        A balance or credit that is set has no deal that explains it; ``pay`` moves money as brokers do.
        """
        account = self.book.accounts[int(login)]
        for name, value in fields.items():
            if not hasattr(account, name):
                raise AttributeError(name)
            setattr(account, name, digest(value) if name in ("password", "investor") else value)
        self.book.put("accounts", account)

    def change_symbol(self, symbol: str, server: str | None = None, **fields: Any) -> None:
        """Other terms for a listed symbol, at one server or at all."""
        for name in [server] if server else list(self.servers):
            mine = self.listed[name]
            for found in [one for one in mine.values() if one.listed == symbol]:
                mine[found.name] = changed(found, fields)

    def drop_symbol(self, symbol: str, server: str) -> None:
        """A server no longer lists it."""
        self.listed[server] = {name: one for name, one in self.listed[server].items() if one.listed != symbol}

    # -- market --------------------------------------------------------------------------------------------

    def set_price(self, symbol: str, bid: Decimal, ask: Decimal) -> None:
        """Move the market and do what that triggers; ValueError for an impossible quote."""
        self.market.put(symbol, bid, ask)
        self.engine.evaluate(symbol)

    def by_hand(self, login: int | str, symbol: str, side: str, volume: Decimal, *, ticket: int = 0,
                reason: int = BY_HAND, sl: Decimal = ZERO, tp: Decimal = ZERO) -> int:
        """The customer trades in the terminal himself; returns the order's number. ValueError when refused."""
        account = self.book.accounts[int(login)]
        name = self.servers[account.server].names(symbol)
        instrument = self.listed[account.server][name]
        quote = self.market.quote(symbol)
        kind = BUY if side == "buy" else 1
        price = ZERO if quote is None else quote.ask if kind == BUY else quote.bid
        filling = 0 if instrument.filling & 1 or instrument.execution < 2 else 1
        outcome = self.engine.execute(account, Request(
            DEAL, name, kind, volume, price, sl, tp, 0, 0, "", filling, 0, 0, 0, ticket, 0, reason))
        if outcome.retcode != 10009:
            raise ValueError(f"refused: {outcome.retcode}")
        return outcome.order

    def orders_executed(self, login: int | str) -> list[Order]:
        """Every order of a program that was filled, wholly or in part, oldest first."""
        return [order for order in self.book.ended.values()
                if order.login == int(login) and order.reason == BY_PROGRAM and order.state in (PARTLY, FILLED)]

    # -- terminals -----------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        session = Session(self)
        try:
            while True:
                (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                message = json.loads(await reader.readexactly(length))
                body = json.dumps(await session.answer(message["call"], message["args"])).encode()
                writer.write(_LENGTH.pack(len(body)) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, Hangup, asyncio.CancelledError):
            pass
        finally:
            self._sessions.discard(task)
            writer.close()

    def later(self, seconds: float, work: Callable[[], object]) -> None:
        """Do this some time from now, as a slow trade server does."""
        async def wait() -> None:
            await asyncio.sleep(seconds)
            work()

        task = asyncio.create_task(wait())
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)
