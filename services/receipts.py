"""Receipts: each movement of a user's money, when we heard of it, and the tier it opened or took back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.billing import LedgerEntry, LedgerKind, LedgerPosting
from models.grant import Grant
from services.errors import InvalidRequest
from services.payments.protocol import Money

# What came to the desk; everything else went back.
COMES_IN = frozenset({LedgerKind.CHARGE, LedgerKind.REFUND_REVERSAL, LedgerKind.DISPUTE_REVERSAL})


@dataclass(frozen=True, slots=True)
class Receipt:
    """``paid_at`` is when the money moved at the provider, ``heard_at`` when we wrote it down.

    ``tier`` and ``until`` are what its invoice pays for, None for money that opened nothing; ``revoked_at`` and
    ``reason`` tell that it was taken back.
    """

    id: int
    kind: LedgerKind
    provider: str
    money: Money
    paid_at: datetime
    heard_at: datetime
    event_id: str | None
    invoice_id: str | None
    tier: str | None
    until: datetime | None
    revoked_at: datetime | None
    reason: str | None


async def listed(session: AsyncSession, user_id: int, limit: int, cursor: int | None = None,
                 kind: LedgerKind | None = None) -> tuple[list[Receipt], int | None]:
    """The user's movements, newest first, and where the next page begins; ``cursor`` is the last one shown.

    InvalidRequest for a cursor that is not theirs.
    """
    query = (select(LedgerEntry, LedgerPosting).join(LedgerPosting, LedgerPosting.entry_id == LedgerEntry.id)
             .where(LedgerEntry.user_id == user_id, LedgerPosting.account == LedgerEntry.provider + ":balance")
             .order_by(LedgerEntry.occurred_at.desc(), LedgerEntry.id.desc()).limit(limit + 1))
    if kind is not None:
        query = query.where(LedgerEntry.kind == kind)
    if cursor is not None:
        last = await session.scalar(select(LedgerEntry.occurred_at).where(
            LedgerEntry.id == cursor, LedgerEntry.user_id == user_id))
        if last is None:
            raise InvalidRequest("The cursor is not one of ours.")
        query = query.where(or_(LedgerEntry.occurred_at < last,
                                and_(LedgerEntry.occurred_at == last, LedgerEntry.id < cursor)))
    rows = [(entry, posting) for entry, posting in await session.execute(query)]
    opened = await _opened(session, user_id, [entry for entry, _ in rows[:limit]])
    found = [_receipt(entry, posting, opened.get(entry.invoice_id or "")) for entry, posting in rows[:limit]]
    return found, found[-1].id if len(rows) > limit else None


async def last_payment(session: AsyncSession, user_id: int) -> Receipt | None:
    """The newest money the user has paid."""
    found, _ = await listed(session, user_id, 1, kind=LedgerKind.CHARGE)
    return found[0] if found else None


async def _opened(session: AsyncSession, user_id: int, entries: Sequence[LedgerEntry]) -> dict[str, Grant]:
    """The grant each invoice has paid for; the best one where a change of plan has left several."""
    invoices = {entry.invoice_id for entry in entries if entry.invoice_id is not None}
    rows = await session.scalars(select(Grant).where(Grant.user_id == user_id, Grant.invoice_id.in_(invoices))
                                 .order_by(Grant.rank, Grant.ends_at))
    return {grant.invoice_id: grant for grant in rows if grant.invoice_id is not None}


def _receipt(entry: LedgerEntry, posting: LedgerPosting, grant: Grant | None) -> Receipt:
    return Receipt(
        id=entry.id, kind=LedgerKind(entry.kind), provider=entry.provider,
        money=Money(abs(posting.amount_minor), posting.currency.lower()), paid_at=entry.occurred_at,
        heard_at=entry.recorded_at, event_id=entry.event_id, invoice_id=entry.invoice_id,
        tier=grant.tier if grant else None, until=grant.ends_at if grant else None,
        revoked_at=grant.revoked_at if grant else None, reason=grant.reason if grant else None)
