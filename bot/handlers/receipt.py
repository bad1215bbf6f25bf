"""/receipt: the last payment, when it was confirmed, and the tier it opened."""

from datetime import datetime
from html import escape

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import Message

from bot import keyboards, numbers, texts
from bot.clock import now
from bot.keyboards import Links
from bot.replies import Replies
from services import currencies, receipts, tiers
from services.desk import Desk
from services.receipts import Receipt


def router() -> Router:
    made = Router(name="receipt")
    made.message.register(show, Command("receipt"))
    return made


async def show(_message: Message, desk: Desk, replies: Replies, links: Links, user_id: int) -> None:
    """Three lines; every older payment is on the page behind the button."""
    async with desk.database.reading() as session:
        last = await receipts.last_payment(session, user_id)
    replies.say(_told(last, now()) if last else texts.NO_RECEIPT, keyboards.app(links, "/app/billing"))


def _told(last: Receipt, moment: datetime) -> str:
    return texts.RECEIPT.format(
        amount=currencies.written(last.money.amount_minor, last.money.currency), paid=_instant(last.paid_at, moment),
        provider=texts.PAYERS.get(last.provider, escape(last.provider)), heard=_instant(last.heard_at, moment),
        opened=texts.RECEIPT_OPENED[_outcome(last, moment)].format(
            tier=tiers.title(last.tier or ""), until=numbers.day(last.until, moment),
            revoked=numbers.day(last.revoked_at, moment)))


def _outcome(last: Receipt, moment: datetime) -> str:
    """Which sentence says what became of the money."""
    if last.tier is None or last.until is None:
        return "under_way"
    if last.revoked_at is not None:
        return last.reason if last.reason in ("refund", "dispute") else "revoked"
    return "until" if last.until > moment else "was_until"


def _instant(at: datetime, moment: datetime) -> str:
    return f"{numbers.day(at, moment)}, {numbers.clock(at)}"
