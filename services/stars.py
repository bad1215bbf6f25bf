"""Telegram Stars: what Telegram tells of payments, brought into the books, the subscription and the tier.

The order is the operation whose id is the invoice's payload. What Telegram has told of it is kept on the order,
newest by update id, so that news told twice, late or out of order end in the same rows. Call each verb in one
transaction; none of them asks anybody.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from models.billing import LedgerEntry, LedgerKind, Operation, OperationState, Subscription
from models.grant import Grant
from services import audit, grants, ledger, operations, outbox, subscriptions, users
from services.errors import InProgress, NoSubscription
from services.payments.protocol import Money, Movement, SubscriptionState
from services.subscriptions import Rules
from services.tiers import Catalogue

log = structlog.get_logger(__name__)

PROVIDER, CURRENCY = "telegram", "xtr"
PERIOD = timedelta(days=30)  # the only one Telegram knows
LINK_GOOD_FOR = timedelta(hours=24)
NEAR = timedelta(hours=1)  # a renewal may be charged this much before its period begins
ORDERS = ("checkout", "change_plan")
END = "end_stars"
RUNNING = ("active", "past_due")
MOST_TRIES = 3
STATUSES = {"active": "active", "canceled": "active", "failed": "past_due"}


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as told by an update, or by the bot's own books: those say neither ``until`` nor ``update_id``."""

    charge_id: str
    telegram_id: int
    payload: str
    stars: int
    paid_at: datetime
    until: datetime | None = None
    is_first: bool = False
    update_id: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What Telegram asks before somebody pays."""

    telegram_id: int
    payload: str
    amount: int
    currency: str


async def refusal(session: AsyncSession, rules: Rules, prices: Mapping[str, Money], asked: Question,
                  now: datetime) -> str | None:
    """Why this must not be paid, as a code; None when it may. ``prices`` are those of today, none when nothing is sold.
    """
    if not prices:
        return "closed"
    order = await _order(session, asked.payload)
    if order is None or now - order.created_at > LINK_GOOD_FOR:
        return "order_unknown"
    user = await users.by_id(session, order.user_id)
    if user.telegram_id != asked.telegram_id:
        return "order_of_another"
    told, price = Money(asked.amount, asked.currency.lower()), prices.get(str(order.arguments["tier"]))
    if told != price or told.amount_minor != order.arguments.get("amount_minor"):
        return "order_changed"
    if "subscription" in order.arguments:
        return "order_paid"
    row = await subscriptions.current(session, order.user_id)
    if row is None or row.status == "incomplete":
        return None
    bought, runs = rules.catalogue.named(str(order.arguments["tier"])), rules.catalogue.named(row.tier)
    is_upgrade = bought is not None and runs is not None and bought.rank > runs.rank
    if order.kind == "change_plan" and row.provider == PROVIDER and is_upgrade:
        return None
    return "already_subscribed"


async def paid(session: AsyncSession, rules: Rules, payment: Payment, now: datetime) -> bool:
    """Book a payment and open what it pays for; False when it was in the books already.

    A payment nobody ordered is booked and opens nothing; a second one for the same order is to go back.
    """
    order = await _order(session, payment.payload, lock=True)
    user = await users.by_id(session, order.user_id) if order is not None else None
    if order is None or user is None or user.telegram_id != payment.telegram_id:
        log.error("stars_without_order", charge_id=payment.charge_id)
        payer = await users.by_telegram_id(session, payment.telegram_id)
        if is_new := await _book(session, payment, payer.id if payer else None, None, now):
            await _alert(session, payment, now)
        return is_new
    known = order.arguments.get("subscription")
    if known is None and not payment.is_first and payment.update_id is not None:
        log.warning("renewal_of_unknown", charge_id=payment.charge_id)  # the bot's own books will tell the first
        return False
    if known not in (None, payment.charge_id) and (payment.is_first or await _is_second(session, payment, str(known))):
        if is_new := await _book(session, payment, order.user_id, payment.charge_id, now):
            await _end(session, order.user_id, payment.charge_id, now, refund=True)
        return is_new
    subscription_id = str(known or payment.charge_id)
    is_new = await _book(session, payment, order.user_id, subscription_id, now)
    await _open(session, rules, order, payment, subscription_id, now)
    await end_older(session, rules.catalogue, order.user_id, now)
    if is_new:
        await outbox.say(session, user.telegram_id, f"paid:{PROVIDER}:{payment.charge_id}", {"template": "paid"}, now)
    return is_new


async def _is_second(session: AsyncSession, payment: Payment, subscription_id: str) -> bool:
    """Whether the books' payment falls into a period that another has paid: renewals come when one is over."""
    return payment.update_id is None and bool(await session.scalar(select(exists().where(
        Grant.subscription_id == subscription_id, Grant.source == PROVIDER, Grant.invoice_id != payment.charge_id,
        Grant.starts_at <= payment.paid_at + NEAR, Grant.starts_at > payment.paid_at + NEAR - PERIOD))))


async def _alert(session: AsyncSession, payment: Payment, now: datetime) -> None:
    for telegram_id in await users.admins(session):
        await outbox.say(session, telegram_id, f"unordered:{payment.charge_id}:{telegram_id}",
                         {"template": "stars_unordered"}, now)


async def _book(session: AsyncSession, payment: Payment, user_id: int | None, subscription_id: str | None,
                now: datetime) -> bool:
    return await ledger.record(session, PROVIDER, Movement(
        payment.charge_id, LedgerKind.CHARGE, Money(payment.stars, CURRENCY), payment.paid_at,
        str(payment.telegram_id), subscription_id, payment.charge_id), user_id, now,
        event_id=str(payment.update_id) if payment.update_id is not None else None)


async def _open(session: AsyncSession, rules: Rules, order: Operation, payment: Payment, subscription_id: str,
                now: datetime) -> None:
    """Cover the period this payment is for, then let the order stand where its newest news put it."""
    told: dict[str, Any] = dict(order.arguments)
    given = await session.scalar(select(Grant).where(Grant.invoice_id == payment.charge_id).limit(1))
    last = instant(told["until"]) if "until" in told else payment.paid_at
    until = payment.until or max(last, payment.paid_at) + PERIOD
    since = given.starts_at if given is not None else until - PERIOD
    period = {"subscription": subscription_id, "customer": str(payment.telegram_id), "charge": payment.charge_id,
              "since": since.timestamp(), "until": until.timestamp()}
    heard = told.get("heard")
    if heard is None or (payment.update_id is not None and payment.update_id > heard):
        told |= {"state": "active", "heard": payment.update_id if payment.update_id is not None else heard}
    is_newest = "until" not in told or until.timestamp() >= told["until"]
    if not is_newest or told["state"] == "failed":
        # Whatever came after it, this period was paid for.
        paid_for = _state(order, told | period | {"state": "active"})
        await subscriptions.sync(session, rules, PROVIDER, paid_for, now)
    if is_newest:
        told |= period
    order.arguments = told
    await _stand(session, rules, order, now)
    if await booked(session, payment.charge_id, LedgerKind.REFUND):
        await _take_back(session, order.user_id, payment.charge_id, now)


async def changed(session: AsyncSession, rules: Rules, payload: str, state: str, update_id: int | None,
                  now: datetime) -> None:
    """How a subscription stands: ``active``, ``canceled`` or ``failed``. Older news change nothing."""
    order = await _order(session, payload, lock=True)
    if order is None or state not in STATUSES:
        log.warning("subscription_unknown", state=state)
        return
    told: dict[str, Any] = dict(order.arguments)
    heard = told.get("heard")
    if update_id is not None and heard is not None and update_id <= heard:
        return
    order.arguments = told | {"state": state, "heard": update_id if update_id is not None else heard}
    if "subscription" in told:
        await _stand(session, rules, order, now)


async def _stand(session: AsyncSession, rules: Rules, order: Operation, now: datetime) -> None:
    """Bring row and grants to what is kept on the order."""
    state = _state(order, order.arguments)
    # Paid again after it was taken for over: Telegram takes what is owed when there are Stars again.
    await session.execute(update(Subscription).where(
        Subscription.provider == PROVIDER, Subscription.provider_subscription_id == state.id,
        Subscription.status.in_(subscriptions.OVER), Subscription.current_period_end < state.current_period_end)
        .values(status="active", ended_at=None))
    await subscriptions.sync(session, rules, PROVIDER, state, now)


def _state(order: Operation, told: dict[str, Any]) -> SubscriptionState:
    return SubscriptionState(
        id=str(told["subscription"]), customer_id=str(told["customer"]), user_id=order.user_id,
        status=STATUSES[told["state"]], tier=str(told["tier"]), price=Money(int(told["amount_minor"]), CURRENCY),
        current_period_start=instant(told["since"]), current_period_end=instant(told["until"]),
        cancel_at_period_end=told["state"] == "canceled", cancel_at=None, trial_end=None, ended_at=None,
        is_paid=True, invoice_id=str(told["charge"]))


async def state_of(session: AsyncSession, subscription_id: str) -> SubscriptionState:
    """The subscription as Telegram has told of it; NoSubscription for one nobody has heard of."""
    order = await _order_of(session, subscription_id)
    return _state(order, order.arguments)


async def renewal_set(session: AsyncSession, rules: Rules, subscription_id: str, state: str, now: datetime) -> None:
    """What we ourselves have asked of Telegram, and it has agreed to."""
    await changed(session, rules, (await _order_of(session, subscription_id)).id, state, None, now)


async def refunded(session: AsyncSession, charge_id: str, stars: int, at: datetime, now: datetime) -> bool:
    """Stars have gone back: the books, and what they had bought. False when that was known."""
    charge = await _charge(session, charge_id)
    is_new = await ledger.record(session, PROVIDER, Movement(
        charge_id, LedgerKind.REFUND, Money(stars, CURRENCY), at, None,
        charge.provider_subscription_id if charge else None, charge_id), charge.user_id if charge else None, now)
    await _take_back(session, charge.user_id if charge else None, charge_id, now)
    return is_new


async def _take_back(session: AsyncSession, user_id: int | None, charge_id: str, now: datetime) -> None:
    """What was paid back gives nothing any more; where that was the present period the subscription is over."""
    await grants.revoke(session, charge_id, "refund", now)
    order = await session.scalar(select(Operation).where(
        Operation.user_id == user_id, Operation.kind.in_(ORDERS),
        Operation.arguments["charge"].as_string() == charge_id))
    if order is None:
        return
    name = str(order.arguments["subscription"])
    await session.execute(update(Subscription).where(
        Subscription.provider == PROVIDER, Subscription.provider_subscription_id == name,
        Subscription.status.in_(RUNNING)).values(status="canceled", ended_at=now, synced_at=now))
    await _end(session, order.user_id, name, now, refund=False)


async def booked(session: AsyncSession, charge_id: str, kind: LedgerKind) -> bool:
    """Whether this movement is in the books."""
    return await session.scalar(select(LedgerEntry.id).where(
        LedgerEntry.provider == PROVIDER, LedgerEntry.transaction_id == charge_id,
        LedgerEntry.kind == kind)) is not None


async def payer_of(session: AsyncSession, charge_id: str) -> int | None:
    """The Telegram id of who paid this charge."""
    charge = await _charge(session, charge_id)
    if charge is None or charge.user_id is None:
        return None
    return (await users.by_id(session, charge.user_id)).telegram_id


async def end_older(session: AsyncSession, catalogue: Catalogue, user_id: int, now: datetime) -> None:
    """Of several subscriptions that may renew only the best plan goes on, of equal ones the newest.

    A purchase is refused where a plan runs, so two of them at once were paid in the same moments: one goes back.
    """
    began = select(LedgerEntry.occurred_at).where(
        LedgerEntry.provider == PROVIDER, LedgerEntry.kind == LedgerKind.CHARGE,
        LedgerEntry.transaction_id == Subscription.provider_subscription_id).scalar_subquery()
    rank = case({tier.name: tier.rank for tier in catalogue}, value=Subscription.tier, else_=0)
    rows = list(await session.scalars(
        select(Subscription).where(Subscription.user_id == user_id, _may_renew())
        .order_by(Subscription.status.in_(RUNNING).desc(), rank.desc(), began.desc(), Subscription.id.desc())))
    if len(rows) < 2 or rows[0].status not in RUNNING:
        return
    was_bought = (await _order_of(session, rows[0].provider_subscription_id)).kind == "checkout"
    for row in rows[1:]:
        order = await _order_of(session, row.provider_subscription_id)
        is_unused = row.status == "active" and order.arguments["charge"] == row.provider_subscription_id
        await _end(session, user_id, row.provider_subscription_id, now, refund=was_bought and is_unused)


def _may_renew() -> ColumnElement[bool]:
    """Also one that is over because its renewal failed: Telegram takes what is owed when there are Stars again."""
    return and_(Subscription.provider == PROVIDER, Subscription.cancel_at_period_end.is_(False))


async def doubled(session: AsyncSession) -> list[int]:
    """Who has more than one subscription that may renew, one of them running."""
    return list(await session.scalars(
        select(Subscription.user_id).where(_may_renew()).group_by(Subscription.user_id)
        .having(func.count() > 1, func.sum(case((Subscription.status.in_(RUNNING), 1), else_=0)) > 0)))


async def strays(session: AsyncSession, now: datetime) -> list[LedgerEntry]:
    """First payments of these days that opened nothing, as their order was paid already, and are still here."""
    back = aliased(LedgerEntry)
    return list(await session.scalars(select(LedgerEntry).where(
        LedgerEntry.provider == PROVIDER, LedgerEntry.kind == LedgerKind.CHARGE, LedgerEntry.user_id.is_not(None),
        LedgerEntry.recorded_at > now - PERIOD, LedgerEntry.provider_subscription_id == LedgerEntry.transaction_id,
        ~exists().where(Subscription.provider == PROVIDER,
                        Subscription.provider_subscription_id == LedgerEntry.transaction_id),
        ~exists().where(back.provider == PROVIDER, back.kind == LedgerKind.REFUND,
                        back.transaction_id == LedgerEntry.transaction_id))))


async def settle(session: AsyncSession, catalogue: Catalogue, now: datetime) -> None:
    """Write down again what is to be stopped or to go back: an intent waits while the user has another open."""
    for user_id in await doubled(session):
        await end_older(session, catalogue, user_id, now)
    for entry in await strays(session, now):
        assert entry.user_id is not None
        await _end(session, entry.user_id, entry.transaction_id, now, refund=True)


def _over(now: datetime, lag: timedelta) -> ColumnElement[bool]:
    ends = Subscription.current_period_end
    return and_(Subscription.provider == PROVIDER, Subscription.status.in_(RUNNING),
                or_(and_(Subscription.cancel_at_period_end, ends <= now), ends <= now - lag))


async def any_over(session: AsyncSession, now: datetime, lag: timedelta) -> bool:
    """Whether there is something for ``close_over`` to do."""
    return bool(await session.scalar(select(exists().where(_over(now, lag)))))


async def close_over(session: AsyncSession, now: datetime, lag: timedelta) -> int:
    """Telegram does not tell when a subscription is over: the clock does. Returns how many were closed."""
    rows = (await session.execute(
        update(Subscription).where(_over(now, lag))
        .values(status="canceled", ended_at=Subscription.current_period_end, synced_at=now)
        .returning(Subscription.id, Subscription.user_id))).all()
    for row in rows:
        audit.record(session, now, "subscription_over", "subscription", row.id, user_id=row.user_id)
    return len(rows)


async def _end(session: AsyncSession, user_id: int, subscription_id: str, now: datetime, *, refund: bool) -> None:
    """Write down that this subscription is to be stopped at Telegram, and its charge to go back with ``refund``."""
    failed = await session.scalar(select(func.count()).select_from(Operation).where(
        Operation.user_id == user_id, Operation.kind == END, Operation.state == OperationState.FAILED,
        Operation.arguments["subscription_id"].as_string() == subscription_id))
    if failed is not None and failed >= MOST_TRIES:
        return  # Telegram has refused each time, and admins were told each time
    # Told again it is the same operation, unless that has failed.
    operation_id = hashlib.sha256(f"{END}:{subscription_id}{f':{failed}' if failed else ''}".encode()).hexdigest()[:32]
    arguments = {"provider": PROVIDER, "subscription_id": subscription_id, "refund": refund}
    if await session.get(Operation, operation_id) is not None:
        return
    try:
        await operations.start(session, operation_id, user_id, END, arguments, now)
    except InProgress:
        log.info("stars_end_later", user_id=user_id)


async def _order(session: AsyncSession, payload: str, *, lock: bool = False) -> Operation | None:
    statement = select(Operation).where(Operation.id == payload, Operation.kind.in_(ORDERS),
                                        Operation.arguments["provider"].as_string() == PROVIDER)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(statement)


async def _order_of(session: AsyncSession, subscription_id: str) -> Operation:
    charge = await _charge(session, subscription_id)
    found = await session.scalar(select(Operation).where(
        Operation.user_id == (charge.user_id if charge else None), Operation.kind.in_(ORDERS),
        Operation.arguments["subscription"].as_string() == subscription_id))
    if found is None:
        raise NoSubscription
    return found


async def _charge(session: AsyncSession, charge_id: str) -> LedgerEntry | None:
    return await session.scalar(select(LedgerEntry).where(
        LedgerEntry.provider == PROVIDER, LedgerEntry.transaction_id == charge_id,
        LedgerEntry.kind == LedgerKind.CHARGE))


def instant(told: Any) -> datetime:
    """A moment from unix seconds."""
    return datetime.fromtimestamp(float(told), UTC)
