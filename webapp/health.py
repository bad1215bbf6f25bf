"""Is it alive, is it ready, how does it do."""

import hmac
import ipaddress

from aiohttp import web

from services import background
from webapp import keys


async def livez(_request: web.Request) -> web.Response:
    """The loop turns."""
    return web.Response(text="ok")


async def readyz(request: web.Request) -> web.Response:
    """Database, Redis, migrations and the key canary are in order; which one is not is in the log."""
    if await request.app[keys.ready]():
        return web.Response(text="ok")
    return web.Response(text="not ready", status=503)


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
