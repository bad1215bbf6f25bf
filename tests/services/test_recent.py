"""What was found a moment ago: for a second, never after a change, wherever the change was made."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis

from runtime import valkey
from services import recent
from services.position_cache import PositionCache
from services.recent import Recent
from services.snapshots import Portfolio
from tests.running import free_port, until
from tests.services.replicas import snapshot


@pytest.fixture
async def kept(redis: Redis) -> AsyncIterator[Recent[str]]:
    """One that hears."""
    made, stopping = Recent[str](redis), asyncio.Event()
    listening = asyncio.create_task(made.listen(stopping))
    await until_it_keeps(made)
    yield made
    stopping.set()
    async with asyncio.timeout(60):
        await listening


async def until_it_keeps(made: Recent[Any]) -> None:
    async def keeps() -> bool:
        made.keep(10**9, "x", made.changes)
        return made.get(10**9) is not None

    await until("changes are heard of", keeps)


async def test_what_was_found_is_there_for_a_second(kept: Recent[str], monkeypatch: pytest.MonkeyPatch) -> None:
    kept.keep(1, "found", kept.changes)
    assert kept.get(1) == "found" and kept.get(2) is None
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + recent.REMEMBER_SECONDS)
    assert kept.get(1) is None


async def test_what_was_looked_for_before_a_change_is_not_kept_after_it(kept: Recent[str]) -> None:
    before = kept.changes
    kept.keep(1, "old", before)
    kept.drop(1)
    assert kept.get(1) is None
    kept.keep(1, "old", before)
    assert kept.get(1) is None
    kept.keep(1, "new", kept.changes)
    assert kept.get(1) == "new"


@pytest.mark.parametrize(("said", "left"), [("1", [None, "two"]), ("*", [None, None]), ("rubbish", [None, None])])
async def test_what_others_change_is_heard_of(kept: Recent[str], redis: Redis, said: str,
                                              left: list[str | None]) -> None:
    kept.keep(1, "one", kept.changes)
    kept.keep(2, "two", kept.changes)
    assert await redis.publish(recent.CHANNEL, said) == 1

    async def is_heard() -> bool:
        return kept.get(1) is None

    began = time.monotonic()
    await until("the change is heard of", is_heard)
    if time.monotonic() - began < recent.REMEMBER_SECONDS / 2:
        assert [kept.get(1), kept.get(2)] == left


async def test_who_does_not_hear_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "PAUSE_SECONDS", 600.0)
    deaf = Recent[str](valkey.connect(f"redis://127.0.0.1:{free_port()}"))
    deaf.keep(1, "found", deaf.changes)
    assert deaf.get(1) is None
    stopping = asyncio.Event()
    listening = asyncio.create_task(deaf.listen(stopping))
    await asyncio.sleep(0)
    deaf.keep(1, "found", deaf.changes)
    assert deaf.get(1) is None
    stopping.set()
    async with asyncio.timeout(60):
        await listening


async def test_it_hears_again_after_its_connection_was_cut(kept: Recent[str], redis: Redis) -> None:
    await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

    async def is_heard() -> bool:
        kept.keep(1, "found", kept.changes)
        return bool(await redis.publish(recent.CHANNEL, "1"))

    await until("somebody listens again", is_heard)


async def test_what_it_may_have_missed_meanwhile_is_not_believed(kept: Recent[str], redis: Redis,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "REMEMBER_SECONDS", 3600.0)
    kept.keep(1, "found", kept.changes)
    await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

    async def is_dropped() -> bool:
        return kept.get(1) is None

    await until("it is asked for again", is_dropped)


@pytest.fixture
async def here(redis: Redis) -> AsyncIterator[PositionCache]:
    """Where this process keeps portfolios; it hears of what others change."""
    made, stopping = PositionCache(redis), asyncio.Event()
    listening = asyncio.create_task(made.recent.listen(stopping))
    await until_it_keeps(made.recent)
    yield made
    stopping.set()
    await listening


async def test_a_look_that_others_outran_is_not_kept(here: PositionCache, redis: Redis) -> None:
    there = PositionCache(redis)
    nothing = Portfolio(1, snapshot("1"), (), {}, Decimal(0), Decimal(0), False, None, None, datetime.now(UTC))
    await there.keep(nothing, b"{}", await there.claim(1, timedelta(seconds=1)))
    glance, before = here.glance(1), here.recent.changes
    await here.look(2, here.glance(2))  # answered with it or after it
    await there.forget(1)

    async def is_heard() -> bool:
        return here.recent.changes > before

    await until("the change is heard of", is_heard)
    assert (await here.look(1, glance)).answer is not None
    assert here.recent.get(1) is None


async def test_its_room_is_bounded(kept: Recent[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST", 3)
    for number in range(5):
        kept.keep(number, "found", kept.changes)
    assert [kept.get(number) is not None for number in range(5)] == [False, False, True, True, True]
