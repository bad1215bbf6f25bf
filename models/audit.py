"""The audit log: who did what, through which door. Rows are only ever added."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.columns import BigKey, UtcInstant


class AuditEvent(Base):
    __tablename__ = "audit_events"
    __table_args__ = (Index(None, "subject", "subject_id"), Index(None, "user_id"))

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UtcInstant)
    action: Mapped[str] = mapped_column(String(48))
    subject: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[int | None] = mapped_column(BigInteger)
    user_id: Mapped[int | None] = mapped_column(BigInteger)
    door: Mapped[str | None] = mapped_column(String(16))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)


class Canary(Base):
    """A known text sealed under the master key: a wrong key is noticed at start, not at the first payment."""

    __tablename__ = "key_canaries"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    sealed_text: Mapped[str] = mapped_column(String(255))
