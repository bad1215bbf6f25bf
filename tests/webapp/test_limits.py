"""Counting requests in this process while Redis is away."""

import time

import pytest
from redis.asyncio import Redis

from config import Settings
from runtime.metrics import Metrics
from runtime.supervision import Supervisor
from services.errors import RateLimited, TryLater
from tests.running import free_port
from webapp import limits
from webapp.limits import Away, Breaker, Limits

PLACES = 4


@pytest.fixture
def counted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Limits:
    """Limits over a Redis that is not there, with room for a few."""
    monkeypatch.setattr(limits, "MOST_COUNTED_HERE", PLACES)
    return Limits(Redis(port=free_port()), settings.facts.limits.model_copy(update={"money": 2}), Metrics(), Breaker(),
                  Supervisor().spawn)


async def ask(counted: Limits, key: str) -> None:
    await counted.check("money", key, away=Away.COUNT_HERE)


async def test_whoever_is_counted_already_is_not_shut_out_by_others(counted: Limits) -> None:
    for key in range(PLACES):
        await ask(counted, str(key))
    with pytest.raises(TryLater):
        await ask(counted, "a stranger")
    await ask(counted, "0")
    with pytest.raises(RateLimited):
        await ask(counted, "0")


async def test_counters_that_ran_out_make_room(counted: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in range(PLACES):
        await ask(counted, str(key))
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 300)
    await ask(counted, "a stranger")
