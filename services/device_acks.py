"""What devices say of orders: that they begin one, and what became of it.

Every acknowledgement is kept, each once. One that comes after its order has ended, or says something else than the
one before, is late: it is kept and answered as such. What the broker has really done is believed even then: an order
that was given up and has been traded is shown as traded.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, AccountStatus
from models.device import Device, DeviceAck
from models.order import Order, OrderStatus
from models.user import User
from services import events, outbox, reasons
from services.device_orders import BEGUN, LEASE
from services.devices import DeviceKey
from services.errors import AlreadyBegun, LeaseLost, NotFound, OrderExpired
from services.upsert import insert

log = structlog.get_logger(__name__)

LEASED = (OrderStatus.LEASED, *BEGUN)
WAITING = (*LEASED, OrderStatus.PLACED)
TRADED = (OrderStatus.FILLED, OrderStatus.CLOSED)
NOT_TRADED = (OrderStatus.EXPIRED, OrderStatus.REJECTED, OrderStatus.FAILED)
# What may be said of an order in which state.
FROM = {
    OrderStatus.PLACED: LEASED,
    OrderStatus.FILLED: WAITING,
    OrderStatus.REJECTED: WAITING,
    OrderStatus.FAILED: WAITING,
    OrderStatus.CLOSED: (*WAITING, OrderStatus.FILLED),
}
# And what is believed although the order had been given up: it names a ticket at the broker.
DONE = (OrderStatus.PLACED, OrderStatus.FILLED, OrderStatus.CLOSED)
# Words beyond so many, of one device about one order, are kept only when they change something.
MOST_KEPT = 32
NOT_EXECUTED = "not_executed"
UNSAID = {OrderStatus.REJECTED: "rejected_by_terminal", OrderStatus.FAILED: "terminal_trouble"}


@dataclass(frozen=True, slots=True)
class Ack:
    """What a device says: prices and lots as decimals; ``profit`` in the account's currency, net of everything.

    ``reason`` is why a position was closed; ``error`` may be a code of services/reasons.
    """

    order_id: int
    status: OrderStatus
    ticket: int | None = None
    price: Decimal | None = None
    volume: Decimal | None = None
    retcode: int | None = None
    error: str | None = None
    profit: Decimal | None = None
    reason: str | None = None

    def said(self) -> dict[str, Any]:
        """The fields that were given, as they are kept."""
        fields = {"status": self.status.value, "ticket": self.ticket, "price": _text(self.price),
                  "volume": _text(self.volume), "retcode": self.retcode, "error": self.error,
                  "profit": _text(self.profit), "reason": self.reason}
        return {name: value for name, value in fields.items() if value is not None}


def _text(number: Decimal | None) -> str | None:
    return None if number is None else format(number.normalize(), "f")


async def begin(session: AsyncSession, key: DeviceKey, order_id: int, now: datetime) -> datetime:
    """The device is about to trade the order; until when it may. From here on nobody is offered it to be sent.

    NotFound, AlreadyBegun, OrderExpired, LeaseLost.
    """
    serves = exists().where(
        Device.id == key.key_id, Device.revoked_at.is_(None), Device.account_id == Order.account_id,
        Account.id == Order.account_id, Account.unlinked_at.is_(None), Account.status == AccountStatus.VERIFIED)
    begun = (await session.execute(
        update(Order).where(Order.id == order_id, Order.status == OrderStatus.LEASED, Order.lease_owner == key.key_id,
                            Order.lease_until > now, Order.expires_at > now, serves)
        .values(status=OrderStatus.SENT, sent_at=now, lease_until=now + LEASE, updated_at=now)
        .returning(Order.user_id, Order.approval_id, Order.expires_at)
        .execution_options(synchronize_session=False))).one_or_none()
    if begun is None:
        raise await _why_not(session, key, order_id, now)
    events.note_order(session, begun.user_id, order_id, begun.approval_id, OrderStatus.SENT)
    expires_at: datetime = begun.expires_at
    return expires_at


async def _why_not(session: AsyncSession, key: DeviceKey, order_id: int, now: datetime) -> Exception:
    order = await _known(session, key, order_id)
    if order.status in (*BEGUN, *TRADED, OrderStatus.PLACED):
        return AlreadyBegun()
    return OrderExpired() if order.expires_at <= now or order.status == OrderStatus.EXPIRED else LeaseLost()


async def _known(session: AsyncSession, key: DeviceKey, order_id: int) -> Order:
    """The order, locked: of the account that the device serves, or one that it has had. NotFound for any other."""
    serves = exists().where(Device.id == key.key_id, Device.account_id == Order.account_id)
    order: Order | None = await session.scalar(
        select(Order).where(Order.id == order_id, Order.user_id == key.user_id,
                            or_(Order.device_id == key.key_id, serves)).with_for_update(of=Order)
        .execution_options(populate_existing=True))
    if order is None:
        raise NotFound
    return order


async def acknowledge(session: AsyncSession, key: DeviceKey, ack: Ack, now: datetime) -> bool:
    """Keep what a device says and let it take effect; whether it was late.

    The same words again change nothing, unless they came too early: then they are judged by what is known now.
    """
    order, said = await _known(session, key, ack.order_id), ack.said()
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    known = await session.scalar(select(DeviceAck).where(
        DeviceAck.order_id == order.id, DeviceAck.device_id == key.key_id, DeviceAck.digest == digest))
    if known is not None and not known.is_late:
        return False
    is_late = order.status not in FROM[ack.status] or (ack.status in UNSAID and not _may_deny(order, key, ack, now))
    is_news = known is None and order.status in NOT_TRADED and ack.status in DONE and ack.ticket is not None
    if known is not None:
        known.is_late = is_late
    elif not is_late or is_news or await _has_room(session, order.id, key.key_id):
        await session.execute(insert(session, DeviceAck).values(
            order_id=order.id, device_id=key.key_id, digest=digest, status=ack.status, body=said, is_late=is_late,
            received_at=now))
    if not is_late or is_news:
        await _apply(session, key, order, ack, now)
    if is_late:
        log.warning("late_acknowledgement", order_id=order.id, device_id=key.key_id, status=ack.status,
                    order_status=order.status)
    return is_late


async def _has_room(session: AsyncSession, order_id: int, device_id: str) -> bool:
    kept = await session.scalar(select(func.count()).select_from(DeviceAck).where(
        DeviceAck.order_id == order_id, DeviceAck.device_id == device_id)) or 0
    return kept < MOST_KEPT


def _may_deny(order: Order, key: DeviceKey, ack: Ack, now: datetime) -> bool:
    """Whether a device can know that the order was not traded: that it has not done so itself says nothing of others.

    The device that had the order last, unless it is with another one. Of an order that another one has begun: whoever
    names its ticket, and whoever has been asked to look for it and has found nothing.
    """
    is_looking = order.lease_owner == key.key_id
    if order.device_id == key.key_id:
        return is_looking or order.lease_until is None or order.lease_until <= now
    if order.status == OrderStatus.LEASED:
        return False
    return ack.ticket is not None or (is_looking and ack.error == NOT_EXECUTED)


async def _apply(session: AsyncSession, key: DeviceKey, order: Order, ack: Ack, now: datetime) -> None:
    """The order is locked, and in a state in which this may be said of it."""
    was = order.status
    order.status, order.lease_owner, order.lease_until, order.updated_at = ack.status, None, None, now
    order.device_id = order.device_id or key.key_id
    order.ticket, order.retcode = ack.ticket or order.ticket, _or(ack.retcode, order.retcode)
    order.reason, order.error = None, None
    if ack.status in UNSAID:
        is_known = ack.error in reasons.WORDS
        order.reason, order.error = (ack.error if is_known else UNSAID[ack.status]), None if is_known else ack.error
    elif ack.status == OrderStatus.CLOSED:
        order.reason, order.profit = ack.reason or "client", _or(ack.profit, order.profit)
    elif ack.status == OrderStatus.FILLED:
        order.fill_price, order.volume = _or(ack.price, order.fill_price), _or(ack.volume, order.volume)
    events.note_order(session, order.user_id, order.id, order.approval_id, order.status)
    await outbox.edit_cards(session, [order.approval_id], now)
    if ack.status == OrderStatus.CLOSED or (was == OrderStatus.PLACED and ack.status in TRADED):
        await _tell(session, order, ack, now)


def _or(told: Any, known: Any) -> Any:
    return known if told is None else told


async def _tell(session: AsyncSession, order: Order, ack: Ack, now: datetime) -> None:
    """Owe the owner a message about what happened while they were not looking, as far as the device has told it."""
    is_closing = ack.status == OrderStatus.CLOSED
    if ack.price is None or (is_closing and ack.profit is None):
        return
    chat_id = await session.scalar(select(User.telegram_id).where(User.id == order.user_id, User.blocked_at.is_(None)))
    account = await session.get_one(Account, order.account_id)
    if chat_id is not None:
        await outbox.say(session, chat_id, f"ack:{order.id}:{ack.status}", {
            "template": "deal", "symbol": order.symbol, "side": order.side, "reason": order.reason or "signal",
            "entry": "out" if is_closing else "in", "volume": _text(ack.volume or order.volume or Decimal(0)),
            "price": _text(ack.price), "profit": _text(ack.profit or Decimal(0)), "currency": account.currency,
            "remaining": "0", "account": account.label, "target": None, "targets": len(order.take_profits)}, now)
