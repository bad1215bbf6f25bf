"""What a device has signed is taken once: by many at once, by two replicas, and when Redis dies in between."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from sqlalchemy import text, update

from config import Settings
from models.database import Database
from models.device import Device
from runtime.valkey import EmbeddedValkey, connect
from sandbox.signing import headers as signed_headers
from terminal.paper.quotes import QuoteFeed
from tests.conftest import build_desk
from tests.running import until
from tests.webapp.conftest import Door
from tests.webapp.devices_stage import Key, is_signed, register
from webapp import application

POLL = "/api/v1/ea/poll"
ACCEPTED, REFUSED, LATER = 204, 401, 503


@pytest.fixture
async def memory() -> AsyncIterator[EmbeddedValkey]:
    """A Valkey of this test's own, to be killed."""
    made = EmbeddedValkey()
    yield made
    await made.stop()


@pytest.fixture
async def valkey_server(memory: EmbeddedValkey, tmp_path: Path) -> str:
    return await memory.start(tmp_path)


@pytest.fixture
async def other(door: Door, settings: Settings, quotes: QuoteFeed) -> AsyncIterator[Door]:
    """A second process of the same desk, as far as Redis and the database can tell."""
    assert settings.redis_url is not None
    database, redis = Database.open(settings.database_url.get_secret_value()), connect(
        settings.redis_url.get_secret_value())
    desk = build_desk(settings, database, redis, quotes, replica="other")

    async def ready() -> bool:
        return True

    runner = await application.opened(application.build(desk, settings, ready))
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield Door(desk, settings, f"http://127.0.0.1:{runner.addresses[0][1]}", door.client, runner)
    await runner.cleanup()
    await desk.supervisor.stop(5.0)
    await redis.aclose()
    await database.close()


def kill(memory: EmbeddedValkey) -> None:
    assert memory.pid is not None
    os.kill(memory.pid, signal.SIGKILL)


def signed(key: Key, ahead: int = 0) -> dict[str, str]:
    """The headers of one poll."""
    return signed_headers(*key, method="GET", target=POLL, body=b"", now=int(time.time()) + ahead)


async def asked(at: Door, headers: dict[str, str]) -> int:
    status, _, _ = await at.call("GET", POLL, headers=headers)
    return status


async def served(at: Door, key: Key) -> None:
    """Wait until new requests of the device are accepted."""
    async def is_accepted() -> bool:
        status = await asked(at, signed(key))
        assert status in (ACCEPTED, LATER)
        return status == ACCEPTED

    await until("a new request is accepted", is_accepted)


async def a_device(door: Door) -> Key:
    _, token = await door.person()
    return await register(door, token)


async def test_of_a_hundred_equal_requests_at_two_replicas_one_is_accepted(door: Door, other: Door) -> None:
    key = await a_device(door)
    await served(door, key)
    headers = signed(key)
    answers = await asyncio.gather(*(asked(at, headers) for _ in range(50) for at in (door, other)))
    assert Counter(answers) == {ACCEPTED: 1, REFUSED: 99}


async def test_of_a_hundred_equal_requests_one_is_accepted_though_redis_is_restarted(
        door: Door, other: Door, memory: EmbeddedValkey) -> None:
    key = await a_device(door)
    await served(door, key)
    headers, first = signed(key), asyncio.Event()
    answers: list[int] = []

    async def ask(at: Door) -> None:
        answers.append(await asked(at, headers))
        if answers[-1] == ACCEPTED:
            first.set()

    early = [asyncio.create_task(ask(at)) for _ in range(10) for at in (door, other)]
    await asyncio.wait_for(first.wait(), 60)
    kill(memory)
    amid = [asyncio.create_task(ask(at)) for _ in range(10) for at in (door, other)]
    await asyncio.gather(*early, *amid)
    memory.restart()
    await asyncio.gather(*(ask(at) for _ in range(30) for at in (door, other)))
    await served(door, key)
    await served(other, key)
    await asyncio.gather(ask(door), ask(other))
    assert answers.count(ACCEPTED) == 1 and set(answers) <= {ACCEPTED, REFUSED, LATER}


async def test_what_was_dated_ahead_is_not_taken_again_when_redis_has_forgotten(
        door: Door, memory: EmbeddedValkey) -> None:
    """A clock that is ahead dates requests later than the moment at which Redis began anew."""
    _, token = await door.person()
    key, other_key = await register(door, token), await register(door, (await door.person(7002))[1])
    await served(door, key)
    headers = signed(key, ahead=50)
    assert await asked(door, headers) == ACCEPTED
    kill(memory)
    memory.restart()
    await served(door, other_key)
    assert await asked(door, headers) == LATER


async def test_what_may_be_a_repeat_is_asked_to_come_back_with_another_date(door: Door, memory: EmbeddedValkey) -> None:
    key = await a_device(door)
    await served(door, key)
    kill(memory)
    memory.restart()
    headers = signed(key, ahead=-10)
    status, problem, answer = await door.call("GET", POLL, headers=headers)
    assert (status, problem["code"], answer["Retry-After"]) == (LATER, "unavailable", "1")
    async with door.client.get(f"{door.base}{POLL}", headers=headers) as again:
        assert is_signed(key, again.status, headers["X-Nonce"], await again.read(), again.headers)
    await served(door, key)


async def test_an_error_of_the_database_is_told_under_a_signature(door: Door) -> None:
    """A request that is dated ahead has to be on record before it is let in."""
    key = await a_device(door)
    await served(door, key)
    await _rename(door, "devices", "gone")
    headers = signed(key, ahead=50)
    try:
        async with door.client.get(f"{door.base}{POLL}", headers=headers) as answer:
            assert answer.status >= 500
            assert is_signed(key, answer.status, headers["X-Nonce"], await answer.read(), answer.headers)
    finally:
        await _rename(door, "gone", "devices")
    await served(door, key)


async def _rename(door: Door, table: str, name: str) -> None:
    async with door.desk.database.writing() as session:
        await session.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))


async def test_a_desk_that_is_busy_still_shuts_a_device_out_everywhere(door: Door, other: Door) -> None:
    _, token = await door.person()
    key = await register(door, token)
    await served(other, key)
    done = asyncio.Event()
    with pytest.raises(RuntimeError):
        while True:
            door.desk.supervisor.spawn("busy", done.wait())
    status, refused, _ = await door.call("POST", f"/api/v1/devices/{key[0]}/revoke", token=token)
    assert status == 200, refused
    assert await asked(other, signed(key)) == REFUSED
    done.set()


async def _died_after_revoking(door: Door, key: Key) -> None:
    """It is on record, and nobody has been told."""
    async with door.desk.database.writing() as session:
        await session.execute(update(Device).where(Device.id == key[0]).values(revoked_at=datetime.now(UTC)))


async def test_who_dies_before_telling_a_revocation_leaves_no_way_round_it(door: Door, other: Door) -> None:
    key = await a_device(door)
    await served(other, key)
    await _died_after_revoking(door, key)
    assert await asked(other, signed(key)) == ACCEPTED, "it remembers the key"
    await other.desk.device_keys.look(datetime.now(UTC))
    assert await asked(other, signed(key)) == REFUSED


async def test_revoking_again_tells_what_was_not_told(door: Door, other: Door) -> None:
    _, token = await door.person()
    key = await register(door, token)
    await served(other, key)
    await _died_after_revoking(door, key)
    assert (await door.call("POST", f"/api/v1/devices/{key[0]}/revoke", token=token))[0] == 200
    assert await asked(other, signed(key)) == REFUSED


async def test_a_forged_request_does_not_use_up_a_nonce(door: Door) -> None:
    key = await a_device(door)
    headers = signed(key)
    forged = {**headers, "X-Signature": "v1=" + "0" * 64}
    assert await asked(door, forged) == REFUSED
    assert (await asked(door, headers), await asked(door, headers)) == (ACCEPTED, REFUSED)


async def test_while_redis_is_away_nothing_is_accepted_and_the_answer_is_signed(
        door: Door, memory: EmbeddedValkey) -> None:
    key = await a_device(door)
    await served(door, key)
    kill(memory)
    headers = signed(key)
    async with door.client.get(f"{door.base}{POLL}", headers=headers) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (LATER, "1")
        assert is_signed(key, LATER, headers["X-Nonce"], await answer.read(), answer.headers)
    assert await asked(door, {**signed(key), "X-Signature": "v1=" + "0" * 64}) == REFUSED


async def test_a_revoked_device_is_refused_at_its_next_request_everywhere(door: Door, other: Door) -> None:
    _, token = await door.person()
    key = await register(door, token)
    for at in (door, other):
        await at.desk.waiting_orders.look()  # so that the short way is gone as well
        await served(at, key)
    status, _, _ = await door.call("POST", f"/api/v1/devices/{key[0]}/revoke", token=token)
    assert (status, await asked(other, signed(key)), await asked(door, signed(key))) == (200, REFUSED, REFUSED)


async def test_a_device_revoked_while_redis_was_away_is_not_let_in_when_it_is_back(
        door: Door, other: Door, memory: EmbeddedValkey) -> None:
    _, token = await door.person()
    key = await register(door, token)
    await served(other, key)
    kill(memory)
    status, _, _ = await door.call("POST", f"/api/v1/devices/{key[0]}/revoke", token=token)
    assert status == 200
    memory.restart()

    async def is_refused() -> bool:
        status = await asked(other, signed(key))
        assert status in (REFUSED, LATER)
        return status == REFUSED

    await until("it is refused", is_refused)
