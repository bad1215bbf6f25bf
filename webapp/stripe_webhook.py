"""Stripe's events: checked on their raw bytes, stored, committed, and only then acknowledged."""

import hashlib

import structlog
from aiohttp import web

from config import Settings
from services import inbox, stripe_events, stripe_inbox
from services.errors import NotFound
from services.payments.stripe_provider import API_VERSION
from services.stripe_events import Event
from webapp import keys
from webapp.bodies import answer
from webapp.security import now

log = structlog.get_logger(__name__)

MOST_BYTES = 512 * 1024
REPLAY_SECONDS = 600


async def receive(request: web.Request) -> web.Response:
    """200 means the event is ours to handle; anything else and Stripe sends it again."""
    settings = request.app[keys.settings]
    if not settings.stripe_webhook_secrets:
        raise NotFound
    if (request.content_length or 0) > MOST_BYTES:
        raise web.HTTPRequestEntityTooLarge(MOST_BYTES, request.content_length or 0)
    if request.content_type != "application/json" or "Content-Encoding" in request.headers:
        raise web.HTTPUnsupportedMediaType
    raw = await _read(request)
    signatures = request.headers.getall("Stripe-Signature", [])
    stripe_events.verify(raw, signatures[0] if len(signatures) == 1 else "",
                         [secret.get_secret_value() for secret in settings.stripe_webhook_secrets], now())
    outcome = await _take(request, stripe_events.parse(raw), raw, _is_live(settings))
    request.app[keys.desk].metrics.stripe_events.labels(outcome).inc()
    return answer({"duplicate": True} if outcome == "duplicate" else {"received": True})


async def _take(request: web.Request, event: Event, raw: bytes, is_live: bool | None) -> str:
    """Have the event on record; says what became of it."""
    desk, hints, digest = request.app[keys.desk], request.app[keys.hints], hashlib.sha256(raw).hexdigest()
    if await hints.has(f"webhook:{digest}") and await _is_recorded(request, event, digest):
        return "duplicate"
    async with desk.database.writing() as session:
        outcome = await stripe_inbox.receive(session, event, raw, is_live, now())
    await hints.note(f"webhook:{digest}", REPLAY_SECONDS)
    if outcome == "held":
        log.error("event_held", event_id=event.id, livemode=event.livemode, account=event.account)
    if event.api_version != API_VERSION:
        desk.metrics.stripe_other_version.inc()
        log.warning("event_in_another_version", event_id=event.id, version=event.api_version)
    desk.wakes.payments.set()
    return outcome


async def _is_recorded(request: web.Request, event: Event, digest: str) -> bool:
    """Whether the database has exactly this; what Redis says is only a hint."""
    async with request.app[keys.desk].database.reading() as session:
        known = await inbox.digest_of(session, stripe_inbox.SOURCE, event.id)
    return known == digest


def _is_live(settings: Settings) -> bool | None:
    """Whether our key moves real money; None without one."""
    if settings.stripe_secret_key is None:
        return None
    return settings.stripe_secret_key.get_secret_value().partition("_")[2].startswith("live_")


async def _read(request: web.Request) -> bytes:
    """The body, also one that comes in chunks, up to the limit; the application's own limit is smaller."""
    found = bytearray()
    async for chunk in request.content.iter_any():
        found += chunk
        if len(found) > MOST_BYTES:
            raise web.HTTPRequestEntityTooLarge(MOST_BYTES, len(found))
    return bytes(found)
