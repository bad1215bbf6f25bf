"""All accounts together, a line for each currency; practice money is never added to real money."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from models.account import Account, Route
from services import portfolio
from services.desk import Desk
from services.portfolio import CurrencyTotal
from webapp.pages import format

PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Total:
    """The accounts of one currency; ``about`` says what is in the sum."""

    currency: str
    about: str
    equity: str
    profit: str
    sign: str


async def totals(desk: Desk, user_id: int, linked: list[Account], now: datetime) -> list[Total]:
    """Nothing for what is a single account, nor where an account keeps all the others waiting."""
    kinds = Counter((row.currency, row.route == Route.PAPER) for row in linked)
    if all(count < 2 for count in kinds.values()):
        return []
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            found = await portfolio.combined(desk, user_id, now)
    except TimeoutError:
        return []
    return [_total(one) for one in found if one.accounts and kinds[one.currency, one.is_practice] > 1]


def _total(of: CurrencyTotal) -> Total:
    told = ["practice money"] if of.is_practice else []
    if of.missing:
        told.append(f"without {len(of.missing)} that {'does' if len(of.missing) == 1 else 'do'} not answer")
    return Total(of.currency, ", ".join(told), format.money(of.equity, of.currency),
                 format.money(of.profit, of.currency, signed=True), format.sign(of.profit))
