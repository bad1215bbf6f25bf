"""Updates by webhook: checked, stored, committed, and only then acknowledged."""

import hmac

from aiohttp import web
from sqlalchemy.exc import DBAPIError

from services import inbox, updates
from services.errors import NotFound, TryLater, Unauthenticated
from webapp import keys
from webapp.bodies import read
from webapp.security import now

MOST_BYTES = 256 * 1024
HEADER = "X-Telegram-Bot-Api-Secret-Token"


async def receive(request: web.Request) -> web.Response:
    """Store one update. 200 means it is ours to handle; anything else and Telegram sends it again."""
    settings, desk = request.app[keys.settings], request.app[keys.desk]
    if settings.telegram_mode != "webhook" or settings.telegram_webhook_secret is None:
        raise NotFound
    given = request.headers.get(HEADER, "").encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(given, settings.telegram_webhook_secret.get_secret_value().encode()):
        desk.metrics.auth_failures.labels("webhook").inc()
        raise Unauthenticated
    if (request.content_length or 0) > MOST_BYTES:
        raise web.HTTPRequestEntityTooLarge(MOST_BYTES, request.content_length or 0)
    delivery = updates.parse(await read(request))
    try:
        async with desk.database.writing() as session:
            await inbox.store(session, updates.SOURCE, [delivery], now())
    except DBAPIError as error:
        raise TryLater from error
    desk.wakes.inbox.set()
    return web.Response(text="ok")
