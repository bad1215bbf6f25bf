"""/devices: every device with its state, a code that adds one, and the end of one after a second yes."""

import structlog
from aiogram import Bot, Router
from aiogram.exceptions import TelegramAPIError
from aiogram.filters import Command
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message

from bot import devices as shown
from bot import keyboards, texts
from bot.answers import PATIENCE_SECONDS, answer, rewrite
from bot.callbacks import AddDevice, Revoke, Step
from bot.clock import now
from bot.keyboards import Links
from bot.replies import Replies
from services import accounts, devices, pairing, reports
from services.desk import Desk
from services.devices import DeviceView
from services.errors import LimitReached, NotFound

log = structlog.get_logger(__name__)

NAME = "MT5"


def router() -> Router:
    made = Router(name="devices")
    made.message.register(listed, Command("devices"))
    made.callback_query.register(add, AddDevice.filter())
    made.callback_query.register(revoke, Revoke.filter())
    return made


async def listed(message: Message, desk: Desk, replies: Replies, links: Links, user_id: int) -> None:
    """Every device, and whether it reports."""
    replies.say(*await _written(desk, links, user_id, message.chat.id))


async def _written(desk: Desk, links: Links, user_id: int, telegram_id: int) -> tuple[str, InlineKeyboardMarkup]:
    held, labels = await _held(desk, user_id)
    return shown.listed(held, labels, now()), shown.keyboard(links, telegram_id, held)


async def _held(desk: Desk, user_id: int) -> tuple[list[DeviceView], dict[int, str]]:
    async with desk.database.reading() as session:
        return (await devices.listed(session, user_id, now()),
                {row.id: row.label for row in await accounts.listed(session, user_id)})


async def add(callback: CallbackQuery, callback_data: AddDevice, bot: Bot, desk: Desk, replies: Replies,
              links: Links, user_id: int) -> None:
    """A code for another terminal. It is sent at once: what is owed to chats is kept, and a code must not be."""
    if callback.from_user.id != callback_data.telegram_id:
        raise NotFound
    async with desk.database.reading() as session:
        name = await pairing.free_name(session, user_id, NAME)
    try:
        made = await pairing.offer(desk, user_id, name, now())
    except LimitReached as error:
        replies.say(shown.limit(error), keyboards.plans(links, error.needed) if error.needed else None)
        await answer(bot, callback, texts.error(error))
        return
    try:
        await bot.send_message(callback.from_user.id, shown.code(links, made), request_timeout=PATIENCE_SECONDS,
                               reply_markup=keyboards.app(links, "/app/accounts"))
    except TelegramAPIError as error:
        log.warning("pairing_code_not_sent", error=type(error).__name__)
        await answer(bot, callback, texts.FAILED)
        return
    await answer(bot, callback, texts.PAIRING_MADE)


async def revoke(callback: CallbackQuery, callback_data: Revoke, bot: Bot, desk: Desk, links: Links,
                 user_id: int) -> None:
    """Ask, shut it out, or leave it as it is."""
    if callback.from_user.id != callback_data.telegram_id:
        raise NotFound
    held, labels = await _held(desk, user_id)
    one = next((each for each in held if each.id == callback_data.device_id), None)
    if one is None:
        raise NotFound
    if callback_data.step == Step.ASK and one.status != "revoked":
        await answer(bot, callback, one.name)
        label = labels.get(one.account_id) if one.account_id is not None else None
        await rewrite(bot, callback, shown.question(one, label),
                      shown.question_keyboard(callback_data.telegram_id, one))
        return
    if callback_data.step == Step.KEEP:
        await answer(bot, callback, texts.REVOKE_KEPT)
    else:
        await _shut_out(desk, user_id, one)
        await answer(bot, callback, texts.REVOKED.format(device=one.name))
    await rewrite(bot, callback, *await _written(desk, links, user_id, callback_data.telegram_id))


async def _shut_out(desk: Desk, user_id: int, one: DeviceView) -> None:
    async with desk.database.writing() as session:
        await devices.revoke(session, user_id, one.id, now())
    await reports.forget(desk.redis, one.id)
    if one.account_id is not None:
        await desk.positions.forget(one.account_id)
