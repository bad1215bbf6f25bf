"""One terminal's conversation with the broker: the library's calls and what the trade server answers."""

import asyncio
import fnmatch
import hmac
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.mt5 import views
from sandbox.mt5.book import Account, Order, digest
from sandbox.mt5.engine import Outcome
from sandbox.mt5.faults import Fault
from sandbox.mt5.market import now_msc
from sandbox.mt5.rules import DEAL, Request, exact, parsed
from sandbox.mt5.servers import Instrument
from terminal import maths

if TYPE_CHECKING:
    from sandbox.mt5.broker import Broker

AUTH_FAILED = (-6, "Terminal: Authorization failed")
OTP = (-7, "Unsupported authorization mode, OTP or certificate password needed")
AUTO_TRADING_OFF = (-8, "Auto-Trading using Python API disabled in Terminal")
CALL_FAILED = NO_ACCOUNT = (-1, "Terminal: Call failed")
COMMENTS = {
    10004: "Requote", 10006: "Request rejected", 10008: "Order placed", 10009: "Request executed",
    10010: "Request executed partially", 10012: "Request timed out", 10013: "Invalid request",
    10014: "Invalid volume", 10015: "Invalid price", 10016: "Invalid stops", 10017: "Trade disabled",
    10018: "Market closed", 10019: "No money", 10021: "No prices", 10025: "No changes",
    10030: "Unsupported filling mode", 10031: "No connection", 10036: "Position doesn't exist",
    10038: "Invalid close volume"}


class Hangup(Exception):
    """The line is cut instead of answering."""


class Failed(Exception):
    """A call that fails; ``args`` are the code and text of last_error."""


class Session:
    def __init__(self, broker: "Broker") -> None:
        self._broker = broker
        self._account: Account | None = None
        self._investor = False
        self._selected: set[str] = set()
        self._requests = 0

    async def answer(self, call: str, args: dict[str, Any]) -> dict[str, Any]:
        """What to answer; may take its time, or raise Hangup."""
        login = int(args["login"]) if call == "login" else self._account.login if self._account else 0
        self._broker.calls.append((login, call))
        try:
            if call == "order_send":
                return {"ok": await self._send(args["request"])}
            fault = self._broker.faults.take(login, call)
            if fault is not None and fault.kind == "hang":
                await asyncio.sleep(fault.seconds)
            elif fault is not None and fault.kind == "fail":
                raise Failed(*CALL_FAILED)
            elif fault is not None and fault.kind == "no_answer":
                raise Hangup
            elif fault is not None and fault.kind == "disconnect":
                self._broker.away_until[login] = now_msc() + int(fault.seconds * 1000)
            function: Callable[..., Any] = getattr(self, f"_{call}")
            return {"ok": function(**args)}
        except Failed as failed:
            return {"error": list(failed.args)}

    # -- the account ---------------------------------------------------------------------------------------

    def _login(self, login: int, password: str, server: str) -> bool:
        account = self._broker.book.accounts.get(login)
        if server not in self._broker.servers:
            raise Failed(-2, "Terminal: Invalid params")
        if account is None or account.server != server:
            raise Failed(*AUTH_FAILED)
        given = digest(password)
        master = hmac.compare_digest(given, account.password)
        if not master and not hmac.compare_digest(given, account.investor):
            raise Failed(*AUTH_FAILED)
        if account.otp:
            raise Failed(*OTP)
        self._account, self._investor = account, not master
        self._selected = set(list(self._listed())[:8])
        return True

    def _mine(self) -> Account:
        if self._account is None:
            raise Failed(*NO_ACCOUNT)
        return self._account

    def _listed(self) -> dict[str, Instrument]:
        return self._broker.listed[self._mine().server]

    def _clock(self) -> views.Clock:
        return views.Clock(self._broker.servers[self._mine().server])

    def _connected(self) -> bool:
        return self._broker.away_until.get(self._mine().login, 0) <= now_msc()

    def _terminal_info(self) -> dict[str, Any]:
        return views.terminal_info(
            self._broker.servers[self._mine().server], connected=self._connected(),
            trade_allowed=self._broker.auto_trading, api_disabled=self._broker.api_disabled)

    def _account_info(self) -> dict[str, Any]:
        account = self._mine()
        return views.account_info(account, self._broker.servers[account.server],
                                  self._broker.reckoning.figures(account), investor=self._investor)

    # -- symbols -------------------------------------------------------------------------------------------

    def _symbols_total(self) -> int:
        return len(self._listed())

    def _symbols_get(self, group: str) -> list[dict[str, Any]]:
        return [self._described(symbol) for symbol in self._listed().values() if matches(symbol.name, group)]

    def _symbol_info(self, symbol: str) -> dict[str, Any] | None:
        found = self._listed().get(symbol)
        return None if found is None else self._described(found)

    def _described(self, symbol: Instrument) -> dict[str, Any]:
        account, quote = self._mine(), self._broker.market.quote(symbol.listed)
        base = quote.bid if quote is not None else Decimal(1)
        value = self._broker.reckoning.profit(account, symbol, 0, Decimal(1), base, base + symbol.tick_size)
        return views.symbol_info(symbol, quote, self._clock(), value or Decimal(0),
                                 selected=symbol.name in self._selected)

    def _symbol_select(self, symbol: str, enable: bool) -> bool:
        if symbol not in self._listed():
            return False
        (self._selected.add if enable else self._selected.discard)(symbol)
        return True

    def _symbol_info_tick(self, symbol: str) -> dict[str, Any] | None:
        found = self._listed().get(symbol)
        quote = self._broker.market.quote(found.listed) if found is not None and symbol in self._selected else None
        return None if quote is None else views.tick(quote, self._clock())

    # -- positions, orders, history ------------------------------------------------------------------------

    def _positions_get(self, symbol: str | None = None, ticket: int | None = None,
                       group: str | None = None) -> list[dict[str, Any]]:
        account, reckoning, clock = self._mine(), self._broker.reckoning, self._clock()
        return [views.position(row, reckoning.exit_price(account, row), reckoning.floating(account, row), clock)
                for row in self._broker.book.positions_of(account.login)
                if wanted(row.symbol, row.ticket, symbol, ticket, group)]

    def _orders_get(self, symbol: str | None = None, ticket: int | None = None,
                    group: str | None = None) -> list[dict[str, Any]]:
        return self._orders(row for row in self._broker.book.pending_of(self._mine().login)
                            if wanted(row.symbol, row.ticket, symbol, ticket, group))

    def _orders(self, rows: Iterable[Order]) -> list[dict[str, Any]]:
        listed, market, clock = self._listed(), self._broker.market, self._clock()
        return [views.order(row, market.quote(listed[row.symbol].listed) if row.symbol in listed else None, clock)
                for row in rows]

    def _history_orders_get(self, date_from: int | None = None, date_to: int | None = None, group: str | None = None,
                            position: int | None = None, ticket: int | None = None) -> list[dict[str, Any]]:
        mine = [row for row in self._broker.book.ended.values() if row.login == self._mine().login]
        if ticket is not None:
            return self._orders(row for row in mine if row.ticket == ticket)
        if position is not None:
            return self._orders(row for row in mine if row.position_id == position)
        return self._orders(row for row in mine
                            if self._between(row.done_msc, date_from, date_to) and matches(row.symbol, group or ""))

    def _history_deals_get(self, date_from: int | None = None, date_to: int | None = None, group: str | None = None,
                           position: int | None = None, ticket: int | None = None) -> list[dict[str, Any]]:
        clock = self._clock()
        mine = [row for row in self._broker.book.deals.values() if row.login == self._mine().login]
        if ticket is not None:
            mine = [row for row in mine if row.order == ticket]
        elif position is not None:
            mine = [row for row in mine if row.position_id == position]
        else:
            mine = [row for row in mine
                    if self._between(row.at_msc, date_from, date_to) and matches(row.symbol, group or "")]
        return [views.deal(row, clock) for row in mine]

    def _between(self, at_msc: int, date_from: int | None, date_to: int | None) -> bool:
        clock = self._clock()
        return ((date_from is None or clock.utc_msc(date_from) <= at_msc)
                and (date_to is None or at_msc <= clock.utc_msc(date_to)))

    # -- trading -------------------------------------------------------------------------------------------

    def _order_calc_margin(self, action: int, symbol: str, volume: float, price: float) -> float | None:
        account, found = self._mine(), self._listed().get(symbol)
        if found is None:
            return None
        needed = self._broker.reckoning.margin(account, found, exact(volume), exact(price))
        return None if needed is None else float(maths.money(needed, account.digits))

    def _order_calc_profit(self, action: int, symbol: str, volume: float, price_open: float,
                           price_close: float) -> float | None:
        account, found = self._mine(), self._listed().get(symbol)
        if found is None:
            return None
        gained = self._broker.reckoning.profit(account, found, action, exact(volume), exact(price_open),
                                               exact(price_close))
        return None if gained is None else float(gained)

    def _order_check(self, request: dict[str, Any]) -> dict[str, Any]:
        asked = self._parsed(request)
        account = self._mine()
        retcode = 10017 if self._investor else self._broker.engine.check(account, asked)
        figures = self._broker.reckoning.figures(account)
        return {"retcode": retcode, "balance": float(account.balance), "equity": float(figures.equity),
                "profit": float(figures.profit), "margin": float(figures.margin),
                "margin_free": float(figures.free), "margin_level": float(figures.level),
                "comment": "Done" if retcode == 0 else COMMENTS.get(retcode, "Refused")}

    def _parsed(self, request: dict[str, Any]) -> Request:
        return parsed(request, self._broker.servers[self._mine().server].offset_minutes)

    async def _send(self, request: dict[str, Any]) -> dict[str, Any]:
        account = self._mine()
        asked = self._parsed(request)
        if self._broker.api_disabled:
            raise Failed(*AUTO_TRADING_OFF)
        if not self._broker.auto_trading:
            return self._result(Outcome(10027))
        if self._investor:
            return self._result(Outcome(10017))
        fault = self._broker.faults.take(account.login, "order_send")
        if not self._connected():
            return self._result(Outcome(10031))
        if fault is None:
            return self._result(self._broker.engine.execute(account, asked))
        return await self._send_badly(account, asked, fault)

    async def _send_badly(self, account: Account, asked: Request, fault: Fault) -> dict[str, Any]:
        execute, kind, seconds = self._broker.engine.execute, fault.kind, fault.seconds
        refusals = {"requote": 10004, "price_off": 10021, "invalid_fill": 10030, "reject": 10006, "disconnect": 10031,
                    "lost_order": 10012, "refuse": fault.retcode}
        if kind == "disconnect":
            self._broker.away_until[account.login] = now_msc() + int(seconds * 1000)
        if kind == "fail":
            raise Failed(*CALL_FAILED)
        if kind in refusals:
            return self._result(Outcome(refusals[kind]))
        if kind == "partial_fill":
            return self._result(execute(account, asked, part=self._half(asked)))
        if kind == "altered_comment":
            return self._result(execute(account, replace(asked, comment="#broker")))
        if kind == "late_fill":
            self._broker.later(seconds, lambda: execute(account, asked))
            return self._result(Outcome(10012))
        if kind == "placed_then_fill" and asked.action == DEAL:
            outcome = self._broker.engine.accept(account, asked)
            if outcome.order:
                self._broker.later(seconds, lambda: self._broker.engine.complete(account, outcome.order, asked))
            return self._result(outcome)
        if kind == "hang":
            await asyncio.sleep(seconds)
            return self._result(execute(account, asked))
        outcome = execute(account, asked)
        if kind == "no_answer":
            raise Hangup
        return self._result(Outcome(fault.retcode) if kind == "timeout_after_fill" else outcome)

    def _half(self, asked: Request) -> Decimal | None:
        symbol = self._listed().get(asked.symbol)
        if symbol is None or asked.action != DEAL:
            return None
        return max(maths.floor_to_step(asked.volume / 2, symbol.volume_step), symbol.volume_min)

    def _result(self, outcome: Outcome) -> dict[str, Any]:
        self._requests += 1
        bid, ask = (outcome.quote.bid, outcome.quote.ask) if outcome.quote else (Decimal(0), Decimal(0))
        return {"retcode": outcome.retcode, "deal": outcome.deal, "order": outcome.order,
                "volume": float(outcome.volume), "price": float(outcome.price), "bid": float(bid), "ask": float(ask),
                "comment": COMMENTS.get(outcome.retcode, ""), "request_id": self._requests, "retcode_external": 0}


def wanted(name: str, number: int, symbol: str | None, ticket: int | None, group: str | None) -> bool:
    """Whether a row is among what was asked for."""
    return ((symbol is None or name == symbol) and (ticket is None or number == ticket)
            and (group is None or matches(name, group)))


def matches(name: str, group: str) -> bool:
    """``*USD*,!EUR*``: first what is let in, then what is left out; nothing lets everything in."""
    parts = [part.strip() for part in group.split(",") if part.strip()]
    inside = [part for part in parts if not part.startswith("!")]
    outside = [part[1:] for part in parts if part.startswith("!")]
    return ((not inside or any(fnmatch.fnmatchcase(name, part) for part in inside))
            and not any(fnmatch.fnmatchcase(name, part) for part in outside))
