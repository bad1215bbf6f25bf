"""The console: one page, its files, and the stream that keeps it up to date."""

import json
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from sandbox.loopback import address
from sandbox.product import Product
from sandbox.telegram.api import Telegram

STATIC = Path(__file__).parent / "static"
HEARTBEAT_SECONDS = 15.0


class Console:
    """Serves the page under a policy that lets it load nothing but itself and the Mini App."""

    def __init__(self, telegram: Telegram, product: Product) -> None:
        self._telegram, self._product = telegram, product

    def register(self, app: web.Application) -> None:
        app.router.add_get("/", self.page)
        app.router.add_get("/control/events", self.events)
        app.router.add_static("/static", STATIC)
        app.on_response_prepare.append(self._protect)

    async def page(self, request: web.Request) -> web.StreamResponse:
        """The page, at the one address by which the Mini App lets itself be framed."""
        local = request.transport.get_extra_info("sockname") if request.transport else None
        if local and request.host == f"localhost:{local[1]}":
            raise web.HTTPTemporaryRedirect(f"http://{address(local)}/")
        return web.FileResponse(STATIC / "console.html")

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events of everything that happens in the chats."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        with suppress(ConnectionResetError):  # the page was closed
            await response.write(b": welcome\n\n")
            async for news in self._telegram.hub.watch(HEARTBEAT_SECONDS):
                line = f"data: {json.dumps(news)}\n\n" if news is not None else ": still here\n\n"
                await response.write(line.encode())
        return response

    async def _protect(self, request: web.Request, response: web.StreamResponse) -> None:
        parts = urlsplit(self._product.app_url)
        response.headers.setdefault("Cache-Control", "no-cache")
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
            f"frame-src {parts.scheme}://{parts.netloc} https:; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'")
