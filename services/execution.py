"""Executing orders on terminals: size, check, write the intent, send, record. Network outside transactions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from models.database import Database
from models.order import Order, OrderStatus
from services import accounts, orders, sizing
from services.orders import Lease
from services.sizing import SizingRules
from terminal.protocol import AccountRef, Gateway, GatewayError, OrderType, Side, SymbolSpec, Tick

log = structlog.get_logger(__name__)

RETRY = timedelta(seconds=1)
LOOK_AGAIN = timedelta(seconds=5)
LEASE = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Rules:
    """``max_adverse_drift`` is the share of the way to the stop the market may have run before approval counts."""

    sizing: SizingRules
    max_adverse_drift: Decimal


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be sent now, or the ``refusal`` code. ``loss`` is the result at the stop in account money."""

    volume: Decimal | None
    refusal: str | None
    loss: Decimal | None
    spec: SymbolSpec | None
    tick: Tick | None


async def plan(gateway: Gateway, rules: Rules, ref: AccountRef, stored_sizing: dict[str, str], *, symbol: str,
               side: str, order_type: str, entry: Decimal | None, stop: Decimal | None,
               targets: Sequence[Decimal], equity: Decimal) -> Plan:
    """Size an order as it stands now and check it against the market; changes nothing."""
    spec, tick = await gateway.symbol(ref, symbol), await gateway.tick(ref, symbol)
    if spec is None:
        return Plan(None, "unknown_symbol", None, None, None)
    if tick is None:
        return Plan(None, "no_quote", None, spec, None)
    market = tick.ask if side == Side.BUY else tick.bid
    start = market if order_type == OrderType.MARKET or entry is None else entry
    refusal = None
    if order_type == OrderType.MARKET:
        refusal = _drifted(side, entry, stop, targets, market, rules.max_adverse_drift)
    if refusal:
        return Plan(None, refusal, None, spec, tick)
    loss_per_lot = None
    if stop is not None:
        result = await gateway.loss_at(ref, symbol, Side(side), Decimal(1), start, stop)
        if result is None:
            return Plan(None, "no_conversion_rate", None, spec, tick)
        loss_per_lot = -result
    sized = sizing.volume(stored_sizing, rules.sizing, spec, equity, loss_per_lot)
    loss = -loss_per_lot * sized.volume if loss_per_lot is not None and sized.volume is not None else None
    return Plan(sized.volume, sized.refusal, loss, spec, tick)


def _drifted(side: str, entry: Decimal | None, stop: Decimal | None, targets: Sequence[Decimal], market: Decimal,
             limit: Decimal) -> str | None:
    """A market order is refused when the price has passed a level of it, or run too far from the entry."""
    sign = 1 if side == Side.BUY else -1
    if stop is not None and (market - stop) * sign <= 0:
        return "stop_beyond_price"
    if any((target - market) * sign <= 0 for target in targets):
        return "target_passed"
    if entry is not None and stop is not None and abs(market - entry) > abs(entry - stop) * limit:
        return "price_moved"
    return None


class Executor:
    """Executes leased orders through the gateway of their route."""

    def __init__(self, database: Database, gateways: Mapping[str, Gateway], rules: Rules, owner: str) -> None:
        self._database = database
        self._gateways = gateways
        self._rules = rules
        self._owner = owner

    async def take(self, now: datetime, limit: int) -> list[Lease]:
        """Lease orders that are due."""
        async with self._database.writing() as session:
            routes = [route for route, gateway in self._gateways.items() if gateway.executes]
            return await orders.lease(session, routes, self._owner, now, LEASE, limit)

    async def execute(self, lease: Lease, now: datetime) -> None:
        """Bring one leased order as far as it can be brought now."""
        try:
            if lease.order.status == OrderStatus.UNKNOWN:
                await self._reconcile(lease, now)
            else:
                await self._send_new(lease, now)
        except GatewayError as error:
            await self._not_now(lease.order, error, now)

    async def _send_new(self, lease: Lease, now: datetime) -> None:
        order, ref = lease.order, accounts.ref(lease.account)
        if order.expires_at <= now:
            await self._refuse(order, OrderStatus.EXPIRED, "not_executed_in_time", None, now)
            return
        gateway = self._gateways[lease.account.route]
        snapshot = await gateway.account(ref)
        planned = await plan(gateway, self._rules, ref, lease.account.sizing, symbol=order.symbol, side=order.side,
                             order_type=order.order_type, entry=order.entry_price, stop=order.stop_loss,
                             targets=orders.by_distance(order), equity=snapshot.equity)
        if planned.volume is None:
            await self._refuse(order, OrderStatus.REJECTED, planned.refusal or "refused", None, now)
            return
        async with self._database.writing() as session:
            if not await orders.mark_sent(session, order.id, self._owner, planned.volume, now):
                return
        await self._hand_over(gateway, ref, order, planned.volume, now)

    async def _hand_over(self, gateway: Gateway, ref: AccountRef, order: Order, volume: Decimal,
                         now: datetime) -> None:
        try:
            result = await gateway.send(ref, orders.request(order, volume))
        except GatewayError as error:
            log.warning("order_outcome_unknown", order_id=order.id, code=error.code)
            async with self._database.writing() as session:
                await orders.lose_sight(session, order.id, now + LOOK_AGAIN, error.code, now)
            return
        async with self._database.writing() as session:
            await orders.record(session, order.id, result, now)
        log.info("order_sent", order_id=order.id, status=result.status, retcode=result.retcode)

    async def _reconcile(self, lease: Lease, now: datetime) -> None:
        """Ask the terminal what became of the order; only one that can tell a repeat is asked again to trade."""
        order, ref = lease.order, accounts.ref(lease.account)
        gateway = self._gateways[lease.account.route]
        found = await gateway.find(ref, orders.magic_of(order.id))
        if found is not None:
            async with self._database.writing() as session:
                await orders.record(session, order.id, found, now)
        elif order.expires_at <= now:
            await self._refuse(order, OrderStatus.EXPIRED, "not_executed_in_time", None, now)
        elif gateway.resends_safely and order.volume is not None:
            await self._hand_over(gateway, ref, order, order.volume, now)
        else:
            async with self._database.writing() as session:
                await orders.lose_sight(session, order.id, now + LOOK_AGAIN, "not_found_yet", now)

    async def _not_now(self, order: Order, error: GatewayError, now: datetime) -> None:
        if order.status == OrderStatus.UNKNOWN:
            # It may have been executed: whatever the trouble, only the terminal's answer ends it.
            async with self._database.writing() as session:
                await orders.lose_sight(session, order.id, now + LOOK_AGAIN, error.code, now)
            return
        if not error.retryable:
            await self._refuse(order, OrderStatus.FAILED, error.code, error.detail, now)
            return
        async with self._database.writing() as session:
            await orders.postpone(session, order.id, self._owner, now + RETRY, error.code, now)

    async def _refuse(self, order: Order, status: OrderStatus, reason: str, error: str | None, now: datetime) -> None:
        async with self._database.writing() as session:
            await orders.refuse(session, order.id, status, reason, error, now)
        log.info("order_refused", order_id=order.id, status=status, reason=reason)
