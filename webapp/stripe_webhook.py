"""Stripe's events: checked on their raw bytes, stored, committed, and only then acknowledged."""

from aiohttp import web

from services import inbox, stripe_events, stripe_inbox
from services.errors import NotFound
from webapp import keys
from webapp.bodies import answer
from webapp.security import now

MOST_BYTES = 512 * 1024


async def receive(request: web.Request) -> web.Response:
    """200 means the event is ours to handle; anything else and Stripe sends it again."""
    secrets = request.app[keys.settings].stripe_webhook_secrets
    if not secrets:
        raise NotFound
    if (request.content_length or 0) > MOST_BYTES:
        raise web.HTTPRequestEntityTooLarge(MOST_BYTES, request.content_length or 0)
    if request.content_type != "application/json" or "Content-Encoding" in request.headers:
        raise web.HTTPUnsupportedMediaType
    raw = await _read(request)
    desk, moment = request.app[keys.desk], now()
    signatures = request.headers.getall("Stripe-Signature", [])
    stripe_events.verify(raw, signatures[0] if len(signatures) == 1 else "",
                         [secret.get_secret_value() for secret in secrets], moment)
    event = stripe_events.parse(raw)
    async with desk.database.writing() as session:
        is_new = await inbox.store(session, stripe_inbox.SOURCE, [stripe_inbox.delivery_of(event, raw)], moment)
    desk.wakes.payments.set()
    return answer({"received": True} if is_new else {"duplicate": True})


async def _read(request: web.Request) -> bytes:
    """The body, also one that comes in chunks, up to the limit; the application's own limit is smaller."""
    found = bytearray()
    async for chunk in request.content.iter_any():
        found += chunk
        if len(found) > MOST_BYTES:
            raise web.HTTPRequestEntityTooLarge(MOST_BYTES, len(found))
    return bytes(found)
