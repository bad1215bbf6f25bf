"""The Bot API client: one place for its address, its patience and its measure."""

from typing import Any

from aiogram import Bot
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.client.telegram import TelegramAPIServer
from aiogram.enums import ParseMode
from aiogram.exceptions import ClientDecodeError, TelegramAPIError, TelegramNetworkError
from aiogram.methods import TelegramMethod
from aiogram.methods.base import Response

from runtime.metrics import Metrics

PATIENCE_SECONDS = 15.0
CONNECTIONS = 100


class Measured(BaseRequestMiddleware):
    """Counts calls by method and outcome; what is no answer of Telegram's at all is an outage like others."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def __call__(self, make_request: NextRequestMiddlewareType[Any], bot: Bot,
                       method: TelegramMethod[Any]) -> Response[Any]:
        outcome = "ok"
        try:
            return await make_request(bot, method)
        except TelegramAPIError as error:
            outcome = type(error).__name__
            raise
        except ClientDecodeError as error:
            outcome = type(error).__name__  # the page of a proxy in between: the call may have arrived or not
            raise TelegramNetworkError(method=method, message="the answer is not Telegram's") from error
        finally:
            self._metrics.telegram_requests.labels(method.__api_method__, outcome).inc()


def connect(token: str, api_base: str, metrics: Metrics) -> Bot:
    """A bot that speaks HTML, shows no link previews, and gives up on a call after 15 s."""
    session = AiohttpSession(api=TelegramAPIServer.from_base(api_base), limit=CONNECTIONS, timeout=PATIENCE_SECONDS)
    session.middleware(Measured(metrics))
    return Bot(token, session=session, default=DefaultBotProperties(
        parse_mode=ParseMode.HTML, link_preview_is_disabled=True))
