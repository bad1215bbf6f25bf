"""All of a user's accounts together, each currency for itself, and practice money apart from real money."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from models.account import Account, Route
from services import accounts
from services.desk import Desk
from services.errors import TryLater
from services.snapshots import Portfolio


@dataclass(frozen=True, slots=True)
class CurrencyTotal:
    """The accounts of one currency, real or practice. ``as_of`` is of the oldest figures, ``stale`` says that some
    are old.

    ``missing`` are accounts that nothing is known of: they are not in the sums. Without any other the sums are None.
    """

    currency: str
    is_practice: bool
    accounts: int
    balance: Decimal | None
    equity: Decimal | None
    margin: Decimal | None
    free_margin: Decimal | None
    profit: Decimal | None
    as_of: datetime | None
    stale: bool
    missing: tuple[Account, ...]


async def combined(desk: Desk, user_id: int, now: datetime, force: bool = False) -> list[CurrencyTotal]:
    """The user's accounts by currency, that of the primary account first; one that hangs holds up no other."""
    async with desk.database.reading() as session:
        linked = await accounts.listed(session, user_id)
    found = await asyncio.gather(*(_figures(desk, account, now, force) for account in linked))
    by_kind: dict[tuple[str, bool], list[tuple[Account, Portfolio | None]]] = {}
    for account, portfolio in zip(linked, found, strict=True):
        by_kind.setdefault((account.currency, account.route == Route.PAPER), []).append((account, portfolio))
    return [_total(currency, is_practice, seen) for (currency, is_practice), seen in by_kind.items()]


async def _figures(desk: Desk, account: Account, now: datetime, force: bool) -> Portfolio | None:
    try:
        return await desk.positions.live(account, now, force=force)
    except TryLater:
        return None


def _total(currency: str, is_practice: bool, seen: Sequence[tuple[Account, Portfolio | None]]) -> CurrencyTotal:
    known = [portfolio for _, portfolio in seen if portfolio is not None]
    missing = tuple(account for account, portfolio in seen if portfolio is None)
    if not known:
        return CurrencyTotal(currency, is_practice, 0, None, None, None, None, None, None, False, missing)
    shots = [portfolio.snapshot for portfolio in known]
    return CurrencyTotal(
        currency, is_practice, len(known), _sum([s.balance for s in shots]), _sum([s.equity for s in shots]),
        _sum([s.margin for s in shots]), _sum([s.free_margin for s in shots]), _sum([p.total_profit for p in known]),
        min(s.taken_at for s in shots), any(p.stale for p in known), missing)


def _sum(amounts: Sequence[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))
