"""Telling Telegram who we are: commands, menu button, webhook or polling."""

import structlog
from aiogram import Bot
from aiogram.types import BotCommand, MenuButtonWebApp, WebAppInfo

from bot import texts
from bot.keyboards import Links

log = structlog.get_logger(__name__)

ALLOWED_UPDATES = ["message", "callback_query", "my_chat_member", "pre_checkout_query", "subscription"]


async def introduce(bot: Bot, links: Links) -> str:
    """Set commands and menu button; returns the bot's username."""
    me = await bot.get_me()
    await bot.set_my_commands([BotCommand(command=name, description=text) for name, text in texts.COMMANDS.items()])
    if links.app_url is not None:
        button = MenuButtonWebApp(text="Desk", web_app=WebAppInfo(url=f"{links.app_url}/app"))
        await bot.set_chat_menu_button(menu_button=button)
    log.info("bot_introduced", username=me.username)
    return me.username or ""


async def listen_by_webhook(bot: Bot, url: str, secret: str) -> None:
    """Have updates sent to ``url``; updates that wait there stay."""
    await bot.set_webhook(url, secret_token=secret, allowed_updates=ALLOWED_UPDATES, max_connections=40)


async def listen_by_polling(bot: Bot) -> None:
    """Take a webhook back, or Telegram refuses to be polled; updates that wait there stay."""
    await bot.delete_webhook(drop_pending_updates=False)
