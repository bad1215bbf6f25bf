"""The fragment of the Positions page: one account, its figures, and what is open on it."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from aiohttp import web

from models.account import Account, AccountStatus, Route
from services import accounts, acts, approvals, positions
from services.desk import Desk
from services.errors import NotFound, TryLater
from services.positions import Portfolio
from terminal.protocol import GatewayError, SymbolSpec
from webapp import keys
from webapp.pages import format, portfolio, position_rows, words
from webapp.pages.rendering import fragment
from webapp.paths import switch_of
from webapp.security import now as clock
from webapp.security import signed_in


@dataclass(frozen=True, slots=True)
class Choice:
    """An account among several to look at."""

    id: int
    label: str
    is_shown: bool
    is_primary: bool
    is_troubled: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What equity has done over a span."""

    amount: str
    percent: str
    sign: str


@dataclass(frozen=True, slots=True)
class Header:
    """The account's figures; ``drawdown_bar`` is 0 to 100, ``equity_plain`` for scripts."""

    id: int
    account: str
    place: str
    login_tail: str | None
    equity: str
    equity_plain: str
    currency: str
    profit: str
    sign: str
    day: Change | None
    week: Change | None
    balance: str
    free_margin: str
    margin: str
    margin_level: str
    drawdown: str
    drawdown_bar: str
    max_drawdown: str
    as_of: datetime
    is_stale: bool


@signed_in("reads")
async def listed(request: web.Request, user_id: int) -> web.Response:
    """An account and what is open on it: the primary one, or the one of this user's that is asked for."""
    desk, now = request.app[keys.desk], clock()
    async with desk.database.reading() as session:
        linked = await accounts.listed(session, user_id)
        waiting = len(await approvals.pending(session, user_id, now))
    if not linked:
        return fragment(request, "fragments/no_account.html", {}, now, pending=waiting)
    account, force = chosen(request, linked), switch_of(request, "force_refresh")
    totals, found = await asyncio.gather(portfolio.totals(desk, user_id, linked, now),
                                         _read_or_none(desk, account, now, force))
    context: dict[str, Any] = {"choices": choices(linked, account), "totals": totals}
    if found is None:
        context |= {"account": account.label, "why": words.silent(account)}
        return fragment(request, "fragments/positions_silent.html", context, now, pending=waiting)
    context |= {"header": _header(account, found), "rows": await _rows(desk, account, found),
                "warning": words.trouble(account)}
    return fragment(request, "fragments/positions.html", context, now, pending=waiting)


async def _read_or_none(desk: Desk, account: Account, now: datetime, force: bool) -> Portfolio | None:
    try:
        return await desk.positions.live(account, now, force=force)
    except TryLater:
        return None


async def _rows(desk: Desk, account: Account, found: Portfolio) -> list[position_rows.Row]:
    async with desk.database.reading() as session:
        open_acts = {act.ticket: act for act in await acts.under_way(session, account.id)}
    specs = await _specs(desk, account, {position.symbol for position in found.positions})
    why_not = position_rows.barred(account, desk.gateways.get(account.route))
    return [position_rows.row(position, found, why_not, open_acts.get(position.ticket), specs.get(position.symbol))
            for position in found.positions]


def chosen(request: web.Request, linked: list[Account]) -> Account:
    """The account the query names, the first one without; NotFound when it is not among them."""
    wanted = request.query.get("account")
    found = next((row for row in linked if wanted in (None, "", str(row.id))), None)
    if found is None:
        raise NotFound
    return found


def choices(linked: Iterable[Account], shown: Account) -> list[Choice]:
    """The accounts to choose between."""
    return [Choice(row.id, row.label, row.id == shown.id, row.is_primary, row.status != AccountStatus.VERIFIED)
            for row in linked]


async def _specs(desk: Desk, account: Account, symbols: Iterable[str]) -> Mapping[str, SymbolSpec]:
    """What the broker says of the symbols; those it does not answer for now are left out."""
    gateway, ref = desk.gateways.get(account.route), accounts.ref(account)
    if gateway is None:
        return {}

    async def one(symbol: str) -> SymbolSpec | None:
        try:
            async with asyncio.timeout(1.0):
                return await gateway.symbol(ref, symbol)
        except (GatewayError, TimeoutError):
            return None

    names = sorted(symbols)
    found = await asyncio.gather(*(one(symbol) for symbol in names))
    return {name: spec for name, spec in zip(names, found, strict=True) if spec is not None}


def _header(account: Account, of: Portfolio) -> Header:
    snapshot, total = of.snapshot, of.total_profit
    currency, is_paper = snapshot.currency, account.route == Route.PAPER
    return Header(
        id=account.id, place=words.PRACTICE if is_paper else account.server,
        login_tail=None if is_paper else account.login[-4:], account=account.label,
        equity=format.money(snapshot.equity, currency),
        equity_plain=str(snapshot.equity), currency=currency, profit=format.money(total, currency, signed=True),
        sign=format.sign(total), day=_change(of.day_change, snapshot.equity, currency),
        week=_change(of.week_change, snapshot.equity, currency),
        balance=format.money(snapshot.balance, currency),
        free_margin=format.money(snapshot.free_margin, currency), margin=format.money(snapshot.margin, currency),
        margin_level=format.percent(snapshot.margin_level, digits=0),
        drawdown=format.percent(of.drawdown_percent), drawdown_bar=_bar(of.drawdown_percent),
        max_drawdown=format.percent(of.max_drawdown_percent), as_of=snapshot.taken_at,
        is_stale=of.stale)


def _change(amount: Decimal | None, equity: Decimal, currency: str) -> Change | None:
    """What equity has done, of what it was before."""
    if amount is None:
        return None
    return Change(format.money(amount, currency, signed=True),
                  format.percent(positions.percent(amount, equity - amount), signed=True), format.sign(amount))


def _bar(percent: Decimal) -> str:
    return str(min(max(percent, Decimal(0)), Decimal(100)))
