"""What an approval would really do on its owner's account now: shown on every card, in both doors."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import structlog

from models.account import Account, Route
from models.approval import ApprovalStatus
from services import accounts, device_symbols, execution, sizing, symbols, terms
from services.approvals import ApprovalView
from services.desk import Desk
from services.errors import NoAccount
from services.execution import Plan
from terminal.protocol import Gateway, GatewayError

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
    gateway = desk.gateways.get(account.route)
    if gateway is None:
        return Outlook(None, None, account, None, None, None)
    is_open = view.status == ApprovalStatus.PENDING
    if is_open and not account.can_trade:
        return Outlook(None, None, account, None, None, "view_only")
    try:
        planned = await _planned(desk, gateway, account, view, is_open, now)
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


async def _planned(desk: Desk, gateway: Gateway, account: Account, view: ApprovalView, is_open: bool,
                   now: datetime) -> Plan:
    ref, levels = accounts.ref(account), view.levels
    if account.route == Route.DEVICE:
        return await device_symbols.foresee(desk, account, levels, await gateway.account(ref), now)
    resolved = await symbols.resolve(desk.database, gateway, account, levels.symbol, now)
    if resolved.name is None:
        return Plan(None, resolved.refusal, None, None, None)
    equity = (await gateway.account(ref)).equity if is_open else Decimal(0)
    return await execution.plan(
        gateway, desk.execution_rules, ref, account.sizing, symbol=resolved.name, side=levels.side,
        order_type=levels.order_type, entry=terms.entry_edge(levels), stop=levels.stop_loss,
        targets=levels.take_profits, equity=equity)


async def _primary(desk: Desk, user_id: int) -> Account | None:
    async with desk.database.reading() as session:
        try:
            return await accounts.primary(session, user_id)
        except NoAccount:
            return None
