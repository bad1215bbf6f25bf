"""/positions and /close: looking at what is open, and closing it after a second yes."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from html import escape

from aiogram import Bot, Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message

from bot import positions as shown
from bot import texts
from bot.answers import answer, rewrite
from bot.callbacks import LONGEST_VOLUME, AskClose, Close, Look, ShowPositions
from bot.clock import now
from bot.keyboards import Links
from bot.replies import Replies
from models.account import Account
from models.approval import Door
from services import accounts, acts
from services.desk import Desk
from services.errors import DomainError, NotFound, OrderRefused, PositionClosed, TryLater
from services.positions import Portfolio
from terminal.protocol import Position

REFRESH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Seen:
    """An account among the user's, and what is open on it; None when its terminal does not answer."""

    account: Account
    linked: list[Account]
    portfolio: Portfolio | None


def router() -> Router:
    made = Router(name="positions")
    made.message.register(positions, Command("positions"))
    made.message.register(close, Command("close"))
    made.callback_query.register(look, ShowPositions.filter())
    made.callback_query.register(ask, AskClose.filter())
    made.callback_query.register(carry_out, Close.filter())
    return made


async def positions(message: Message, desk: Desk, replies: Replies, links: Links, user_id: int) -> None:
    """The primary account's open positions."""
    seen = await _see(desk, user_id, None)
    if seen is None:
        replies.say(texts.NO_ACCOUNT)
        return
    replies.say(*_listed(links, message.chat.id, seen))


async def close(message: Message, desk: Desk, replies: Replies, links: Links, user_id: int) -> None:
    """The primary account's open positions, to choose one."""
    seen = await _see(desk, user_id, None)
    if seen is None:
        replies.say(texts.NO_ACCOUNT)
        return
    replies.say(*_to_close(links, message.chat.id, seen))


async def look(callback: CallbackQuery, callback_data: ShowPositions, bot: Bot, desk: Desk, links: Links,
               user_id: int) -> None:
    """Let the message show the account as it is now."""
    if not _is_owner(callback, callback_data.telegram_id):
        raise NotFound
    if callback_data.look == Look.REFRESH and _is_new(callback, now()):
        await answer(bot, callback, texts.JUST_UPDATED)
        return
    seen = await _owned(desk, user_id, callback_data.account_id)
    await answer(bot, callback, texts.UPDATED if callback_data.look == Look.REFRESH else seen.account.label)
    turn = _to_close if callback_data.look == Look.TO_CLOSE else _listed
    await rewrite(bot, callback, *turn(links, callback.from_user.id, seen))


async def ask(callback: CallbackQuery, callback_data: AskClose, bot: Bot, desk: Desk, user_id: int) -> None:
    """Ask whether to close this position, with its figures as they are now."""
    if not _is_owner(callback, callback_data.telegram_id):
        raise NotFound
    seen = await _owned(desk, user_id, callback_data.account_id)
    position = _position(seen, callback_data.ticket)
    gateway = desk.gateways.get(seen.account.route)
    if gateway is None or not gateway.executes or len(shown.plain(position.volume)) > LONGEST_VOLUME:
        raise OrderRefused("only_in_its_terminal")
    await answer(bot, callback, position.symbol)
    await rewrite(bot, callback, *_question(callback.from_user.id, seen, position))


async def carry_out(callback: CallbackQuery, callback_data: Close, bot: Bot, desk: Desk, user_id: int) -> None:
    """Close what was shown. Answered before the broker is asked: that may take longer than a tap may wait."""
    if not _is_owner(callback, callback_data.telegram_id):
        raise NotFound
    seen = await _owned(desk, user_id, callback_data.account_id)
    position = _position(seen, callback_data.ticket)
    if shown.plain(position.volume) != callback_data.volume:
        await answer(bot, callback, texts.POSITION_CHANGED, alert=True)
        await rewrite(bot, callback, *_question(callback.from_user.id, seen, position))
        return
    await answer(bot, callback, texts.CLOSING)
    digits = seen.portfolio.digits.get(position.symbol) if seen.portfolio else None
    try:
        act = await acts.close(desk, user_id, seen.account.id, position.ticket, Decimal(callback_data.volume),
                               Door.CHAT, now())
    except DomainError as error:
        # The tap is answered already, so the message says it.
        told = texts.CLOSE_FAILED.format(symbol=escape(position.symbol), why=texts.error(error))
        await rewrite(bot, callback, told, shown.back_keyboard(callback.from_user.id, seen.account))
        return
    await rewrite(bot, callback, shown.outcome(act, seen.account.label, digits),
                  shown.back_keyboard(callback.from_user.id, seen.account))


def _is_owner(callback: CallbackQuery, telegram_id: int) -> bool:
    """Buttons act for the person they were made for; what they name is looked up as that person's besides."""
    return callback.from_user.id == telegram_id


def _is_new(callback: CallbackQuery, moment: datetime) -> bool:
    """Whether the message is only just as it is: Telegram allows about one edit a second to a chat."""
    shown_message = callback.message
    if not isinstance(shown_message, Message):
        return False
    changed_at = shown_message.edit_date or shown_message.date.timestamp()
    return moment.timestamp() - changed_at < REFRESH_SECONDS


async def _see(desk: Desk, user_id: int, account_id: int | None) -> Seen | None:
    """This account of the user's, or the primary one; None without any. NotFound when it is not theirs."""
    async with desk.database.reading() as session:
        linked = await accounts.listed(session, user_id)
    if not linked:
        return None
    account = next((row for row in linked if account_id in (None, row.id)), None)
    if account is None:
        raise NotFound
    try:
        return Seen(account, linked, await desk.positions.live(account, now(), force=True))
    except TryLater:
        return Seen(account, linked, None)


async def _owned(desk: Desk, user_id: int, account_id: int) -> Seen:
    seen = await _see(desk, user_id, account_id)
    if seen is None:
        raise NotFound
    return seen


def _position(seen: Seen, ticket: int) -> Position:
    """The position as it is now; PositionClosed when it is open no more."""
    if seen.portfolio is None:
        raise TryLater
    found = next((position for position in seen.portfolio.positions if position.ticket == ticket), None)
    if found is None:
        raise PositionClosed
    return found


def _listed(links: Links, telegram_id: int, seen: Seen) -> tuple[str, InlineKeyboardMarkup]:
    return (shown.written(seen.account, seen.portfolio, now()),
            shown.keyboard(links, telegram_id, seen.account, seen.linked, seen.portfolio))


def _to_close(links: Links, telegram_id: int, seen: Seen) -> tuple[str, InlineKeyboardMarkup]:
    if seen.portfolio is None:
        return _listed(links, telegram_id, seen)
    return (shown.to_close(seen.account, seen.portfolio),
            shown.to_close_keyboard(links, telegram_id, seen.account, seen.linked, seen.portfolio))


def _question(telegram_id: int, seen: Seen, position: Position) -> tuple[str, InlineKeyboardMarkup]:
    assert seen.portfolio is not None
    return (shown.question(seen.account, seen.portfolio, position),
            shown.question_keyboard(telegram_id, seen.account, position))
