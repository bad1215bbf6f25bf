"""The fragment of the Positions page."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from aiohttp import web

from models.account import Account, Route
from services import accounts, approvals, positions
from services.errors import NoAccount
from services.positions import Portfolio
from terminal.protocol import Position
from webapp import keys
from webapp.pages import format, words
from webapp.pages.rendering import fragment
from webapp.paths import switch_of
from webapp.security import now as clock
from webapp.security import signed_in


@dataclass(frozen=True, slots=True)
class Header:
    """The account's figures; ``drawdown_bar`` is 0 to 100."""

    account: str
    place: str
    equity: str
    profit: str
    profit_percent: str
    sign: str
    balance: str
    free_margin: str
    margin: str
    margin_level: str
    drawdown: str
    drawdown_bar: str
    max_drawdown: str
    as_of: datetime
    is_stale: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One open position."""

    ticket: int
    symbol: str
    side: str
    volume: str
    entry: str
    current: str
    stop: str | None
    stop_distance: str | None
    target: str | None
    target_distance: str | None
    profit: str
    points: str
    sign: str
    swap: str | None
    opened_at: datetime


@signed_in("reads")
async def listed(request: web.Request, user_id: int) -> web.Response:
    """The primary account and what is open on it."""
    desk, now = request.app[keys.desk], clock()
    async with desk.database.reading() as session:
        try:
            account: Account | None = await accounts.primary(session, user_id)
        except NoAccount:
            account = None
        waiting = len(await approvals.pending(session, user_id, now))
    if account is None:
        return fragment(request, "fragments/no_account.html", {}, now, pending=waiting)
    portfolio = await desk.positions.live(account, now, force=switch_of(request, "force_refresh"))
    rows = [_row(position, portfolio) for position in portfolio.positions]
    return fragment(request, "fragments/positions.html", {"header": _header(account, portfolio), "rows": rows}, now,
                    pending=waiting)


def _header(account: Account, portfolio: Portfolio) -> Header:
    snapshot, total = portfolio.snapshot, portfolio.total_profit
    currency = snapshot.currency
    place = words.PRACTICE if account.route == Route.PAPER else f"{snapshot.server} ·{snapshot.login[-4:]}"
    return Header(
        account=account.label, place=place, equity=format.money(snapshot.equity, currency),
        profit=format.money(total, currency, signed=True),
        profit_percent=format.percent(positions.percent(total, snapshot.balance), signed=True),
        sign=format.sign(total), balance=format.money(snapshot.balance, currency),
        free_margin=format.money(snapshot.free_margin, currency), margin=format.money(snapshot.margin, currency),
        margin_level=format.percent(snapshot.margin_level, digits=0),
        drawdown=format.percent(portfolio.drawdown_percent), drawdown_bar=_bar(portfolio.drawdown_percent),
        max_drawdown=format.percent(portfolio.max_drawdown_percent), as_of=snapshot.taken_at,
        is_stale=portfolio.stale)


def _bar(percent: Decimal) -> str:
    return str(min(max(percent, Decimal(0)), Decimal(100)))


def _row(position: Position, portfolio: Portfolio) -> Row:
    digits, currency = portfolio.digits.get(position.symbol), portfolio.snapshot.currency
    return Row(
        ticket=position.ticket, symbol=position.symbol, side=position.side.value,
        volume=format.volume(position.volume), entry=format.price(position.entry_price, digits),
        current=format.price(position.current_price, digits),
        stop=_level(position.stop_loss, digits), stop_distance=_away(position.stop_loss, position, digits),
        target=_level(position.take_profit, digits), target_distance=_away(position.take_profit, position, digits),
        profit=format.money(position.profit, currency, signed=True), points=format.points(position.profit_points),
        sign=format.sign(position.profit),
        swap=format.money(position.swap, currency, signed=True) if position.swap else None,
        opened_at=position.opened_at)


def _level(price: Decimal | None, digits: int | None) -> str | None:
    return format.price(price, digits) if price else None


def _away(price: Decimal | None, position: Position, digits: int | None) -> str | None:
    return format.distance(price - position.current_price, digits) if price else None
