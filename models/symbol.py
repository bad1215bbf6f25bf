"""Which of a broker's symbols a signal's symbol is, account by account."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.columns import UtcInstant


class MapSource(StrEnum):
    """Who says so."""

    FOUND = "found"
    EDITED = "edited"


class SymbolMap(Base):
    """``broker_symbol`` is None where the broker has nothing that fits, or more than one thing that does.

    ``problem`` says which: ``missing``, ``ambiguous``, or ``unconfirmed`` for one of another contract size.
    """

    __tablename__ = "symbol_maps"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(32), primary_key=True)
    broker_symbol: Mapped[str | None] = mapped_column(String(32))
    source: Mapped[str] = mapped_column(String(8))
    problem: Mapped[str | None] = mapped_column(String(16))
    checked_at: Mapped[datetime] = mapped_column(UtcInstant)
