"""Requests that pass before they are counted: few, counted after all, and nobody gets over a limit by them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from config import Settings
from runtime import valkey
from runtime.metrics import Metrics
from runtime.supervision import Supervisor
from runtime.valkey import EmbeddedValkey
from services.errors import RateLimited
from tests.running import free_port, until
from webapp import credit
from webapp.limits import Breaker, Limits

MOST = 40


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    made = Supervisor()
    yield made
    await made.stop(5)


@pytest.fixture
def limits(settings: Settings, redis: Redis, supervisor: Supervisor) -> Limits:
    return desk_of(settings, redis, supervisor)


def desk_of(settings: Settings, redis: Redis, supervisor: Supervisor) -> Limits:
    allowed = settings.facts.limits.model_copy(update={"reads": MOST, "auth": 0})
    return Limits(redis, allowed, Metrics(), Breaker(), supervisor.spawn)


async def counted(redis: Redis, key: str) -> int:
    """What Redis has counted, over the turn of a minute too."""
    names = [name async for name in redis.scan_iter(match=f"limits:reads:{key}:*")]
    return sum(int(number or 0) for number in await redis.mget(names)) if names else 0


async def read(limits: Limits, key: str) -> bool:
    """One request as the door of positions lets it in; whether it passed without being counted first."""
    if limits.passes("reads", key):
        return True
    await limits.check("reads", key, credit=True)
    return False


async def test_nobody_passes_before_redis_has_been_asked(limits: Limits) -> None:
    assert not limits.passes("reads", "1")
    await limits.check("reads", "1")
    assert not limits.passes("reads", "1"), "a door that gives no credit opens none"
    await limits.check("reads", "1", credit=True)
    assert limits.passes("reads", "1")
    assert not limits.passes("reads", "2"), "another's"


async def test_a_single_desk_lets_exactly_as_many_pass(limits: Limits, redis: Redis) -> None:
    passed = at_once = 0
    with pytest.raises(RateLimited) as refused:
        while passed <= MOST:
            at_once += await read(limits, "1")
            passed += 1
    assert passed == MOST and at_once > MOST // 2
    assert 1 <= refused.value.retry_after <= 60
    assert await counted(redis, "1") == MOST


async def test_many_at_once_are_no_more(limits: Limits) -> None:
    found = await asyncio.gather(*(read(limits, "1") for _ in range(3 * MOST)), return_exceptions=True)
    assert sum(isinstance(answer, RateLimited) for answer in found) == 2 * MOST
    assert not [answer for answer in found if isinstance(answer, Exception) and not isinstance(answer, RateLimited)]


async def test_two_desks_together_are_hardly_over_it(settings: Settings, redis: Redis, supervisor: Supervisor) -> None:
    desks, passed = [desk_of(settings, redis, supervisor) for _ in range(2)], 0
    for turn in range(4 * MOST):
        try:
            await read(desks[turn % 2], "1")
        except RateLimited:
            continue
        passed += 1
    assert MOST <= passed <= MOST + MOST // credit.SHARE


async def test_what_has_passed_is_counted_without_a_further_question(limits: Limits, redis: Redis) -> None:
    await read(limits, "1")
    for _ in range(3):
        assert await read(limits, "1")
    assert await counted(redis, "1") == 1

    async def all_are_counted() -> bool:
        return await counted(redis, "1") == 4

    await until("what has passed is counted", all_are_counted)
    assert not limits.passes("reads", "1"), "after its second nobody passes without a question"


async def test_what_is_told_later_is_about_nobodys_request(settings: Settings, redis: Redis) -> None:
    about, seen = ContextVar("about", default="nobody"), list[str]()

    def start(_: str, work: Coroutine[Any, Any, None]) -> None:
        seen.append(about.get())
        work.close()

    allowed = settings.facts.limits.model_copy(update={"reads": MOST})
    limits = Limits(redis, allowed, Metrics(), Breaker(), start)
    about.set("a request")
    await read(limits, "1")
    assert await read(limits, "1")

    async def is_told() -> bool:
        return bool(seen)

    await until("what has passed is told", is_told)
    assert seen == ["nobody"]


async def test_credit_is_for_few_and_its_room_is_bounded(limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credit, "MOST_NAMES", 2)
    for key in ("1", "2", "3"):
        await limits.check("reads", key, credit=True)
    assert [limits.passes("reads", key) for key in ("1", "2", "3")] == [True, True, False]


async def test_a_door_without_a_limit_is_open(limits: Limits) -> None:
    assert limits.passes("auth", "1")


async def test_without_redis_nobody_has_credit(settings: Settings, supervisor: Supervisor) -> None:
    away = desk_of(settings, Redis(port=free_port()), supervisor)
    for _ in range(3):
        assert not await read(away, "1")


async def test_a_redis_that_goes_away_costs_the_count_and_nobody_an_answer(settings: Settings, tmp_path: Path,
                                                                           supervisor: Supervisor) -> None:
    server = EmbeddedValkey()
    redis = valkey.connect(await server.start(tmp_path))
    limits = desk_of(settings, redis, supervisor)
    await read(limits, "1")
    assert await read(limits, "1")
    await server.stop()
    for _ in range(2 * MOST):
        await read(limits, "1")
    await redis.aclose()
