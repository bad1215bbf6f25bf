"""What the desk is told of the account and its terminal, without being asked for orders."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog

from runtime import strict_json
from sdk.clock import DeskClock
from sdk.desk import Desk
from sdk.errors import Refused
from sdk.following import Reading
from sdk.terminals import Terminal
from terminal.listing import ListedSymbol, TerminalState
from terminal.protocol import AccountRef, AccountSnapshot, Position

log = structlog.get_logger(__name__)

PAGE = 100
MOST_POSITIONS = 1_000
AT_ONCE = 10
"""So many symbols are asked for together: each may need a moment for its first quote."""
MOST_WANTED = 50


class Reporter:
    """Tells the account, and what its broker lists."""

    def __init__(self, desk: Desk, terminal: Terminal, clock: DeskClock, ref: AccountRef, version: str) -> None:
        self._desk, self._terminal, self._clock, self._ref, self._version = desk, terminal, clock, ref, version
        self._told: tuple[dict[str, Any], str] = {}, ""

    async def report(self, reading: Reading) -> None:
        """Tell the account, in short where nothing has changed."""
        figures, now = snapshot(reading), self._clock.now()
        told, digest = self._told
        if told == figures and await self._desk.report(strict_json.dumps({"same_as": digest, "taken_at": now})):
            return
        body = strict_json.dumps({**figures, "taken_at": now})
        self._told = {}, ""
        await self._desk.report(body)
        self._told = figures, hashlib.sha256(body).hexdigest()

    async def tell_all(self) -> None:
        """Tell everything the broker lists, page by page."""
        listed, state = await self._terminal.listing(self._ref), await self._terminal.state(self._ref)
        pages = [listed[at:at + PAGE] for at in range(0, len(listed), PAGE)] or [[]]
        for number, page in enumerate(pages):
            await self._tell(page, state, is_first=number == 0, is_last=number == len(pages) - 1)
        log.info("symbols_told", count=len(listed))

    async def tell(self, names: Sequence[str]) -> None:
        """Tell these, each with a fresh quote."""
        state = await self._terminal.state(self._ref)
        wanted = list(dict.fromkeys(names))[:MOST_WANTED]
        for at in range(0, len(wanted), AT_ONCE):
            await self._tell(await self._terminal.listing(self._ref, wanted[at:at + AT_ONCE]), state)

    async def _tell(self, listed: Sequence[ListedSymbol], state: TerminalState, *, is_first: bool = False,
                    is_last: bool = False) -> None:
        """A page. One strange symbol must not keep a hundred from the desk: what it does not take is told apart."""
        try:
            await self._desk.tell_symbols(self._page(listed, state, is_first, is_last))
        except Refused as refused:
            if refused.status != 422 or not listed:
                raise
            if len(listed) == 1:
                log.warning("symbol_not_taken", symbol=listed[0].spec.name, detail=refused.detail)
                if is_first or is_last:
                    await self._tell([], state, is_first=is_first, is_last=is_last)
                return
            middle = len(listed) // 2
            await self._tell(listed[:middle], state, is_first=is_first)
            await self._tell(listed[middle:], state, is_last=is_last)

    def _page(self, listed: Sequence[ListedSymbol], state: TerminalState, is_first: bool,
              is_last: bool) -> dict[str, Any]:
        return {"terminal": _terminal(state, self._version), "symbols": [_spec(one) for one in listed],
                "is_first": is_first, "is_last": is_last, "taken_at": self._clock.now()}


def snapshot(reading: Reading) -> dict[str, Any]:
    """The account and its positions as they are told, without the time."""
    return {"account": _account(reading.account),
            "positions": [_position(position) for position in reading.positions[:MOST_POSITIONS]]}


def _account(of: AccountSnapshot) -> dict[str, Any]:
    return {
        "login": of.login, "server": of.server, "broker": of.broker or "-", "currency": of.currency,
        "balance": of.balance, "equity": of.equity, "margin": of.margin, "free_margin": of.free_margin,
        "margin_level": of.margin_level, "leverage": max(of.leverage, 1), "margin_mode": of.margin_mode,
        "credit": of.credit, "can_trade": of.can_trade, "net_deposits": of.net_deposits}


def _position(of: Position) -> dict[str, Any]:
    return {
        "ticket": of.ticket, "symbol": of.symbol, "side": of.side, "volume": of.volume,
        "entry_price": of.entry_price, "current_price": of.current_price, "stop_loss": of.stop_loss,
        "take_profit": of.take_profit, "profit": of.profit, "swap": of.swap, "magic": of.magic,
        "opened_at": of.opened_at}


def _spec(of: ListedSymbol) -> dict[str, Any]:
    spec = of.spec
    return {
        "name": spec.name, "description": spec.description, "digits": spec.digits, "point": spec.point,
        "tick_size": spec.tick_size, "contract_size": spec.contract_size, "volume_min": spec.volume_min,
        "volume_max": spec.volume_max, "volume_step": spec.volume_step, "volume_limit": spec.volume_limit,
        "stops_level": spec.stops_level, "freeze_level": spec.freeze_level, "currency_base": spec.currency_base,
        "currency_profit": spec.currency_profit, "currency_margin": spec.currency_margin,
        "calc_mode": spec.calc_mode, "trade_mode": spec.trade_mode, "filling": list(of.filling),
        "tick_value": of.tick_value, "bid": of.bid, "ask": of.ask, "quoted_at": _instant(of.quoted_at)}


def _terminal(of: TerminalState, version: str) -> dict[str, Any]:
    return {
        "version": version, "build": of.build, "utc_offset_seconds": of.utc_offset_seconds,
        "trade_allowed": of.trade_allowed, "expert_allowed": of.expert_allowed,
        "account_allowed": of.account_allowed, "connected": of.connected, "ping_ms": of.ping_ms}


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else strict_json.instant(moment)
