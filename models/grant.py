"""Grants: what a user is entitled to, and since when. The tier is a fold over them."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.columns import BigKey, UtcInstant


class Grant(Base):
    """A tier for a span of time. ``rank`` is the tier's place in the configuration, so that SQL can fold.

    What money has bought names its source and its period once (``source_id``), the subscription it belongs to
    and the invoice that paid for it.
    """

    __tablename__ = "grants"
    __table_args__ = (Index(None, "user_id", "ends_at"), UniqueConstraint("source", "source_id"),
                      Index(None, "subscription_id"), Index(None, "invoice_id"))

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    tier: Mapped[str] = mapped_column(String(16))
    rank: Mapped[int] = mapped_column(SmallInteger)
    source: Mapped[str] = mapped_column(String(16))
    source_id: Mapped[str | None] = mapped_column(String(255))
    subscription_id: Mapped[str | None] = mapped_column(String(255))
    invoice_id: Mapped[str | None] = mapped_column(String(255))
    reason: Mapped[str | None] = mapped_column(String(64))
    starts_at: Mapped[datetime] = mapped_column(UtcInstant)
    ends_at: Mapped[datetime] = mapped_column(UtcInstant)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
