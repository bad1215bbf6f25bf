"""/accounts: every account with its state, and which one trades."""

import asyncio

from aiogram import Bot, Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message

from bot import positions as shown
from bot import texts
from bot.answers import answer, rewrite
from bot.callbacks import MakePrimary
from bot.clock import now
from bot.keyboards import Links
from bot.replies import Replies
from models.account import Account
from services import accounts, linking
from services.desk import Desk
from services.errors import NotFound, TryLater
from services.positions import Portfolio


def router() -> Router:
    made = Router(name="accounts")
    made.message.register(listed, Command("accounts"))
    made.callback_query.register(make_primary, MakePrimary.filter())
    return made


async def listed(message: Message, desk: Desk, replies: Replies, links: Links, user_id: int) -> None:
    """Every account, the primary first."""
    found = await _written(desk, links, user_id, message.chat.id)
    replies.say(*found) if found else replies.say(texts.NO_ACCOUNT)


async def make_primary(callback: CallbackQuery, callback_data: MakePrimary, bot: Bot, desk: Desk, links: Links,
                       user_id: int) -> None:
    """Send approved orders to another account from now on."""
    if callback.from_user.id != callback_data.telegram_id:
        raise NotFound
    async with desk.database.writing() as session:
        before = await accounts.owned(session, user_id, callback_data.account_id)
        was_primary, label = before.is_primary, before.label
        await linking.make_primary(session, user_id, callback_data.account_id, now())
    told = texts.PRIMARY_BEFORE if was_primary else texts.PRIMARY_SET
    await answer(bot, callback, told.format(account=label))
    found = await _written(desk, links, user_id, callback.from_user.id)
    if found:
        await rewrite(bot, callback, *found)


async def _written(desk: Desk, links: Links, user_id: int,
                   telegram_id: int) -> tuple[str, InlineKeyboardMarkup] | None:
    async with desk.database.reading() as session:
        linked = await accounts.listed(session, user_id)
    if not linked:
        return None
    figures = await asyncio.gather(*(_figures(desk, row) for row in linked))
    return (shown.accounts(linked, figures), shown.accounts_keyboard(links, telegram_id, linked))


async def _figures(desk: Desk, row: Account) -> Portfolio | None:
    try:
        return await desk.positions.live(row, now())
    except TryLater:
        return None
