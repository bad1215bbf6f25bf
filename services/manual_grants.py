"""Tiers given by hand: by an admin in the chat or an operator at the command line."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from models.grant import Grant
from services import audit, events, users
from services.errors import InvalidRequest, NotFound
from services.events import EventKind
from services.tiers import Tier
from services.upsert import insert

SOURCE = "manual"
MOST_DAYS, LONGEST_REASON = 3650, 200


@dataclass(frozen=True, slots=True)
class Gift:
    """What is given to whom. ``source_id`` names the request, so that it counts once; None counts each time.

    ``admin_id`` is our id of who gives, None for the command line.
    """

    telegram_id: int
    tier: Tier
    days: int
    door: str
    admin_id: int | None = None
    reason: str | None = None
    source_id: str | None = None


async def give(session: AsyncSession, gift: Gift, now: datetime) -> datetime:
    """Give the tier from ``now`` on; returns until when. InvalidRequest for odd days, NotFound for a stranger."""
    if not 1 <= gift.days <= MOST_DAYS:
        raise InvalidRequest(f"The days must be from 1 to {MOST_DAYS}.")
    user = await users.by_telegram_id(session, gift.telegram_id)
    if user is None:
        raise NotFound
    ends_at = now + timedelta(days=gift.days)
    statement = insert(session, Grant).values(
        user_id=user.id, tier=gift.tier.name, rank=gift.tier.rank, source=SOURCE, source_id=gift.source_id,
        starts_at=now, ends_at=ends_at, created_at=now)
    made = await session.scalar(statement.on_conflict_do_nothing().returning(Grant.id))
    if made is not None:
        events.note(session, user.id, EventKind.SUBSCRIPTION_UPDATED, tier=gift.tier.name, status="granted")
        reason = gift.reason[:LONGEST_REASON] if gift.reason else None
        audit.record(session, now, "tier_granted", "user", user.id, user_id=user.id, door=gift.door,
                     tier=gift.tier.name, days=gift.days, source=SOURCE, admin_id=gift.admin_id, reason=reason)
    return ends_at
