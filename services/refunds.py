"""Refunds: asked for by an admin, written down as an operation, then carried out at the provider once.

A payment's refunds are numbered. Who asks names the number they have seen to be next, and the operation's id
follows from it: two taps or two admins at once are one refund, and who looked before it is told to look again.
The books and the tier follow from what the provider tells of the refund.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.billing import LedgerEntry, LedgerKind, LedgerPosting, Operation, OperationState
from services import audit, operations
from services.errors import AmountTooHigh, InvalidRequest, NotFound, RefundInWholeOnly, RefundOutdated
from services.payments.protocol import Money, Payments

if TYPE_CHECKING:
    from services.billing import Cashier

KIND = "refund"
Told = tuple[int, dict[str, Any]]


@runtime_checkable
class NamesCharges(Protocol):
    """A provider whose charges stand in the books under another id than their own."""

    async def transaction_of(self, charge_id: str) -> str | None: ...


@runtime_checkable
class FindsRefunds(Protocol):
    """A provider that can be asked what was made under a key."""

    async def find_refund(self, charge_id: str, key: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Refundable:
    """A payment and what may go back of it. ``number`` is how many refunds of it have been asked for so far."""

    entry_id: int
    provider: str
    transaction_id: str
    user_id: int
    paid: Money
    left_minor: int
    number: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What an admin has confirmed, as it was shown to them."""

    entry_id: int
    amount_minor: int
    number: int
    admin_id: int
    door: str


async def named(session: AsyncSession, given: str) -> Refundable | None:
    """The payment with this id or for this invoice; None when the books know none."""
    entry = await session.scalar(
        select(LedgerEntry).where(LedgerEntry.kind == LedgerKind.CHARGE, LedgerEntry.user_id.is_not(None),
                                  or_(LedgerEntry.transaction_id == given, LedgerEntry.invoice_id == given))
        .order_by(LedgerEntry.id).limit(1))
    return await _refundable(session, entry) if entry is not None else None


async def by_entry(session: AsyncSession, entry_id: int) -> Refundable:
    """The payment that stands in the books as this entry; NotFound when it is none."""
    entry = await session.get(LedgerEntry, entry_id)
    if entry is None or entry.kind != LedgerKind.CHARGE or entry.user_id is None:
        raise NotFound
    return await _refundable(session, entry)


def check(found: Refundable, payments: Payments, amount_minor: int) -> None:
    """Whether so much may go back: InvalidRequest, AmountTooHigh, RefundInWholeOnly."""
    if amount_minor <= 0:
        raise InvalidRequest("The amount must be more than 0.")
    if amount_minor > found.left_minor:
        raise AmountTooHigh
    if amount_minor != found.paid.amount_minor and not getattr(payments, "refunds_in_part", True):
        raise RefundInWholeOnly


async def ask(session: AsyncSession, payments: Payments, asked: Asked, now: datetime) -> Operation:
    """Write the intent down, or find it written. The payment's row is held meanwhile: one refund after the other.

    NotFound, RefundOutdated, InProgress, and what ``check`` refuses.
    """
    entry = await session.scalar(
        select(LedgerEntry).where(LedgerEntry.id == asked.entry_id, LedgerEntry.provider == payments.name,
                                  LedgerEntry.kind == LedgerKind.CHARGE).with_for_update())
    if entry is None or entry.user_id is None:
        raise NotFound
    operation_id = _id(entry, asked.number)
    known = await session.get(Operation, operation_id, populate_existing=True)
    if known is not None:
        if known.state == OperationState.FAILED or known.arguments["amount_minor"] != asked.amount_minor:
            raise RefundOutdated
        return known
    found = await _refundable(session, entry)
    if found.number != asked.number:
        raise RefundOutdated
    check(found, payments, asked.amount_minor)
    arguments = {"provider": found.provider, "transaction_id": found.transaction_id,
                 "amount_minor": asked.amount_minor, "currency": found.paid.currency, "admin_id": asked.admin_id}
    operation = await operations.start(session, operation_id, found.user_id, KIND, arguments, now)
    audit.record(session, now, "refund_confirmed", "ledger", entry.id, user_id=found.user_id, door=asked.door,
                 operation_id=operation_id, **arguments)
    return operation


def refuse(session: AsyncSession, now: datetime, asked: Asked, code: str) -> None:
    """Keep on record that a confirmed refund was not made, and why."""
    audit.record(session, now, "refund_refused", "ledger", asked.entry_id, door=asked.door, code=code,
                 amount_minor=asked.amount_minor, admin_id=asked.admin_id)


async def act(cashier: "Cashier", operation: Operation, now: datetime) -> Told:
    """Have the provider give the money back."""
    told = operation.arguments
    made = await cashier.payments.refund(str(told["transaction_id"]), int(told["amount_minor"]), key=_key(operation))
    return await _remember(cashier, operation, made, now)


async def look(cashier: "Cashier", operation: Operation, now: datetime) -> Told | None:
    """The refund whose answer was lost, when the provider can be asked for it."""
    if not isinstance(cashier.payments, FindsRefunds):
        return None
    made = await cashier.payments.find_refund(str(operation.arguments["transaction_id"]), _key(operation))
    return await _remember(cashier, operation, made, now) if made is not None else None


async def _remember(cashier: "Cashier", operation: Operation, made: str, now: datetime) -> Told:
    async with cashier.database.writing() as session:
        await operations.remember_object(session, operation.id, made, now)
    return 200, {"refund": made}


def _key(operation: Operation) -> str:
    return f"op_{operation.id}:refund"


def _id(entry: LedgerEntry, number: int) -> str:
    return hashlib.sha256(f"refund:{entry.provider}:{entry.transaction_id}:{number}".encode()).hexdigest()[:32]


async def _refundable(session: AsyncSession, entry: LedgerEntry) -> Refundable:
    """What is left: paid, less what went back or was disputed, less refunds the books have not heard of yet."""
    assert entry.user_id is not None
    same = LedgerEntry.transaction_id == entry.transaction_id
    if entry.invoice_id is not None:
        same = or_(same, LedgerEntry.invoice_id == entry.invoice_id)
    rows = (await session.execute(
        select(LedgerPosting.account, LedgerPosting.currency, func.sum(LedgerPosting.amount_minor)).join(LedgerEntry)
        .where(LedgerEntry.provider == entry.provider, same)
        .group_by(LedgerPosting.account, LedgerPosting.currency))).all()
    sums = {account: int(total) for account, _, total in rows}
    asked = list(await session.scalars(select(Operation).where(
        Operation.user_id == entry.user_id, Operation.kind == KIND,
        Operation.arguments["transaction_id"].as_string() == entry.transaction_id)))
    booked = set(await session.scalars(select(LedgerEntry.transaction_id).where(
        LedgerEntry.provider == entry.provider, LedgerEntry.kind == LedgerKind.REFUND,
        LedgerEntry.transaction_id.in_([one.provider_object_id for one in asked if one.provider_object_id]))))
    on_its_way = sum(int(one.arguments["amount_minor"]) for one in asked
                     if one.state != OperationState.FAILED and one.provider_object_id not in booked)
    paid = -sums.get("sales", 0)
    left = paid - sums.get("refunds", 0) - sums.get("disputes", 0) - on_its_way
    return Refundable(entry.id, entry.provider, entry.transaction_id, entry.user_id,
                      Money(paid, rows[0].currency.lower()), max(0, left), len(asked))
