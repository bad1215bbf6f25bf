"""The loops behind the doors: fan-out, execution, deals, expiry, housekeeping. Each survives being killed anywhere."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import and_, exists, or_, select

from models.account import Account
from models.approval import Approval, ApprovalStatus
from models.message import Priority
from models.order import Order, OrderStatus
from runtime.supervision import finish
from services import (
    acting,
    approvals,
    auth,
    device_orders,
    fan_out,
    idempotency,
    inbox,
    orders,
    outbox,
    pairing,
    providers,
    syncing,
    targets,
)
from services.acting import Actor, Leased
from services.desk import Desk
from services.device_watch import Watch
from services.equity import Thinner
from services.execution import Executor
from services.fan_out import Pace
from services.orders import Lease
from services.syncing import Syncer
from services.targets import Watcher
from services.warmup import Warmer
from terminal.protocol import Deal, DealFeed

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
DEALS_AT_ONCE = 200
SWEEP_ROWS = 500
JANITOR_SECONDS = 300.0
WARM_UP_SECONDS = 5.0
DEVICE_WATCH_SECONDS, REVOCATIONS_SECONDS = 15.0, 0.5
# An order or act under way for longer is waiting for a terminal; of those there may be so many for each worker.
SLOW_SECONDS, MOST_SLOW = 1.0, 16
SYNCS = syncing.Rules(timedelta(seconds=5), timedelta(minutes=5))


def clock() -> datetime:
    """The loops' own door to time."""
    return datetime.now(UTC)


def start(desk: Desk, *, fan_out_rows: int, order_workers: int, keep: timedelta,
          syncs: syncing.Rules = SYNCS) -> None:
    """Start every loop under the desk's supervisor."""
    desk.supervisor.start("fan_out", lambda: run_fan_outs(desk, fan_out_rows))
    desk.supervisor.start("orders", lambda: run_orders(desk, order_workers))
    desk.supervisor.start("acts", lambda: run_acts(desk, order_workers))
    if syncing.routes(desk.gateways):
        desk.supervisor.start("syncs", lambda: run_syncs(desk, syncs))
    if targets.routes(desk.gateways):
        desk.supervisor.start("targets", lambda: run_targets(desk, syncs.every))
    desk.supervisor.start("expiry", lambda: run_expiry(desk))
    desk.supervisor.start("janitor", lambda: run_janitor(desk, keep))
    desk.supervisor.start("warm_up", lambda: run_warm_ups(desk))
    desk.supervisor.start("device_watch", lambda: run_device_watch(desk))
    desk.supervisor.start("revocations", lambda: run_revocations(desk))
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
    running: dict[asyncio.Task[None], float] = {}
    try:
        while not desk.supervisor.stopping.is_set():
            room = _room(running, workers)
            leases = await executor.take(clock(), room) if room > 0 and await _orders_are_due(desk) else []
            for lease in leases:
                task = asyncio.create_task(_execute(desk, executor, lease))
                running[task] = time.monotonic()
                task.add_done_callback(running.pop)
                task.add_done_callback(lambda _: desk.wakes.orders.set())
            if not leases:
                await desk.wakes.orders.wait(LOOK_SECONDS)
    finally:
        await finish(running)


def _room(running: Mapping[asyncio.Task[None], float], workers: int) -> int:
    """How many more may start: what has waited for its terminal for a while takes nobody's place any more."""
    latest = time.monotonic() - SLOW_SECONDS
    busy = sum(began > latest for began in running.values())
    return min(workers - busy, workers * MOST_SLOW - len(running))


async def _execute(desk: Desk, executor: Executor, lease: Lease) -> None:
    try:
        await executor.execute(lease, clock())
    except Exception:
        # Its lease runs out and it is reconciled; the others must not wait for that.
        log.exception("order_execution_failed", order_id=lease.order.id)
    await desk.positions.forget(lease.account.id)
    desk.wakes.outbox.set()
    desk.wakes.syncs.set()


async def run_acts(desk: Desk, workers: int) -> None:
    """Bring acts on positions to their end that no door waits for any more."""
    actor = Actor(desk.database, desk.gateways, desk.replica)
    running: dict[asyncio.Task[None], float] = {}
    try:
        while not desk.supervisor.stopping.is_set():
            room = _room(running, workers)
            leased = await actor.take(clock(), room) if room > 0 and await _acts_are_due(desk) else []
            for item in leased:
                task = asyncio.create_task(_go_on(desk, actor, item))
                running[task] = time.monotonic()
                task.add_done_callback(running.pop)
                task.add_done_callback(lambda _: desk.wakes.acts.set())
            if not leased:
                await desk.wakes.acts.wait(LOOK_SECONDS)
    finally:
        await finish(running)


async def _go_on(desk: Desk, actor: Actor, leased: Leased) -> None:
    try:
        await actor.go_on(leased, clock())
    except Exception:
        log.exception("position_act_failed", act_id=leased.act.id)
    await desk.positions.forget(leased.account.id)
    desk.wakes.outbox.set()
    desk.wakes.syncs.set()
    desk.wakes.targets.set()


async def _acts_are_due(desk: Desk) -> bool:
    async with desk.database.reading() as session:
        return await acting.is_due(session, clock())


async def run_syncs(desk: Desk, rules: syncing.Rules) -> None:
    """Keep up with terminals that tell of their deals only when they are asked."""
    syncer = Syncer(desk.database, desk.gateways, rules)
    running: dict[int, asyncio.Task[None]] = {}
    try:
        while not desk.supervisor.stopping.is_set():
            running = {account_id: task for account_id, task in running.items() if not task.done()}
            for account_id in await syncer.due(clock(), rules.at_once - len(running), running.keys()):
                running[account_id] = asyncio.create_task(_sync(desk, syncer, account_id))
            await desk.wakes.syncs.wait(LOOK_SECONDS)
    finally:
        await finish(running.values())


async def _sync(desk: Desk, syncer: Syncer, account_id: int) -> None:
    try:
        if await syncer.sync(account_id, clock()):
            await desk.positions.forget(account_id)
            desk.wakes.outbox.set()
    except Exception:
        log.exception("sync_broke", account_id=account_id)


async def run_targets(desk: Desk, every: timedelta) -> None:
    """Take the nearer targets of orders whose broker has the last one only."""
    watcher = Watcher(desk.database, desk.gateways, desk.positions, every)
    running: dict[int, asyncio.Task[None]] = {}
    try:
        while not desk.supervisor.stopping.is_set():
            running = {account_id: task for account_id, task in running.items() if not task.done()}
            for account_id in await watcher.due(clock(), targets.AT_ONCE - len(running), running.keys()):
                running[account_id] = asyncio.create_task(_watch(desk, watcher, account_id))
            await desk.wakes.targets.wait(LOOK_SECONDS)
    finally:
        await finish(running.values())


async def _watch(desk: Desk, watcher: Watcher, account_id: int) -> None:
    try:
        if await watcher.look(account_id, clock()):
            desk.wakes.acts.set()
    except Exception:
        log.exception("targets_unwatched", account_id=account_id)


async def _orders_are_due(desk: Desk) -> bool:
    """Look without taking the writer: an idle desk writes nothing. What devices fetch is none of ours."""
    now, routes = clock(), [route for route, gateway in desk.gateways.items() if gateway.executes]
    new = and_(Order.status.in_([OrderStatus.QUEUED, OrderStatus.UNKNOWN]), Order.next_try_at <= now)
    lost = and_(Order.status.in_([OrderStatus.LEASED, OrderStatus.SENT]), Order.lease_until <= now)
    async with desk.database.reading() as session:
        return bool(await session.scalar(select(exists().where(
            or_(new, lost), Account.id == Order.account_id, Account.route.in_(routes)))))


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
        await _expire_unsent(desk)
        await desk.supervisor.sleep(0.05 if done == SWEEP_ROWS else LOOK_SECONDS)


async def run_revocations(desk: Desk) -> None:
    """Forget the keys of devices that have been revoked, whoever has done it."""
    while not desk.supervisor.stopping.is_set():
        await desk.device_keys.look(clock())
        await desk.supervisor.sleep(REVOCATIONS_SECONDS)


async def run_device_watch(desk: Desk) -> None:
    """Tell owners of devices that fall silent while something is open, and that they are back."""
    watch = Watch(desk.database, desk.redis, clock())
    while not desk.supervisor.stopping.is_set():
        if await watch.step(clock()):
            desk.wakes.outbox.set()
        await desk.supervisor.sleep(DEVICE_WATCH_SECONDS)


async def run_warm_ups(desk: Desk) -> None:
    """Keep the figures fresh of those who are looking."""
    warmer = Warmer(desk.database, desk.positions, desk.looks)
    while not desk.supervisor.stopping.is_set():
        await warmer.step(clock())
        await desk.supervisor.sleep(WARM_UP_SECONDS)


async def _expire_unsent(desk: Desk) -> None:
    """Orders that nobody here executes end in time too."""
    here = [route for route, gateway in desk.gateways.items() if gateway.executes]
    async with desk.database.reading() as session:
        is_overdue = await orders.is_overdue(session, here, clock())
        is_unanswered = await device_orders.is_unanswered(session, clock())
    if not is_overdue and not is_unanswered:
        return
    async with desk.database.writing() as session:
        await orders.expire_unsent(session, here, clock(), SWEEP_ROWS)
        await device_orders.sweep(session, clock(), SWEEP_ROWS)
    desk.wakes.outbox.set()


async def run_janitor(desk: Desk, keep: timedelta) -> None:
    """Delete what has had its effect and is old, a little at a time, and thin what becomes history."""
    thinner = Thinner(desk.database)
    while not desk.supervisor.stopping.is_set():
        before, removed = clock() - keep, 0
        for sweep in (inbox.drop_handled, outbox.drop_settled, auth.drop_expired, providers.drop_nonces,
                      idempotency.drop_expired, pairing.drop_expired):
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
