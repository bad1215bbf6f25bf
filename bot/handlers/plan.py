"""/plan: the tier, how it stands, and what happens next."""

from dataclasses import dataclass
from datetime import datetime

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import Message

from bot import keyboards, numbers, texts
from bot.clock import now
from bot.keyboards import Links
from bot.replies import Replies
from models.billing import Subscription
from services import grants, subscriptions, tiers
from services.desk import Desk
from services.tiers import Tier, title


@dataclass(frozen=True, slots=True)
class Known:
    """``covered_until`` is when the tier in force ends by the clock, ``paid_for`` the subscription's own."""

    tier: Tier
    row: Subscription | None
    paid_for: Tier | None
    covered_until: datetime | None
    now: datetime


def router() -> Router:
    made = Router(name="plan")
    made.message.register(show, Command("plan"))
    return made


async def show(_message: Message, desk: Desk, replies: Replies, links: Links, user_id: int) -> None:
    """Where the user's plan stands; everything else is on the page behind the button."""
    moment = now()
    async with desk.database.reading() as session:
        tier = await tiers.tier_of(session, desk.catalogue, user_id, moment)
        row = await subscriptions.current(session, user_id)
        grant = await grants.cover(session, user_id, tier.rank, moment)
    known = Known(tier, row, desk.catalogue.named(row.tier) if row else None,
                  grant.ends_at if grant else None, moment)
    told = texts.PLAN.format(tier=title(tier.name), status=_status(known))
    replies.say(told, keyboards.app(links, "/app/billing"))


def _status(known: Known) -> str:
    """The status in words, with the date that matters next."""
    row, has_access = known.row, known.tier.rank > 0
    cover = numbers.day(known.covered_until, known.now)
    if row is None:
        return texts.PLAN_STATES["granted" if has_access else "free"].format(date=cover)
    if row.status in subscriptions.WITHOUT_ACCESS or row.status == "past_due":
        return texts.PLAN_STATES["past_due" if has_access else "lapsed"].format(date=cover)
    trial_end = row.trial_end if row.status == "trialing" else None
    end = numbers.day(trial_end or row.current_period_end, known.now)
    return texts.PLAN_STATES[_state(known, row)].format(date=end, then=title((known.paid_for or known.tier).name))


def _state(known: Known, row: Subscription) -> str:
    if row.status in ("incomplete", "trialing"):
        return row.status
    if row.cancel_at_period_end:
        return "ends"
    paid_for = known.paid_for.rank if known.paid_for else known.tier.rank
    if paid_for > known.tier.rank:
        return "unpaid"
    return "changes" if paid_for < known.tier.rank else "active"
