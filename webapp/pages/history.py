"""The fragment of closed positions: what each came to, and why it ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from aiohttp import web

from models.account import Account
from models.position import PositionRecord
from services import accounts, approvals, history
from webapp import keys
from webapp.pages import format, positions
from webapp.pages.rendering import fragment
from webapp.paths import limit_of
from webapp.security import now as clock
from webapp.security import signed_in

PAGE = 20
MOST_DIGITS = 5
# How a position ended, to stand alone. What is not here was done at the broker.
ENDINGS = {"signal": "By the signal", "client": "By hand", "stop_loss": "Stop loss", "take_profit": "Take profit",
           "stop_out": "Margin stop-out"}


@dataclass(frozen=True, slots=True)
class ClosedRow:
    """A position that is over. ``costs`` is what net has besides the trade's own profit, None where nothing."""

    id: int
    position_id: int | None
    symbol: str
    side: str
    volume: str
    entry: str
    exit: str
    net: str
    sign: str
    reason: str
    costs: str | None
    held: str
    closed_at: datetime


@signed_in("reads")
async def closed(request: web.Request, user_id: int) -> web.Response:
    """What has been closed on an account, the newest first."""
    desk, now, limit = request.app[keys.desk], clock(), limit_of(request, PAGE)
    async with desk.database.reading() as session:
        linked = await accounts.listed(session, user_id)
        waiting = len(await approvals.pending(session, user_id, now))
        account = positions.chosen(request, linked) if linked else None
        found, cursor = await history.listed(session, account.id, "closed", None, limit) if account else ([], None)
    if account is None:
        return fragment(request, "fragments/no_account.html", {}, now, pending=waiting)
    context = {"choices": positions.choices(linked, account), "has_more": cursor is not None,
               "rows": [_row(view.record, account) for view in found]}
    return fragment(request, "fragments/closed.html", context, now, pending=waiting)


def _row(of: PositionRecord, account: Account) -> ClosedRow:
    ended, digits = of.closed_at or of.updated_at, _digits(of)
    return ClosedRow(
        id=of.id, position_id=of.position_id if of.position_id > 0 else None, symbol=of.symbol, side=of.side,
        volume=format.volume(of.volume),
        entry=format.price(of.entry_price, digits), exit=format.price(of.exit_price, digits),
        net=format.money(of.net, account.currency, signed=True), sign=format.sign(of.net),
        reason=ENDINGS.get(of.reason or "", "At the broker"), costs=_costs(of, account.currency),
        held=_span(ended - of.opened_at), closed_at=ended)


def _digits(of: PositionRecord) -> int:
    """As many as the finer of the two prices has; an average has more than any symbol."""
    return min(MOST_DIGITS, max(format.places(price) for price in (of.entry_price, of.exit_price) if price is not None))


def _costs(of: PositionRecord, currency: str) -> str | None:
    parts = [(name, amount) for name, amount in (("swap", of.swap), ("commission", of.commission), ("fee", of.fee))
             if amount != Decimal(0)]
    if not parts:
        return None
    told = ", ".join(f"{name} {format.money(amount, currency, signed=True)}" for name, amount in parts)
    return f"Trade {format.money(of.profit, currency, signed=True)}, {told}"


def _span(span: timedelta) -> str:
    """How long something took, in its largest unit."""
    seconds = max(0, int(span.total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
