"""Subscriptions that must not go on: the older of two, and one whose payment was lost in a dispute.

That they end is written down in the transaction that learned of it, and done later, by the loop that finishes
operations: a crash in between loses nothing.
"""

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from models.billing import LedgerEntry, LedgerKind, Operation, OperationState, Subscription
from models.grant import Grant
from services import audit, operations, outbox, subscriptions, users
from services.errors import InProgress, PaymentDisputed
from services.payments.protocol import PaymentError
from services.refunds import FindsRefunds, Told
from services.subscriptions import OwnerUnknown

if TYPE_CHECKING:
    from services.billing import Cashier

KIND = "end_subscription"
RUNNING = ("trialing", "active", "past_due")
SETTLED = ("won", "lost", "warning_closed", "prevented", "gone")
# Refusals that say there is nothing left to give back.
NOTHING_LEFT = ("charge_already_refunded", "nothing_paid", "charge_disputed")


@runtime_checkable
class TellsDisputes(Protocol):
    """A provider whose payments can be disputed."""

    async def dispute_status(self, dispute_id: str) -> str: ...


async def resolve(session: AsyncSession, provider: str, user_id: int, now: datetime) -> str | None:
    """Of several running subscriptions of a user the newest stays: the oldest is to end, its last charge to go back.

    Call it in the transaction that has brought a subscription up to date; it asks nobody. Returns the operation's
    id, None where there is nothing to do or the one before is still being ended.
    """
    began = select(func.min(Grant.starts_at)).where(
        Grant.subscription_id == Subscription.provider_subscription_id).scalar_subquery()
    rows = list(await session.scalars(
        select(Subscription).where(Subscription.user_id == user_id, Subscription.provider == provider,
                                   Subscription.status.in_(RUNNING))
        .order_by(func.coalesce(began, Subscription.current_period_start, Subscription.created_at), Subscription.id)))
    if len(rows) < 2:
        return None
    try:
        return await _end(session, rows[0], "second_subscription", now, refund=True)
    except InProgress:
        return None


async def dispute_heard(session: AsyncSession, provider: str, invoice_id: str | None, status: str,
                        now: datetime) -> str | None:
    """Losing a dispute ends the subscription it paid for. Call it where the dispute's money is written down.

    OwnerUnknown while the subscription is not known yet, InProgress while another of the user's is being ended:
    both are worth asking again later.
    """
    if status != "lost" or invoice_id is None:
        return None
    row = await session.scalar(select(Subscription).where(
        Subscription.provider == provider, Subscription.provider_subscription_id == await _paid_for(
            session, provider, invoice_id)))
    if row is None:
        raise OwnerUnknown(invoice_id)
    if row.status in subscriptions.OVER:
        return None
    return await _end(session, row, "dispute_lost", now, refund=False)


async def refuse_disputed(cashier: "Cashier", user_id: int) -> None:
    """PaymentDisputed while a payment of the user's is in dispute: nothing more is sold to them meanwhile.

    What stands in the books is asked after at the provider; call it outside any transaction.
    """
    if not isinstance(cashier.payments, TellsDisputes):
        return
    won = aliased(LedgerEntry)
    is_won: ColumnElement[bool] = exists().where(
        won.provider == LedgerEntry.provider, won.transaction_id == LedgerEntry.transaction_id,
        won.kind == LedgerKind.DISPUTE_REVERSAL)
    async with cashier.database.reading() as session:
        found = list(await session.scalars(select(LedgerEntry.transaction_id).where(
            LedgerEntry.user_id == user_id, LedgerEntry.provider == cashier.payments.name,
            LedgerEntry.kind == LedgerKind.DISPUTE, ~is_won)))
    for dispute_id in found:
        if await cashier.payments.dispute_status(dispute_id) not in SETTLED:
            raise PaymentDisputed


async def act(cashier: "Cashier", operation: Operation, now: datetime) -> Told:
    """End the subscription at the provider and give its last charge back where that is due; as often as asked."""
    subscription_id = str(operation.arguments["subscription_id"])
    await cashier.payments.cancel_now(subscription_id, key=f"op_{operation.id}:cancel")
    made = None
    if operation.arguments["refund"]:
        state = await cashier.payments.subscription(subscription_id)
        if state.is_paid and state.invoice_id is not None:
            made = await _give_back(cashier, operation, state.invoice_id)
    return await _ended(cashier, operation, made, now)


async def look(cashier: "Cashier", operation: Operation, now: datetime) -> Told | None:
    """Whether it has ended after all, and its charge gone back."""
    state = await cashier.payments.subscription(str(operation.arguments["subscription_id"]))
    if state.status not in subscriptions.OVER:
        return None
    made = None
    if operation.arguments["refund"] and state.is_paid and state.invoice_id is not None:
        if not isinstance(cashier.payments, FindsRefunds):
            return None
        made = await cashier.payments.find_refund(state.invoice_id, _key(operation))
        if made is None:
            return None
    return await _ended(cashier, operation, made, now)


async def _give_back(cashier: "Cashier", operation: Operation, invoice_id: str) -> str | None:
    try:
        return await cashier.payments.refund(invoice_id, None, key=_key(operation))
    except PaymentError as error:
        if error.code not in NOTHING_LEFT:
            raise
    return None


async def _ended(cashier: "Cashier", operation: Operation, made: str | None, now: datetime) -> Told:
    """Bring our rows to it, and tell the user once."""
    told: dict[str, Any] = operation.arguments
    state = await cashier.payments.subscription(str(told["subscription_id"]))
    async with cashier.database.writing() as session:
        await subscriptions.sync(session, cashier.rules, cashier.payments.name, state, now)
        if made is not None:
            await operations.remember_object(session, operation.id, made, now)
        user = await users.by_id(session, operation.user_id)
        template = f"{told['why']}_refunded" if made is not None else str(told["why"])
        await outbox.say(session, user.telegram_id, f"ended:{operation.id}", {"template": template}, now)
    return 200, {"subscription": state.id, "refund": made}


def _key(operation: Operation) -> str:
    return f"op_{operation.id}:refund"


async def _paid_for(session: AsyncSession, provider: str, invoice_id: str) -> str | None:
    """The subscription this invoice belongs to."""
    known: str | None = await session.scalar(
        select(LedgerEntry.provider_subscription_id).where(
            LedgerEntry.provider == provider, LedgerEntry.invoice_id == invoice_id,
            LedgerEntry.provider_subscription_id.is_not(None)).limit(1))
    return known or await session.scalar(
        select(Grant.subscription_id).where(Grant.invoice_id == invoice_id, Grant.subscription_id.is_not(None))
        .limit(1))


async def _end(session: AsyncSession, row: Subscription, why: str, now: datetime, *, refund: bool) -> str:
    """Write down that this subscription is to end. Told again it is the same operation, unless that has failed."""
    # The row is held, so that of several who learn of it at once one writes it down.
    await session.execute(select(Subscription.id).where(Subscription.id == row.id).with_for_update())
    failed = await session.scalar(select(func.count()).select_from(Operation).where(
        Operation.user_id == row.user_id, Operation.kind == KIND, Operation.state == OperationState.FAILED,
        Operation.arguments["subscription_id"].as_string() == row.provider_subscription_id))
    name = f"end:{row.provider}:{row.provider_subscription_id}:{failed}"
    operation_id = hashlib.sha256(name.encode()).hexdigest()[:32]
    if await session.get(Operation, operation_id) is None:
        arguments = {"provider": row.provider, "subscription_id": row.provider_subscription_id, "why": why,
                     "refund": refund}
        await operations.start(session, operation_id, row.user_id, KIND, arguments, now)
        audit.record(session, now, why, "subscription", row.id, user_id=row.user_id, operation_id=operation_id,
                     is_refunded=refund)
    return operation_id
