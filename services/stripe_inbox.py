"""What follows from Stripe's events: fetched anew from Stripe, outside any transaction, then applied in one.

An event only says that something may have changed. The object is fetched when its turn comes, so duplicates,
late and reordered events end in the same rows.
"""

import asyncio
import hashlib
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.billing import Subscription
from models.message import InboxItem, InboxState
from runtime.supervision import Wake
from services import audit, conflicts, grants, inbox, ledger, outbox, stripe_events, subscriptions, users
from services.billing import Cashier
from services.inbox import Claimed, Delivery
from services.payments.protocol import Money, Movement, PaymentError, SubscriptionState
from services.payments.stripe_provider import StripePayments
from services.stripe_events import Event

log = structlog.get_logger(__name__)

SOURCE = "stripe"
T = TypeVar("T")
LEASE = timedelta(seconds=60)
# About a day of tries: an outage at Stripe must not turn a payment into a dead letter.
MAX_ATTEMPTS = 150
# Whose money it is may be told after it was paid back: about half an hour of tries, then it is booked to nobody.
WAITS_FOR_OWNER = 9
AT_ONCE = 8
# Events that are told the user, and how.
ASKS = {"invoice.payment_action_required": "action_required", "customer.subscription.trial_will_end": "trial_ends"}
# What asks somebody to act is not said about what is long past, as after a first start or a long silence.
WORTH_SAYING = timedelta(days=3)


def delivery_of(event: Event, raw: bytes) -> Delivery:
    """How the event stands in the inbox: what concerns one subscription is handled in order."""
    return Delivery(event.id, f"stripe:{event.subject}"[:64], raw)


async def receive(session: AsyncSession, event: Event, raw: bytes, is_live: bool | None, now: datetime) -> str:
    """Store a verified event: ``received``, ``duplicate``, or ``held`` when it is not meant for us.

    An event of the other mode or of another account is held back for a person: sending it again would not help.
    """
    is_ours = event.account is None and is_live in (None, event.livemode)
    state = InboxState.PENDING if is_ours else InboxState.HELD
    if await inbox.store(session, SOURCE, [delivery_of(event, raw)], now, state=state):
        return "received" if is_ours else "held"
    known, told = await inbox.digest_of(session, SOURCE, event.id), hashlib.sha256(raw).hexdigest()
    if known != told:
        # The first one stands. Stripe writes an event anew in another version; somebody else may have written this.
        audit.record(session, now, "event_body_differs", "inbox", None, event_id=event.id, known=known, told=told)
    return "duplicate"


class LeaseLost(Exception):
    """Somebody else is at this event now: what was done about it here is undone."""


class StripeInbox:
    """Handles stored events, several subscriptions at once."""

    def __init__(self, cashier: Cashier, payments: StripePayments, owner: str, outbox_wake: Wake) -> None:
        self._cashier = cashier
        self._payments = payments
        self._owner = owner
        self._outbox_wake = outbox_wake

    async def drain(self, now: datetime) -> int:
        """Handle what is due; returns how many events that were."""
        async with self._cashier.database.reading() as session:
            due = await inbox.next_due(session, SOURCE)
        if due is None or due > now:
            return 0
        async with self._cashier.database.writing() as session:
            claimed = await inbox.claim(session, SOURCE, self._owner, now, LEASE, AT_ONCE)
        await asyncio.gather(*(self._handle(item, now) for item in claimed))
        return len(claimed)

    async def _handle(self, item: Claimed, now: datetime) -> None:
        try:
            await self._apply(item, stripe_events.parse(item.payload), now)
        except LeaseLost:
            log.warning("event_lease_lost", event_id=item.external_id)
        except Exception as error:
            log.warning("event_not_applied", event_id=item.external_id, attempt=item.attempts + 1,
                        error=type(error).__name__)
            async with self._cashier.database.writing() as session:
                state = await inbox.fail(session, item, self._owner, now, type(error).__name__, MAX_ATTEMPTS)
                if state == InboxState.DEAD:
                    await self._alert(session, item, now)
            if state == InboxState.DEAD:
                log.error("event_dead", event_id=item.external_id, exc_info=error)
        else:
            self._outbox_wake.set()

    async def _alert(self, session: AsyncSession, item: Claimed, now: datetime) -> None:
        for telegram_id in await users.admins(session):
            await outbox.say(session, telegram_id, f"dead:{item.id}:{telegram_id}", {"template": "event_dead"}, now)

    async def _apply(self, item: Claimed, event: Event, now: datetime) -> None:
        kind, _, _ = event.type.partition(".")
        if kind in ("invoice", "checkout", "customer") and (found := _subscription_id(event)):
            await self._sync(item, event, found, now)
        elif kind in ("refund", "charge") and event.object.get("object") in ("refund", "charge", "dispute"):
            await self._move(item, event, now)
        else:
            async with self._cashier.database.writing() as session:
                await self._finish(session, item, now)

    async def _finish(self, session: AsyncSession, item: Claimed, now: datetime) -> None:
        """LeaseLost undoes the transaction: what was fetched here may be older than what another has written."""
        if not await inbox.finish(session, item.id, self._owner, now):
            raise LeaseLost

    async def _sync(self, item: Claimed, event: Event, subscription_id: str, now: datetime) -> None:
        """The subscription as it is now, and the money of a paid invoice."""
        state, movement = await _if_there(self._payments.subscription(subscription_id)), None
        if event.type == "invoice.paid":
            movement = await _if_there(self._payments.charge_of(str(event.object["id"])))
        is_held = False
        async with self._cashier.database.writing() as session:
            state = state or await _gone(session, subscription_id, now)
            if state is not None:
                is_held = not await self._is_brought(session, item, event, state, movement, now)
            elif movement is not None:
                await self._book(session, item, event, movement, "", now)
            await (self._hold(session, item) if is_held else self._finish(session, item, now))

    async def _is_brought(self, session: AsyncSession, item: Claimed, event: Event, state: SubscriptionState,
                          movement: Movement | None, now: datetime) -> bool:
        """False when after some waiting still nobody here is known by its customer."""
        try:
            await self._bring(session, event, state, movement, now)
        except subscriptions.OwnerUnknown:
            if item.attempts < WAITS_FOR_OWNER:
                raise
            return False
        return True

    async def _bring(self, session: AsyncSession, event: Event, state: SubscriptionState, movement: Movement | None,
                     now: datetime) -> None:
        await subscriptions.hold(session, SOURCE, state.customer_id)
        user_id = await subscriptions.sync(session, self._cashier.rules, SOURCE, state, now,
                                           failed_at=_failed_at(event))
        if movement is not None and await ledger.record(session, SOURCE, movement, user_id, now, event_id=event.id):
            await self._tell(session, user_id, event, "paid", now)
        await conflicts.resolve(session, SOURCE, user_id, now)
        for invoice_id in {state.invoice_id, movement and movement.invoice_id} - {None}:
            await self._consequence(session, str(invoice_id), now)
        if event.type in ASKS and now - event.created_at < WORTH_SAYING:
            await self._tell(session, user_id, event, ASKS[event.type], now)

    async def _hold(self, session: AsyncSession, item: Claimed) -> None:
        """Let a person look at it."""
        held = await session.scalar(
            update(InboxItem).where(InboxItem.id == item.id, InboxItem.lease_owner == self._owner,
                                    InboxItem.state == InboxState.PENDING)
            .values(state=InboxState.HELD, attempts=item.attempts + 1, error=subscriptions.OwnerUnknown.__name__,
                    lease_owner=None, lease_until=None).returning(InboxItem.id))
        if held is None:
            raise LeaseLost

    async def _tell(self, session: AsyncSession, user_id: int, event: Event, template: str, now: datetime) -> None:
        user = await users.by_id(session, user_id)
        url = event.object.get("hosted_invoice_url")
        await outbox.say(session, user.telegram_id, f"stripe:{event.id}", {
            "template": template, "url": url if isinstance(url, str) else None}, now)

    async def _move(self, item: Claimed, event: Event, now: datetime) -> None:
        """Refunds and disputes: the ledger, and what the money had bought."""
        movements = await self._payments.movements_of(event.object)
        is_dispute = event.object.get("object") == "dispute"
        status = await self._payments.dispute_status(str(event.object["id"])) if is_dispute else ""
        async with self._cashier.database.writing() as session:
            for movement in movements:
                await self._book(session, item, event, movement, status, now)
            await self._finish(session, item, now)

    async def _book(self, session: AsyncSession, item: Claimed, event: Event, movement: Movement, status: str,
                    now: datetime) -> None:
        """One movement and what follows; of money nobody here is known for, in the end only the movement."""
        is_patient = item.attempts < WAITS_FOR_OWNER
        await subscriptions.hold(session, SOURCE, movement.customer_id)
        user_id = await subscriptions.user_of_customer(session, SOURCE, movement.customer_id)
        if user_id is None and movement.customer_id is not None and is_patient:
            raise subscriptions.OwnerUnknown(movement.customer_id)
        await ledger.record(session, SOURCE, movement, user_id, now, event_id=event.id)
        if movement.invoice_id is None:
            return
        await self._consequence(session, movement.invoice_id, now)
        try:
            await conflicts.dispute_heard(session, SOURCE, movement.invoice_id, status, now)
        except subscriptions.OwnerUnknown:
            if is_patient:
                raise

    async def _consequence(self, session: AsyncSession, invoice_id: str, now: datetime) -> None:
        """A dispute or a full refund takes back what the invoice paid for, unless it was won or has failed.

        Told by the ledger as it stands: the money may be told back before it was told paid.
        """
        paid, returned = await ledger.totals_of(session, SOURCE, invoice_id)
        if await ledger.disputed(session, SOURCE, invoice_id) > 0:
            await grants.revoke(session, invoice_id, "dispute", now)
        elif paid and returned >= paid:
            await grants.revoke(session, invoice_id, "refund", now)
        else:
            for reason in ("dispute", "refund"):
                await grants.restore(session, invoice_id, reason, now)


def _failed_at(event: Event) -> datetime | None:
    """When a payment failed, if this event tells of that."""
    is_failure = event.type == "invoice.payment_failed" or (
        event.object.get("object") == "subscription" and event.object.get("status") == "past_due")
    return event.created_at if is_failure else None


def _subscription_id(event: Event) -> str | None:
    found = event.object.get("id") if event.object.get("object") == "subscription" else event.subject
    return found if isinstance(found, str) and found.startswith("sub_") else None


async def _gone(session: AsyncSession, subscription_id: str, now: datetime) -> SubscriptionState | None:
    """What becomes of our row of a subscription that Stripe does not have any more: it is over."""
    row = await session.scalar(select(Subscription).where(
        Subscription.provider == SOURCE, Subscription.provider_subscription_id == subscription_id))
    if row is None:
        return None
    log.warning("subscription_gone", subscription_id=subscription_id)
    customer_id = await subscriptions.customer_of(session, row.user_id, SOURCE)
    return SubscriptionState(
        id=subscription_id, customer_id=str(customer_id), user_id=row.user_id, status="canceled", tier=row.tier,
        price=Money(row.amount_minor, row.currency), current_period_start=row.current_period_start,
        current_period_end=row.current_period_end, cancel_at_period_end=row.cancel_at_period_end, cancel_at=None,
        trial_end=row.trial_end, ended_at=row.ended_at or now, is_paid=False, invoice_id=None)


async def _if_there(call: Awaitable[T]) -> T | None:
    """What Stripe has; None when it is gone for good."""
    try:
        return await call
    except PaymentError as error:
        # Asked with the key of the other mode everything seems gone, and nothing is.
        if error.code != "resource_missing" or "similar object exists" in error.detail:
            raise
    return None
