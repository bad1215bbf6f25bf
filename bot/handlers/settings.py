"""/settings: plan, sound, volume."""

from aiogram import Bot, Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message

from bot import keyboards, texts
from bot.answers import answer, rewrite
from bot.callbacks import SetNotice
from bot.clock import now
from bot.keyboards import Links
from bot.replies import Replies
from models.user import CardNotice
from services import accounts, sizing, tiers, users
from services.desk import Desk
from services.errors import NoAccount


def router() -> Router:
    made = Router(name="settings")
    made.message.register(show, Command("settings"))
    made.callback_query.register(set_notice, SetNotice.filter())
    return made


async def show(_message: Message, desk: Desk, replies: Replies, links: Links, user_id: int) -> None:
    """What is set, and the switches."""
    replies.say(*await _written(desk, links, user_id))


async def _written(desk: Desk, links: Links, user_id: int) -> tuple[str, InlineKeyboardMarkup]:
    async with desk.database.reading() as session:
        user = await users.by_id(session, user_id)
        tier = await tiers.tier_of(session, desk.catalogue, user_id, now())
        try:
            stored = (await accounts.primary(session, user_id)).sizing
        except NoAccount:
            stored = {}
    text = texts.SETTINGS.format(tier=tier.name.capitalize(), notice=texts.NOTICE[user.card_notice],
                                 sizing=_sized(desk, stored))
    return text, keyboards.settings(links, user.card_notice)


def _sized(desk: Desk, stored: dict[str, str]) -> str:
    current = sizing.sizing_of(stored, desk.execution_rules.sizing)
    if current["mode"] == "fixed":
        return f"{current['volume']} lots an order"
    return f"{current['value']} % of equity at the stop"


async def set_notice(callback: CallbackQuery, callback_data: SetNotice, bot: Bot, desk: Desk, links: Links,
                     user_id: int) -> None:
    """Choose whether new cards make a sound."""
    if callback_data.notice not in tuple(CardNotice):
        await answer(bot, callback, texts.OUTDATED_BUTTON)
        return
    async with desk.database.writing() as session:
        await users.set_card_notice(session, user_id, CardNotice(callback_data.notice))
    await answer(bot, callback, texts.NOTICE_SET[callback_data.notice])
    await rewrite(bot, callback, *await _written(desk, links, user_id))
