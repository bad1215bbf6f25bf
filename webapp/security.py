"""Who is asking: bearer tokens of people, signatures of machines."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog
from aiohttp import web
from redis.exceptions import RedisError

from services import providers, signing
from services.errors import RateLimited, TryLater, Unauthenticated
from services.providers import SigningKey
from services.vault import SealBroken
from webapp import keys
from webapp.bodies import read
from webapp.limits import Away, address

log = structlog.get_logger(__name__)

UserHandler = Callable[[web.Request, int], Awaitable[web.StreamResponse]]
KeyHandler = Callable[[web.Request, SigningKey], Awaitable[web.StreamResponse]]
Plain = Callable[[web.Request], Awaitable[web.StreamResponse]]
SIGNED_HEADERS = ("X-Key-Id", "X-Timestamp", "X-Nonce", "X-Signature")
_DECOY = b"\x00" * 32


def now() -> datetime:
    """The HTTP door's clock."""
    return datetime.now(UTC)


def signed_in(bucket: str) -> Callable[[UserHandler], Plain]:
    """For a person with a valid access token; requests count against ``bucket``."""

    def decorate(handler: UserHandler) -> Plain:
        async def guarded(request: web.Request) -> web.StreamResponse:
            user_id = await bearer(request)
            await request.app[keys.limits].check(bucket, str(user_id))
            return await handler(request, user_id)

        return guarded

    return decorate


async def bearer(request: web.Request) -> int:
    """The user of the access token in the Authorization header; Unauthenticated for every fault."""
    given = request.headers.getall("Authorization", [])
    desk = request.app[keys.desk]
    try:
        if len(given) != 1 or not given[0].startswith("Bearer "):
            raise Unauthenticated
        user_id = desk.tokens.verify(given[0].removeprefix("Bearer "), now())
    except Unauthenticated:
        await _count_failure(request, "bearer")
        raise
    structlog.contextvars.bind_contextvars(user_id=user_id)
    return user_id


def signed(handler: KeyHandler, *, limit: int) -> Plain:
    """For a machine whose signature covers this very request; bodies above ``limit`` bytes are refused first."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if (request.content_length or 0) > limit:
            raise web.HTTPRequestEntityTooLarge(limit, request.content_length or 0)
        body = await read(request)
        if len(body) > limit:
            raise web.HTTPRequestEntityTooLarge(limit, len(body))
        key = await _signing_key(request, body)
        await request.app[keys.limits].check("signed", key.key_id, away=Away.CLOSED)
        return await handler(request, key)

    return guarded


async def _signing_key(request: web.Request, body: bytes) -> SigningKey:
    """Check form, signature, time, nonce, in this order: only a true signature may use up a nonce."""
    try:
        key_id, timestamp, nonce, signature = _signed_headers(request)
        desk = request.app[keys.desk]
        async with desk.database.reading() as session:
            key = await providers.signing_key(session, desk.vault, key_id)
        text = signing.canonical(request.method, request.raw_path, timestamp, nonce, body)
        is_valid = signing.is_valid(key.secret if key else _DECOY, text, signature)
        if key is None or not is_valid or abs(now().timestamp() - int(timestamp)) > signing.MAX_SKEW_SECONDS:
            raise Unauthenticated
        await _claim_nonce(request, key_id, nonce)
    except Unauthenticated:
        await _count_failure(request, "signature")
        raise
    except SealBroken as error:
        log.error("provider_key_unreadable", key_id=key_id)
        raise TryLater("This key cannot be checked right now.") from error
    return key


def _signed_headers(request: web.Request) -> list[str]:
    given = [request.headers.getall(name, []) for name in SIGNED_HEADERS]
    if any(len(values) != 1 for values in given):
        raise Unauthenticated
    found = [values[0] for values in given]
    if not signing.is_well_formed(*found[1:]) or not found[0].isascii() or len(found[0]) > 64:
        raise Unauthenticated
    return found


async def _claim_nonce(request: web.Request, key_id: str, nonce: str) -> None:
    redis = request.app[keys.desk].redis
    try:
        is_new = await redis.set(f"nonce:{key_id}:{nonce}", b"1", nx=True, ex=signing.NONCE_SECONDS)
    except (RedisError, OSError, TimeoutError) as error:
        raise TryLater("Replays cannot be told apart right now.") from error
    if not is_new:
        raise Unauthenticated


async def _count_failure(request: web.Request, reason: str) -> None:
    """Someone who keeps presenting bad credentials is slowed down; the answer stays the same until then."""
    request.app[keys.desk].metrics.auth_failures.labels(reason).inc()
    trusted = request.app[keys.settings].facts.server.trusted_proxies
    try:
        await request.app[keys.limits].check("unknown", address(request, trusted))
    except RateLimited:
        if reason == "bearer":
            raise
