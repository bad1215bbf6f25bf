"""Machines that sign what they ask: the form of it for all of them, and the whole of it for providers."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog
from aiohttp import web
from redis.exceptions import RedisError

from services import providers
from services.errors import TryLater, Unauthenticated
from services.providers import SigningKey
from services.vault import SealBroken
from webapp import keys
from webapp.bodies import read
from webapp.limits import Away
from webapp.security import Plain, count_failure, now
from wire import signing

log = structlog.get_logger(__name__)

KeyHandler = Callable[[web.Request, SigningKey], Awaitable[web.StreamResponse]]
HEADERS = ("X-Key-Id", "X-Timestamp", "X-Nonce", "X-Signature")
LONGEST_KEY_ID = 64
_DECOY = b"\x00" * 32


class Signed(NamedTuple):
    """What a signed request says of itself."""

    key_id: str
    timestamp: str
    nonce: str
    signature: str


def signed(handler: KeyHandler, *, limit: int) -> Plain:
    """For a provider whose signature covers this very request; bodies above ``limit`` bytes are refused first."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        body = await body_within(request, limit)
        try:
            key = await _provider(request, body)
        except Unauthenticated:
            await count_failure(request, "signature")
            raise
        await request.app[keys.limits].check("signed", key.key_id, away=Away.CLOSED)
        return await handler(request, key)

    return guarded


async def body_within(request: web.Request, limit: int) -> bytes:
    """The raw body; 413 when it is longer than ``limit`` bytes, at the latest when so much of it has come."""
    if (request.content_length or 0) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, request.content_length or 0)
    body = await read(request)
    if len(body) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, len(body))
    return body


def headers_of(request: web.BaseRequest) -> Signed:
    """The four headers, each there once and in its form; Unauthenticated otherwise."""
    given: list[Sequence[str]] = [request.headers.getall(name, ()) for name in HEADERS]
    if any(len(values) != 1 for values in given):
        raise Unauthenticated
    key_id, timestamp, nonce, signature = (values[0] for values in given)
    if not signing.is_well_formed(timestamp, nonce, signature) or not key_id.isascii() or len(key_id) > LONGEST_KEY_ID:
        raise Unauthenticated
    return Signed(key_id, timestamp, nonce, signature)


def is_genuine(secret: bytes | None, request: web.BaseRequest, said: Signed, body: bytes) -> bool:
    """Whether the secret has signed this very request. Without one the answer takes as long, and is no."""
    text = signing.canonical(request.method, request.raw_path, said.timestamp, said.nonce, body)
    return signing.is_valid(secret or _DECOY, text, said.signature) and secret is not None


def is_of_now(said: Signed) -> bool:
    """Whether it was signed a moment ago, by both clocks."""
    return abs(now().timestamp() - int(said.timestamp)) <= signing.MAX_SKEW_SECONDS


async def _provider(request: web.Request, body: bytes) -> SigningKey:
    """Check form, signature, time, nonce, in this order: only a true signature may use up a nonce."""
    said, desk = headers_of(request), request.app[keys.desk]
    try:
        async with desk.database.reading() as session:
            key = await providers.signing_key(session, desk.vault, said.key_id)
    except SealBroken as error:
        log.error("machine_key_unreadable", key_id=said.key_id)
        raise TryLater("This key cannot be checked right now.") from error
    if not is_genuine(key.secret if key else None, request, said, body) or key is None or not is_of_now(said):
        raise Unauthenticated
    await claim_nonce(request, said)
    return key


async def claim_nonce(request: web.Request, said: Signed) -> None:
    """Unauthenticated for one that was used before; TryLater when that cannot be told."""
    redis = request.app[keys.desk].redis
    try:
        is_new = await redis.set(f"nonce:{said.key_id}:{said.nonce}", b"1", nx=True, ex=signing.NONCE_SECONDS)
    except (RedisError, OSError, TimeoutError) as error:
        raise TryLater("Replays cannot be told apart right now.") from error
    if not is_new:
        raise Unauthenticated
