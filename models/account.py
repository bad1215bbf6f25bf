"""Trading accounts of users."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Index, Integer, LargeBinary, String, text, true
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.columns import BigKey, UtcInstant


class Route(StrEnum):
    """How an account is reached."""

    PAPER = "paper"
    DEVICE = "device"
    TERMINAL = "terminal"


class AccountStatus(StrEnum):
    VERIFIED = "verified"
    PENDING = "pending"
    BROKEN = "broken"


class Account(Base):
    """A linked account. At most one primary per user and one live link per broker account: the indexes say so.

    ``trouble`` is the code of why a link is broken. ``deals_read_until`` is how far its deals have been recorded;
    from ``deals_untimed_since`` on their times may be wrong, because the terminal did not know its server's clock.
    ``last_seq`` numbers the orders that devices have been offered.
    """

    __tablename__ = "accounts"
    __table_args__ = (
        Index("uq_accounts_primary", "user_id", unique=True,
              sqlite_where=text("is_primary AND unlinked_at IS NULL"),
              postgresql_where=text("is_primary AND unlinked_at IS NULL")),
        Index("uq_accounts_login", "server", "login", unique=True,
              sqlite_where=text("status = 'verified' AND unlinked_at IS NULL"),
              postgresql_where=text("status = 'verified' AND unlinked_at IS NULL")),
        Index(None, "user_id"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    route: Mapped[str] = mapped_column(String(16))
    label: Mapped[str] = mapped_column(String(64))
    login: Mapped[str] = mapped_column(String(32))
    server: Mapped[str] = mapped_column(String(64))
    broker: Mapped[str] = mapped_column(String(64))
    currency: Mapped[str] = mapped_column(String(8))
    sizing: Mapped[dict[str, Any]] = mapped_column(JSON)
    status: Mapped[str] = mapped_column(String(16))
    is_primary: Mapped[bool] = mapped_column(Boolean)
    can_trade: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    leverage: Mapped[int | None] = mapped_column(Integer)
    margin_mode: Mapped[str | None] = mapped_column(String(8))
    sealed_password: Mapped[bytes | None] = mapped_column(LargeBinary)
    device_id: Mapped[str | None] = mapped_column(ForeignKey("devices.id"))
    last_seq: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    trouble: Mapped[str | None] = mapped_column(String(32))
    deals_read_until: Mapped[datetime | None] = mapped_column(UtcInstant)
    deals_untimed_since: Mapped[datetime | None] = mapped_column(UtcInstant)
    verified_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    unlinked_at: Mapped[datetime | None] = mapped_column(UtcInstant)
