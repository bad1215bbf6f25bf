"""The short ways of polls and of positions: their answers are those of the long way, on connections of every kind."""

import asyncio
import json
import time
from collections import Counter
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event
from yarl import URL

from sandbox.signing import headers as signed_headers
from services import waiting_orders
from tests.webapp.conftest import Door
from tests.webapp.devices_stage import Key, is_signed, register
from tests.webapp.test_device_replays import POLL, served, signed

# The first header of what goes the short way; the long way begins with X-Request-Id.
SHORT = "Server"
OURS = {"date", "x-request-id", "x-signature", "connection"}


@pytest.fixture
async def key(door: Door, monkeypatch: pytest.MonkeyPatch) -> Key:
    """A device that is known, with nothing waiting for its account, which is good to know for longer than usual."""
    monkeypatch.setattr(waiting_orders, "GOOD_SECONDS", 600.0)
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
    assert next(iter(short)) == SHORT
    for more, version in ((["Connection: close"], "1.1"), ([], "1.0")):
        asked = signed(key)
        [long], rest = await spoken(door, written(asked, *more, version=version))
        assert rest == b"" and is_signed(key, 204, asked["X-Nonce"], b"", long)
        assert {name.lower(): value for name, value in long.items() if name.lower() not in OURS} == {
            name.lower(): value for name, value in short.items() if name.lower() not in OURS}


def sealed(key: Key, counter: int) -> tuple[str, dict[str, str]]:
    """The path and the headers of a sealed poll."""
    path = f"{POLL}?envelope=v1&counter={counter}"
    return path, signed_headers(*key, method="GET", target=path, body=b"", now=int(time.time()))


async def polled(door: Door, key: Key, counter: int) -> tuple[int, Any, str]:
    """The status of a sealed poll that may go the short way, what is said, and the first header."""
    path, asked = sealed(key, counter)
    async with door.client.get(URL(door.base + path, encoded=True), headers=asked) as answer:
        body = await answer.read()
        assert is_signed(key, answer.status, asked["X-Nonce"], body, answer.headers)
        return answer.status, json.loads(body) if body else None, next(iter(answer.headers))


async def test_sealed_polls_say_the_same_both_ways(door: Door, key: Key) -> None:
    assert (await polled(door, key, 1))[0] == 204, "the long way: where it may count to is written down"
    path, asked = sealed(key, 2)
    [short], _ = await spoken(door, written(asked, path=path))
    assert next(iter(short)) == SHORT and is_signed(key, 204, asked["X-Nonce"], b"", short)
    path, asked = sealed(key, 3)
    [long], rest = await spoken(door, written(asked, "Connection: close", path=path))
    assert rest == b"" and is_signed(key, 204, asked["X-Nonce"], b"", long)
    assert {name.lower(): value for name, value in long.items() if name.lower() not in OURS} == {
        name.lower(): value for name, value in short.items() if name.lower() not in OURS}


async def test_a_counter_is_used_once_whichever_way_it_comes(door: Door, key: Key) -> None:
    await polled(door, key, 1)
    found = await asyncio.gather(*(polled(door, key, counter) for counter in [5] * 60 + [4] * 20 + [3] * 20))
    statuses = Counter(status for status, _, _ in found)
    assert set(statuses) == {204, 409} and 1 <= statuses[204] <= 3
    assert {first for status, _, first in found if status == 204} == {SHORT}
    assert {said["next_counter"] for status, said, _ in found if status == 409} <= {4, 5, 6}
    assert [(await polled(door, key, counter))[0] for counter in (5, 4, 3, 2, 1, 6)] == [409] * 5 + [204]


async def test_the_short_way_of_a_sealed_poll_writes_nothing(door: Door, key: Key) -> None:
    await polled(door, key, 1)
    seen: list[str] = []

    @event.listens_for(door.desk.database._writer.sync_engine, "before_cursor_execute")
    def note(_c: object, _cu: object, statement: str, *_: object) -> None:
        if "devices" in statement:
            seen.append(statement)

    assert [await polled(door, key, counter) for counter in range(2, 40)] == [(204, None, SHORT)] * 38
    assert seen == []


async def test_who_may_only_ask_sealed_goes_the_short_way_too(door: Door, key: Key) -> None:
    token = (await door.person())[1]
    status, changed, _ = await door.call("PATCH", f"/api/v1/devices/{key[0]}", token=token,
                                         body={"requires_envelope": True})
    assert (status, changed["requires_envelope"]) == (200, True)
    await polled(door, key, 1)
    assert await polled(door, key, 2) == (204, None, SHORT)
    async with door.client.get(door.base + POLL, headers=signed(key)) as answer:
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (403, "envelope_required")


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
    stopping = door.desk.supervisor.stopping
    door.desk.supervisor.start("changes", partial(door.desk.positions.listen, stopping))
    bearer = {"Authorization": f"Bearer {(await door.person())[1]}"}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        order, short, shown = await positions(door, bearer)
        if order[0] == SHORT.lower():
            break
    else:
        pytest.fail("none went the short way")
    assert (await positions(door, bearer, "Connection: close"))[1:] == (short, shown)
