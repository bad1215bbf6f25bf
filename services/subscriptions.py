"""Subscriptions: brought to what their provider says now. Applying the present state twice, late or out of
order ends in the same rows, so no event has to arrive once or in time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, case, delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.billing import Customer, Subscription
from models.grant import Grant
from services import audit, events, grants
from services.events import EventKind
from services.payments.protocol import SubscriptionState
from services.tiers import Catalogue, Tier
from services.upsert import insert

log = structlog.get_logger(__name__)

LIVE = ("trialing", "active", "past_due", "incomplete")
OVER = ("canceled", "incomplete_expired")
WITHOUT_ACCESS = ("unpaid", "paused")
NO_PLAN = "free"


@dataclass(frozen=True, slots=True)
class Rules:
    """``renewal_lag``: how long a paid period is good for beyond its end, while the next is being charged;
    ``grace``: how long an unpaid renewal leaves the tier, from its first failure."""

    catalogue: Catalogue
    renewal_lag: timedelta
    grace: timedelta


class OwnerUnknown(Exception):
    """Nobody here is known by this customer id yet; it may be said later."""


async def sync(session: AsyncSession, rules: Rules, provider: str, state: SubscriptionState, now: datetime, *,
               failed_at: datetime | None = None) -> int:
    """Bring row and grants of a subscription to its present state; returns whose it is.

    ``failed_at`` is when a payment failed, where that has been told: it may have been days before we heard of it.
    """
    user_id = await _owner(session, provider, state)
    if state.tier is None and not await _is_known(session, provider, state.id):
        log.warning("subscription_of_another_product", subscription_id=state.id)
        return user_id
    await remember_customer(session, user_id, provider, state.customer_id, now)
    row = await _upsert(session, provider, state, user_id, now, failed_at or now)
    events.note(session, user_id, EventKind.SUBSCRIPTION_UPDATED, tier=row.tier, status=row.status)
    tier = rules.catalogue.named(row.tier)
    if tier is not None and tier.rank > 0:
        await _entitle(session, rules, provider, state, row, tier, now)
    if row.status in OVER or row.status in WITHOUT_ACCESS:
        await grants.end(session, state.id, row.ended_at or now)
    return user_id


async def _is_known(session: AsyncSession, provider: str, subscription_id: str) -> bool:
    return bool(await session.scalar(select(exists().where(
        Subscription.provider == provider, Subscription.provider_subscription_id == subscription_id))))


async def _owner(session: AsyncSession, provider: str, state: SubscriptionState) -> int:
    if state.user_id is not None:
        return state.user_id
    user_id: int | None = await session.scalar(select(Customer.user_id).where(
        Customer.provider == provider, Customer.provider_customer_id == state.customer_id))
    if user_id is None:
        raise OwnerUnknown(state.id)
    return user_id


async def remember_customer(session: AsyncSession, user_id: int, provider: str, customer_id: str,
                            now: datetime) -> None:
    """One customer a user: the first one stays."""
    statement = insert(session, Customer).values(user_id=user_id, provider=provider,
                                                 provider_customer_id=customer_id, created_at=now)
    await session.execute(statement.on_conflict_do_nothing())


async def _upsert(session: AsyncSession, provider: str, state: SubscriptionState, user_id: int,
                  now: datetime, failed_at: datetime) -> Subscription:
    # A failure of an earlier period, told late, is not the one that counts now.
    since_when = now if state.current_period_start and failed_at < state.current_period_start else failed_at
    statement = insert(session, Subscription).values(
        user_id=user_id, provider=provider, provider_subscription_id=state.id, status=state.status,
        tier=state.tier or NO_PLAN, amount_minor=state.price.amount_minor, currency=state.price.currency,
        current_period_start=state.current_period_start, current_period_end=state.current_period_end,
        cancel_at_period_end=state.cancel_at_period_end or state.cancel_at is not None, trial_end=state.trial_end,
        past_due_since=since_when if state.status == "past_due" else None, ended_at=state.ended_at, synced_at=now,
        created_at=now)
    told = statement.excluded
    # What is over stays over, and a failing renewal is counted from its first failure, whichever is told first.
    is_over = Subscription.status.in_(OVER)
    since: ColumnElement[datetime | None] = case(
        (told.past_due_since.is_(None), None),
        else_=case((Subscription.past_due_since < told.past_due_since, Subscription.past_due_since),
                   else_=told.past_due_since))
    changed = {name: getattr(told, name) for name in (
        "amount_minor", "currency", "current_period_start", "current_period_end", "cancel_at_period_end",
        "trial_end", "synced_at")}
    await session.execute(statement.on_conflict_do_update(
        index_elements=["provider", "provider_subscription_id"],
        set_={**changed, "status": case((is_over, Subscription.status), else_=told.status), "past_due_since": since,
              # A price that says no plan any more says nothing about what was bought.
              "tier": case((told.tier == NO_PLAN, Subscription.tier), else_=told.tier),
              "ended_at": case((is_over, func.coalesce(Subscription.ended_at, told.ended_at)),
                               else_=told.ended_at)}))
    row = (await session.execute(select(Subscription).where(
        Subscription.provider == provider, Subscription.provider_subscription_id == state.id)
        .with_for_update().execution_options(populate_existing=True))).scalar_one()
    audit.record(session, now, "subscription_synced", "subscription", row.id, user_id=user_id, status=row.status,
                 tier=row.tier)
    return row


async def _entitle(session: AsyncSession, rules: Rules, provider: str, state: SubscriptionState, row: Subscription,
                   tier: Tier, now: datetime) -> None:
    start, end = state.current_period_start, state.current_period_end
    if row.status == "trialing" and state.trial_end is not None:
        began = start or now
        await grants.entitle(session, tier, row.user_id, source="trial", source_id=f"{state.id}:{tier.name}",
                             subscription_id=state.id, invoice_id=None, starts_at=began,
                             ends_at=await _trial_end(session, row.user_id, began, state.trial_end), now=now)
    if start is None or end is None:
        return
    period = f"{state.id}:{int(start.timestamp())}"
    if row.status == "active" and state.is_paid:
        # What the invoice was for counts, not what the next one will be for.
        paid = rules.catalogue.named(state.paid_tier or "") or tier
        last = end if state.cancel_at_period_end else end + rules.renewal_lag
        await grants.entitle(session, paid, row.user_id, source=provider, source_id=f"{period}:{paid.name}",
                             subscription_id=state.id, invoice_id=state.invoice_id, starts_at=start,
                             ends_at=min(last, state.cancel_at or last), now=now)
    period = f"{period}:{tier.name}"
    if row.status == "active" and not state.is_paid and await _led_here(session, state.id, tier, start):
        # The period has begun and its invoice is still a draft: Stripe takes about an hour to charge it.
        await grants.entitle(session, tier, row.user_id, source="renewal", source_id=period, subscription_id=state.id,
                             invoice_id=None, starts_at=start, ends_at=min(end, start + rules.renewal_lag), now=now)
    if row.status == "past_due" and row.past_due_since is not None and state.has_begun:
        await grants.entitle(session, tier, row.user_id, source="grace", source_id=period, subscription_id=state.id,
                             invoice_id=None, starts_at=row.past_due_since,
                             ends_at=row.past_due_since + rules.grace, now=now)


async def _led_here(session: AsyncSession, subscription_id: str, tier: Tier, start: datetime) -> bool:
    """Whether the subscription has given this tier up to where the new period begins."""
    return bool(await session.scalar(select(exists().where(
        Grant.subscription_id == subscription_id, Grant.tier == tier.name, Grant.revoked_at.is_(None),
        Grant.starts_at < start, Grant.ends_at >= start))))


async def _trial_end(session: AsyncSession, user_id: int, began: datetime, told: datetime) -> datetime:
    """There is one trial each: another one, got from a second page, ends when the first would have."""
    first: datetime | None = await session.scalar(
        select(func.min(Grant.starts_at)).where(Grant.user_id == user_id, Grant.source == "trial"))
    return told if first is None else min(told, first + (told - began))


async def current(session: AsyncSession, user_id: int) -> Subscription | None:
    """The user's subscription that is under way; the newest when there are several."""
    return await session.scalar(
        select(Subscription).where(Subscription.user_id == user_id, or_(
            Subscription.status.in_(LIVE), Subscription.status.in_(WITHOUT_ACCESS)))
        .order_by(Subscription.status == "incomplete", Subscription.id.desc()).limit(1))


async def customer_of(session: AsyncSession, user_id: int, provider: str) -> str | None:
    """How the provider knows this user."""
    return await session.scalar(select(Customer.provider_customer_id).where(
        Customer.user_id == user_id, Customer.provider == provider))


async def hold(session: AsyncSession, provider: str, customer_id: str | None) -> None:
    """Let nothing else about this customer be written until the block ends, so that what is read here stays true."""
    await session.execute(select(Customer.user_id).where(
        Customer.provider == provider, Customer.provider_customer_id == customer_id).with_for_update())


async def forget_customer(session: AsyncSession, provider: str, customer_id: str) -> None:
    """The provider does not know this customer any more."""
    await session.execute(delete(Customer).where(
        Customer.provider == provider, Customer.provider_customer_id == customer_id))


async def user_of_customer(session: AsyncSession, provider: str, customer_id: str | None) -> int | None:
    """Whose customer id this is."""
    return await session.scalar(select(Customer.user_id).where(
        Customer.provider == provider, Customer.provider_customer_id == customer_id))


async def had_trial(session: AsyncSession, user_id: int) -> bool:
    """Whether the user has ever had a trial: there is one each."""
    return bool(await session.scalar(select(exists().where(Grant.user_id == user_id, Grant.source == "trial"))))


async def paid_rank(session: AsyncSession, row: Subscription, now: datetime) -> int:
    """The highest rank that is paid for in the subscription's present period; 0 for none.

    A period is good for somewhat longer than it was paid for: what only reaches into this one is not paid here.
    """
    found = await session.scalar(select(func.max(Grant.rank)).where(
        Grant.subscription_id == row.provider_subscription_id, Grant.revoked_at.is_(None), Grant.starts_at <= now,
        Grant.ends_at > now, Grant.starts_at >= (row.current_period_start or now)))
    return int(found or 0)
