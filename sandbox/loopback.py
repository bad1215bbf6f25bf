"""Keeping the sandbox to this machine: its console hands out tokens and keys to whoever asks."""

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def is_loopback(host: str) -> bool:
    """Whether this name or address can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address(bound: tuple[Any, ...]) -> str:
    """Host and port of a bound socket as a url has them."""
    return f"[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"{bound[0]}:{bound[1]}"


@web.middleware
async def only_from_here(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what a page of another site could send: a rebound name in Host, or a foreign Origin on a write."""
    if _hostname(request.headers.get("Host", "")) not in NAMES:
        return web.json_response({"error": "The sandbox answers to loopback names only."}, status=403)
    origin = request.headers.get("Origin")
    writes = request.method not in ("GET", "HEAD") and request.path.startswith("/control")
    if writes and origin is not None and origin != f"http://{request.headers['Host']}":
        return web.json_response({"error": "Requests from another origin are refused."}, status=403)
    return await handler(request)


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
