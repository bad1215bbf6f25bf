"""Who and what the tests of the services are about: users, a provider, signals, and the steps between them."""

import itertools
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, insert, select

from models.approval import Approval
from models.database import Database
from models.provider import Follow
from models.user import CardNotice, User
from services import entry, fan_out, providers, signals, tiers
from services.desk import Desk
from services.fan_out import Pace
from services.signals import SignalView
from services.terms import Levels
from services.users import Person

EURUSD = Decimal("1.07000"), Decimal("1.07008")
_numbers = itertools.count(1)


async def join(desk: Desk, now: datetime, tier: str = "premium") -> int:
    """A new user of a tier, with their paper account; returns our user id."""
    number = next(_numbers)
    user_id = await entry.enter(desk, Person(700_000 + number, f"User {number}"), now)
    if tier != "free":
        async with desk.database.writing() as session:
            tiers.grant(session, desk.catalogue.named(tier), user_id, 30, "manual", now)
    return user_id


async def found(desk: Desk, now: datetime, name: str = "Northern Lights") -> int:
    """A new provider; returns their id."""
    async with desk.database.writing() as session:
        return (await providers.add(session, desk.vault, name, now)).provider_id


def levels(**changes: Any) -> Levels:
    """A buy at the market where ``EURUSD`` stands, its stop 50 pips away."""
    given = {"symbol": "EURUSD", "side": "buy", "order_type": "market", "entry_price": None, "entry_range": None,
             "stop_loss": Decimal("1.06508"), "take_profits": (Decimal("1.08000"),), "note": None}
    return Levels(**{**given, **changes})


async def publish(desk: Desk, provider_id: int, now: datetime, *, external_id: str | None = None,
                  expires_in_seconds: int = 900, **changes: Any) -> SignalView:
    """Publish a signal without its cards."""
    async with desk.database.writing() as session:
        view, _ = await signals.publish(session, provider_id, external_id or f"s-{next(_numbers)}", levels(**changes),
                                        expires_in_seconds, now)
    return view


async def spread(desk: Desk, now: datetime, rows: int = 500) -> int:
    """Do every fan-out that is owed to its end; returns how many chunks that took."""
    chunks = 0
    while True:
        async with desk.database.reading() as session:
            ids = await fan_out.undone(session)
        if not ids:
            return chunks
        for fan_out_id in ids:
            await fan_out.advance(desk.database, fan_out_id, desk.catalogue, Pace(rows), now)
            chunks += 1
        assert chunks < 10_000, "a fan-out does not end"


async def ask(desk: Desk, provider_id: int, now: datetime, **changes: Any) -> SignalView:
    """Publish a signal and bring its cards to every follower."""
    view = await publish(desk, provider_id, now, **changes)
    await spread(desk, now)
    return view


async def approval_of(database: Database, user_id: int, signal_id: int) -> int:
    """The id of a user's approval of a signal."""
    async with database.reading() as session:
        return (await session.scalars(select(Approval.id).where(
            Approval.user_id == user_id, Approval.signal_id == signal_id))).one()


async def count(database: Database, table: Any, *where: Any) -> int:
    async with database.reading() as session:
        return await session.scalar(select(func.count()).select_from(table).where(*where)) or 0


async def crowd(database: Database, provider_id: int, size: int, now: datetime) -> list[int]:
    """So many users who follow a provider, written at once; returns their ids."""
    async with database.writing() as session:
        ids: list[int] = []
        for start in range(0, size, 1000):
            rows = [{"telegram_id": 900_000_000 + next(_numbers), "first_name": f"Follower {n}",
                     "card_notice": CardNotice.ON, "created_at": now} for n in range(start, min(start + 1000, size))]
            ids += (await session.scalars(insert(User).returning(User.id), rows)).all()
        await session.execute(insert(Follow), [
            {"provider_id": provider_id, "user_id": user_id, "created_at": now} for user_id in ids])
    return ids

