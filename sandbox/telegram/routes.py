"""The Bot API's HTTP door: /bot<token>/<method>."""

import asyncio
import hmac
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from sandbox.telegram import params
from sandbox.telegram.api import Telegram
from sandbox.telegram.errors import BotApiError, blocked, too_many_requests
from sandbox.telegram.faults import Fault
from sandbox.telegram.methods import BY_LOWER_NAME, Method

SILENCE_SECONDS = 120
UNAUTHORIZED = BotApiError(401, "Unauthorized")
NOT_FOUND = BotApiError(404, "Not Found")
INTERNAL = BotApiError(500, "Internal Server Error")
BAD_GATEWAY = BotApiError(502, "Bad Gateway")


class Door:
    """Takes calls for one token."""

    def __init__(self, telegram: Telegram, bot_token: str) -> None:
        self._telegram = telegram
        self._token = bot_token.encode()

    def register(self, app: web.Application) -> None:
        for method in ("GET", "POST"):
            app.router.add_route(method, "/bot{token}/{method}", self.handle)
        app.router.add_route("*", "/bot{rest:.*}", self.refuse)

    async def refuse(self, request: web.Request) -> web.StreamResponse:
        return _failure(NOT_FOUND)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if not hmac.compare_digest(unquote(request.match_info["token"]).encode("utf-8", "replace"), self._token):
            return _failure(UNAUTHORIZED)
        name, method = BY_LOWER_NAME.get(request.match_info["method"].lower(), ("", None))
        if method is None:
            return _failure(NOT_FOUND)
        fault = self._telegram.faults.take(name.lower())
        if fault is not None and fault.kind == "timeout":
            return await self._say_nothing(request, name)
        answer = await self._answer(request, name, method, fault)
        if fault is not None and fault.kind == "500_after_commit":
            answer = _failure(INTERNAL)
        self._telegram.count(name, answer.status)
        if fault is not None and fault.kind == "drop":
            return _hang_up(request)
        return answer

    async def _answer(self, request: web.Request, name: str, method: Method, fault: Fault | None) -> web.Response:
        """Carry out the call; it is on disk before the bot hears of it."""
        try:
            given = await params.read(request)
            if fault is not None:
                _strike(fault)
            result = await method(self._telegram, given)
        except BotApiError as error:
            await self._telegram.committed()
            return _failure(error)
        await self._telegram.committed()
        return web.json_response({"ok": True, "result": result})

    async def _say_nothing(self, request: web.Request, name: str) -> web.StreamResponse:
        self._telegram.count(name, 0)
        for _ in range(SILENCE_SECONDS * 10):
            if request.transport is None:
                break
            await asyncio.sleep(0.1)
        return _hang_up(request)


def _strike(fault: Fault) -> None:
    if fault.kind == "429":
        raise too_many_requests(fault.retry_after)
    if fault.kind == "502":
        raise BAD_GATEWAY
    if fault.kind == "403":
        raise blocked()


def _failure(error: BotApiError) -> web.Response:
    body: dict[str, Any] = {"ok": False, "error_code": error.code, "description": error.description}
    if error.retry_after is not None:
        body["parameters"] = {"retry_after": error.retry_after}
    return web.json_response(body, status=error.code)


def _hang_up(request: web.Request) -> web.StreamResponse:
    """Cut the line without a word."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
