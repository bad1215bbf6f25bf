"""Somebody between the Expert and the desk: sees what passes, and changes, holds back or repeats it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import aiohttp
from aiohttp import web

DROPPED = ("Content-Length", "Transfer-Encoding", "Connection", "Date", "Server", "Content-Encoding")


@dataclass(frozen=True)
class Passing:
    """One request, and its answer once the desk has given it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 0
    answered: dict[str, str] = field(default_factory=dict)
    answer: bytes = b""

    @property
    def name(self) -> str:
        """What stands behind /api/v1/ea/."""
        return self.path.partition("?")[0].rpartition("/")[2]


class Cut(Exception):
    """The line is cut: the Expert gets no answer at all."""


Before = Callable[[Passing], Awaitable[Passing | None]]
After = Callable[[Passing], Awaitable[Passing]]


@dataclass
class Between:
    """``before`` may answer instead of the desk, ``after`` change what it has answered; either may raise ``Cut``."""

    base: str
    client: aiohttp.ClientSession
    before: Before | None = None
    after: After | None = None
    seen: list[Passing] = field(default_factory=list)
    address: str = ""

    def count(self, name: str) -> int:
        return sum(one.name == name for one in self.seen)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        passing = Passing(request.method, request.path_qs, dict(request.headers), await request.read())
        try:
            answer = await self.before(passing) if self.before else None
            if answer is None:
                answer = await self._forward(passing)
                self.seen.append(answer)
                answer = await self.after(answer) if self.after else answer
            else:
                self.seen.append(answer)
        except Cut:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError from None
        return web.Response(status=answer.status, body=answer.answer, headers=answer.answered)

    async def _forward(self, passing: Passing) -> Passing:
        headers = {name: value for name, value in passing.headers.items()
                   if name.lower() not in ("host", "content-length", "connection")}
        async with self.client.request(passing.method, self.base + passing.path, headers=headers,
                                       data=passing.body or None) as answer:
            kept = {name: value for name, value in answer.headers.items() if name not in DROPPED}
            return replace(passing, status=answer.status, answered=kept, answer=await answer.read())


@asynccontextmanager
async def between(base: str) -> AsyncIterator[Between]:
    async with aiohttp.ClientSession(auto_decompress=False) as client:
        made = Between(base, client)
        application = web.Application(client_max_size=1 << 20)
        application.router.add_route("*", "/{path:.*}", made._handle)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.address = f"127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield made
        finally:
            await runner.cleanup()


def problem(status: int, code: str = "trouble", **headers: str) -> Callable[[Passing], Passing]:
    """An answer of somebody who has no secret."""
    def answer(passing: Passing) -> Passing:
        given = {"Content-Type": "application/problem+json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(passing, status=status, answered=given, answer=b'{"code":"%s"}' % code.encode())

    return answer
