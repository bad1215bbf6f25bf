"""What stands between a device and its desk: it passes everything on, or loses it in a chosen way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

PASSED_ON = ("X-Key-Id", "X-Timestamp", "X-Nonce", "X-Signature", "Content-Type")
TOLD_BACK = ("X-Signature", "Retry-After", "Content-Type")


@dataclass
class Trouble:
    """The next ``times`` requests to this path: ``lost`` never arrive, ``unheard`` arrive and are answered to nobody, a
    number is the status that somebody else answers with."""

    path: str
    kind: str | int
    times: int
    headers: dict[str, str]


class Gate:
    """Listens on a port of its own. ``seen`` are the paths that were asked for, in order; ``meanwhile`` is done when a
    path has been answered by the desk, before the device hears of it."""

    def __init__(self, desk: str) -> None:
        self._desk, self._troubles = desk, list[Trouble]()
        self.seen: list[str] = []
        self.meanwhile: dict[str, Callable[[], object]] = {}
        self._client: aiohttp.ClientSession
        self._runner: web.AppRunner

    async def open(self) -> str:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_route("*", "/{rest:.*}", self._pass)
        self._client = aiohttp.ClientSession(auto_decompress=False)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        await self._runner.cleanup()
        await self._client.close()

    def trouble(self, path: str, kind: str | int, times: int = 1, **headers: str) -> None:
        self._troubles.append(Trouble(path, kind, times, {k.replace("_", "-"): v for k, v in headers.items()}))

    def is_calm(self) -> bool:
        """Whether every trouble that was asked for has happened."""
        return not self._troubles

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request.path)
        trouble = self._take(request.path)
        if trouble is not None and isinstance(trouble.kind, int):
            return web.Response(status=trouble.kind, text="<html>", headers=trouble.headers)
        if trouble is not None and trouble.kind == "lost":
            return _cut(request)
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        async with self._client.request(request.method, URL(self._desk + request.raw_path, encoded=True),
                                        data=await request.read() or None, headers=headers) as answer:
            body = await answer.read()
        self.meanwhile.get(request.path, bool)()
        if trouble is not None:
            return _cut(request)
        return web.Response(status=answer.status, body=body, headers={
            name: answer.headers[name] for name in TOLD_BACK if name in answer.headers})

    def _take(self, path: str) -> Trouble | None:
        for trouble in self._troubles:
            if path.endswith(trouble.path):
                trouble.times -= 1
                if trouble.times <= 0:
                    self._troubles.remove(trouble)
                return trouble
        return None


def _cut(request: web.Request) -> Any:
    """Hang up instead of answering."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
