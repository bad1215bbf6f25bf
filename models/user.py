"""Users, their roles, and the refresh tokens of their sessions."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.columns import BigKey, UtcInstant


class RoleName(StrEnum):
    ADMIN = "admin"
    PROVIDER = "provider"


class CardNotice(StrEnum):
    """Whether a new card makes a sound on the user's phone."""

    ON = "on"
    SILENT = "silent"


class User(Base):
    """A person, known by their Telegram id; ``blocked_at`` says since when the bot may not write to them."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    telegram_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    first_name: Mapped[str] = mapped_column(String(256))
    last_name: Mapped[str | None] = mapped_column(String(256))
    username: Mapped[str | None] = mapped_column(String(64))
    language_code: Mapped[str | None] = mapped_column(String(16))
    card_notice: Mapped[str] = mapped_column(String(8), default=CardNotice.ON)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    blocked_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class Role(Base):
    """A role of a user. Doors ask this table, never a username."""

    __tablename__ = "roles"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    granted_at: Mapped[datetime] = mapped_column(UtcInstant)


class RefreshToken(Base):
    """A refresh token, kept as its SHA-256. Using a rotated one revokes its whole family."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index(None, "family"), Index(None, "expires_at"))

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    family: Mapped[str] = mapped_column(String(32))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    expires_at: Mapped[datetime] = mapped_column(UtcInstant)
    rotated_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcInstant)
