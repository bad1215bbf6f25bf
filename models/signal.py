"""Signals, the immutable versions of their terms, and how far each change has been fanned out."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.columns import BigKey, DecimalText, UtcInstant


class SignalStatus(StrEnum):
    """``expired`` is never stored: an open signal whose time is over is expired."""

    OPEN = "open"
    CANCELLED = "cancelled"
    CLOSED = "closed"
    EXPIRED = "expired"


class Terms(Base):
    """One version of a signal's terms. Rows are never changed; approvals are bound to ``terms_hash``."""

    __tablename__ = "signal_terms"
    __table_args__ = (UniqueConstraint("signal_id", "version"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    signal_id: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(Integer)
    terms_hash: Mapped[str] = mapped_column(String(64))
    symbol: Mapped[str] = mapped_column(String(32))
    side: Mapped[str] = mapped_column(String(8))
    order_type: Mapped[str] = mapped_column(String(8))
    entry_price: Mapped[Decimal | None] = mapped_column(DecimalText)
    entry_low: Mapped[Decimal | None] = mapped_column(DecimalText)
    entry_high: Mapped[Decimal | None] = mapped_column(DecimalText)
    stop_loss: Mapped[Decimal | None] = mapped_column(DecimalText)
    take_profits: Mapped[list[str]] = mapped_column(JSON)
    note: Mapped[str | None] = mapped_column(String(500))
    expires_at: Mapped[datetime] = mapped_column(UtcInstant)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)


class Signal(Base):
    """What a provider published. Its own row is the truth; cards follow it chunk by chunk."""

    __tablename__ = "signals"
    __table_args__ = (UniqueConstraint("provider_id", "external_id"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    provider_id: Mapped[int] = mapped_column(ForeignKey("providers.id"))
    external_id: Mapped[str] = mapped_column(String(64))
    body_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    terms_id: Mapped[int | None] = mapped_column(ForeignKey("signal_terms.id"))
    published_at: Mapped[datetime] = mapped_column(UtcInstant)
    expires_at: Mapped[datetime] = mapped_column(UtcInstant)
    ended_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class FanOutKind(StrEnum):
    CARDS = "cards"
    REVISION = "revision"
    WITHDRAWAL = "withdrawal"


class FanOut(Base):
    """A change on its way to every follower; ``cursor`` is the last user or approval it has reached."""

    __tablename__ = "fan_outs"
    __table_args__ = (Index(None, "done_at", "id"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    signal_id: Mapped[int] = mapped_column(ForeignKey("signals.id"))
    kind: Mapped[str] = mapped_column(String(16))
    version: Mapped[int] = mapped_column(Integer)
    cursor: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    done_at: Mapped[datetime | None] = mapped_column(UtcInstant)
