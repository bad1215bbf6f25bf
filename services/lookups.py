"""What became of an operation whose answer was lost, seen from what stands at the provider now.

A provider may keep a failed answer under a key although the act took place, so asking again under that key says
nothing. Then only looking helps.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from models.billing import Operation, Subscription
from services import conflicts, operations, refunds, stars, subscriptions

if TYPE_CHECKING:
    from services.billing import Cashier

# What cannot be seen after this long has not taken place: a call that hangs is given up long before. A page to pay
# on whose address nobody knows harms nobody, so for that the wait is short.
LOST_AFTER, PAGE_LOST_AFTER = timedelta(minutes=10), timedelta(minutes=1)

# What ends the same however often it is done: never given up for want of an answer, only when it is refused.
REPEATABLE = (conflicts.KIND, stars.END)

Found = tuple[int, dict[str, Any]]
Look = Callable[["Cashier", Operation, datetime], Awaitable[Found | None]]


async def find(cashier: "Cashier", operation: Operation, now: datetime) -> Found | None:
    """The answer the operation should have had; None when nothing of it can be seen.

    PaymentError and OutcomeUnknown as the provider has it.
    """
    look = LOOKS.get(operation.kind)
    return await look(cashier, operation, now) if look is not None else None


def lost_after(operation: Operation) -> timedelta:
    """How long after its beginning an operation of which nothing can be seen is taken not to have happened."""
    if operation.kind in REPEATABLE:
        return timedelta.max
    return PAGE_LOST_AFTER if operation.kind in ("checkout", "portal") else LOST_AFTER


async def _checkout(cashier: "Cashier", operation: Operation, now: datetime) -> Found | None:
    async with cashier.database.reading() as session:
        customer_id = await subscriptions.customer_of(session, operation.user_id, cashier.payments.name)
    found = await cashier.payments.find_checkout(customer_id, f"op_{operation.id}:checkout") if customer_id else None
    if found is None:
        return None
    session_id, url = found
    async with cashier.database.writing() as session:
        await operations.remember_object(session, operation.id, session_id, now)
    return 201, {"url": url}


async def _change_plan(cashier: "Cashier", operation: Operation, now: datetime) -> Found | None:
    row = await _current(cashier, operation)
    wanted = str(operation.arguments.get("tier"))
    if row is None or await _tier_now(cashier, row, now) != wanted:
        return None
    return 200, {"tier": wanted, "takes_effect": "now"}


def _cancel(cancel: bool) -> Look:
    async def look(cashier: "Cashier", operation: Operation, now: datetime) -> Found | None:
        row = await _current(cashier, operation)
        if row is None:
            return None
        state = await cashier.payments.subscription(row.provider_subscription_id)
        if (state.cancel_at_period_end or state.cancel_at is not None) is not cancel:
            return None
        async with cashier.database.writing() as session:
            await subscriptions.sync(session, cashier.rules, cashier.payments.name, state, now)
        return 200, {"cancel_at_period_end": cancel}

    return look


async def _current(cashier: "Cashier", operation: Operation) -> Subscription | None:
    async with cashier.database.reading() as session:
        row = await subscriptions.current(session, operation.user_id)
    return row if row is not None and row.provider == cashier.payments.name else None


async def _tier_now(cashier: "Cashier", row: Subscription, now: datetime) -> str | None:
    """The plan the subscription is at; our rows are brought to it."""
    state = await cashier.payments.subscription(row.provider_subscription_id)
    async with cashier.database.writing() as session:
        await subscriptions.sync(session, cashier.rules, cashier.payments.name, state, now)
    return state.tier


LOOKS: dict[str, Look] = {"checkout": _checkout, "change_plan": _change_plan, "cancel": _cancel(True),
                          "resume": _cancel(False),
                          refunds.KIND: refunds.look, conflicts.KIND: conflicts.look}
