"""Providers, the keys they sign with, and who follows whom."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.columns import BigKey, UtcInstant


class Provider(Base):
    __tablename__ = "providers"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class ProviderKey(Base):
    """A signing key: ``key_id`` is public, the secret is sealed."""

    __tablename__ = "provider_keys"

    key_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    provider_id: Mapped[int] = mapped_column(ForeignKey("providers.id"))
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class UsedNonce(Base):
    """A nonce whose request has had its effect, remembered as long as its signature could be replayed."""

    __tablename__ = "used_nonces"

    key_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    nonce: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UtcInstant, index=True)


class Follow(Base):
    """A user receives a provider's signals. The key's order serves the fan-out's walk by user."""

    __tablename__ = "follows"
    __table_args__ = (Index(None, "user_id"),)

    provider_id: Mapped[int] = mapped_column(ForeignKey("providers.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
