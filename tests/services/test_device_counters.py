"""Counters of envelopes: each once at most, with Redis or without its memory, at one desk or at two, and over kills."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import event, select, update

from config import Settings
from models.database import Database
from models.device import Device
from runtime import valkey
from runtime.valkey import EmbeddedValkey
from services import device_counters, devices, entry
from services.desk import Desk
from services.device_counters import STRIDE, SealingKey
from services.errors import CounterUsed, TryLater, Unauthenticated
from services.users import Person
from terminal.paper.quotes import QuoteFeed
from tests.conftest import build_desk
from tests.running import until
from wire.envelope import MOST_COUNTER

NOW = datetime.now(UTC)
MILLISECONDS = int(NOW.timestamp() * 1000)


async def new_key(desk: Desk) -> SealingKey:
    user_id = await entry.enter(desk, Person(7001, "Ada"), NOW)
    return SealingKey((await devices.register(desk, user_id, "VPS", None, NOW)).device.id, 1)


@pytest.fixture
async def key(desk: Desk) -> SealingKey:
    return await new_key(desk)


async def takes(desk: Desk, key: SealingKey, counter: int) -> bool:
    try:
        await device_counters.accept(desk, key, counter, NOW)
    except CounterUsed as refused:
        assert refused.next_counter > counter
        return False
    return True


async def next_of(desk: Desk, key: SealingKey, counter: int) -> int:
    with pytest.raises(CounterUsed) as refused:
        await device_counters.accept(desk, key, counter, NOW)
    return refused.value.next_counter


async def ceiling(database: Database, key: SealingKey) -> int:
    async with database.reading() as session:
        return (await session.scalars(select(Device.counter_ceiling).where(Device.id == key.device_id))).one()


async def forget(redis: Redis) -> None:
    """Redis loses everything."""
    await redis.flushall()


def writes(database: Database) -> list[str]:
    """What is written from now on."""
    seen: list[str] = []

    @event.listens_for(database._writer.sync_engine, "before_cursor_execute")
    def note(_c: object, _cu: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE devices"):
            seen.append(statement)

    return seen


async def test_each_once_and_upwards(desk: Desk, key: SealingKey) -> None:
    assert [await takes(desk, key, counter) for counter in (1, 2, 3, 7)] == [True] * 4
    assert [await takes(desk, key, counter) for counter in (7, 6, 4, 1)] == [False] * 4
    assert await next_of(desk, key, 3) == 8
    assert await takes(desk, key, 8)


async def test_the_writer_is_asked_once_in_a_thousand(desk: Desk, key: SealingKey) -> None:
    seen = writes(desk.database)
    for counter in range(1, 3 * STRIDE + 4):
        assert await takes(desk, key, counter)
    assert len(seen) == 3
    assert await ceiling(desk.database, key) == 3 * (STRIDE + 1)


async def test_what_is_used_does_not_ask_the_writer(desk: Desk, key: SealingKey) -> None:
    """A device that has lost its count, or somebody who sends old requests, holds nobody up."""
    assert await takes(desk, key, 50)
    seen = writes(desk.database)
    assert not await takes(desk, key, 50)
    await forget(desk.redis)
    for counter in range(1, 20):
        assert not await takes(desk, key, counter)
    assert seen == []


async def test_the_ceiling_is_raised_before_a_counter_above_it_is_accepted(desk: Desk, key: SealingKey) -> None:
    for counter in (1, STRIDE + 1, STRIDE + 2, 5_000_000, MOST_COUNTER):
        assert await takes(desk, key, counter)
        assert await ceiling(desk.database, key) >= counter
    assert await next_of(desk, key, MOST_COUNTER) == MOST_COUNTER + 1, "there is none left: a new secret is needed"


async def test_a_redis_that_has_forgotten_lets_new_ones_in_only(desk: Desk, key: SealingKey) -> None:
    assert await takes(desk, key, 10)
    await forget(desk.redis)
    top = await ceiling(desk.database, key)
    for counter in (1, 10, 11, top):
        assert not await takes(desk, key, counter)
    assert await next_of(desk, key, 11) == MILLISECONDS + 1
    assert await takes(desk, key, top + 1)
    assert await takes(desk, key, top + 2)
    assert not await takes(desk, key, top)


async def test_a_device_that_counts_from_the_time_goes_on_when_redis_has_forgotten(desk: Desk,
                                                                                 key: SealingKey) -> None:
    assert await takes(desk, key, MILLISECONDS)
    await forget(desk.redis)
    found = await next_of(desk, key, MILLISECONDS + 1)
    assert found == MILLISECONDS + STRIDE + 1
    assert await takes(desk, key, found)


async def test_a_hundred_at_once(desk: Desk, key: SealingKey) -> None:
    """Of the same counter one; first when nobody knows anything, then when Redis does, then beyond what it knows."""
    for counter in (1, 2, STRIDE + 2, 10 * STRIDE):
        took = await asyncio.gather(*(takes(desk, key, counter) for _ in range(100)))
        assert sum(took) == 1, counter


async def test_no_device_and_no_secret_stands_in_anothers_way(desk: Desk, key: SealingKey) -> None:
    other = SealingKey("dv_unknown", 1)
    assert await takes(desk, key, 1)
    with pytest.raises(Unauthenticated):
        await device_counters.accept(desk, other, 1, NOW)
    for number in (0, 2):
        with pytest.raises(Unauthenticated):
            await device_counters.accept(desk, SealingKey(key.device_id, number), 1, NOW)
    assert await takes(desk, key, 2)


async def rotate(desk: Desk, key: SealingKey, grace: timedelta, at: datetime = NOW) -> SealingKey:
    async with desk.database.writing() as session:
        user_id = (await session.scalars(select(Device.user_id).where(Device.id == key.device_id))).one()
        await devices.rotate(session, desk.vault, user_id, key.device_id, at, grace)
        number = (await session.scalars(select(Device.key_number).where(Device.id == key.device_id))).one()
    return SealingKey(key.device_id, number)


async def test_a_new_secret_begins_anew_and_the_old_one_is_over(desk: Desk, key: SealingKey) -> None:
    assert await takes(desk, key, 3_000)
    new = await rotate(desk, key, timedelta(0))
    assert await takes(desk, new, 1)
    with pytest.raises(Unauthenticated):
        await device_counters.accept(desk, key, 9_000, NOW)


async def test_both_secrets_count_while_both_are_good(desk: Desk, key: SealingKey) -> None:
    """And neither takes one twice, also when Redis forgets in between."""
    assert await takes(desk, key, 3_000)
    new = await rotate(desk, key, timedelta(hours=1))
    await forget(desk.redis)
    for counter in (1, 3_000, 3_001):
        assert not await takes(desk, key, counter)
    assert await takes(desk, key, 9_000) and await takes(desk, key, 9_001)
    counter = await next_of(desk, new, 1)
    assert await takes(desk, new, counter) and await takes(desk, new, counter + 1)
    assert await takes(desk, key, 9_002)
    await forget(desk.redis)
    for one in (key, new):
        for used in (3_000, 9_000, 9_001, 9_002, counter, counter + 1):
            assert not await takes(desk, one, used)
    over = NOW + timedelta(hours=2)
    with pytest.raises(Unauthenticated):
        await device_counters.accept(desk, key, MOST_COUNTER - 1, over)


@pytest.fixture
async def other_desk(settings: Settings, valkey_server: str, database_url: str,
                     quotes: QuoteFeed) -> AsyncIterator[Desk]:
    """A second desk at the same database and the same Redis."""
    database, redis = Database.open(database_url), valkey.connect(valkey_server)
    yield build_desk(settings, database, redis, quotes, replica="other")
    await redis.aclose()
    await database.close()


async def test_two_desks_accept_each_once(desk: Desk, other_desk: Desk, key: SealingKey) -> None:
    both = (desk, other_desk)
    for counter in (1, 2, 3, STRIDE + 5, STRIDE + 6, 5 * STRIDE):
        took = await asyncio.gather(*(takes(both[turn % 2], key, counter) for turn in range(40)))
        assert sum(took) == 1, counter
    await forget(desk.redis)
    counter = await ceiling(desk.database, key) + 1
    took = await asyncio.gather(*(takes(both[turn % 2], key, counter) for turn in range(40)))
    assert sum(took) == 1


async def test_a_desk_that_ends_between_raising_and_accepting(desk: Desk, key: SealingKey) -> None:
    """The commit is the last thing it does. What it had raised the ceiling for is given away to nobody."""
    assert await takes(desk, key, 1)
    ends = asyncio.create_task(device_counters.accept(desk, key, 2 * STRIDE, NOW))
    desk.database.on_commit(lambda _: ends.cancel())
    with pytest.raises(asyncio.CancelledError):
        await ends
    desk.database._told.pop()
    top = await ceiling(desk.database, key)
    assert top >= 2 * STRIDE
    for counter in (2 * STRIDE, 2 * STRIDE + 1, top):
        assert not await takes(desk, key, counter)
    assert await takes(desk, key, 2), "Redis still has leave for these"
    assert await takes(desk, key, top + 1)
    assert not await takes(desk, key, 3)


async def test_chance(desk: Desk, other_desk: Desk, key: SealingKey) -> None:
    """Two desks, many at once, counters up and down, a Redis that forgets, desks that end midway: none twice."""
    chance, taken, at = random.Random(5), Counter[int](), 1
    both = (desk, other_desk)

    async def one(which: Desk, counter: int, dies: bool) -> None:
        task = asyncio.current_task()
        assert task is not None
        if dies:
            which.database.on_commit(lambda _: task.cancel())
        try:
            if await takes(which, key, counter):
                taken[counter] += 1
        finally:
            if dies:
                which.database._told.pop()

    for _ in range(120):
        burst = [max(1, at + chance.randrange(-30, 60)) for _ in range(chance.randrange(1, 9))]
        await asyncio.gather(*(one(chance.choice(both), counter, False) for counter in burst), return_exceptions=True)
        at = max(at, *burst)
        match chance.randrange(8):
            case 0:
                await forget(desk.redis)
            case 1:
                at += STRIDE + chance.randrange(50)
                await asyncio.gather(one(chance.choice(both), at, True), return_exceptions=True)
            case 2:
                at = await ceiling(desk.database, key) + chance.randrange(-3, 3)
    assert set(taken.values()) == {1} and len(taken) > 20


@pytest.fixture
async def own_redis(tmp_path: Path) -> AsyncIterator[tuple[EmbeddedValkey, Redis]]:
    server = EmbeddedValkey()
    client = valkey.connect(await server.start(tmp_path))
    try:
        yield server, client
    finally:
        await client.aclose()
        await server.stop()


async def test_a_redis_that_comes_back_with_an_older_state(settings: Settings, database: Database, quotes: QuoteFeed,
                                                           own_redis: tuple[EmbeddedValkey, Redis]) -> None:
    """It was saved at the fifth counter and is started from that: what was accepted since stays used."""
    server, redis = own_redis
    desk = build_desk(settings, database, redis, quotes)
    key = await new_key(desk)
    for counter in range(1, 6):
        assert await takes(desk, key, counter)
    await redis.save()
    for counter in range(6, 10):
        assert await takes(desk, key, counter)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(TryLater):
        await device_counters.accept(desk, key, 10, NOW)
    server._child.wait()
    server.restart()
    [name] = await until("it answers", lambda: answers(redis))
    assert await redis.hget(name, "last") == b"5", "the old state is there"
    for counter in range(1, 11):
        assert not await takes(desk, key, counter)
    assert await takes(desk, key, await next_of(desk, key, 10))


async def test_two_redis_that_know_nothing_of_each_other(settings: Settings, database: Database, desk: Desk,
                                                         quotes: QuoteFeed, key: SealingKey,
                                                         own_redis: tuple[EmbeddedValkey, Redis]) -> None:
    """One has taken the other's place and a desk has not noticed. What both have leave for is not the same."""
    both, taken = (desk, build_desk(settings, database, own_redis[1], quotes)), Counter[int]()
    for counter in (1, 2, STRIDE + 2, STRIDE + 3, *range(5 * STRIDE, 5 * STRIDE + 20), 9 * STRIDE):
        took = await asyncio.gather(*(takes(both[turn % 2], key, counter) for turn in range(20)))
        taken[counter] += sum(took)
    assert set(taken.values()) <= {0, 1} and taken[1] == taken[5 * STRIDE] == taken[9 * STRIDE] == 1


async def answers(redis: Redis) -> list[bytes]:
    try:
        return [name async for name in redis.scan_iter("device:counter:*")]
    except (OSError, TimeoutError, valkey.RedisError):
        return []


async def test_what_a_revoked_device_counts(desk: Desk, key: SealingKey) -> None:
    async with desk.database.writing() as session:
        await session.execute(update(Device).values(revoked_at=NOW))
    with pytest.raises(Unauthenticated):
        await device_counters.accept(desk, key, 1, NOW)
