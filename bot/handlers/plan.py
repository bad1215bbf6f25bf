"""/plan: the tier, how it stands, and what happens next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import InlineKeyboardButton, Message

from bot import keyboards, numbers, texts
from bot.callbacks import BuyPlan
from bot.clock import now
from bot.keyboards import Links
from bot.replies import Replies
from models.billing import Subscription
from services import currencies, grants, stars, subscriptions, tiers
from services.billing import Cashier
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


async def show(_message: Message, desk: Desk, replies: Replies, links: Links, user_id: int,
               cashiers: Mapping[str, Cashier], offered: Sequence[str]) -> None:
    """Where the user's plan stands; everything else is on the page behind the button."""
    moment = now()
    async with desk.database.reading() as session:
        tier = await tiers.tier_of(session, desk.catalogue, user_id, moment)
        row = await subscriptions.current(session, user_id)
        grant = await grants.cover(session, user_id, tier.rank, moment)
    known = Known(tier, row, desk.catalogue.named(row.tier) if row else None,
                  grant.ends_at if grant else None, moment)
    told = texts.PLAN.format(tier=title(tier.name), status=_status(known))
    rows = _for_sale(known, cashiers.get(stars.PROVIDER)) if stars.PROVIDER in offered else []
    rows.append(links.open_app("/app/billing"))
    replies.say(told, keyboards.rowed(rows) if any(rows) else None)


def _for_sale(known: Known, cashier: Cashier | None) -> list[list[InlineKeyboardButton]]:
    """The plans that can be bought from the chat now: all without one, the dearer ones beside one paid the same way."""
    row = known.row if known.row is None or known.row.status != "incomplete" else None
    if cashier is None or (row is not None and row.provider != cashier.payments.name):
        return []
    least = known.paid_for.rank if row is not None and known.paid_for is not None else 0
    return [[InlineKeyboardButton(
        text=texts.BUY_FOR_STARS.format(tier=title(tier.name), price=currencies.written(
            cashier.prices[tier.name].amount_minor, cashier.prices[tier.name].currency)),
        callback_data=BuyPlan(tier=tier.name, is_change=row is not None).pack())]
        for tier in cashier.rules.catalogue if tier.rank > least and tier.name in cashier.prices]


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
