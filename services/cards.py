"""What an approval would really do on its owner's account now: shown on every card, in both doors."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import structlog

from models.account import Account
from models.approval import ApprovalStatus
from services import accounts, execution, sizing, symbols, terms
from services.approvals import ApprovalView
from services.desk import Desk
from services.errors import NoAccount
from terminal.protocol import GatewayError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outlook:
    """Digits of the symbol, the price now, and what approving would send; ``loss`` is negative money at the stop.

    ``is_estimate``: the volume is a share of equity and is worked out anew when the order is sent.
    """

    digits: int | None
    current_price: Decimal | None
    account: Account | None
    volume: Decimal | None
    loss: Decimal | None
    refusal: str | None
    is_estimate: bool = False


async def outlook(desk: Desk, view: ApprovalView, now: datetime) -> Outlook:
    """Plan the order without sending it; a terminal that does not answer leaves the figures out."""
    account = view.account or await _primary(desk, view.user_id)
    if account is None:
        return Outlook(None, None, None, None, None, "no_account")
    gateway, ref = desk.gateways.get(account.route), accounts.ref(account)
    if gateway is None:
        return Outlook(None, None, account, None, None, None)
    is_open = view.status == ApprovalStatus.PENDING
    if is_open and not account.can_trade:
        return Outlook(None, None, account, None, None, "view_only")
    try:
        resolved = await symbols.resolve(desk.database, gateway, account, view.levels.symbol, now)
        if resolved.name is None:
            return Outlook(None, None, account, None, None, resolved.refusal if is_open else None)
        equity = (await gateway.account(ref)).equity if is_open else Decimal(0)
        planned = await execution.plan(
            gateway, desk.execution_rules, ref, account.sizing, symbol=resolved.name, side=view.levels.side,
            order_type=view.levels.order_type, entry=terms.entry_edge(view.levels), stop=view.levels.stop_loss,
            targets=view.levels.take_profits, equity=equity)
    except GatewayError as error:
        log.warning("outlook_unavailable", account_id=account.id, code=error.code)
        return Outlook(None, None, account, None, None, None)
    digits = planned.spec.digits if planned.spec else None
    price = None
    if planned.tick is not None:
        price = planned.tick.ask if view.levels.side == "buy" else planned.tick.bid
    if not is_open:
        return Outlook(digits, price, account, None, None, None)
    mode = sizing.sizing_of(account.sizing, desk.execution_rules.sizing)["mode"]
    return Outlook(digits, price, account, planned.volume, planned.loss, planned.refusal,
                   mode == "risk_percent" and view.levels.stop_loss is not None)


async def _primary(desk: Desk, user_id: int) -> Account | None:
    async with desk.database.reading() as session:
        try:
            return await accounts.primary(session, user_id)
        except NoAccount:
            return None
