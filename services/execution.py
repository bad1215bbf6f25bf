"""Executing orders on terminals: size, check, write the intent, send, record. Network outside transactions."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, AccountStatus, Route
from models.database import Database
from models.order import Order, OrderStatus
from services import accounts, orders, sizing, symbols, tiers
from services.orders import Lease
from services.sizing import SizingRules
from services.stopwatch import Stopwatch
from services.tiers import Catalogue
from terminal.protocol import (
    AccountRef,
    AccountSnapshot,
    Gateway,
    GatewayError,
    OrderRequest,
    OrderType,
    ResultStatus,
    Side,
    SymbolSpec,
    Tick,
    TradeResult,
)

log = structlog.get_logger(__name__)

RETRY, RETRY_BUSY = timedelta(seconds=1), timedelta(seconds=3)
LOOK_AGAIN = timedelta(seconds=5)
LEASE, SPARE = timedelta(seconds=20), timedelta(seconds=2)
# A terminal that cannot tell a repeat: so long an order may show up in its history, so far back it is looked for.
SHOWS_WITHIN, LOOK_BACK = timedelta(seconds=30), timedelta(seconds=60)
# The trade server's refusals that are over in a moment: too many requests, locked, frozen, being changed.
BUSY = (10023, 10024, 10028, 10029, 10041)
# And the answers that leave open what was done.
AMBIGUOUS = (10011, 10012, 10031)


@dataclass(frozen=True, slots=True)
class Rules:
    """``max_adverse_drift`` is the share of the way to the stop the market may have run before approval counts."""

    sizing: SizingRules
    max_adverse_drift: Decimal
    catalogue: Catalogue


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
    """Size an order as it stands now and check it against the market; changes nothing.

    ``symbol`` is the broker's own name for it.
    """
    spec, tick = await gateway.symbol(ref, symbol), await gateway.tick(ref, symbol)
    if spec is None:
        return Plan(None, "unknown_symbol", None, None, None)
    if tick is None:
        return Plan(None, "no_quote", None, spec, None)
    market = tick.ask if side == Side.BUY else tick.bid
    start = market if order_type == OrderType.MARKET or entry is None else entry
    refusal = None
    if order_type == OrderType.MARKET:
        refusal = drifted(side, entry, stop, targets, market, rules.max_adverse_drift)
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


def drifted(side: str, entry: Decimal | None, stop: Decimal | None, targets: Sequence[Decimal], market: Decimal,
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


async def refused(session: AsyncSession, catalogue: Catalogue, account: Account, now: datetime) -> str | None:
    """Why nothing may be traded on this account now, whatever was so when it was approved."""
    current = await session.get(Account, account.id)
    tier = await tiers.tier_of(session, catalogue, account.user_id, now)
    if current is None or current.unlinked_at is not None:
        return "account_unlinked"
    if current.status != AccountStatus.VERIFIED:
        return "account_broken"
    if not current.can_trade:
        return "view_only"
    return None if tier.live or account.route == Route.PAPER else "tier_too_low"


def _refused(reason: str | None) -> Plan:
    return Plan(None, reason, None, None, None)


class Executor:
    """Executes leased orders through the gateway of their route."""

    def __init__(self, database: Database, gateways: Mapping[str, Gateway], rules: Rules, owner: str) -> None:
        self._database = database
        self._gateways = gateways
        self._rules = rules
        self._owner = owner

    async def take(self, now: datetime, limit: int) -> list[Lease]:
        """Lease orders that are due, one for each account."""
        routes = [route for route, gateway in self._gateways.items() if gateway.executes]
        async with self._database.writing() as session:
            return await orders.lease(session, routes, self._owner, now, LEASE, limit)

    async def execute(self, lease: Lease, now: datetime) -> None:
        """Bring one leased order as far as it can be brought now."""
        watch = Stopwatch(now)
        try:
            if lease.order.status == OrderStatus.UNKNOWN:
                await self._reconcile(lease, watch)
            else:
                await self._send_new(lease, watch)
        except GatewayError as error:
            await self._not_now(lease, error, watch.now())

    async def _send_new(self, lease: Lease, watch: Stopwatch) -> None:
        order, began = lease.order, watch.now()
        if order.expires_at <= began:
            await self._refuse(order, OrderStatus.EXPIRED, "not_executed_in_time", None, began)
            return
        try:
            async with asyncio.timeout((LEASE - SPARE).total_seconds()):
                symbol, planned = await self._prepare(lease, began)
        except TimeoutError as error:
            raise GatewayError("terminal_hangs", "The terminal takes too long.", retryable=True) from error
        now = watch.now()
        if symbol is None or planned.volume is None:
            await self._refuse(order, OrderStatus.REJECTED, planned.refusal or "refused", None, now)
            return
        if order.expires_at <= now:  # a terminal may have had to start first
            await self._refuse(order, OrderStatus.EXPIRED, "not_executed_in_time", None, now)
            return
        async with self._database.writing() as session:
            magic = await orders.mark_sent(session, order.id, self._owner, planned.volume, now, LEASE)
        if magic is not None:
            request = orders.request(order, magic, symbol, planned.volume)
            await self._hand_over(self._gateways[lease.account.route], lease, request, watch)

    async def _prepare(self, lease: Lease, now: datetime) -> tuple[str | None, Plan]:
        """The broker's symbol and what would be sent, or the plan that says why not; changes nothing there."""
        order, account = lease.order, lease.account
        async with self._database.reading() as session:
            refusal = await refused(session, self._rules.catalogue, account, now)
        if refusal is not None:
            return None, _refused(refusal)
        gateway = self._gateways[account.route]
        resolved = await symbols.resolve(self._database, gateway, account, order.symbol, now)
        if resolved.name is None:
            return None, _refused(resolved.refusal)
        snapshot = await gateway.account(accounts.ref(account))
        if not snapshot.can_trade:
            return None, _refused("view_only")
        return resolved.name, await self._plan(gateway, account, order, resolved.name, snapshot)

    async def _plan(self, gateway: Gateway, account: Account, order: Order, symbol: str,
                    snapshot: AccountSnapshot) -> Plan:
        return await plan(gateway, self._rules, accounts.ref(account), account.sizing, symbol=symbol, side=order.side,
                          order_type=order.order_type, entry=order.entry_price, stop=order.stop_loss,
                          targets=orders.by_distance(order), equity=snapshot.equity)

    async def _hand_over(self, gateway: Gateway, lease: Lease, request: OrderRequest, watch: Stopwatch) -> None:
        """Let the terminal hear of it. It has until the lease is nearly over, or another might ask meanwhile."""
        order = lease.order
        try:
            async with asyncio.timeout((LEASE - SPARE).total_seconds()):
                result = await gateway.send(accounts.ref(lease.account), request)
        except TimeoutError:
            await self._lose_sight(order, "terminal_hangs", watch.now())
        except GatewayError as error:
            if error.ambiguous:
                await self._lose_sight(order, error.code, watch.now())
            else:
                await self._take_back(lease, error, watch.now())
        else:
            await self._record(order, result, watch.now())

    async def _record(self, order: Order, result: TradeResult, now: datetime) -> None:
        """Write down a terminal's answer, unless it is that there is none yet."""
        is_refused = result.status == ResultStatus.REJECTED
        if is_refused and result.retcode in BUSY and order.expires_at > now + RETRY_BUSY:
            async with self._database.writing() as session:
                await orders.take_back(session, order.id, now + RETRY_BUSY, str(result.retcode), now)
            return
        is_on_its_way = result.status == ResultStatus.PLACED and order.order_type == OrderType.MARKET
        if is_on_its_way or (is_refused and result.retcode in AMBIGUOUS):
            await self._lose_sight(order, str(result.retcode), now)
            return
        async with self._database.writing() as session:
            await orders.record(session, order.id, result, now)
        log.info("order_sent", order_id=order.id, status=result.status, retcode=result.retcode)

    async def _reconcile(self, lease: Lease, watch: Stopwatch) -> None:
        """Ask the terminal what became of the order; only one that can tell a repeat is asked again to trade."""
        order, ref, began = lease.order, accounts.ref(lease.account), watch.now()
        if lease.account.status != AccountStatus.VERIFIED:
            # Somebody else may have linked the same broker account since: its terminal is theirs.
            raise GatewayError("account_broken", "The account's link does not work.")
        gateway = self._gateways[lease.account.route]
        sent_at = order.sent_at or order.updated_at
        assert order.magic is not None  # it is written when an order is sent
        found = await gateway.find(ref, order.magic, sent_at - LOOK_BACK)
        now = watch.now()
        if found is not None:
            await self._record(order, found, now)
        elif not gateway.resends_safely:
            if began - sent_at < SHOWS_WITHIN:
                await self._lose_sight(order, "not_found_yet", now)
            else:
                await self._refuse(order, OrderStatus.EXPIRED, "not_executed", None, now)
        elif order.expires_at <= now:
            await self._refuse(order, OrderStatus.EXPIRED, "not_executed_in_time", None, now)
        elif order.volume is not None:
            resolved = await symbols.resolve(self._database, gateway, lease.account, order.symbol, now)
            request = orders.request(order, order.magic, resolved.name or order.symbol, order.volume)
            await self._hand_over(gateway, lease, request, watch)

    async def _take_back(self, lease: Lease, error: GatewayError, now: datetime) -> None:
        """The terminal has not taken the order: it may be sent again, or is refused for good."""
        if error.retryable:
            async with self._database.writing() as session:
                await orders.take_back(session, lease.order.id, now + RETRY, error.code, now)
        else:
            await self._give_up(lease, error, now)

    async def _not_now(self, lease: Lease, error: GatewayError, now: datetime) -> None:
        order = lease.order
        if order.status == OrderStatus.UNKNOWN:
            # It may have been executed: whatever the trouble, only the terminal's answer ends it.
            if error.permanent:
                await self._mark_broken(lease.account, error, now)
            await self._lose_sight(order, error.code, now)
        elif error.retryable:
            async with self._database.writing() as session:
                await orders.postpone(session, order.id, self._owner, now + RETRY, error.code, now)
        else:
            await self._give_up(lease, error, now)

    async def _give_up(self, lease: Lease, error: GatewayError, now: datetime) -> None:
        if error.permanent:
            await self._mark_broken(lease.account, error, now)
        await self._refuse(lease.order, OrderStatus.FAILED, error.code, error.detail, now)

    async def _mark_broken(self, account: Account, error: GatewayError, now: datetime) -> None:
        async with self._database.writing() as session:
            await accounts.mark_broken(session, account.id, error.code, now)

    async def _lose_sight(self, order: Order, code: str, now: datetime) -> None:
        if order.status != OrderStatus.UNKNOWN:
            log.warning("order_outcome_unknown", order_id=order.id, code=code)
        async with self._database.writing() as session:
            await orders.lose_sight(session, order.id, now + LOOK_AGAIN, code, now)

    async def _refuse(self, order: Order, status: OrderStatus, reason: str, error: str | None, now: datetime) -> None:
        async with self._database.writing() as session:
            await orders.refuse(session, order.id, status, reason, error, now)
        log.info("order_refused", order_id=order.id, status=status, reason=reason)
