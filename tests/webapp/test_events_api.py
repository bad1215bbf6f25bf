"""The stream of events over real sockets: told once, in order, to whom it belongs, and for as long as it may be."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
import structlog
from aiohttp import web
from jsonschema import Draft202012Validator
from redis.asyncio import Redis

from config import Settings
from models.approval import Door as Via
from models.database import Database
from models.signal import SignalStatus
from runtime import valkey as embedded
from runtime.valkey import EmbeddedValkey
from services import approvals, event_log, providers, signals
from services.desk import Desk
from services.events import Event, EventKind
from terminal.paper.quotes import QuoteFeed
from tests.conftest import build_desk
from tests.running import until
from tests.services import stage
from tests.webapp.conftest import Door
from tests.webapp.listening import EVENTS, hearing, is_open, listening
from webapp import application, openapi
from webapp.api import events as door_of_events


def clock() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def ada(door: Door) -> AsyncIterator[tuple[int, str]]:
    """Somebody for whom events are told: our id and an access token."""
    hearing(door.desk)
    user_id, token = await door.person()
    await is_open(door, token)
    yield user_id, token
    door.desk.supervisor.stopping.set()  # the door waits for streams that are open


async def followed(desk: Desk, user_id: int) -> int:
    """A provider whom this user follows."""
    provider = await stage.found(desk, clock())
    async with desk.database.writing() as session:
        await providers.follow(session, user_id, provider, clock())
    return provider


async def reject(desk: Desk, user_id: int, approval_id: str) -> None:
    """A decision as the chat makes it."""
    async with desk.database.writing() as session:
        await approvals.reject(session, user_id, int(approval_id), None, Via.CHAT, clock())


async def tell(desk: Desk, user_id: int, *numbers: int) -> None:
    """Events that say which one they are."""
    for number in numbers:
        await desk.events.log.append([Event(user_id, EventKind.ORDER_UPDATED, {"order_id": str(number)})],
                                     event_log.new_batch())


def numbers(heard: list[tuple[str, dict[str, str]]]) -> list[int]:
    return [int(data["order_id"]) for _, data in heard]


async def test_what_is_decided_in_the_chat_is_heard_at_the_other_door(door: Door, ada: tuple[int, str]) -> None:
    user_id, token = ada
    provider = await followed(door.desk, user_id)
    async with listening(door, token) as ear:
        assert ear.answer.headers["Content-Type"] == "text/event-stream"
        assert ear.answer.headers["X-Accel-Buffering"] == "no"
        assert ear.answer.headers["Cache-Control"] == "no-store"
        assert ear.retry == 3000
        await stage.ask(door.desk, provider, clock())
        approval = await door.waiting(token)
        assert await ear.next() == ("approval.created", {"approval_id": approval["id"], "status": "pending"})
        await reject(door.desk, user_id, approval["id"])
        assert await ear.next() == ("approval.decided", {"approval_id": approval["id"], "status": "rejected"})


async def test_a_life_of_an_approval_is_told_as_documented(door: Door, ada: tuple[int, str]) -> None:
    user_id, token = ada
    provider = await followed(door.desk, user_id)
    async with listening(door, token) as ear:
        heard = []
        for _ in range(2):
            view = await stage.ask(door.desk, provider, clock())
            heard += await ear.hear(1)
        approval = int(heard[0][1]["approval_id"])
        async with door.desk.database.writing() as session:
            shown = await approvals.view(session, user_id, approval, clock())
            await approvals.approve(session, door.desk.approval_rules, user_id, approval, shown.terms_hash, Via.APP,
                                    clock())
        heard += await ear.hear(2)
        async with door.desk.database.writing() as session:
            await signals.end(session, provider, view.id, SignalStatus.CANCELLED, clock())
        await stage.spread(door.desk, clock())
        heard += await ear.hear(1)
    assert [(event, data["status"]) for event, data in heard] == [
        ("approval.created", "pending"), ("approval.created", "pending"), ("approval.decided", "approved"),
        ("order.updated", "queued"), ("approval.withdrawn", "withdrawn")]
    document = openapi.document()
    shape = document["paths"]["/api/v1/events"]["get"]["responses"]["200"]["content"]["text/event-stream"]["schema"]
    checked = Draft202012Validator({**shape, "components": document["components"]})
    for event, data in heard:
        checked.validate({"event": event, "data": data})


async def test_who_comes_back_gets_exactly_what_was_missed(door: Door, ada: tuple[int, str]) -> None:
    user_id, token = ada
    async with listening(door, token) as ear:
        await tell(door.desk, user_id, 1, 2)
        assert numbers(await ear.hear(2)) == [1, 2]
        last_id = ear.id
        ear.answer.close()  # cut in the middle
    await tell(door.desk, user_id, *range(3, 120))
    async with listening(door, token, last_id) as ear:
        assert numbers(await ear.hear(117)) == list(range(3, 120))
        await tell(door.desk, user_id, 120)
        assert numbers(await ear.hear(1)) == [120]
        assert len(set(ear.ids)) == len(ear.ids) == 119  # where it began, and each once


async def test_who_was_told_nothing_yet_comes_back_to_the_same_place(door: Door, ada: tuple[int, str]) -> None:
    user_id, token = ada
    async with listening(door, token) as ear:
        last_id = ear.id
    await tell(door.desk, user_id, 1)
    async with listening(door, token, last_id) as ear:
        assert numbers(await ear.hear(1)) == [1]


@pytest.mark.parametrize("last_id", ["", "abc", "1", "1-", "-1", "1-1-1", "*", "$", "９-1", "1" * 30 + "-1",
                                     "1-" + "9" * 20])
async def test_what_is_no_id_is_refused(door: Door, ada: tuple[int, str], last_id: str) -> None:
    status, problem, _ = await door.call("GET", EVENTS, token=ada[1], headers={"Last-Event-ID": last_id})
    assert (status, problem["code"]) == (422, "invalid_request")


async def test_an_id_that_is_not_kept_any_more_is_told_to_begin_anew(door: Door, ada: tuple[int, str],
                                                                     redis: Redis) -> None:
    user_id, token = ada
    await tell(door.desk, user_id, 1)
    async with listening(door, token) as ear:
        old = ear.id
        await tell(door.desk, user_id, *range(2, 400))
    for last_id in (old, "1-0", "99999999999999-0", "99999999999999999999-0"):
        async with listening(door, token, last_id) as ear:
            assert await ear.next() == ("reset", {})
            await tell(door.desk, user_id, 400)
            assert numbers(await ear.hear(1)) == [400]  # nothing of before
    await asyncio.sleep(0.01)  # an id is a moment in milliseconds
    await redis.flushall()  # another Redis, which knows nothing of what the former one told
    async with listening(door, token, ear.id) as ear:
        assert await ear.next() == ("reset", {})


async def test_nobody_hears_of_another(door: Door, ada: tuple[int, str]) -> None:
    user_id, token = ada
    other_id, other_token = await door.person(7002, "Bob")
    async with listening(door, token) as ear, listening(door, other_token) as other:
        await tell(door.desk, other_id, *range(100, 200))
        await tell(door.desk, user_id, 1)
        assert numbers(await other.hear(100)) == list(range(100, 200))
        assert numbers(await ear.hear(1)) == [1]
    async with listening(door, token, other.id) as ear:  # another's place is only a moment
        await tell(door.desk, user_id, 2)
        found = await ear.hear(1)
        while numbers(found)[-1] != 2:
            found += await ear.hear(1)
        assert numbers(found) in ([2], [1, 2])


async def test_late_cards_are_told_when_they_may_be_seen(door: Door, ada: tuple[int, str],
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    user_id, token = ada
    monkeypatch.setattr(event_log, "LATE_MS", 0)
    due = clock() + timedelta(seconds=1.5)
    async with listening(door, token) as ear:
        late = Event(user_id, EventKind.APPROVAL_CREATED, {"approval_id": "5", "status": "pending"}, due)
        await door.desk.events.log.append([late], event_log.new_batch())
        await tell(door.desk, user_id, 1)
        assert numbers(await ear.hear(1)) == [1]
        assert await ear.next() == ("approval.created", {"approval_id": "5", "status": "pending"})
        assert clock() >= due


async def test_it_ends_with_the_token_to_the_second(door: Door, ada: tuple[int, str]) -> None:
    user_id, _ = ada
    tokens = replace(door.desk.tokens, access_seconds=3)
    async with listening(door, tokens.issue(user_id, clock())) as ear:
        began = int(time.time())
        assert await ear.next() is None
        assert 1.5 <= time.time() - began <= 4


async def say(door: Door, token: str, more: str = "HTTP/1.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for the stream over a connection of our own."""
    host, port = door.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(f"GET {EVENTS} {more}\r\nHost: desk\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    await writer.drain()
    return reader, writer


async def test_who_hangs_up_before_the_answer_is_no_failure_of_the_database(door: Door, ada: tuple[int, str]) -> None:
    def answered() -> int:
        name, of = "countersign_http_requests_total", {"method": "GET", "route": EVENTS}
        found = [door.desk.metrics.registry.get_sample_value(name, {**of, "status": str(n)}) for n in (200, 503)]
        return int(sum(number or 0 for number in found))

    async def all_are_answered() -> bool:
        await tell(door.desk, ada[0], 0)  # who listens after all notices that its reader has gone
        return answered() >= before + 20

    await until("streams of before are gone", lambda: _none_open(door.desk))
    before = answered()
    with structlog.testing.capture_logs() as logs:
        for _ in range(20):
            _, writer = await say(door, ada[1])
            writer.close()
        await until("all are over", all_are_answered)
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == []


async def test_an_old_client_is_told_the_end_by_the_end_of_its_connection(door: Door, ada: tuple[int, str]) -> None:
    reader, writer = await say(door, ada[1], "HTTP/1.0\r\nConnection: keep-alive")
    assert b" 200 " in await reader.readline()
    await reader.readuntil(b"id: ")
    door.desk.supervisor.stopping.set()
    async with asyncio.timeout(60):
        await reader.read()
    writer.close()


async def test_the_fourth_stream_ends_the_first(door: Door, ada: tuple[int, str]) -> None:
    user_id, token = ada
    async with (listening(door, token) as first, listening(door, token) as second, listening(door, token) as third,
                listening(door, token) as fourth):
        assert await first.next() is None
        assert first.retry == 60_000  # or it would come back at once and push out another
        await tell(door.desk, user_id, 1)
        for ear in (second, third, fourth):
            assert numbers(await ear.hear(1)) == [1]


async def test_a_full_process_refuses_and_says_when_to_come_back(door: Door, ada: tuple[int, str],
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    _, other = await door.person(7002, "Bob")
    await until("streams of before are gone", lambda: _none_open(door.desk))
    monkeypatch.setattr(door.desk.events, "_most", 1)
    async with listening(door, ada[1]):
        status, problem, headers = await door.call("GET", EVENTS, token=other)
        assert (status, problem["code"], headers["Retry-After"]) == (503, "unavailable", "1")


async def _none_open(desk: Desk) -> bool:
    """Whether no stream is open; one whose reader has gone notices with what is told next."""
    await tell(desk, 1, 0)
    return not desk.events.is_listened_to


async def test_silence_is_broken(door: Door, ada: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_of_events, "SILENCE_SECONDS", 0.05)
    user_id, token = ada
    async with listening(door, token) as ear:
        await asyncio.sleep(0.3)
        await tell(door.desk, user_id, 1)
        assert numbers(await ear.hear(1)) == [1] and ear.comments >= 2


async def test_two_replicas_tell_one_stream(door: Door, ada: tuple[int, str], settings: Settings, database_url: str,
                                            redis: Redis, quotes: QuoteFeed) -> None:
    user_id, token = ada
    provider = await followed(door.desk, user_id)
    database = Database.open(database_url)
    other = build_desk(settings, database, redis, quotes, replica="other")
    async with listening(door, token) as ear:
        await stage.ask(other, provider, clock())
        event, data = (await ear.hear(1))[0]
        assert event == "approval.created"
        await reject(other, user_id, data["approval_id"])
        assert (await ear.hear(1))[0][0] == "approval.decided"
        account = (await door.desk.owners.find(user_id, None)).id
        await other.positions.forget(account)
        assert await ear.next() == ("positions.updated", {"account_id": str(account)})
    await other.supervisor.stop(5)
    await database.close()


async def test_a_process_that_stops_ends_its_streams_at_once(door: Door, ada: tuple[int, str]) -> None:
    async with listening(door, ada[1]) as ear:
        began = time.monotonic()
        door.desk.supervisor.stopping.set()
        assert await ear.next() is None
        assert time.monotonic() - began < 10, "sooner than a sign of life would have been sent"
        status, _, _ = await door.call("GET", EVENTS, token=ada[1])
        assert status == 503


async def test_requests_count_once_and_the_time_is_that_to_the_head(door: Door, ada: tuple[int, str]) -> None:
    async with listening(door, ada[1]) as ear:
        await asyncio.sleep(1.2)
        door.desk.supervisor.stopping.set()
        assert await ear.next() is None

    async def counted() -> bool:
        text = door.desk.metrics.render()[0].decode()
        slow = [line for line in text.splitlines() if 'request_seconds_sum{route="/api/v1/events"}' in line]
        return bool(slow) and float(slow[0].split()[-1]) < 1

    await until("the stream is counted", counted)


async def test_while_redis_is_away_streams_end_and_none_begin(
        settings: Settings, database: Database, quotes: QuoteFeed, tmp_path_factory: pytest.TempPathFactory) -> None:
    server = EmbeddedValkey()
    client = embedded.connect(await server.start(tmp_path_factory.mktemp("own")))
    desk = build_desk(settings, database, client, quotes)
    runner = web.AppRunner(application.build(desk, settings, _ready), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        door = Door(desk, settings, f"http://127.0.0.1:{runner.addresses[0][1]}", session, runner)
        _, token = await door.person()
        assert (await door.call("GET", EVENTS, token=token))[0] == 503  # nobody listens to Redis yet
        hearing(desk)
        await is_open(door, token)
        async with listening(door, token) as ear:
            last_id = ear.id
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            assert await ear.next() is None
        status, problem, headers = await door.call("GET", EVENTS, token=token)
        assert (status, problem["code"], headers["Retry-After"]) == (503, "unavailable", "1")
        server.restart()
        await is_open(door, token)
        async with listening(door, token, last_id) as ear:
            assert await ear.next() == ("reset", {})
    await desk.supervisor.stop(5)
    await runner.cleanup()
    await client.aclose()
    await server.stop()


async def _ready() -> bool:
    return True


async def test_a_slow_reader_costs_no_more_than_its_place(door: Door, ada: tuple[int, str],
                                                          measured: Callable[[str], None]) -> None:
    user_id, token = ada
    reader, writer = await say(door, token)
    await reader.readline()
    async with listening(door, token) as quick:
        for start in range(0, 20_000, 100):
            batch = [Event(user_id, EventKind.ORDER_UPDATED, {"order_id": str(number), "pad": "x" * 900})
                     for number in range(start, start + 100)]
            await door.desk.events.log.append(batch, event_log.new_batch())
            await quick.hear(100)
        assert door.runner.server is not None
        held = max(one.transport.get_write_buffer_size() for one in door.runner.server.connections if one.transport)
        assert 0 < held < 512 * 1024  # of 20 MB
        began = time.monotonic()
        door.desk.supervisor.stopping.set()
        assert await quick.next() is None
    with suppress(ConnectionResetError):
        async with asyncio.timeout(20):
            while await reader.read(1 << 20):
                pass
    measured(f"a reader who reads nothing is cut off in {time.monotonic() - began:.2f} s, {held} bytes held for it")
    writer.close()
