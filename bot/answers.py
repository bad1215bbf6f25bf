"""Answering taps: at once, outside the outbox, because the person is looking at it."""

import structlog
from aiogram import Bot
from aiogram.exceptions import TelegramAPIError, TelegramBadRequest
from aiogram.types import CallbackQuery, InlineKeyboardMarkup

log = structlog.get_logger(__name__)

LONGEST = 200
PATIENCE_SECONDS = 10


async def answer(bot: Bot, callback: CallbackQuery, text: str, *, alert: bool = False) -> None:
    """Stop the spinner and say this. What the tap did stands, whether or not the answer arrives."""
    try:
        await bot.answer_callback_query(callback.id, text=text[:LONGEST], show_alert=alert,
                                        request_timeout=PATIENCE_SECONDS)
    except TelegramAPIError as error:
        log.warning("tap_not_answered", error=type(error).__name__)


async def rewrite(bot: Bot, callback: CallbackQuery, text: str, keyboard: InlineKeyboardMarkup) -> None:
    """Let the message whose button was tapped show what is so now."""
    if callback.message is None:
        return
    try:
        await bot.edit_message_text(text, chat_id=callback.message.chat.id, message_id=callback.message.message_id,
                                    reply_markup=keyboard, request_timeout=PATIENCE_SECONDS)
    except TelegramBadRequest as error:
        if "message is not modified" not in error.message:
            log.warning("message_not_rewritten", error=error.message)
    except TelegramAPIError as error:
        log.warning("message_not_rewritten", error=type(error).__name__)
