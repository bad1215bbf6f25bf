"""What the pages may load, who may frame them, what browsers may keep."""

import aiohttp
import pytest
from aiohttp import web

from config import Settings
from services.desk import Desk
from tests.pages import stage
from tests.pages.conftest import BOT, CONSOLE
from webapp import application
from webapp.pages import assets, headers

PAGES = ("/app", "/app/approvals", "/app/positions", "/app/settings")
STRICT = ("default-src 'none'; script-src 'self'; "
          "style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; connect-src 'self'; "
          "img-src 'self' data:; frame-ancestors https://web.telegram.org https://*.telegram.org; "
          "base-uri 'none'; form-action 'self'")


@pytest.mark.parametrize("path", PAGES)
async def test_pages_are_strict_and_may_be_framed_by_telegram(origin: str, path: str) -> None:
    async with aiohttp.ClientSession() as client, client.get(origin + path) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        assert answer.headers["Content-Security-Policy"] == STRICT
        assert "X-Frame-Options" not in answer.headers
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-cache"
        assert "Set-Cookie" not in answer.headers


def test_the_console_may_frame_pages_only_where_there_is_one() -> None:
    assert headers.content_security_policy(None) == STRICT
    with_console = headers.content_security_policy(CONSOLE)
    assert f"https://*.telegram.org {CONSOLE};" in with_console
    assert with_console.replace(f" {CONSOLE}", "") == STRICT


async def test_the_console_is_named_in_the_sandbox(desk: Desk, settings: Settings) -> None:
    async def ready() -> bool:
        return True

    app = application.build(desk, settings, ready, console_origin=CONSOLE, bot_username=lambda: BOT)
    async with stage.served(app) as origin, aiohttp.ClientSession() as client, client.get(f"{origin}/app") as answer:
        assert CONSOLE in answer.headers["Content-Security-Policy"]
        assert f'href="{CONSOLE}"' in await answer.text()


async def test_static_files_are_kept_for_ever_under_their_digest(origin: str, app: web.Application) -> None:
    files = app[assets.key]
    async with aiohttp.ClientSession(auto_decompress=False) as client:
        for name in ("css/base.css", "js/app.js", "icon.svg"):
            async with client.get(origin + files.url(name)) as answer:
                assert answer.status == 200
                assert answer.headers["Cache-Control"] == assets.FOR_EVER
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
        async with client.get(f"{origin}/static/{'0' * 16}/css/base.css") as answer:
            assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-cache")


async def test_large_files_travel_packed(origin: str, app: web.Application) -> None:
    url = origin + app[assets.key].url("vendor/twa-dev-sdk-8.0.2/telegram-web-apps.js")
    async with aiohttp.ClientSession() as client:
        async with client.get(url, headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            packed = await answer.read()
        async with client.get(url, headers={"Accept-Encoding": "identity"}) as answer:
            assert "Content-Encoding" not in answer.headers
            assert await answer.read() == packed
            assert int(answer.headers["Content-Length"]) > 100_000


@pytest.mark.parametrize("name", [
    "nothing.js", "../pages/assets.py", "..%2f..%2fconfig.toml", "vendor/VENDOR.toml", "%2e%2e/%2e%2e/config.py"])
async def test_nothing_else_is_served(origin: str, app: web.Application, name: str) -> None:
    url = f"{origin}/static/{app[assets.key].digest}/{name}"
    async with aiohttp.ClientSession() as client, client.get(url) as answer:
        assert answer.status == 404
