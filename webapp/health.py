"""Is it alive, is it ready, how does it do."""

import hmac
import ipaddress

from aiohttp import web

from models.user import RoleName
from services import background, inbox, operations, users
from services.errors import NotFound
from webapp import keys, presenters
from webapp.bodies import answer
from webapp.security import bearer

MOST_SHOWN = 50


async def livez(_request: web.Request) -> web.Response:
    """The loop turns."""
    return web.Response(text="ok")


async def readyz(request: web.Request) -> web.Response:
    """Database, Redis, migrations and the key canary are in order; which one is not is in the log.

    With ``?details=1`` and an admin's access token or the metrics token: what waits for a person, as JSON.
    """
    if request.query.get("details"):
        await _must_be_admin(request)
        return await _details(request, is_ready=await request.app[keys.ready]())
    if await request.app[keys.ready]():
        return web.Response(text="ok")
    return web.Response(text="not ready", status=503)


async def _details(request: web.Request, *, is_ready: bool) -> web.Response:
    async with request.app[keys.desk].database.reading() as session:
        received = await inbox.backlog(session)
        left = await inbox.waiting_for_a_person(session, MOST_SHOWN)
        unknown = await operations.unknown(session, MOST_SHOWN)
    return answer({"ready": is_ready, "inbox": received,
                   "deliveries": [presenters.delivery(item) for item in left],
                   "operations": [presenters.operation(item) for item in unknown]}, status=200 if is_ready else 503)


async def _must_be_admin(request: web.Request) -> None:
    """An admin's access token or the metrics token; everybody else is told nothing."""
    if request.app[keys.settings].metrics_token is not None and _may_look(request):
        return
    user_id = await bearer(request)
    async with request.app[keys.desk].database.reading() as session:
        if RoleName.ADMIN not in await users.roles_of(session, user_id):
            raise NotFound


async def metrics(request: web.Request) -> web.Response:
    """Prometheus figures, for whoever has the token, or without one for this machine."""
    if not _may_look(request):
        raise web.HTTPForbidden if request.app[keys.settings].metrics_token is None else web.HTTPUnauthorized
    desk = request.app[keys.desk]
    await background.gauge(desk)
    body, content_type = desk.metrics.render()
    return web.Response(body=body, headers={"Content-Type": content_type})


def _may_look(request: web.Request) -> bool:
    token = request.app[keys.settings].metrics_token
    if token is not None:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(given, b"Bearer " + token.get_secret_value().encode())
    # A proxy on this machine makes every caller look local, so whoever came through one is not.
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False
