"""The chat door's table: routers in order, who is speaking, and errors in one place."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from aiogram import BaseMiddleware, Bot, Dispatcher, Router
from aiogram.enums import ChatType
from aiogram.filters import ExceptionTypeFilter
from aiogram.types import CallbackQuery, Chat, ErrorEvent, Message, TelegramObject, User

from bot import keyboards, texts
from bot.answers import answer
from bot.handlers import (
    accounts,
    admin,
    approvals,
    devices,
    payments,
    plan,
    positions,
    receipt,
    settings,
    signals,
    start,
)
from bot.keyboards import Links
from bot.replies import Replies
from runtime import logs
from services import users
from services.billing import Cashier
from services.desk import Desk
from services.errors import DomainError, TierTooLow, Unauthenticated

log = structlog.get_logger(__name__)
Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]


def build(desk: Desk, links: Links, cashiers: Mapping[str, Cashier] | None = None, *,
          offered: Sequence[str] = (), pay_support: str = "the operator of this desk") -> Dispatcher:
    """A dispatcher over fresh routers; updates are fed to it by the worker, one at a time per chat."""
    dispatcher = Dispatcher(disable_fsm=True)
    dispatcher["desk"], dispatcher["links"], dispatcher["cashiers"] = desk, links, cashiers or {}
    dispatcher["offered"], dispatcher["pay_support"] = offered, pay_support
    members = Router(name="members")
    for inner in (approvals.router(), signals.router(), positions.router(), accounts.router(),
                  devices.router(), plan.router(), receipt.router(), payments.buying(), settings.router()):
        members.include_router(inner)
    members.message.middleware(KnownUser())
    members.callback_query.middleware(KnownUser())
    public, rest = start.router(), fallbacks()
    for observer in (dispatcher.message, dispatcher.callback_query):
        observer.outer_middleware(PrivateOnly())
    dispatcher.include_routers(payments.router(), public, members, admin.router(), rest)
    dispatcher.errors.register(refuse, ExceptionTypeFilter(DomainError))
    return dispatcher


class PrivateOnly(BaseMiddleware):
    """Cards and commands belong to one person; groups get one sentence for a command and nothing else."""

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        chat: Chat | None = data.get("event_chat")
        if chat is None or chat.type == ChatType.PRIVATE:
            return await handler(event, data)
        if isinstance(event, Message) and (event.text or "").startswith("/"):
            data["replies"].say(texts.ONLY_PRIVATE)
        return None


class KnownUser(BaseMiddleware):
    """Hand the handler our user id; Unauthenticated for someone who has never started the bot."""

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        desk: Desk = data["desk"]
        who: User | None = data.get("event_from_user")
        async with desk.database.reading() as session:
            user = await users.by_telegram_id(session, who.id) if who is not None else None
        if user is None:
            raise Unauthenticated
        logs.note(user_id=user.id)
        data["user_id"] = user.id
        return await handler(event, data)


def fallbacks() -> Router:
    """What no other handler took."""
    made = Router(name="fallbacks")
    made.message.register(not_understood)
    made.callback_query.register(outdated)
    return made


async def not_understood(message: Message, replies: Replies) -> None:
    """Only words deserve an answer; service messages and stickers do not."""
    if message.text:
        replies.say(texts.UNKNOWN_COMMAND)


async def outdated(callback: CallbackQuery, bot: Bot) -> None:
    await answer(bot, callback, texts.OUTDATED_BUTTON)


async def refuse(event: ErrorEvent, bot: Bot, replies: Replies, links: Links) -> None:
    """Every error of the desk becomes a reply, once, here."""
    error = event.exception
    assert isinstance(error, DomainError)
    log.info("refused", code=error.code)
    if isinstance(error, TierTooLow):
        # Telegram's alert has no buttons, so the way to the plans stands in the chat.
        replies.say(texts.error(error), keyboards.plans(links, error.needed))
        if event.update.callback_query is not None:
            await answer(bot, event.update.callback_query, texts.error(error))
    elif event.update.callback_query is not None:
        await answer(bot, event.update.callback_query, texts.error(error), alert=True)
    else:
        replies.say(texts.error(error))
