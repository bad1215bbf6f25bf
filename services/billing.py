"""Buying, changing and ending a plan: each act is an operation, asked of the provider under its own key.

Nothing here holds a transaction while the provider is asked. An act whose outcome is unknown stays open and is
asked again with the same key, by the next request or by the loop that finishes abandoned operations.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from models.billing import Operation, OperationState, Subscription
from models.database import Database
from services import conflicts, lookups, operations, outbox, refunds, stars, subscriptions, users
from services.errors import (
    AlreadySubscribed,
    BillingUnavailable,
    DomainError,
    InvalidRequest,
    NoSubscription,
    OutcomeUnknown,
    PaymentRefused,
    PreviewOutdated,
    ProviderCannot,
)
from services.payments import protocol
from services.payments.protocol import Money, PaymentError, Payments, able
from services.subscriptions import Rules

log = structlog.get_logger(__name__)

CARDS = "stripe"
KINDS = ("checkout", "portal", "change_plan", "cancel", "resume")


@dataclass(frozen=True, slots=True)
class Cashier:
    """What billing needs besides the rows. ``home`` is the address the payment pages lead back to."""

    database: Database
    payments: Payments
    rules: Rules
    home: str
    trial_days: int
    prices: Mapping[str, Money] = field(default_factory=dict)
    """A month by tier, where the provider does not keep the prices itself."""


@dataclass(frozen=True, slots=True)
class Result:
    """What the one who asked is told: ``status`` as in HTTP."""

    status: int
    body: dict[str, Any]


def arguments_of(cashier: Cashier, tier: str) -> dict[str, Any]:
    """What an order for a plan says: the plan, who sells it, and the price where that is ours to keep."""
    price = cashier.prices.get(tier)
    return {"tier": tier} | said_by(cashier) | ({"amount_minor": price.amount_minor} if price else {})


def said_by(cashier: Cashier) -> dict[str, Any]:
    """What an operation says of its cashier; without a word it is the card provider's."""
    return {} if cashier.payments.name == CARDS else {"provider": cashier.payments.name}


async def carry_out(cashier: Cashier, operation: Operation, now: datetime) -> Result:
    """Do what the operation says, as often as it is called to the same effect.

    PaymentRefused when the provider will not, OutcomeUnknown when nobody can say. What is older than the provider
    remembers its key is not asked again: it is looked at.
    """
    act = _look if now - operation.created_at > KEYS_LAST else ACTS[operation.kind]
    try:
        result = await act(cashier, operation, now)
    except protocol.OutcomeUnknown as error:
        result = await _seen(cashier, operation, now, error)
    except PaymentError as error:
        await _close(cashier, operation, OperationState.FAILED, now)
        if error.code == "price_missing":
            log.error("price_missing", detail=error.detail)
            raise BillingUnavailable from error
        raise PaymentRefused(error.code, error.detail) from error
    except DomainError:
        await _close(cashier, operation, OperationState.FAILED, now)
        raise
    await _close(cashier, operation, OperationState.DONE, now)
    return result


async def _seen(cashier: Cashier, operation: Operation, now: datetime, error: protocol.OutcomeUnknown) -> Result:
    """What the operation has done after all, when asking under its key was in vain more than once.

    OutcomeUnknown while that cannot be told; PaymentRefused when enough time has passed and nothing is to be seen.
    """
    found, is_lost = None, False
    if operation.state != OperationState.STARTED:
        with suppress(protocol.OutcomeUnknown, PaymentError):
            found = await lookups.find(cashier, operation, now)
            is_lost = found is None and now - operation.created_at > lookups.lost_after(operation)
    if found is not None:
        return Result(*found)
    await _close(cashier, operation, OperationState.FAILED if is_lost else OperationState.UNKNOWN, now)
    if is_lost:
        raise _not_done() from error
    raise OutcomeUnknown from error


def _not_done() -> PaymentRefused:
    return PaymentRefused("not_done", "This did not work, and nothing was charged. Please try again.")


async def _close(cashier: Cashier, operation: Operation, state: OperationState, now: datetime) -> None:
    async with cashier.database.writing() as session:
        is_news = await operations.close(session, operation.id, state, now)
        if is_news and state == OperationState.FAILED and operation.kind in (*lookups.REPEATABLE, refunds.KIND):
            for telegram_id in await users.admins(session):
                await outbox.say(session, telegram_id, f"failed:{operation.id}:{telegram_id}",
                                 {"template": "money_act_failed"}, now)


async def _checkout(cashier: Cashier, operation: Operation, now: datetime) -> Result:
    """A page to pay on. Whatever page the user had open before is closed first, so that only one can be paid."""
    tier = _paid_tier(cashier, operation)
    async with cashier.database.reading() as session:
        known = await subscriptions.current(session, operation.user_id)
        former = await operations.last_object(session, operation.user_id, "checkout")
        had_trial = await subscriptions.had_trial(session, operation.user_id)
    if known is not None and known.status != "incomplete":
        raise AlreadySubscribed
    trial_days = cashier.trial_days if able(cashier.payments).trial and not had_trial else 0
    await conflicts.refuse_disputed(cashier, operation.user_id)
    customer_id = await _customer(cashier, operation, now)
    if former is not None and former != operation.provider_object_id:
        bought = await cashier.payments.expire_checkout(former)
        if bought is not None and await _runs(cashier, bought, now):
            raise AlreadySubscribed
    session_id, url = await cashier.payments.checkout(
        customer_id, operation.user_id, tier, trial_days=trial_days,
        success_url=f"{cashier.home}/app/billing?paid=1", cancel_url=f"{cashier.home}/app/billing",
        key=f"op_{operation.id}:checkout")
    if session_id:  # a link that cannot be closed again has no name to remember
        async with cashier.database.writing() as session:
            await operations.remember_object(session, operation.id, session_id, now)
    return Result(201, {"url": url})


async def _runs(cashier: Cashier, subscription_id: str, now: datetime) -> bool:
    """Whether this subscription runs, after bringing ours to what the provider says."""
    state = await cashier.payments.subscription(subscription_id)
    async with cashier.database.writing() as session:
        await subscriptions.sync(session, cashier.rules, cashier.payments.name, state, now)
    return state.status in subscriptions.LIVE and state.status != "incomplete"


async def _portal(cashier: Cashier, operation: Operation, now: datetime) -> Result:
    if not able(cashier.payments).portal:
        raise ProviderCannot("Telegram keeps your Stars and your receipts: Settings, My Stars.")
    customer_id = await _customer(cashier, operation, now)
    url = await cashier.payments.portal(customer_id, f"{cashier.home}/app/billing", key=f"op_{operation.id}:portal")
    return Result(201, {"url": url})


async def _change_plan(cashier: Cashier, operation: Operation, now: datetime) -> Result:
    """Up: now, the difference paid first. Down: at the end of the period, nothing is paid back."""
    wanted = _paid_tier(cashier, operation)
    row, paid = await standing(cashier, operation.user_id, now)
    target = cashier.rules.catalogue.named(wanted)
    assert target is not None
    if wanted == row.tier:
        return Result(200, {"tier": wanted, "takes_effect": "now" if target.rank >= paid else "period_end"})
    if not able(cashier.payments).changes_plan:
        return await _bought_anew(cashier, operation, target.rank > paid, now)
    if target.rank > paid:
        await cashier.payments.upgrade(row.provider_subscription_id, wanted, _as_of(operation),
                                       key=f"op_{operation.id}:change")
    else:
        await cashier.payments.set_tier_next_period(row.provider_subscription_id, wanted,
                                                    key=f"op_{operation.id}:change")
    told = await _refresh(cashier, row.provider_subscription_id, now)
    if target.rank <= paid:
        return Result(200, {"tier": wanted, "takes_effect": "period_end"})
    # The provider changes the plan only when the difference is paid; the bank may want to be asked first.
    return Result(200, {"tier": wanted, "takes_effect": "now" if told == wanted else "when_paid"})


async def standing(cashier: Cashier, user_id: int, now: datetime) -> tuple[Subscription, int]:
    """The subscription as the provider has it now, and the rank that is paid for in its period.

    NoSubscription, and PaymentRefused while a payment is open: nothing is reckoned against what was never paid.
    PaymentError and OutcomeUnknown as the provider has it.
    """
    row = await _subscription(cashier, user_id)
    if able(cashier.payments).changes_plan:
        state = await cashier.payments.subscription(row.provider_subscription_id)
        async with cashier.database.writing() as session:
            await subscriptions.sync(session, cashier.rules, cashier.payments.name, state, now)
        if state.status != "trialing" and not (state.status == "active" and state.is_paid):
            raise PaymentRefused("payment_open", "Settle the open payment first. Then the plan can be changed.")
        row = await _subscription(cashier, user_id)
    async with cashier.database.reading() as session:
        return row, await subscriptions.paid_rank(session, row, now)


async def _bought_anew(cashier: Cashier, operation: Operation, is_dearer: bool, now: datetime) -> Result:
    """Without a difference to reckon the dearer plan is a purchase of its own; the old one ends when that is paid."""
    if not is_dearer:
        raise ProviderCannot("Cancel this plan first. The cheaper one can be bought when it is over.")
    tier = _paid_tier(cashier, operation)
    _, url = await cashier.payments.checkout(
        await _customer(cashier, operation, now), operation.user_id, tier, trial_days=0, success_url=cashier.home,
        cancel_url=cashier.home, key=f"op_{operation.id}:change")
    return Result(200, {"tier": tier, "takes_effect": "when_paid", "url": url})


PREVIEW_GOOD_FOR, CLOCKS_APART = timedelta(minutes=10), timedelta(minutes=1)


def _as_of(operation: Operation) -> datetime:
    """The moment the difference is reckoned from: that of the preview which was agreed to, where there was one."""
    told = operation.arguments.get("as_of")
    if told is None:
        return operation.created_at
    moment = datetime.fromisoformat(str(told))
    if not -CLOCKS_APART <= operation.created_at - moment <= PREVIEW_GOOD_FOR:
        raise PreviewOutdated
    return moment


def _set_cancel(cancel: bool) -> Callable[[Cashier, Operation, datetime], Awaitable[Result]]:
    async def act(cashier: Cashier, operation: Operation, now: datetime) -> Result:
        row = await _subscription(cashier, operation.user_id)
        await cashier.payments.cancel_at_period_end(row.provider_subscription_id, cancel,
                                                    key=f"op_{operation.id}:{operation.kind}")
        if not able(cashier.payments).resumes:
            return await _renewal_set(cashier, row.provider_subscription_id, cancel, now)
        # Asked anew: under a key that was used before the answer is an old one.
        await _refresh(cashier, row.provider_subscription_id, now)
        return Result(200, {"cancel_at_period_end": cancel})

    return act


async def _renewal_set(cashier: Cashier, subscription_id: str, cancel: bool, now: datetime) -> Result:
    """Of a cancellation nobody tells us; switching on again is the user's own act at the provider."""
    if not cancel:
        raise ProviderCannot("Switch the subscription on again in Telegram: Settings, My Stars.")
    async with cashier.database.writing() as session:
        await stars.renewal_set(session, cashier.rules, subscription_id, "canceled", now)
    return Result(200, {"cancel_at_period_end": True})


async def _end_stars(cashier: Cashier, operation: Operation, now: datetime) -> Result:
    """Stop a subscription that another has replaced; give back what was paid twice for one order."""
    told, name = operation.arguments, str(operation.arguments["subscription_id"])
    await cashier.payments.cancel_now(name, key=f"op_{operation.id}:cancel")
    with suppress(NoSubscription):  # a second payment of one order has opened none
        async with cashier.database.writing() as session:
            await stars.renewal_set(session, cashier.rules, name, "canceled", now)
    if told["refund"]:
        await cashier.payments.refund(name, None, key=f"op_{operation.id}:refund")
    return Result(200, {"subscription": name})


def _told(act: Callable[[Cashier, Operation, datetime], Awaitable[tuple[int, dict[str, Any]]]]) \
        -> Callable[[Cashier, Operation, datetime], Awaitable[Result]]:
    async def told(cashier: Cashier, operation: Operation, now: datetime) -> Result:
        return Result(*await act(cashier, operation, now))

    return told


ACTS: dict[str, Callable[[Cashier, Operation, datetime], Awaitable[Result]]] = {
    "checkout": _checkout, "portal": _portal, "change_plan": _change_plan, "cancel": _set_cancel(True),
    "resume": _set_cancel(False), refunds.KIND: _told(refunds.act), conflicts.KIND: _told(conflicts.act),
    stars.END: _end_stars,
}


def _paid_tier(cashier: Cashier, operation: Operation) -> str:
    tier = cashier.rules.catalogue.named(str(operation.arguments.get("tier")))
    if tier is None or tier.rank == 0:
        raise InvalidRequest("This is not a plan that can be bought.")
    return tier.name


async def _customer(cashier: Cashier, operation: Operation, now: datetime) -> str:
    """The user's customer id, made once: the key is the same for every operation of theirs.

    Where that key has lost its answer, or its customer is gone, another is used: one made in vain costs nothing.
    """
    name, user_id = cashier.payments.name, operation.user_id
    key = f"op_{operation.id}:customer" if operation.state != OperationState.STARTED else f"cust_{user_id}"
    async with cashier.database.reading() as session:
        known = await subscriptions.customer_of(session, user_id, name)
        user = await users.by_id(session, user_id)
    if known is not None:
        if await cashier.payments.has_customer(known):
            return known
        log.error("customer_gone", user_id=user_id, customer_id=known)
        key = f"op_{operation.id}:customer"  # the first key would give the same one again
        async with cashier.database.writing() as session:
            await subscriptions.forget_customer(session, name, known)
    made = await cashier.payments.ensure_customer(user_id, user.telegram_id, key=key)
    async with cashier.database.writing() as session:
        await subscriptions.remember_customer(session, user_id, name, made, now)
        return await subscriptions.customer_of(session, user_id, name) or made


async def _subscription(cashier: Cashier, user_id: int) -> Subscription:
    async with cashier.database.reading() as session:
        row = await subscriptions.current(session, user_id)
    if row is None or row.provider != cashier.payments.name:
        raise NoSubscription
    return row


async def _refresh(cashier: Cashier, subscription_id: str, now: datetime) -> str | None:
    """Bring the subscription to what the provider says; returns the tier it is at."""
    state = await cashier.payments.subscription(subscription_id)
    async with cashier.database.writing() as session:
        await subscriptions.sync(session, cashier.rules, cashier.payments.name, state, now)
    return state.tier


KEYS_LAST = timedelta(hours=23)
ABANDONED_AFTER = timedelta(seconds=60)
AT_ONCE = 20


async def finish_abandoned(cashier: Cashier, now: datetime) -> int:
    """Finish what a crash or an outage left open, under the same keys; returns how many operations were open.

    One that cannot be finished waits for its next turn and is in no other's way.
    """
    provider = said_by(cashier).get("provider")
    async with cashier.database.reading() as session:
        found = await operations.abandoned(session, now, ABANDONED_AFTER, AT_ONCE, provider)
        orphans = await operations.orphaned(session, now, KEYS_LAST, AT_ONCE, provider, KINDS)
    for operation in found:
        try:
            await carry_out(cashier, operation, now)
        except DomainError as error:
            log.info("operation_finished", operation_id=operation.id, kind=operation.kind, code=error.code)
        except Exception:
            log.exception("operation_not_finished", operation_id=operation.id, kind=operation.kind)
            await _close(cashier, operation, OperationState.UNKNOWN, now)
    for operation in orphans:
        log.warning("operation_of_nobody", operation_id=operation.id, kind=operation.kind)
        await _close(cashier, operation, OperationState.FAILED, now)
    return len(found)


async def _look(cashier: Cashier, operation: Operation, now: datetime) -> Result:
    """See what came of it, and bring the user's subscription to what the provider says.

    What may be done twice to the same effect is done now when nothing of it is to be seen.
    """
    found = await lookups.find(cashier, operation, now)
    async with cashier.database.reading() as session:
        row = await subscriptions.current(session, operation.user_id)
    if row is not None and row.provider == cashier.payments.name:
        await _refresh(cashier, row.provider_subscription_id, now)
    if found is not None:
        return Result(*found)
    if operation.kind in lookups.REPEATABLE and operation.state in operations.OPEN:
        return await ACTS[operation.kind](cashier, operation, now)
    raise _not_done()
