"""Orders: the intent to trade, written before anything is sent, and what became of it."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.columns import BigKey, DecimalText, UtcInstant


class OrderStatus(StrEnum):
    QUEUED = "queued"
    LEASED = "leased"
    SENT = "sent"
    PLACED = "placed"
    FILLED = "filled"
    REJECTED = "rejected"
    FAILED = "failed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    CLOSED = "closed"


class Order(Base):
    """One order for one approval on one account. ``magic`` is its number at the trade server.

    On a device account ``device_id`` is the device that had it last and ``seq`` its place among the account's orders.
    """

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("approval_id"),
        Index(None, "status", "next_try_at"),
        Index(None, "account_id", "status"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    approval_id: Mapped[int] = mapped_column(ForeignKey("approvals.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    terms_id: Mapped[int] = mapped_column(ForeignKey("signal_terms.id"))
    status: Mapped[str] = mapped_column(String(16))
    symbol: Mapped[str] = mapped_column(String(32))
    side: Mapped[str] = mapped_column(String(8))
    order_type: Mapped[str] = mapped_column(String(8))
    volume: Mapped[Decimal | None] = mapped_column(DecimalText)
    entry_price: Mapped[Decimal | None] = mapped_column(DecimalText)
    stop_loss: Mapped[Decimal | None] = mapped_column(DecimalText)
    take_profits: Mapped[list[str]] = mapped_column(JSON)
    magic: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    seq: Mapped[int | None] = mapped_column(BigInteger)
    device_id: Mapped[str | None] = mapped_column(String(32))
    ticket: Mapped[int | None] = mapped_column(BigInteger)
    fill_price: Mapped[Decimal | None] = mapped_column(DecimalText)
    profit: Mapped[Decimal | None] = mapped_column(DecimalText)
    retcode: Mapped[int | None] = mapped_column(Integer)
    reason: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(String(256))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    lease_owner: Mapped[str | None] = mapped_column(String(40))
    lease_until: Mapped[datetime | None] = mapped_column(UtcInstant)
    next_try_at: Mapped[datetime] = mapped_column(UtcInstant)
    expires_at: Mapped[datetime] = mapped_column(UtcInstant)
    sent_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    updated_at: Mapped[datetime] = mapped_column(UtcInstant)


class DealCursor(Base):
    """The last deal of a route whose effect on orders has been recorded."""

    __tablename__ = "deal_cursors"

    route: Mapped[str] = mapped_column(String(16), primary_key=True)
    deal_id: Mapped[int] = mapped_column(BigInteger)


class EquityPeak(Base):
    """The highest equity an account has shown, and its deepest fall from a peak, in percent.

    The peak is in the money that is there now: what is paid in or out scales it. ``net_deposits`` is what had been paid
    in when it was last scaled, null where nobody tells; ``scale`` is what all of that has multiplied it by so far.
    """

    __tablename__ = "equity_peaks"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    peak: Mapped[Decimal] = mapped_column(DecimalText)
    max_drawdown_percent: Mapped[Decimal] = mapped_column(DecimalText)
    net_deposits: Mapped[Decimal | None] = mapped_column(DecimalText)
    scale: Mapped[Decimal] = mapped_column(DecimalText, default=Decimal(1), server_default="1")
    updated_at: Mapped[datetime] = mapped_column(UtcInstant)
