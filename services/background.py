"""The loops behind the doors: fan-out, execution, deals, expiry, housekeeping. Each survives being killed anywhere."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import exists, select

from models.account import Account
from models.approval import Approval, ApprovalStatus
from models.message import Priority
from models.order import Order, OrderStatus
from runtime.supervision import finish
from services import approvals, auth, fan_out, idempotency, inbox, orders, outbox, providers
from services.desk import Desk
from services.equity import Thinner
from services.execution import Executor
from services.fan_out import Pace
from services.orders import Lease
from services.warmup import Warmer
from terminal.protocol import Deal, DealFeed

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
DEALS_AT_ONCE = 200
SWEEP_ROWS = 500
JANITOR_SECONDS = 300.0
WARM_UP_SECONDS = 5.0


def clock() -> datetime:
    """The loops' own door to time."""
    return datetime.now(UTC)


def start(desk: Desk, *, fan_out_rows: int, order_workers: int, keep: timedelta) -> None:
    """Start every loop under the desk's supervisor."""
    desk.supervisor.start("fan_out", lambda: run_fan_outs(desk, fan_out_rows))
    desk.supervisor.start("orders", lambda: run_orders(desk, order_workers))
    desk.supervisor.start("expiry", lambda: run_expiry(desk))
    desk.supervisor.start("janitor", lambda: run_janitor(desk, keep))
    desk.supervisor.start("warm_up", lambda: run_warm_ups(desk))
    for route, gateway in desk.gateways.items():
        if isinstance(gateway, DealFeed):
            desk.supervisor.start(f"deals_{route}", _deals_of(desk, gateway))


def _deals_of(desk: Desk, gateway: DealFeed) -> Callable[[], Awaitable[None]]:
    return lambda: run_deals(desk, gateway)


async def run_fan_outs(desk: Desk, rows: int) -> None:
    """Advance every unfinished fan-out by turns, a chunk each."""
    pace = Pace(rows)
    while not desk.supervisor.stopping.is_set():
        async with desk.database.reading() as session:
            ids = await fan_out.undone(session)
        for fan_out_id in ids:
            held = await fan_out.advance(desk.database, fan_out_id, desk.catalogue, pace, clock())
            desk.metrics.fan_out_seconds.observe(held)
            desk.wakes.outbox.set()
            if desk.supervisor.stopping.is_set():
                return
            # As long for the others as for us; longer when another process has it or it waits for its cards.
            await asyncio.sleep(max(held, 0.01))
        if not ids:
            await desk.wakes.fan_out.wait(LOOK_SECONDS)


async def run_orders(desk: Desk, workers: int) -> None:
    """Execute orders as they come, several accounts at once; a slow terminal holds only its own."""
    executor = Executor(desk.database, desk.gateways, desk.execution_rules, desk.replica)
    running: set[asyncio.Task[None]] = set()
    try:
        while not desk.supervisor.stopping.is_set():
            room = workers - len(running)
            leases = await executor.take(clock(), room) if room > 0 and await _orders_are_due(desk) else []
            for mine in _by_account(leases):
                task = asyncio.create_task(_execute_all(desk, executor, mine))
                running.add(task)
                task.add_done_callback(running.discard)
                task.add_done_callback(lambda _: desk.wakes.orders.set())
            if not leases:
                await desk.wakes.orders.wait(LOOK_SECONDS)
    finally:
        await finish(running)


def _by_account(leases: list[Lease]) -> list[list[Lease]]:
    grouped: dict[int, list[Lease]] = {}
    for lease in leases:
        grouped.setdefault(lease.account.id, []).append(lease)
    return list(grouped.values())


async def _execute_all(desk: Desk, executor: Executor, leases: list[Lease]) -> None:
    for lease in leases:
        try:
            await executor.execute(lease, clock())
        except Exception:
            # Its lease runs out and it is reconciled; the others must not wait for that.
            log.exception("order_execution_failed", order_id=lease.order.id)
        await desk.positions.forget(lease.account.id)
    desk.wakes.outbox.set()


async def _orders_are_due(desk: Desk) -> bool:
    """Look without taking the writer: an idle desk writes nothing."""
    now = clock()
    async with desk.database.reading() as session:
        new = exists().where(Order.status.in_([OrderStatus.QUEUED, OrderStatus.UNKNOWN]), Order.next_try_at <= now)
        lost = exists().where(Order.status.in_([OrderStatus.LEASED, OrderStatus.SENT]), Order.lease_until <= now)
        return bool(await session.scalar(select(new | lost)))


async def run_deals(desk: Desk, gateway: DealFeed) -> None:
    """Record what terminals have done: fills of resting orders, stops, targets."""
    while not desk.supervisor.stopping.is_set():
        async with desk.database.reading() as session:
            after = await orders.cursor_of(session, gateway.route)
        deals = await gateway.deals_since(after, DEALS_AT_ONCE)
        if deals:
            async with desk.database.writing() as session:
                await orders.settle(session, gateway.route, after, deals, clock())
            await _forget_positions(desk, gateway.route, deals)
            desk.wakes.outbox.set()
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(gateway.wait_for_deal(), LOOK_SECONDS)


async def _forget_positions(desk: Desk, route: str, deals: Sequence[Deal]) -> None:
    logins = {deal.login for deal in deals}
    async with desk.database.reading() as session:
        ids = await session.scalars(select(Account.id).where(Account.route == route, Account.login.in_(logins)))
        for account_id in ids.all():
            await desk.positions.forget(account_id)


async def run_expiry(desk: Desk) -> None:
    """Write down that time is over. Guards and lists never wait for this, it is for cards and counts."""
    while not desk.supervisor.stopping.is_set():
        done = 0
        async with desk.database.reading() as session:
            is_due = await session.scalar(select(exists().where(
                Approval.status == ApprovalStatus.PENDING, Approval.expires_at <= clock())))
        if is_due:
            async with desk.database.writing() as session:
                done = await approvals.expire_due(session, clock(), SWEEP_ROWS)
            desk.wakes.outbox.set()
        await desk.supervisor.sleep(0.05 if done == SWEEP_ROWS else LOOK_SECONDS)


async def run_warm_ups(desk: Desk) -> None:
    """Keep the figures fresh of those who are looking."""
    warmer = Warmer(desk.database, desk.positions, desk.looks)
    while not desk.supervisor.stopping.is_set():
        await warmer.step(clock())
        await desk.supervisor.sleep(WARM_UP_SECONDS)


async def run_janitor(desk: Desk, keep: timedelta) -> None:
    """Delete what has had its effect and is old, a little at a time, and thin what becomes history."""
    thinner = Thinner(desk.database)
    while not desk.supervisor.stopping.is_set():
        before, removed = clock() - keep, 0
        for sweep in (inbox.drop_handled, outbox.drop_settled, auth.drop_expired, providers.drop_nonces,
                      idempotency.drop_expired):
            async with desk.database.writing() as session:
                removed += await sweep(session, before, SWEEP_ROWS)
        removed += await thinner.step(clock(), SWEEP_ROWS)
        await desk.supervisor.sleep(1.0 if removed >= SWEEP_ROWS else JANITOR_SECONDS)


async def gauge(desk: Desk) -> None:
    """Set the gauges that say how much is waiting."""
    async with desk.database.reading() as session:
        received, owed = await inbox.backlog(session), await outbox.backlog(session)
        unknown = len((await session.scalars(select(Order.id).where(Order.status == OrderStatus.UNKNOWN))).all())
    desk.metrics.inbox_pending.set(received["pending"])
    desk.metrics.inbox_dead.set(received["dead"])
    desk.metrics.inbox_held.set(received["held"])
    desk.metrics.outbox_dead.set(sum(owed["dead"].values()))
    for priority in (Priority.ANSWER, Priority.CARD, Priority.HOUSEKEEPING):
        desk.metrics.outbox_pending.labels(str(priority)).set(owed["pending"].get(priority, 0))
    desk.metrics.orders_unknown.set(unknown)
