"""Who is asking: bearer tokens of people, signatures of machines."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol, TypeVar

import structlog
from aiohttp import web
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncSession

from runtime import logs
from services import devices, providers
from services.auth import Verdict
from services.devices import DeviceKey
from services.errors import RateLimited, TryLater, Unauthenticated
from services.providers import SigningKey
from services.vault import SealBroken, Vault
from webapp import keys
from webapp.bodies import read
from webapp.limits import Away, address
from webapp.verdicts import Verdicts
from wire import signing

log = structlog.get_logger(__name__)

UserHandler = Callable[[web.Request, int], Awaitable[web.StreamResponse]]
KeyHandler = Callable[[web.Request, SigningKey], Awaitable[web.StreamResponse]]
DeviceHandler = Callable[[web.Request, DeviceKey], Awaitable[web.StreamResponse]]
Plain = Callable[[web.Request], Awaitable[web.StreamResponse]]
SIGNED_HEADERS = ("X-Key-Id", "X-Timestamp", "X-Nonce", "X-Signature")
SCHEME = "Bearer "
_DECOY = b"\x00" * 32


class Secret(Protocol):
    """A key of a machine, whatever kind of machine it is."""

    @property
    def key_id(self) -> str: ...

    @property
    def secret(self) -> bytes: ...


K = TypeVar("K", bound=Secret)
Look = Callable[[AsyncSession, Vault, str], Awaitable[K | None]]


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
    return (await verdict(request)).user_id


def remembered(request: web.BaseRequest, verdicts: Verdicts, at: datetime) -> Verdict | None:
    """Of a token that was found good a moment ago and still is. None says nothing of the token."""
    given = request.headers.getall("Authorization", ())
    if len(given) != 1 or not given[0].startswith(SCHEME):
        return None
    return verdicts.recall(given[0][len(SCHEME):], at)


async def verdict(request: web.Request) -> Verdict:
    """The same, with how long the token is good."""
    given = request.headers.getall("Authorization", ())
    try:
        if len(given) != 1 or not given[0].startswith(SCHEME):
            raise Unauthenticated
        found = request.app[keys.verdicts].judge(given[0][len(SCHEME):], now())
    except Unauthenticated:
        await _count_failure(request, "bearer")
        raise
    logs.note(user_id=found.user_id)
    return found


def signed(handler: KeyHandler, *, limit: int) -> Plain:
    """For a provider whose signature covers this very request; bodies above ``limit`` bytes are refused first."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        key = await _checked(request, limit, providers.signing_key)
        await _within_limit(request, key)
        return await handler(request, key)

    return guarded


def signed_by_device(handler: DeviceHandler, *, limit: int) -> Plain:
    """The same for a device, whose answers are signed too, refusals included."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        key = await _checked(request, limit, devices.signing_key)
        request[keys.answers_to] = key.secret
        await _within_limit(request, key)
        return await handler(request, key)

    return guarded


def sign_answer(request: web.Request, response: web.StreamResponse, secret: bytes) -> None:
    """What a device is told is signed for the request it made, so that nobody can tell it anything else."""
    if not isinstance(response, web.Response):
        return
    body = response.body if isinstance(response.body, bytes | bytearray) else b""
    text = signing.canonical_answer(response.status, request.headers["X-Nonce"], bytes(body))
    response.headers["X-Signature"] = signing.sign(secret, text)


async def _checked(request: web.Request, limit: int, look: Look[K]) -> K:
    if (request.content_length or 0) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, request.content_length or 0)
    body = await read(request)
    if len(body) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, len(body))
    return await _signing_key(request, body, look)


async def _within_limit(request: web.Request, key: Secret) -> None:
    await request.app[keys.limits].check("signed", key.key_id, away=Away.CLOSED)


async def _signing_key(request: web.Request, body: bytes, look: Look[K]) -> K:
    """Check form, signature, time, nonce, in this order: only a true signature may use up a nonce."""
    try:
        key_id, timestamp, nonce, signature = _signed_headers(request)
        desk = request.app[keys.desk]
        async with desk.database.reading() as session:
            key = await look(session, desk.vault, key_id)
        text = signing.canonical(request.method, request.raw_path, timestamp, nonce, body)
        is_valid = signing.is_valid(key.secret if key else _DECOY, text, signature)
        if key is None or not is_valid or abs(now().timestamp() - int(timestamp)) > signing.MAX_SKEW_SECONDS:
            raise Unauthenticated
        await _claim_nonce(request, key_id, nonce)
    except Unauthenticated:
        await _count_failure(request, "signature")
        raise
    except SealBroken as error:
        log.error("machine_key_unreadable", key_id=key_id)
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
