"""Devices: Expert Advisors that sign what they send, and the last snapshot each has pushed."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.columns import BigKey, DecimalText, UtcInstant


class Device(Base):
    """A registered device. ``account_id`` is the account it serves, None until it is linked.

    ``key_number`` counts its secrets; the one before is good until ``previous_until``. No counter of an envelope above
    ``counter_ceiling`` has been accepted with a secret that is good. ``terminal`` is what the device tells of its
    terminal; ``quiet_told_at`` is when its owner was told that it has gone quiet, None while it has not.
    ``last_seen_at`` is half a minute old at most. A device whose clock is ahead has sent nothing that is dated later
    than ``dated_until`` (unix seconds).
    """

    __tablename__ = "devices"
    __table_args__ = (
        Index("uq_devices_name", "user_id", "name", unique=True, sqlite_where=text("revoked_at IS NULL"),
              postgresql_where=text("revoked_at IS NULL")),
        Index(None, "account_id"),
        Index(None, "revoked_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    # The accounts table names devices too; this side of the ring has no constraint.
    account_id: Mapped[int | None] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(String(64))
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    key_number: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    sealed_previous_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_until: Mapped[datetime | None] = mapped_column(UtcInstant)
    requires_envelope: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    counter_ceiling: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    terminal: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    quiet_told_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    last_seen_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    dated_until: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
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


class DeviceSymbol(Base):
    """What a device told of one of its broker's symbols. ``bid`` and ``ask`` are of ``quoted_at``.

    ``tick_value`` is what one lot loses in a tick, in the account's currency.
    """

    __tablename__ = "device_symbols"

    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)
    tick_value: Mapped[Decimal | None] = mapped_column(DecimalText)
    bid: Mapped[Decimal | None] = mapped_column(DecimalText)
    ask: Mapped[Decimal | None] = mapped_column(DecimalText)
    quoted_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    told_at: Mapped[datetime] = mapped_column(UtcInstant)


class PairingCode(Base):
    """A code that makes a device once. ``digest`` is what is kept of it; ``device_id`` is what it has made."""

    __tablename__ = "pairing_codes"
    __table_args__ = (UniqueConstraint("digest"), Index(None, "user_id"), Index(None, "expires_at"))

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    digest: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(64))
    device_id: Mapped[str | None] = mapped_column(ForeignKey("devices.id"))
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    expires_at: Mapped[datetime] = mapped_column(UtcInstant)
    used_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class DeviceAck(Base):
    """What a device said of an order, as it came; the same words count once. ``is_late``: after its end."""

    __tablename__ = "device_acks"
    __table_args__ = (UniqueConstraint("order_id", "device_id", "digest"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id"))
    digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    is_late: Mapped[bool] = mapped_column(Boolean)
    received_at: Mapped[datetime] = mapped_column(UtcInstant)
