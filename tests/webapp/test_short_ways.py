"""The short ways of polls and of positions: their answers are those of the long way, on connections of every kind."""

import asyncio
import json
from typing import Any

import pytest

from tests.webapp.conftest import Door
from tests.webapp.devices_stage import Key, is_signed, register
from tests.webapp.test_device_replays import POLL, served, signed

OURS = {"date", "x-request-id", "x-signature", "connection"}


@pytest.fixture
async def key(door: Door) -> Key:
    """A device that is known, with nothing waiting for its account."""
    made = await register(door, (await door.person())[1])
    await served(door, made)
    await door.desk.waiting_orders.look()
    return made


def written(headers: dict[str, str], *more: str, version: str = "1.1", path: str = POLL) -> bytes:
    lines = (f"GET {path} HTTP/{version}", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items()),
             *more, "", "")
    return "\r\n".join(lines).encode()


async def spoken(door: Door, *requests: bytes) -> tuple[list[dict[str, str]], bytes]:
    """Everything is sent at once: the headers of each answer in their order, and what was said after the last."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(door.base.rsplit(":", 1)[1]))
    writer.write(b"".join(requests))
    heads = []
    for _ in requests:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        assert head[0].split(" ", 1)[1] == "204 No Content"
        heads.append(dict(line.split(": ", 1) for line in head[1:-2]))
    if writer.can_write_eof():
        writer.write_eof()
    rest = await reader.read()
    writer.close()
    return heads, rest


async def test_many_on_one_connection_are_answered_each(door: Door, key: Key) -> None:
    asked = [signed(key) for _ in range(20)]
    heads, rest = await spoken(door, *map(written, asked))
    assert rest == b""
    for headers, head in zip(asked, heads, strict=True):
        assert is_signed(key, 204, headers["X-Nonce"], b"", head)
    assert len({head["X-Request-Id"] for head in heads}) == 20


async def test_both_ways_say_the_same(door: Door, key: Key) -> None:
    [short], _ = await spoken(door, written(signed(key)))
    assert list(short)[-1] == "Date", "it went the short way"
    for more, version in ((["Connection: close"], "1.1"), ([], "1.0")):
        asked = signed(key)
        [long], rest = await spoken(door, written(asked, *more, version=version))
        assert rest == b"" and is_signed(key, 204, asked["X-Nonce"], b"", long)
        assert {name.lower(): value for name, value in long.items() if name.lower() not in OURS} == {
            name.lower(): value for name, value in short.items() if name.lower() not in OURS}


async def test_who_hangs_up_disturbs_nobody(door: Door, key: Key) -> None:
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", int(door.base.rsplit(":", 1)[1]))
        writer.write(written(signed(key)))
        await writer.drain()
        writer.transport.abort()
    heads, _ = await spoken(door, written(signed(key)))
    assert len(heads) == 1


async def positions(door: Door, bearer: dict[str, str], *more: str) -> tuple[list[str], dict[str, str], Any]:
    """The names of the headers in their order, what they say, and the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(door.base.rsplit(":", 1)[1]))
    writer.write(written(bearer, *more, path="/api/v1/positions"))
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    head = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[:-2])}
    body = json.loads(await reader.readexactly(int(head["content-length"])))
    writer.close()
    assert status == "HTTP/1.1 200 OK", body
    return list(head), {name: head[name] for name in head.keys() - OURS}, body


async def test_positions_too(door: Door) -> None:
    bearer = {"Authorization": f"Bearer {(await door.person())[1]}"}
    await positions(door, bearer)
    order, short, shown = await positions(door, bearer)
    assert order[-1] == "date", "it went the short way"
    assert (await positions(door, bearer, "Connection: close"))[1:] == (short, shown)
