"""Sizing orders that devices will trade, by what the account's devices have told of its broker.

Nothing is written but the symbol map, and nobody is asked: what is not known yet is ``wanted``, and the device that
asks for orders tells it before it asks again.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from models.account import Account, Route
from models.order import Order
from services import accounts, execution, orders, sizing, standards, symbol_reports, symbols
from services.desk import Desk
from services.execution import Plan
from services.sizing import Sized
from services.terms import Levels, entry_edge
from terminal.protocol import AccountSnapshot, Gateway, GatewayError, OrderType, Side, Tick, ToldSymbol

QUOTE_GOOD_FOR, TICK_VALUE_GOOD_FOR = timedelta(seconds=15), timedelta(days=1)
# A terminal that has just begun to look at a symbol has no quote for a moment: it is not asked without a pause.
ASK_AGAIN = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """What a device would be offered now, or the ``refusal`` code, or what has to be told first.

    ``symbol`` is the broker's own name as far as it is known. ``risk`` is the most the order may lose at its stop, in
    the account's currency: the share of equity it was sized by, None where it is sized otherwise. With no volume, no
    refusal and nothing wanted it is to be tried again at the next poll.
    """

    symbol: str
    volume: Decimal | None
    refusal: str | None
    risk: Decimal | None
    point: Decimal | None
    wanted: tuple[str, ...]
    wants_all: bool


@dataclass(frozen=True, slots=True)
class Intent:
    """What is to be traded; ``targets`` in the order the price would meet them."""

    symbol: str
    side: Side
    order_type: str
    entry: Decimal | None
    stop: Decimal | None
    targets: tuple[Decimal, ...]


def of_order(order: Order) -> Intent:
    return Intent(order.symbol, Side(order.side), order.order_type, order.entry_price, order.stop_loss,
                  orders.by_distance(order))


def of_levels(levels: Levels) -> Intent:
    return Intent(levels.symbol, Side(levels.side), levels.order_type, entry_edge(levels), levels.stop_loss,
                  levels.take_profits)


async def plan_for_device(desk: Desk, account: Account, order: Order, snapshot: AccountSnapshot | None,
                          now: datetime) -> DevicePlan:
    """What the account's devices are to be offered for an order; ``snapshot`` is the account as last reported."""
    intent = of_order(order)
    known = await symbol_reports.standing(desk.database, accounts.ref(account))
    if known.has_listed:
        return await _as_told(desk, account, intent, snapshot, now)
    if known.tells:
        return replace(_nothing_yet(intent.symbol), wants_all=True)
    return await _by_standards(desk, account, intent, snapshot)


def _nothing_yet(symbol: str, refusal: str | None = None) -> DevicePlan:
    return DevicePlan(symbol, None, refusal, None, None, (), False)


async def _as_told(desk: Desk, account: Account, intent: Intent, snapshot: AccountSnapshot | None,
                   now: datetime) -> DevicePlan:
    gateway = desk.gateways[Route.DEVICE]
    try:
        resolved = await symbols.resolve(desk.database, gateway, account, intent.symbol, now)
    except GatewayError:  # it was all forgotten meanwhile
        return replace(_nothing_yet(intent.symbol), wants_all=True)
    if resolved.name is None:
        return _nothing_yet(intent.symbol, resolved.refusal)
    told = await symbol_reports.told(desk.database, desk.redis, accounts.ref(account), resolved.name)
    if told is None:
        return _nothing_yet(resolved.name, "unknown_symbol")
    plan = DevicePlan(resolved.name, None, None, _budget(desk, account, intent, snapshot), told.spec.point, (), False)
    age = now - told.heard_at
    quote = told.quote if age <= QUOTE_GOOD_FOR else None
    refusal = _drifted(desk, intent, quote)
    if refusal is not None:
        return replace(plan, refusal=refusal)
    if not _is_risked(desk, account, intent):
        return _sized(desk, account, plan, told, snapshot, None)
    start, good_for = _start(intent, quote)
    if start is None or told.tick_value is None or age > good_for:
        return _told_too_little(plan, told, age)
    return _sized(desk, account, plan, told, snapshot, await _loss_per_lot(gateway, account, intent, told, start))


def _told_too_little(plan: DevicePlan, told: ToldSymbol, age: timedelta) -> DevicePlan:
    """What is old is asked for again; a quote without a value of its ticks will not have one by being asked again."""
    if told.quote is not None and told.tick_value is None and age <= QUOTE_GOOD_FOR:
        return replace(plan, refusal="no_conversion_rate")
    return replace(plan, wanted=(plan.symbol,) if age >= ASK_AGAIN else ())


def _sized(desk: Desk, account: Account, plan: DevicePlan, told: ToldSymbol, snapshot: AccountSnapshot | None,
           loss_per_lot: Decimal | None) -> DevicePlan:
    if loss_per_lot is not None and snapshot is None:
        return plan  # it is about to be reported
    equity = snapshot.equity if snapshot is not None else Decimal(0)
    sized = sizing.volume(account.sizing, desk.execution_rules.sizing, told.spec, equity, loss_per_lot)
    return replace(plan, volume=sized.volume, refusal=sized.refusal)


def _is_risked(desk: Desk, account: Account, intent: Intent) -> bool:
    """Whether the volume follows from the way to the stop."""
    return intent.stop is not None and _sizing(desk, account)["mode"] == "risk_percent"


def _sizing(desk: Desk, account: Account) -> dict[str, str]:
    return sizing.sizing_of(account.sizing, desk.execution_rules.sizing)


def _budget(desk: Desk, account: Account, intent: Intent, snapshot: AccountSnapshot | None) -> Decimal | None:
    if snapshot is None or not _is_risked(desk, account, intent):
        return None
    return max(snapshot.equity, Decimal(0)) * Decimal(_sizing(desk, account)["value"]) / 100


def _drifted(desk: Desk, intent: Intent, quote: Tick | None) -> str | None:
    """Only a fresh quote says so; the device looks again before it trades."""
    if quote is None or intent.order_type != OrderType.MARKET:
        return None
    return execution.drifted(intent.side, intent.entry, intent.stop, intent.targets, _market(intent, quote),
                             desk.execution_rules.max_adverse_drift)


def _market(intent: Intent, quote: Tick) -> Decimal:
    return quote.ask if intent.side == Side.BUY else quote.bid


def _start(intent: Intent, quote: Tick | None) -> tuple[Decimal | None, timedelta]:
    """Where the way to the stop begins, and how old what it is reckoned with may be."""
    if intent.order_type != OrderType.MARKET and intent.entry is not None:
        return intent.entry, TICK_VALUE_GOOD_FOR
    return _market(intent, quote) if quote is not None else None, QUOTE_GOOD_FOR


async def _loss_per_lot(gateway: Gateway, account: Account, intent: Intent, told: ToldSymbol,
                        start: Decimal) -> Decimal | None:
    assert intent.stop is not None
    result = await gateway.loss_at(accounts.ref(account), told.spec.name, intent.side, Decimal(1), start, intent.stop)
    return -result if result is not None else None


# -- where nothing is told -------------------------------------------------------------------------------------


async def _by_standards(desk: Desk, account: Account, intent: Intent,
                        snapshot: AccountSnapshot | None) -> DevicePlan:
    """For a client that tells no symbols: by what such a symbol is at most brokers."""
    name = await symbols.edited(desk.database, account.id, intent.symbol) or intent.symbol
    plan = replace(_nothing_yet(name), risk=_budget(desk, account, intent, snapshot))
    if not _is_risked(desk, account, intent):
        given = _sizing(desk, account)
        fixed = Decimal(given["volume"]) if given["mode"] == "fixed" else None
        return replace(plan, volume=fixed or desk.execution_rules.sizing.volume_without_stop)
    if snapshot is None:
        return plan
    way = await _standard_way(desk, account, intent)
    if isinstance(way, str):
        return replace(plan, refusal=way)
    sized = sizing.volume(account.sizing, desk.execution_rules.sizing, way.spec, snapshot.equity, way.loss_per_lot)
    return replace(plan, volume=sized.volume, refusal=sized.refusal, point=way.spec.point)


async def _standard_way(desk: Desk, account: Account, intent: Intent) -> standards.Way | str:
    """What a lot would lose on the way to the stop, or the code of why nobody knows."""
    assert intent.stop is not None
    if desk.paper is None:
        return "not_told"
    return await standards.way(desk.paper, intent.symbol, intent.side, intent.entry, intent.stop, account.currency)


# -- for the owner to see --------------------------------------------------------------------------------------


async def foresee(desk: Desk, account: Account, levels: Levels, snapshot: AccountSnapshot, now: datetime) -> Plan:
    """What would be offered by what is known now. Without a quote, the entry that was asked for is reckoned with."""
    intent, ref = of_levels(levels), accounts.ref(account)
    known = await symbol_reports.standing(desk.database, ref)
    if not known.has_listed:
        return _UNKNOWN if known.tells else await _foreseen_by_standards(desk, account, intent, snapshot)
    gateway = desk.gateways[Route.DEVICE]
    resolved = await symbols.resolve(desk.database, gateway, account, intent.symbol, now)
    told = resolved.name and await symbol_reports.told(desk.database, desk.redis, ref, resolved.name)
    if not told:
        return replace(_UNKNOWN, refusal=resolved.refusal or "unknown_symbol")
    tick = await gateway.tick(ref, told.spec.name)
    plan = replace(_UNKNOWN, spec=told.spec, tick=tick, refusal=_drifted(desk, intent, tick))
    start = _start(intent, tick)[0] or intent.entry
    loss = await _loss_per_lot(gateway, account, intent, told, start) if intent.stop and start else None
    if plan.refusal is not None or (loss is None and _is_risked(desk, account, intent)):
        return plan
    return _with_volume(plan, sizing.volume(account.sizing, desk.execution_rules.sizing, told.spec, snapshot.equity,
                                            loss), loss)


async def _foreseen_by_standards(desk: Desk, account: Account, intent: Intent, snapshot: AccountSnapshot) -> Plan:
    planned = await _by_standards(desk, account, intent, snapshot)
    way = await _standard_way(desk, account, intent) if intent.stop is not None else "no_stop"
    loss = way.loss_per_lot if isinstance(way, standards.Way) else None
    return _with_volume(_UNKNOWN, Sized(planned.volume, planned.refusal), loss)


def _with_volume(plan: Plan, sized: Sized, loss_per_lot: Decimal | None) -> Plan:
    loss = -loss_per_lot * sized.volume if loss_per_lot is not None and sized.volume is not None else None
    return replace(plan, volume=sized.volume, refusal=sized.refusal, loss=loss)


_UNKNOWN = Plan(None, None, None, None, None)
