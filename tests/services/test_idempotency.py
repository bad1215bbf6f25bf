"""Idempotency keys: one claim, one answer, and nobody who lost the lease may write."""

import asyncio
from datetime import datetime, timedelta

import pytest

from services import idempotency
from services.desk import Desk
from services.errors import IdempotencyKeyReused, InProgress
from services.idempotency import KEEP, LEASE, Claim, Stored

SCOPE, KEY, PRINT = "7:POST:/api/v1/billing/checkout", "key-1", "f" * 64
ANSWER = Stored(201, {"Content-Type": "application/json"}, '{"url":"x"}')


async def claim(desk: Desk, now: datetime, *, scope: str = SCOPE, key: str = KEY,
                fingerprint: str = PRINT) -> Claim | Stored:
    async with desk.database.writing() as session:
        return await idempotency.claim(session, scope, key, fingerprint, now)


async def held(desk: Desk, now: datetime) -> Claim:
    found = await claim(desk, now)
    assert isinstance(found, Claim)
    return found


async def finish(desk: Desk, mine: Claim, now: datetime) -> None:
    async with desk.database.writing() as session:
        await idempotency.finish(session, mine, ANSWER, now)


async def test_many_at_once_are_one_claim(desk: Desk, now: datetime) -> None:
    outcomes = await asyncio.gather(*(claim(desk, now) for _ in range(30)), return_exceptions=True)
    assert sum(isinstance(one, Claim) for one in outcomes) == 1
    assert sum(isinstance(one, InProgress) for one in outcomes) == 29


async def test_the_answer_is_kept_for_a_day_and_then_the_key_is_new(desk: Desk, now: datetime) -> None:
    first = await held(desk, now)
    await finish(desk, first, now)
    assert await claim(desk, now + KEEP - timedelta(seconds=1)) == ANSWER
    again = await claim(desk, now + KEEP)
    assert isinstance(again, Claim) and again.operation_id != first.operation_id


async def test_a_key_belongs_to_one_request_of_one_user(desk: Desk, now: datetime) -> None:
    mine = await held(desk, now)
    with pytest.raises(IdempotencyKeyReused):
        await claim(desk, now, fingerprint="0" * 64)
    assert isinstance(await claim(desk, now, scope="8:POST:/api/v1/billing/checkout"), Claim)
    await finish(desk, mine, now)
    with pytest.raises(IdempotencyKeyReused):
        await claim(desk, now, fingerprint="0" * 64)


async def test_a_dead_process_is_taken_over_under_the_same_operation(desk: Desk, now: datetime) -> None:
    dead = await held(desk, now)
    with pytest.raises(InProgress):
        await claim(desk, now + LEASE - timedelta(seconds=1))
    taken = await asyncio.gather(*(claim(desk, now + LEASE) for _ in range(10)), return_exceptions=True)
    [heir] = [one for one in taken if isinstance(one, Claim)]
    assert heir.operation_id == dead.operation_id and heir.is_resumed
    with pytest.raises(InProgress):
        await finish(desk, dead, now + LEASE)
    await finish(desk, heir, now + LEASE)
    assert await claim(desk, now + LEASE) == ANSWER


async def test_an_unknown_outcome_goes_on_at_once_under_the_same_operation(desk: Desk, now: datetime) -> None:
    first = await held(desk, now)
    async with desk.database.writing() as session:
        await idempotency.lose_sight(session, first)
    second = await claim(desk, now)
    assert isinstance(second, Claim)
    assert (second.operation_id, second.is_resumed) == (first.operation_id, True)


async def test_what_never_began_leaves_no_trace(desk: Desk, now: datetime) -> None:
    first = await held(desk, now)
    async with desk.database.writing() as session:
        await idempotency.give_up(session, first)
    second = await claim(desk, now, fingerprint="0" * 64)
    assert isinstance(second, Claim) and not second.is_resumed


async def test_only_old_answers_are_dropped(desk: Desk, now: datetime) -> None:
    await finish(desk, await held(desk, now), now)
    assert isinstance(await claim(desk, now, key="open"), Claim)
    async with desk.database.writing() as session:
        assert await idempotency.drop_expired(session, now + KEEP + timedelta(days=1), 100) == 1
    with pytest.raises(InProgress):
        await claim(desk, now, key="open")
