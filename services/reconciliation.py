"""Asking Stripe for what we may have missed: events that never came, and subscriptions that stand otherwise.

Whatever is found goes into the inbox like an event, into the lane of its subscription, where it is fetched anew:
so nothing found here can overtake what has come meanwhile.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.billing import LedgerEntry, LedgerKind, Subscription
from models.message import InboxItem, InboxState
from runtime.strict_json import InvalidJson
from services import inbox, stripe_events, subscriptions
from services.billing import Cashier
from services.inbox import Delivery
from services.payments.protocol import SubscriptionState
from services.payments.stripe_provider import API_VERSION, StripePayments
from services.stripe_inbox import SOURCE, delivery_of

log = structlog.get_logger(__name__)

# Stripe keeps events for 30 days; a day is left for the clocks and for the asking itself.
LONGEST_BACK = timedelta(days=29)
LEAST_BACK, OVERLAP = timedelta(days=7), timedelta(hours=3)
# What an account has besides is no concern of ours. Stripe takes up to 20 types.
HANDLED = (
    "checkout.session.completed", "invoice.paid", "invoice.payment_failed", "invoice.payment_action_required",
    *(f"customer.subscription.{what}" for what in (
        "created", "updated", "deleted", "paused", "resumed", "trial_will_end", "pending_update_applied")),
    "charge.refunded", "refund.created", "refund.updated", "refund.failed",
    *(f"charge.dispute.{what}" for what in (
        "created", "updated", "closed", "funds_withdrawn", "funds_reinstated")))


async def first_look(session: AsyncSession, now: datetime) -> datetime:
    """From when on events may be missing at a start: since the last one that came, and a week in any case."""
    last = await inbox.last_received(session, SOURCE)
    since = min(last - OVERLAP, now - LEAST_BACK) if last is not None else now - LONGEST_BACK
    return max(since, now - LONGEST_BACK)


async def missed(payments: StripePayments, cashier: Cashier, since: datetime, now: datetime) -> int:
    """Store the events of a span that never reached us, page by page; returns how many."""
    new = 0
    async for page in payments.event_pages(since, HANDLED):
        deliveries = _readable(page)
        async with cashier.database.writing() as session:
            new += await inbox.store(session, SOURCE, deliveries, now)
    return new


def _readable(page: Sequence[dict[str, Any]]) -> list[Delivery]:
    """Of the events Stripe lists, as Stripe made them: the oldest first."""
    deliveries = []
    for told in reversed(page):
        raw = json.dumps(told, default=str, separators=(",", ":")).encode()
        try:
            deliveries.append(delivery_of(stripe_events.parse(raw), raw))
        except InvalidJson:
            log.warning("event_unreadable", event_id=str(told.get("id")))
    return deliveries


async def strayed(payments: StripePayments, cashier: Cashier, now: datetime) -> int:
    """Have every subscription looked at that stands otherwise here than at Stripe; returns how many."""
    found, after = 0, None
    seen: set[str] = set()
    while True:
        states, has_more = await payments.subscription_page(after)
        seen |= {state.id for state in states}
        found += await _look_again(cashier, await _strays(cashier, states), now)
        if not has_more or not states:
            break
        after = states[-1].id
    return found + await _look_again(cashier, await _gone(cashier, seen, now), now)


async def _strays(cashier: Cashier, states: Sequence[SubscriptionState]) -> list[dict[str, Any]]:
    """What to look at again: subscriptions whose row differs, and paid invoices that are in no book."""
    async with cashier.database.reading() as session:
        rows = {row.provider_subscription_id: row for row in await session.scalars(
            select(Subscription).where(Subscription.provider == SOURCE,
                                       Subscription.provider_subscription_id.in_([state.id for state in states])))}
        booked = set(await session.scalars(
            select(LedgerEntry.transaction_id).where(
                LedgerEntry.provider == SOURCE, LedgerEntry.kind == LedgerKind.CHARGE,
                LedgerEntry.transaction_id.in_([state.invoice_id for state in states if state.invoice_id]))))
    found = [_subscription(state.id) for state in states if _differs(rows.get(state.id), state)]
    found += [_invoice(state.id, state.invoice_id) for state in states
              if state.invoice_id and state.is_paid and state.status != "trialing" and state.invoice_id not in booked]
    return found


def _differs(row: Subscription | None, state: SubscriptionState) -> bool:
    if row is None:
        return state.tier is not None
    ends = state.cancel_at_period_end or state.cancel_at is not None
    # A price that says no plan leaves the row the plan it has.
    return (row.status, row.tier, row.current_period_end, row.cancel_at_period_end) != (
        state.status, state.tier or row.tier, state.current_period_end, ends)


async def _gone(cashier: Cashier, seen: set[str], now: datetime) -> list[dict[str, Any]]:
    """Subscriptions that run here and that Stripe no longer lists among those that run."""
    async with cashier.database.reading() as session:
        ours = await session.scalars(select(Subscription.provider_subscription_id).where(
            Subscription.provider == SOURCE, Subscription.status.not_in(subscriptions.OVER),
            Subscription.synced_at < now))
    return [_subscription(id_) for id_ in ours if id_ not in seen]


def _subscription(id_: str) -> dict[str, Any]:
    return {"type": "customer.subscription.updated", "data": {"object": {"id": id_, "object": "subscription"}}}


def _invoice(subscription_id: str, invoice_id: str) -> dict[str, Any]:
    parent = {"type": "subscription_details", "subscription_details": {"subscription": subscription_id}}
    return {"type": "invoice.paid", "data": {"object": {"id": invoice_id, "object": "invoice", "parent": parent}}}


async def _look_again(cashier: Cashier, found: Sequence[dict[str, Any]], now: datetime) -> int:
    """Put these into the inbox as if Stripe had told us, except where that would say nothing new."""
    if not found:
        return 0
    deliveries = [_delivery(told, now) for told in found]
    async with cashier.database.reading() as session:
        known = set(await session.scalars(select(InboxItem.external_id).where(
            InboxItem.source == SOURCE, InboxItem.external_id.in_([d.external_id for d in deliveries]))))
        busy = set(await session.scalars(select(InboxItem.lane).where(
            InboxItem.source == SOURCE, InboxItem.lane.in_([d.lane for d in deliveries]), _is_undone())))
    fresh = [d for d in deliveries if d.external_id not in known and d.lane not in busy]
    for delivery in fresh:
        log.info("subscription_strayed", event_id=delivery.external_id)
    async with cashier.database.writing() as session:
        return await inbox.store(session, SOURCE, fresh, now)


def _is_undone() -> ColumnElement[bool]:
    """It waits, or has been given up after trying: a look would end as it. What is not meant for us was not tried."""
    return or_(InboxItem.state == InboxState.PENDING,
               and_(InboxItem.state.in_((InboxState.DEAD, InboxState.HELD)), InboxItem.attempts > 0))


def _delivery(told: dict[str, Any], now: datetime) -> Delivery:
    """An invoice is looked at once: one of which nothing was paid in money never comes into the books."""
    subject = told["data"]["object"]
    moment = "" if subject["object"] == "invoice" else f"_{int(now.timestamp() * 1000)}"
    raw = json.dumps({"id": f"evt_look_{subject['id']}{moment}", "object": "event", "created": int(now.timestamp()),
                      "livemode": False, "api_version": API_VERSION, **told}, separators=(",", ":")).encode()
    return delivery_of(stripe_events.parse(raw), raw)
