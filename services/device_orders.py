"""Orders that devices fetch: each is offered to one device at a time, under a lease.

queued -> leased -> sent (a device has said that it is about to trade it) -> what it acknowledges. Volume, magic and
number are written with the first lease. An order that was begun is offered again to be looked for, never to be sent:
then ``began_at`` says so. An order that was not begun may be offered again to any device of the account.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from sqlalchemy import ColumnElement, Select, and_, case, exists, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, AccountStatus, Route
from models.device import Device, DeviceSnapshot
from models.order import Order, OrderStatus
from services import accounts, device_symbols, events, execution, orders, reports
from services.desk import Desk
from services.device_symbols import DevicePlan
from services.devices import DeviceKey
from terminal.protocol import OrderType, Report

LEASE = timedelta(seconds=15)
# Leased at once, and looked at for it: what cannot be sized yet does not keep those behind it waiting.
MOST_AT_ONCE, MOST_LOOKED_AT = 20, 100
SOON_SECONDS = 1
REPORT_GOOD_FOR = timedelta(minutes=5)
# An order that nobody can tell the end of is looked for this long, and not at every poll.
LOOK_FOR, LOOK_EVERY = timedelta(days=7), timedelta(seconds=15)
BEGUN = (OrderStatus.SENT, OrderStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Offered:
    """An order under lease. ``symbol`` is the broker's name, as far as it is known; ``risk`` is the most it may lose
    at its stop, in the account's currency. ``began_at``: it is only to be looked for."""

    order: Order
    account: Account
    symbol: str
    max_deviation_points: int
    risk: Decimal | None
    began_at: datetime | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a device is told when it asks. ``wanted`` are symbols it should tell of before something can be sized."""

    orders: Sequence[Offered] = ()
    next_poll_seconds: int = SOON_SECONDS
    wanted: Sequence[str] = ()
    wants_all: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.orders and not self.wanted and not self.wants_all


@dataclass(slots=True)
class _Prepared:
    """What has been found out about the due orders, before anything is written."""

    account: Account
    plans: dict[int, DevicePlan] = field(default_factory=dict)
    ready: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    wanted: set[str] = field(default_factory=set)
    wants_all: bool = False


async def offer(desk: Desk, key: DeviceKey, now: datetime) -> Offer:
    """Orders for this device now. Nothing is written unless there is one."""
    async with desk.database.reading() as session:
        account = await _served(session, key)
        if account is None:
            return Offer(next_poll_seconds=desk.device_rules.poll_seconds)
        due = list(await session.scalars(_due(account.id, now).limit(MOST_LOOKED_AT)))
        refusal = await execution.refused(session, desk.execution_rules.catalogue, account, now) if due else None
    if not due:
        return Offer(next_poll_seconds=desk.device_rules.poll_seconds)
    prepared = await _prepare(desk, key, account, due, refusal, now)
    leased: list[Order] = []
    if prepared.ready or prepared.refused:
        async with desk.database.writing() as session:
            leased = await _write(session, key, prepared, now)
        desk.wakes.outbox.set()
    wanted = sorted(prepared.wanted)[:MOST_AT_ONCE]
    return Offer([_offered(desk, order, prepared) for order in leased], SOON_SECONDS, wanted, prepared.wants_all)


async def _served(session: AsyncSession, key: DeviceKey) -> Account | None:
    """The account the device fetches orders for; None when its terminal is signed in to another one."""
    row = (await session.execute(
        select(Account, DeviceSnapshot).join(Device, Device.account_id == Account.id)
        .outerjoin(DeviceSnapshot, DeviceSnapshot.device_id == Device.id)
        .where(Device.id == key.key_id, Device.revoked_at.is_(None), Account.user_id == key.user_id,
               Account.route == Route.DEVICE, Account.unlinked_at.is_(None),
               Account.status == AccountStatus.VERIFIED))).one_or_none()
    if row is None:
        return None
    account, told = row.Account, row.DeviceSnapshot
    is_elsewhere = told is not None and (told.login, told.server) != (account.login, account.server)
    return None if is_elsewhere else account


def _due(account_id: int, now: datetime) -> Select[Order]:
    """What has been offered before comes first: somebody may have it in hand."""
    return (select(Order).where(Order.account_id == account_id, _is_due(now))
            .order_by(Order.status == OrderStatus.QUEUED, Order.id))


def _is_due(now: datetime) -> ColumnElement[bool]:
    """New ones, and those whose holder has said nothing; what was begun is looked for after its time as well."""
    is_free = or_(Order.lease_until.is_(None), Order.lease_until <= now)
    return or_(
        and_(Order.status == OrderStatus.QUEUED, Order.next_try_at <= now, Order.expires_at > now),
        and_(Order.status == OrderStatus.LEASED, is_free, Order.expires_at > now),
        and_(Order.status.in_(BEGUN), is_free, Order.next_try_at <= now, Order.sent_at > now - LOOK_FOR))


async def _prepare(desk: Desk, key: DeviceKey, account: Account, due: Sequence[Order], refusal: str | None,
                   now: datetime) -> _Prepared:
    """Size what is new. What has been offered before keeps its volume, whatever the market has done since."""
    prepared = _Prepared(account)
    report = await _reported(desk, account, key.key_id, now) or await _reported(desk, account, account.device_id, now)
    snapshot = report.account if report is not None else None
    for order in due:
        if len(prepared.ready) == MOST_AT_ONCE:
            break
        is_new = order.status == OrderStatus.QUEUED
        if order.status not in BEGUN and refusal is not None:
            prepared.refused[order.id] = refusal
            continue
        plan = await device_symbols.plan_for_device(desk, account, order, snapshot, now)
        if is_new and plan.refusal is not None:
            prepared.refused[order.id] = plan.refusal
        elif is_new and plan.volume is None:
            prepared.wanted.update(plan.wanted)
            prepared.wants_all |= plan.wants_all
        else:
            prepared.plans[order.id] = plan
            prepared.ready.append(order.id)
    return prepared


async def _reported(desk: Desk, account: Account, device_id: str | None, now: datetime) -> Report | None:
    """What the device has told of this very account a short while ago: nothing is sized by another one's equity."""
    report = await reports.reported(desk.database, desk.redis, device_id) if device_id is not None else None
    is_of_it = report is not None and accounts.ref_of(report.account) == accounts.ref(account)
    return report if report is not None and is_of_it and now - report.received_at <= REPORT_GOOD_FOR else None


async def _write(session: AsyncSession, key: DeviceKey, prepared: _Prepared, now: datetime) -> list[Order]:
    """Lease, in the order of their ids, what nobody else has taken meanwhile; refuse what cannot be traded."""
    first = await _numbers(session, prepared.account.id, len(prepared.ready), now) if prepared.ready else None
    seqs = {} if first is None else {order_id: first + place for place, order_id in enumerate(prepared.ready)}
    leased = []
    for order_id in sorted([*prepared.refused, *seqs]):  # in one order everywhere: nobody waits in a ring
        if order_id in prepared.refused:
            await _refuse_unbegun(session, order_id, prepared.refused[order_id], now)
            continue
        order = await _lease(session, key, order_id, prepared.plans[order_id].volume, seqs[order_id], now)
        if order is not None:
            leased.append(order)
    return leased


async def _refuse_unbegun(session: AsyncSession, order_id: int, reason: str, now: datetime) -> None:
    """Only what no device has in hand: another one may have fetched it while this one was thinking."""
    still_free = await session.scalar(select(Order.id).where(
        Order.id == order_id, Order.status.in_((OrderStatus.QUEUED, OrderStatus.LEASED)), _is_due(now))
        .with_for_update())
    if still_free is not None:
        await orders.refuse(session, order_id, OrderStatus.REJECTED, reason, None, now)


async def _numbers(session: AsyncSession, account_id: int, count: int, now: datetime) -> int | None:
    """Take so many numbers of the account's orders; the first. None when its link is gone.

    They are at least the milliseconds of the clock, so they grow although a backup was put back.
    """
    clock = int(now.timestamp() * 1000)
    last = await session.scalar(
        update(Account).where(Account.id == account_id, Account.unlinked_at.is_(None),
                              Account.status == AccountStatus.VERIFIED)
        .values(last_seq=case((Account.last_seq >= clock, Account.last_seq), else_=clock) + count)
        .returning(Account.last_seq).execution_options(synchronize_session=False))
    return None if last is None else last - count + 1


async def _lease(session: AsyncSession, key: DeviceKey, order_id: int, volume: Decimal | None, seq: int,
                 now: datetime) -> Order | None:
    """Give one order to the device for a while; None when it is not to be had any more."""
    is_served = exists().where(Device.id == key.key_id, Device.revoked_at.is_(None),
                               Device.account_id == Order.account_id)
    is_begun = Order.status.in_(BEGUN)
    before = await session.scalar(select(Order.status).where(Order.id == order_id))
    changed = await session.scalar(
        update(Order).where(Order.id == order_id, _is_due(now), is_served)
        .values(status=case((is_begun, Order.status), else_=OrderStatus.LEASED.value), lease_owner=key.key_id,
                lease_until=now + LEASE, updated_at=now, attempts=Order.attempts + 1,
                next_try_at=case((is_begun, literal(now + LOOK_EVERY, Order.next_try_at.type)),
                                 else_=Order.next_try_at),
                device_id=case((is_begun, Order.device_id), else_=key.key_id),
                volume=case((Order.status == OrderStatus.QUEUED, literal(volume, Order.volume.type)),
                            else_=Order.volume),
                magic=case((Order.magic.is_(None), orders.new_magic()), else_=Order.magic),
                seq=case((Order.seq.is_(None), seq), else_=Order.seq))
        .returning(Order.id).execution_options(synchronize_session=False))
    if changed is None:
        return None
    order = await session.get_one(Order, order_id, populate_existing=True)
    if order.status != before:
        events.note_order(session, order.user_id, order.id, order.approval_id, order.status)
    return order


def _offered(desk: Desk, order: Order, prepared: _Prepared) -> Offered:
    plan = prepared.plans[order.id]
    return Offered(order, prepared.account, plan.symbol, _deviation(desk, order, plan), plan.risk,
                   order.sent_at if order.status in BEGUN else None)


def _deviation(desk: Desk, order: Order, plan: DevicePlan) -> int:
    """How many points the market may be away from the entry: a share of the way to the stop."""
    rules = desk.device_rules
    if order.order_type != OrderType.MARKET or order.entry_price is None or order.stop_loss is None or not plan.point:
        return rules.deviation_points
    way = abs(order.entry_price - order.stop_loss) * desk.execution_rules.max_adverse_drift / plan.point
    return int(way.to_integral_value(ROUND_DOWN))


async def sweep(session: AsyncSession, now: datetime, limit: int) -> int:
    """What no device has answered for: not begun and out of time is over, begun has an unknown outcome for a while."""
    done = 0
    for row in await session.execute(_unanswered(now).limit(limit)):
        if row.status == OrderStatus.LEASED:
            done += await _expire(session, row.id, now)
        elif row.status == OrderStatus.UNKNOWN:
            done += await _give_up(session, row.id, now)
        else:
            await orders.lose_sight(session, row.id, now, "no_answer", now)
            done += 1
    return done


async def is_unanswered(session: AsyncSession, now: datetime) -> bool:
    """Whether ``sweep`` has something to do, without taking the writer."""
    return bool(await session.scalar(select(_unanswered(now).exists())))


def _unanswered(now: datetime) -> Select[int, str]:
    """A device that does not say that it begins may have traded: it gets another lease's time for its answer."""
    return select(Order.id, Order.status).join(Account, Account.id == Order.account_id).where(
        Account.route == Route.DEVICE,
        or_(and_(Order.status == OrderStatus.LEASED, Order.expires_at <= now, Order.lease_until <= now - LEASE),
            and_(Order.status == OrderStatus.SENT, Order.lease_until <= now), _is_lost(now))).order_by(Order.id)


def _is_lost(now: datetime) -> ColumnElement[bool]:
    return and_(Order.status == OrderStatus.UNKNOWN, Order.sent_at <= now - LOOK_FOR)


async def _expire(session: AsyncSession, order_id: int, now: datetime) -> bool:
    still = await session.scalar(select(Order.id).where(
        Order.id == order_id, Order.status == OrderStatus.LEASED, Order.lease_until <= now - LEASE).with_for_update())
    return still is not None and await orders.refuse(
        session, order_id, OrderStatus.EXPIRED, "not_executed_in_time", None, now)


async def _give_up(session: AsyncSession, order_id: int, now: datetime) -> bool:
    """Nobody looks for it any more. A device that comes back and names its ticket is believed all the same."""
    still = await session.scalar(select(Order.id).where(Order.id == order_id, _is_lost(now)).with_for_update())
    return still is not None and await orders.refuse(session, order_id, OrderStatus.FAILED, "never_told", None, now)
