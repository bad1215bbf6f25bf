"""One account at one terminal: signing in, and everything that is only read."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from terminal.mt5 import codes, convert, faults
from terminal.mt5.clock import RECENT_MSC, ServerClock
from terminal.mt5.flows import AHEAD, Flows
from terminal.mt5.library import CallFailed, Library
from terminal.protocol import AccountSnapshot, Deal, GatewayError, PendingOrder, Position, Side, SymbolSpec, Tick

WATCHED = 5
LOOKS, LOOK_SECONDS = 10, 0.1


class Session:
    """``login`` and ``server`` are what was asked for; ``clock`` is the trade server's.

    ``handed_over`` counts the requests the trade server may have carried out.
    """

    def __init__(self, library: Library, login: str, server: str) -> None:
        self.library = library
        self.login, self.server = login, server
        self.clock = ServerClock()
        self._flows = Flows(library, self.clock)
        self.handed_over = 0
        self._digits: dict[str, int] = {}
        self._money_digits = 2
        self._watched: list[str] = []
        self._looked_at = -float("inf")

    def sign_in(self, path: str, password: str, timeout_seconds: float) -> AccountSnapshot:
        """Start the terminal, sign in, and read back who it is signed in as."""
        if not (self.login.isascii() and self.login.isdecimal() and 0 < int(self.login) < 1 << 64):
            raise GatewayError("invalid_request", "A login is a number.", permanent=True)
        try:
            self.library.ask("initialize", path, portable=True, login=int(self.login), server=self.server,
                             password=password, timeout=int(timeout_seconds * 1000))
        except CallFailed as failed:
            raise faults.of_sign_in(failed.code, failed.text) from None
        self.require_connection()
        snapshot = convert.account(self.account_row(), datetime.now(UTC))
        self._watch()
        return snapshot

    # -- the account ---------------------------------------------------------------------------------------

    def account_row(self) -> Any:
        """The account's figures; GatewayError when the terminal serves somebody else."""
        row = self.library.ask("account_info")
        if str(row.login) != self.login or row.server.casefold() != self.server.casefold():
            raise GatewayError("wrong_account", f"The terminal is signed in as {row.login} at {row.server}.",
                               permanent=True)
        self._money_digits = int(row.currency_digits)
        return row

    def account(self) -> AccountSnapshot:
        """The account's figures with what has been paid in; the deals that tell are read from the first time on."""
        self.require_connection()
        row, net_deposits = self._flows.with_row(self.account_row)
        return convert.account(row, datetime.now(UTC), net_deposits)

    def is_connected(self) -> bool:
        return bool(self.library.ask("terminal_info").connected)

    def require_connection(self) -> None:
        """GatewayError while the terminal has no connection to its broker: what it shows may be old."""
        if not self.is_connected():
            raise GatewayError("terminal_away", "The terminal has no connection to the broker.", retryable=True)

    def positions(self) -> list[Position]:
        self.require_connection()
        rows = self.library.rows("positions_get")
        return [convert.position(row, self.digits(row.symbol), self._money_digits, self.clock) for row in rows]

    def orders(self) -> list[PendingOrder]:
        self.require_connection()
        rows = self.library.rows("orders_get")
        found = [convert.pending(row, self.digits(row.symbol), self.clock) for row in rows]
        return [order for order in found if order is not None]

    def deals(self, since: datetime) -> list[Deal]:
        """Trades since then, oldest first; money paid in and out is not among them."""
        self.require_connection()
        rows = [row for row in self.history("history_deals_get", since)
                if row.type in (codes.DEAL_BUY, codes.DEAL_SELL)]
        found = [convert.deal(row, self.digits(row.symbol), self._money_digits, self.login, self.server, self.clock)
                 for row in rows]
        return sorted((deal for deal in found if deal.at >= since), key=lambda deal: (deal.at, deal.id))

    def history(self, name: str, since: datetime) -> Sequence[Any]:
        """Ended orders or deals, from a little before that moment until now, as the library gives them."""
        now = datetime.now(UTC)
        return self.library.rows(name, self.clock.wall(since) - AHEAD, self.clock.wall(now) + AHEAD)

    # -- symbols and prices --------------------------------------------------------------------------------

    def symbols(self) -> list[SymbolSpec]:
        return [convert.symbol(row) for row in self.library.rows("symbols_get")]

    def symbol(self, name: str) -> SymbolSpec | None:
        row = self.symbol_row(name)
        return None if row is None else convert.symbol(row)

    def symbol_row(self, name: str) -> Any | None:
        if not 0 < len(name) <= convert.LONGEST_TEXT:
            return None
        row = self.library.maybe("symbol_info", name)
        if row is not None:
            self._digits[name] = int(row.digits)
        return row

    def digits(self, name: str) -> int:
        """Of a symbol's prices; of one that is not listed any more, as many as there can be."""
        if name not in self._digits and self.symbol_row(name) is None:
            return convert.FINEST
        return self._digits[name]

    def tick(self, name: str) -> Tick | None:
        row = self.tick_row(name)
        return None if row is None else convert.tick(name, row, self.digits(name), self.clock)

    def tick_row(self, name: str) -> Any | None:
        """The last quote; a symbol nobody watched is watched now and may need a moment for its first."""
        symbol = self.symbol_row(name)
        if symbol is None:
            return None
        looks = 1
        if not symbol.select:
            if self.library.maybe("symbol_select", name, True) is None:
                return None
            looks = LOOKS
        for look in range(looks):
            row = self._look(name)
            if row is not None and row.bid > 0 and row.ask > 0:
                return row
            if look < looks - 1:
                time.sleep(LOOK_SECONDS)
        return None

    def next_tick_row(self, name: str) -> Any | None:
        """The first quote after the one there is; that one where no other comes soon."""
        last = row = self._look(name)
        for _ in range(LOOKS):
            if row is not None and (last is None or row.time_msc > last.time_msc):
                return row
            time.sleep(LOOK_SECONDS)
            row = self._look(name)
        return row

    def loss(self, name: str, side: Side, volume: Decimal, opened: Decimal, closed: Decimal) -> Decimal | None:
        """The result in the account's money between two prices; None where the terminal cannot tell."""
        kind = codes.BUY if side == Side.BUY else codes.SELL
        try:
            result = self.library.ask("order_calc_profit", kind, name, float(volume), float(opened), float(closed))
        except CallFailed as failed:
            if failed.code in (faults.FAIL, faults.NOT_FOUND, faults.INVALID_PARAMS):
                return None
            raise
        return convert.money(result, self._money_digits)

    # -- the server's clock --------------------------------------------------------------------------------

    def sure_of_time(self) -> bool:
        """Look at quotes until one moves, which tells the server's time for certain; False on a market at rest."""
        for look in range(LOOKS):
            if self.clock.is_certain:
                return True
            for name in self._watched:
                self._look(name)
            if look < LOOKS - 1 and not self.clock.is_certain:
                time.sleep(LOOK_SECONDS)
        return self.clock.is_certain

    def knows_time(self) -> bool:
        """The same, with one look where the last is not long ago: a quote that has moved since tells as much."""
        if time.monotonic() - self._looked_at > RECENT_MSC / 1000:
            return self.sure_of_time()
        for name in [] if self.clock.is_certain else self._watched:
            self._look(name)
        return self.clock.is_certain

    def _watch(self) -> None:
        shown = [row for row in self.library.rows("symbols_get") if row.visible and row.time]
        self._watched = [row.name for row in sorted(shown, key=lambda row: -row.time)[:WATCHED]]
        self.sure_of_time()

    def _look(self, name: str) -> Any | None:
        row = self.library.maybe("symbol_info_tick", name)
        self._looked_at = time.monotonic()
        if row is not None and row.time_msc:
            self.clock.note(name, int(row.time_msc), time.time_ns() // 1_000_000)
        return row
