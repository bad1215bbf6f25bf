"""The inbox of what the outside sent us and the outbox of what we still have to say."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.columns import BigKey, UtcInstant


class InboxState(StrEnum):
    """``dead``: given up after many tries; ``held``: true, but not meant for us. Both wait for a person."""

    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"
    HELD = "held"


class InboxItem(Base):
    """A delivery from outside, stored before it is acknowledged. ``lane`` is what must be handled in order."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        Index("ix_inbox_pending", "source", "lane", "id",
              sqlite_where=text("state = 'pending'"), postgresql_where=text("state = 'pending'")),
        Index(None, "state", "handled_at"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    source: Mapped[str] = mapped_column(String(16))
    external_id: Mapped[str] = mapped_column(String(255))
    lane: Mapped[str] = mapped_column(String(64))
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    payload_sha256: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(8))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    next_try_at: Mapped[datetime] = mapped_column(UtcInstant)
    lease_owner: Mapped[str | None] = mapped_column(String(40))
    lease_until: Mapped[datetime | None] = mapped_column(UtcInstant)
    error: Mapped[str | None] = mapped_column(String(500))
    received_at: Mapped[datetime] = mapped_column(UtcInstant)
    handled_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class OutboxState(StrEnum):
    """``skipped``: by the time its turn came there was nothing left to say."""

    PENDING = "pending"
    SENT = "sent"
    SKIPPED = "skipped"
    DEAD = "dead"


class OutboxKind(StrEnum):
    TEXT = "text"
    CARD = "card"
    EDIT = "edit"


class Priority:
    """Smaller goes first."""

    ANSWER = 0
    CARD = 1
    HOUSEKEEPING = 2


class OutboxItem(Base):
    """A message owed to a chat. ``dedupe_key`` makes asking twice the same as asking once.

    ``card`` and ``edit`` rows name an approval and are rendered when their turn comes; ``text`` rows carry
    their text. ``version`` grows when an edit is asked for again while one is under way.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_due", "priority", "next_try_at", "id",
              sqlite_where=text("state = 'pending'"), postgresql_where=text("state = 'pending'")),
        Index("ix_outbox_chat", "chat_id", "id",
              sqlite_where=text("state = 'pending'"), postgresql_where=text("state = 'pending'")),
        Index(None, "state", "settled_at"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(8))
    chat_id: Mapped[int] = mapped_column(BigInteger)
    approval_id: Mapped[int | None] = mapped_column(ForeignKey("approvals.id"))
    dedupe_key: Mapped[str] = mapped_column(String(96), unique=True)
    payload: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    priority: Mapped[int] = mapped_column(SmallInteger)
    version: Mapped[int] = mapped_column(Integer, default=1)
    state: Mapped[str] = mapped_column(String(8))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    next_try_at: Mapped[datetime] = mapped_column(UtcInstant)
    lease_owner: Mapped[str | None] = mapped_column(String(40))
    lease_until: Mapped[datetime | None] = mapped_column(UtcInstant)
    message_id: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    settled_at: Mapped[datetime | None] = mapped_column(UtcInstant)
