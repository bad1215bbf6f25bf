"""Reading the bot's own books of Stars: payments and refunds whose update never reached us."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import structlog

from models.billing import LedgerKind
from services import stars
from services.billing import Cashier
from services.stars import Payment

log = structlog.get_logger(__name__)


class Line(Protocol):
    """One movement as the bot's books have it."""

    @property
    def charge_id(self) -> str: ...
    @property
    def is_refund(self) -> bool: ...
    @property
    def telegram_id(self) -> int: ...
    @property
    def payload(self) -> str: ...
    @property
    def stars(self) -> int: ...
    @property
    def at(self) -> datetime: ...


class Books(Protocol):
    async def transactions(self, offset: int) -> tuple[Sequence[Line], int]: ...


async def read(books: Books, cashier: Cashier, offset: int, now: datetime) -> tuple[int, int]:
    """Bring in what is missing from this line on; how many lines that were, and where the next look begins.

    The books are in the order of time and only grow. OutcomeUnknown and PaymentError as the provider has it.
    """
    found = 0
    while True:
        lines, seen = await books.transactions(offset)
        for line in lines:
            found += await _bring_in(cashier, line, now)
        offset += seen
        if seen == 0:
            return found, offset


async def _bring_in(cashier: Cashier, line: Line, now: datetime) -> bool:
    kind = LedgerKind.REFUND if line.is_refund else LedgerKind.CHARGE
    async with cashier.database.reading() as session:
        if await stars.booked(session, line.charge_id, kind):
            return False
    async with cashier.database.writing() as session:
        if line.is_refund:
            is_new = await stars.refunded(session, line.charge_id, line.stars, line.at, now)
        elif await stars.booked(session, line.charge_id, kind):
            is_new = False
        else:
            is_new = await stars.paid(session, cashier.rules, Payment(
                line.charge_id, line.telegram_id, line.payload, line.stars, line.at), now)
    if is_new:
        log.warning("stars_healed", charge_id=line.charge_id, kind=kind.value)
    return is_new
