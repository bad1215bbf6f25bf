"""Positions over time: deals as the broker made them, what each position came to, acts on them, and equity."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.columns import BigKey, DecimalText, UtcInstant


class PositionEventKind(StrEnum):
    OPENED = "opened"
    INCREASED = "increased"
    MODIFIED = "modified"
    REDUCED = "reduced"
    CLOSED = "closed"


class ActKind(StrEnum):
    CLOSE = "close"
    MODIFY = "modify"


class ActStatus(StrEnum):
    QUEUED = "queued"
    SENT = "sent"
    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class DealRecord(Base):
    """One deal of an account, once. Money is in the account's currency; ``net`` is the sum of its four parts."""

    __tablename__ = "deals"
    __table_args__ = (UniqueConstraint("account_id", "deal_id"), Index(None, "account_id", "position_id"),
                      Index(None, "account_id", "magic"))

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    deal_id: Mapped[int] = mapped_column(BigInteger)
    position_id: Mapped[int] = mapped_column(BigInteger)
    magic: Mapped[int] = mapped_column(BigInteger)
    symbol: Mapped[str] = mapped_column(String(32))
    side: Mapped[str] = mapped_column(String(8))
    entry: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(String(16))
    volume: Mapped[Decimal] = mapped_column(DecimalText)
    price: Mapped[Decimal] = mapped_column(DecimalText)
    profit: Mapped[Decimal] = mapped_column(DecimalText)
    swap: Mapped[Decimal] = mapped_column(DecimalText)
    commission: Mapped[Decimal] = mapped_column(DecimalText)
    fee: Mapped[Decimal] = mapped_column(DecimalText)
    at: Mapped[datetime] = mapped_column(UtcInstant)


class PositionRecord(Base):
    """A position from its opening to its end, folded from its deals.

    ``volume`` is all that was ever opened, ``closed_volume`` what of it is closed; prices are averages weighted by
    volume. ``net`` is profit, swap, commission and fee together.
    """

    __tablename__ = "positions"
    __table_args__ = (UniqueConstraint("account_id", "position_id"), Index(None, "account_id", "status"),
                      Index(None, "account_id", "closed_at"))

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    position_id: Mapped[int] = mapped_column(BigInteger)
    order_id: Mapped[int | None] = mapped_column(ForeignKey("orders.id"))
    magic: Mapped[int] = mapped_column(BigInteger)
    symbol: Mapped[str] = mapped_column(String(32))
    side: Mapped[str] = mapped_column(String(8))
    status: Mapped[str] = mapped_column(String(8))
    volume: Mapped[Decimal] = mapped_column(DecimalText)
    closed_volume: Mapped[Decimal] = mapped_column(DecimalText)
    entry_price: Mapped[Decimal] = mapped_column(DecimalText)
    exit_price: Mapped[Decimal | None] = mapped_column(DecimalText)
    stop_loss: Mapped[Decimal | None] = mapped_column(DecimalText)
    take_profit: Mapped[Decimal | None] = mapped_column(DecimalText)
    profit: Mapped[Decimal] = mapped_column(DecimalText)
    swap: Mapped[Decimal] = mapped_column(DecimalText)
    commission: Mapped[Decimal] = mapped_column(DecimalText)
    fee: Mapped[Decimal] = mapped_column(DecimalText)
    net: Mapped[Decimal] = mapped_column(DecimalText)
    reason: Mapped[str | None] = mapped_column(String(16))
    opened_at: Mapped[datetime] = mapped_column(UtcInstant)
    closed_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    updated_at: Mapped[datetime] = mapped_column(UtcInstant)


class PositionEvent(Base):
    """What happened to a position. ``deal_id`` is the deal that did it, None for a change of its levels."""

    __tablename__ = "position_events"
    __table_args__ = (Index(None, "account_id", "position_id"), UniqueConstraint("account_id", "deal_id", "kind"))

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    position_id: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(16))
    deal_id: Mapped[int | None] = mapped_column(BigInteger)
    volume: Mapped[Decimal | None] = mapped_column(DecimalText)
    price: Mapped[Decimal | None] = mapped_column(DecimalText)
    stop_loss: Mapped[Decimal | None] = mapped_column(DecimalText)
    take_profit: Mapped[Decimal | None] = mapped_column(DecimalText)
    reason: Mapped[str | None] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(UtcInstant)


class PositionAct(Base):
    """The intent to close or change a position, written before the terminal hears of it. One open act a position.

    ``position_volume`` is what was open when it was asked for; ``volume`` what is to be closed of it. What the desk
    closes at the ``target`` of an order (the first is 1) is written once. Other closes have a ``magic`` of their own
    where their terminal can mark deals with it.
    """

    __tablename__ = "position_acts"
    __table_args__ = (
        Index("uq_position_acts_open", "account_id", "ticket", unique=True,
              sqlite_where=text("status IN ('queued', 'sent', 'unknown')"),
              postgresql_where=text("status IN ('queued', 'sent', 'unknown')")),
        Index("uq_position_acts_target", "order_id", "target", unique=True,
              sqlite_where=text("status IN ('queued', 'sent', 'unknown', 'done')"),
              postgresql_where=text("status IN ('queued', 'sent', 'unknown', 'done')")),
        Index(None, "status", "next_try_at"),
        Index(None, "account_id", "ticket"),
        Index(None, "order_id"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    order_id: Mapped[int | None] = mapped_column(ForeignKey("orders.id"))
    target: Mapped[int | None] = mapped_column(Integer)
    magic: Mapped[int | None] = mapped_column(BigInteger)
    ticket: Mapped[int] = mapped_column(BigInteger)
    symbol: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(8))
    door: Mapped[str] = mapped_column(String(8))
    status: Mapped[str] = mapped_column(String(8))
    position_volume: Mapped[Decimal] = mapped_column(DecimalText)
    volume: Mapped[Decimal | None] = mapped_column(DecimalText)
    stop_loss: Mapped[Decimal | None] = mapped_column(DecimalText)
    take_profit: Mapped[Decimal | None] = mapped_column(DecimalText)
    price: Mapped[Decimal | None] = mapped_column(DecimalText)
    retcode: Mapped[int | None] = mapped_column(Integer)
    reason: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(String(256))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    lease_owner: Mapped[str | None] = mapped_column(String(40))
    lease_until: Mapped[datetime | None] = mapped_column(UtcInstant)
    next_try_at: Mapped[datetime] = mapped_column(UtcInstant)
    sent_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    updated_at: Mapped[datetime] = mapped_column(UtcInstant)


class EquityPoint(Base):
    """Equity and balance of an account at one moment; thinned as it grows old.

    ``net_deposits`` is what had been paid in by then less what had been paid out, null where nobody tells.
    """

    __tablename__ = "equity_points"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcInstant, primary_key=True)
    equity: Mapped[Decimal] = mapped_column(DecimalText)
    balance: Mapped[Decimal] = mapped_column(DecimalText)
    net_deposits: Mapped[Decimal | None] = mapped_column(DecimalText)
