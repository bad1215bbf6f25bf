"""Approvals: one question to one user about one signal, answered at most once."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.columns import BigKey, UtcInstant


class ApprovalStatus(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Door(StrEnum):
    """Through which door a decision came."""

    CHAT = "chat"
    APP = "app"
    MANDATE = "mandate"


class Approval(Base):
    """``visible_at`` is when the user may see it; ``terms_id`` is the version the card shows or was decided on.

    ``card_message_id`` and ``card_hash`` say what the chat shows now, so that an edit that would change
    nothing is not sent.
    """

    __tablename__ = "approvals"
    __table_args__ = (
        UniqueConstraint("signal_id", "user_id"),
        Index(None, "user_id", "status", "expires_at"),
        Index(None, "status", "expires_at"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    signal_id: Mapped[int] = mapped_column(ForeignKey("signals.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    terms_id: Mapped[int] = mapped_column(ForeignKey("signal_terms.id"))
    status: Mapped[str] = mapped_column(String(16))
    visible_at: Mapped[datetime] = mapped_column(UtcInstant)
    expires_at: Mapped[datetime] = mapped_column(UtcInstant)
    decided_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    decided_via: Mapped[str | None] = mapped_column(String(8))
    reason: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    card_message_id: Mapped[int | None] = mapped_column(BigInteger)
    card_hash: Mapped[str | None] = mapped_column(String(64))
