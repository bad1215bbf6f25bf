"""Who is asking: the bearer tokens of people."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from aiohttp import web

from runtime import logs
from services.auth import Verdict
from services.errors import RateLimited, Unauthenticated
from webapp import keys
from webapp.limits import address
from webapp.verdicts import Verdicts

UserHandler = Callable[[web.Request, int], Awaitable[web.StreamResponse]]
Plain = Callable[[web.Request], Awaitable[web.StreamResponse]]
SCHEME = "Bearer "


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
        await count_failure(request, "bearer")
        raise
    logs.note(user_id=found.user_id)
    return found


async def count_failure(request: web.Request, reason: str) -> None:
    """Someone who keeps presenting bad credentials is slowed down; the answer stays the same until then."""
    request.app[keys.desk].metrics.auth_failures.labels(reason).inc()
    trusted = request.app[keys.settings].facts.server.trusted_proxies
    try:
        await request.app[keys.limits].check("unknown", address(request, trusted))
    except RateLimited:
        if reason == "bearer":
            raise
