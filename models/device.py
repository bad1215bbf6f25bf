"""Devices: Expert Advisors that sign what they send, and the last snapshot each has pushed."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.columns import UtcInstant


class Device(Base):
    """A registered device. ``account_id`` is the account it serves, None until it is linked."""

    __tablename__ = "devices"
    __table_args__ = (
        Index("uq_devices_name", "user_id", "name", unique=True, sqlite_where=text("revoked_at IS NULL"),
              postgresql_where=text("revoked_at IS NULL")),
        Index(None, "account_id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    # The accounts table names devices too; this side of the ring has no constraint.
    account_id: Mapped[int | None] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(String(64))
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    last_seen_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class DeviceSnapshot(Base):
    """What a device last reported of its account: the signed body's own fields, as they came."""

    __tablename__ = "device_snapshots"
    __table_args__ = (Index(None, "server", "login"),)

    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id"), primary_key=True)
    login: Mapped[str] = mapped_column(String(32))
    server: Mapped[str] = mapped_column(String(64))
    account: Mapped[dict[str, Any]] = mapped_column(JSON)
    positions: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    taken_at: Mapped[datetime] = mapped_column(UtcInstant)
    received_at: Mapped[datetime] = mapped_column(UtcInstant)
