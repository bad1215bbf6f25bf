"""Tiers and grants: what a user's plan covers. The tier is the highest current, unrevoked grant."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ScalarSelect, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.grant import Grant
from services import audit


@dataclass(frozen=True, slots=True)
class Tier:
    """What one plan allows. ``rank`` orders the plans, 0 is free."""

    name: str
    rank: int
    accounts: int
    devices: int
    live: bool
    copy_trading: bool
    card_delay_seconds: int
    amount_minor: int = 0
    """The price of a month in US cents."""
    stars: int = 0
    """The price of a month in Telegram Stars, 0 where they are not taken."""

    @property
    def lookup_key(self) -> str:
        """How the price is named at Stripe."""
        return f"countersign_{self.name}_monthly"

    @property
    def card_delay(self) -> timedelta:
        return timedelta(seconds=self.card_delay_seconds)


def title(name: str) -> str:
    """A tier's name as people write it."""
    return "VIP" if name == "vip" else name.capitalize()


class Catalogue:
    """Every tier the desk sells, by rank."""

    def __init__(self, tiers: list[Tier]) -> None:
        self._by_rank = {tier.rank: tier for tier in tiers}
        self._by_name = {tier.name: tier for tier in tiers}

    def __iter__(self) -> Iterator[Tier]:
        return iter(self._by_rank.values())

    def named(self, name: str) -> Tier | None:
        return self._by_name.get(name)

    def ranked(self, rank: int) -> Tier:
        return self._by_rank[rank]

    @property
    def first_live(self) -> Tier:
        """The lowest tier whose orders may go to a live account."""
        return min((tier for tier in self if tier.live), key=lambda tier: tier.rank)


def rank_of(user_id: Any, now: datetime) -> ScalarSelect[int]:
    """SQL for the rank of a user (a value or a column of an outer query) at ``now``."""
    highest = func.coalesce(func.max(Grant.rank), 0)
    return select(highest).where(
        Grant.user_id == user_id, Grant.revoked_at.is_(None), Grant.starts_at <= now, Grant.ends_at > now
    ).scalar_subquery()


async def tier_of(session: AsyncSession, catalogue: Catalogue, user_id: int, now: datetime) -> Tier:
    """The user's tier at ``now``."""
    rank = await session.scalar(select(rank_of(user_id, now)))
    return catalogue.ranked(rank or 0)


def grant(session: AsyncSession, tier: Tier, user_id: int, days: int, source: str, now: datetime) -> None:
    """Give a user a tier for some days from ``now``."""
    session.add(Grant(user_id=user_id, tier=tier.name, rank=tier.rank, source=source, starts_at=now,
                      ends_at=now + timedelta(days=days), created_at=now))
    audit.record(session, now, "tier_granted", "user", user_id, user_id=user_id, tier=tier.name, days=days,
                 source=source)
