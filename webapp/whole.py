"""Answers that are written as one piece, for the short ways: to put a head together from its headers takes aiohttp as
long as everything else that is done there.

They are for connections that go on (``goes_on``); for all others aiohttp knows what has to be said.
"""

from collections.abc import Iterable
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter


class Whole(web.StreamResponse):
    """An answer with all of its bytes."""

    def __init__(self, status: int, written: bytes) -> None:
        super().__init__(status=status)
        self._written = written
        self._keep_alive = True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Send all of it."""
        await request.writer.write(self._written)
        self._eof_sent = True
        return request.writer


class Form:
    """What all answers of a kind have in common: their status, and headers that are always the same."""

    def __init__(self, status: HTTPStatus, headers: Iterable[tuple[str, str]]) -> None:
        self._status = status.value
        self._begins = f"HTTP/1.1 {status.value} {status.phrase}\r\n" + _lines(headers)
        self._dated = 0, ""

    def filled(self, moment: datetime, *headers: tuple[str, str], body: bytes = b"") -> Whole:
        """An answer of this moment. What its own headers say is ours: nothing of a request may be in them."""
        head = f"{self._begins}{_lines(headers)}Date: {self._date(moment)}\r\n\r\n"
        return Whole(self._status, head.encode("ascii") + body)

    def _date(self, moment: datetime) -> str:
        """As HTTP has it; made once a second."""
        second = int(moment.timestamp())
        if self._dated[0] != second:
            self._dated = second, format_datetime(moment, usegmt=True)
        return self._dated[1]


def _lines(headers: Iterable[tuple[str, str]]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers])


def goes_on(request: web.BaseRequest) -> bool:
    """Whether the connection is one of today, and stays open."""
    return request.version == HttpVersion11 and request.keep_alive
