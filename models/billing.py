"""Billing: customers, subscriptions, and the ledger of money that has moved."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.columns import BigKey, UtcInstant


class LedgerKind(StrEnum):
    """What moved. Corrections are entries of their own, never changes of old ones."""

    CHARGE = "charge"
    REFUND = "refund"
    REFUND_REVERSAL = "refund_reversal"
    DISPUTE = "dispute"
    DISPUTE_REVERSAL = "dispute_reversal"


class Customer(Base):
    """A user as a payment provider knows them: one each."""

    __tablename__ = "customers"
    __table_args__ = (UniqueConstraint("user_id", "provider"), UniqueConstraint("provider", "provider_customer_id"))

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    provider: Mapped[str] = mapped_column(String(16))
    provider_customer_id: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UtcInstant)


class Subscription(Base):
    """A subscription as its provider last told it. Whether it gives access is said by grants, not by this row.

    ``tier`` is what is charged for from the next period on; ``past_due_since`` is when the first unpaid renewal
    failed, and does not move with later failures.
    """

    __tablename__ = "subscriptions"
    __table_args__ = (UniqueConstraint("provider", "provider_subscription_id"), Index(None, "user_id", "status"))

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    provider: Mapped[str] = mapped_column(String(16))
    provider_subscription_id: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(32))
    tier: Mapped[str] = mapped_column(String(16))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    current_period_start: Mapped[datetime | None] = mapped_column(UtcInstant)
    current_period_end: Mapped[datetime | None] = mapped_column(UtcInstant)
    cancel_at_period_end: Mapped[bool] = mapped_column(Boolean)
    trial_end: Mapped[datetime | None] = mapped_column(UtcInstant)
    past_due_since: Mapped[datetime | None] = mapped_column(UtcInstant)
    ended_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    synced_at: Mapped[datetime] = mapped_column(UtcInstant)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)


class LedgerEntry(Base):
    """One movement of money at a provider, written once. ``transaction_id`` is the provider's.

    ``event_id`` is the provider's event that told us of it first; None where we read it ourselves.
    """

    __tablename__ = "ledger_entries"
    __table_args__ = (UniqueConstraint("provider", "transaction_id", "kind"), Index(None, "user_id", "occurred_at"),
                      Index(None, "invoice_id"))

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    provider: Mapped[str] = mapped_column(String(16))
    transaction_id: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(24))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    provider_subscription_id: Mapped[str | None] = mapped_column(String(255))
    invoice_id: Mapped[str | None] = mapped_column(String(255))
    event_id: Mapped[str | None] = mapped_column(String(255))
    occurred_at: Mapped[datetime] = mapped_column(UtcInstant)
    recorded_at: Mapped[datetime] = mapped_column(UtcInstant)


class LedgerPosting(Base):
    """One side of an entry; the postings of an entry add up to 0 in each currency.

    ``amount_minor`` is in the currency's smallest unit, positive for debit. Accounts: ``<provider>:balance``,
    ``sales``, ``refunds``, ``disputes``.
    """

    __tablename__ = "ledger_postings"
    __table_args__ = (Index(None, "account", "currency"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"), index=True)
    account: Mapped[str] = mapped_column(String(32))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))


class OperationState(StrEnum):
    """``unknown``: the provider did not say what became of it; it is looked up, never started anew."""

    STARTED = "started"
    UNKNOWN = "unknown"
    DONE = "done"
    FAILED = "failed"


_OPEN = text("state IN ('started', 'unknown')")


class Operation(Base):
    """Something asked of a payment provider. At most one open per user and kind: the index says so."""

    __tablename__ = "operations"
    __table_args__ = (Index("uq_operations_open", "user_id", "kind", unique=True, sqlite_where=_OPEN,
                            postgresql_where=_OPEN),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(String(32))
    arguments: Mapped[dict[str, Any]] = mapped_column(JSON)
    provider_object_id: Mapped[str | None] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(8))
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    updated_at: Mapped[datetime] = mapped_column(UtcInstant)


class IdempotencyState(StrEnum):
    STARTED = "started"
    UNKNOWN = "unknown"
    DONE = "done"


class IdempotencyKey(Base):
    """A request that must have its effect once, and the answer it had. ``scope`` is user and route."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "state", "expires_at"),)

    scope: Mapped[str] = mapped_column(String(128), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    operation_id: Mapped[str] = mapped_column(String(32), unique=True)
    state: Mapped[str] = mapped_column(String(8))
    lease_token: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None] = mapped_column(UtcInstant)
    status: Mapped[int | None] = mapped_column(Integer)
    headers: Mapped[dict[str, str] | None] = mapped_column(JSON)
    body: Mapped[str | None] = mapped_column(String)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    expires_at: Mapped[datetime] = mapped_column(UtcInstant)
