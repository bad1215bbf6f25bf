"""The ledger: money that has moved, written once, in two sides that cancel out. Entries are never changed."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.billing import LedgerEntry, LedgerKind, LedgerPosting
from services import audit
from services.payments.protocol import Movement
from services.upsert import insert

# kind: (the account on the other side, whether money comes to us)
SIDES = {
    LedgerKind.CHARGE: ("sales", True),
    LedgerKind.REFUND: ("refunds", False),
    LedgerKind.REFUND_REVERSAL: ("refunds", True),
    LedgerKind.DISPUTE: ("disputes", False),
    LedgerKind.DISPUTE_REVERSAL: ("disputes", True),
}


async def record(session: AsyncSession, provider: str, movement: Movement, user_id: int | None, now: datetime, *,
                 event_id: str | None = None) -> bool:
    """Write a movement; False when it stands there already. Nothing moves for an amount of 0.

    ``event_id`` is the provider's event that told us.
    """
    if movement.money.amount_minor <= 0:
        return False
    statement = insert(session, LedgerEntry).values(
        provider=provider, transaction_id=movement.transaction_id, kind=movement.kind, user_id=user_id,
        provider_subscription_id=movement.subscription_id, invoice_id=movement.invoice_id,
        event_id=event_id, occurred_at=movement.occurred_at, recorded_at=now)
    statement = statement.on_conflict_do_nothing(index_elements=["provider", "transaction_id", "kind"])
    entry_id: int | None = await session.scalar(statement.returning(LedgerEntry.id))
    if entry_id is None:
        return False
    other, comes_in = SIDES[movement.kind]
    amount = movement.money.amount_minor if comes_in else -movement.money.amount_minor
    for account, side in ((f"{provider}:balance", amount), (other, -amount)):
        session.add(LedgerPosting(entry_id=entry_id, account=account, amount_minor=side,
                                  currency=movement.money.currency.upper()))
    audit.record(session, now, f"money_{movement.kind}", "ledger", entry_id, user_id=user_id,
                 transaction_id=movement.transaction_id, amount_minor=movement.money.amount_minor,
                 currency=movement.money.currency)
    return True


async def balances(session: AsyncSession) -> dict[tuple[str, str], int]:
    """Minor units by account and currency; over all accounts of a currency they add up to 0."""
    rows = await session.execute(
        select(LedgerPosting.account, LedgerPosting.currency, func.sum(LedgerPosting.amount_minor))
        .group_by(LedgerPosting.account, LedgerPosting.currency))
    return {(account, currency): int(total) for account, currency, total in rows}


async def totals_of(session: AsyncSession, provider: str, invoice_id: str) -> tuple[int, int]:
    """Minor units paid on an invoice, and paid back of it by refunds that stand."""
    rows = await session.execute(
        select(LedgerPosting.account, func.sum(LedgerPosting.amount_minor)).join(LedgerEntry)
        .where(LedgerEntry.provider == provider, LedgerEntry.invoice_id == invoice_id)
        .group_by(LedgerPosting.account))
    sums = {account: int(total) for account, total in rows}
    return -sums.get("sales", 0), sums.get("refunds", 0)


async def disputed(session: AsyncSession, provider: str, invoice_id: str) -> int:
    """Minor units of an invoice that disputes have taken and not given back."""
    return int(await session.scalar(
        select(func.sum(LedgerPosting.amount_minor)).join(LedgerEntry)
        .where(LedgerEntry.provider == provider, LedgerEntry.invoice_id == invoice_id,
               LedgerPosting.account == "disputes")) or 0)
