"""Whose account it is, from memory: never another's, at once what was changed here, soon what was changed elsewhere."""

import asyncio
from datetime import datetime

import pytest
from redis.asyncio import Redis

from models.account import Account
from models.database import Database
from runtime.supervision import Supervisor
from services import accounts, linking, owners, recent
from services.desk import Desk
from services.errors import NoAccount, NotFound
from services.owners import Known, Owners
from tests.services import stage


@pytest.fixture
async def user_id(desk: Desk, now: datetime) -> int:
    return await stage.join(desk, now, "vip")


async def second(desk: Desk, user_id: int, now: datetime) -> int:
    """Another account of the user, not the primary; returns its number."""
    async with desk.database.writing() as session:
        await accounts.take_turn(session, user_id)
        row = Account(user_id=user_id, route="paper", label="Second", login=f"9{user_id}", server="S", broker="B",
                      currency="USD", sizing={}, status="verified", is_primary=False, verified_at=now, created_at=now)
        session.add(row)
        await session.flush()
        return row.id


async def holds(known: Known | None, redis: Redis) -> bool:
    return known is not None and known.holds(await redis.get(owners.MARK) or b"")


async def test_a_switch_is_seen_at_once_here_and_by_its_mark_elsewhere(desk: Desk, database_url: str, user_id: int,
                                                                       redis: Redis, now: datetime) -> None:
    account_id = await second(desk, user_id, now)
    await asyncio.sleep(0.05)
    database = Database.open(database_url)
    elsewhere = Owners(database, redis, Supervisor().spawn)
    before = await desk.owners.find(user_id, None)
    assert (await elsewhere.find(user_id, None)).id == before.id != account_id
    assert await holds(elsewhere.remembered(user_id), redis) and await holds(desk.owners.remembered(user_id), redis)
    async with desk.database.writing() as session:
        await linking.make_primary(session, user_id, account_id, now)
    assert desk.owners.remembered(user_id) is None
    assert (await desk.owners.find(user_id, None)).id == account_id
    async with asyncio.timeout(60):
        while await holds(elsewhere.remembered(user_id), redis):
            await asyncio.sleep(0.01)
    assert (await elsewhere.find(user_id, None)).id == account_id
    await database.close()


async def test_who_remembers_positions_hears_of_a_switch(desk: Desk, user_id: int, redis: Redis,
                                                         now: datetime) -> None:
    account_id = await second(desk, user_id, now)
    async with redis.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe(recent.CHANNEL)
        async with desk.database.writing() as session:
            await linking.make_primary(session, user_id, account_id, now)
        async with asyncio.timeout(60):
            while (said := await channel.get_message(timeout=1)) is None:
                pass
    assert said["data"] == recent.ALL
    assert await redis.get(owners.MARK)


async def test_an_unlinked_account_is_gone_at_once(desk: Desk, user_id: int, now: datetime) -> None:
    account_id = await second(desk, user_id, now)
    await desk.owners.find(user_id, account_id)
    await linking.unlink(desk, user_id, account_id, now)
    with pytest.raises(NotFound):
        await desk.owners.find(user_id, account_id)


async def test_nobody_finds_anothers_account(desk: Desk, user_id: int, now: datetime) -> None:
    other = await stage.join(desk, now)
    theirs = await desk.owners.find(other, None)
    found = await asyncio.gather(desk.owners.find(user_id, None), desk.owners.find(user_id, theirs.id),
                                 desk.owners.find(other, None), return_exceptions=True)
    assert isinstance(found[0], Account) and found[0].user_id == user_id
    assert isinstance(found[1], NotFound)
    assert isinstance(found[2], Account) and found[2].user_id == other
    with pytest.raises(NoAccount):
        await desk.owners.find(10**6, None)


async def test_what_was_read_before_a_change_is_not_remembered_after_it(desk: Desk, user_id: int,
                                                                        now: datetime) -> None:
    account_id = await second(desk, user_id, now)
    for _ in range(20):
        reading = asyncio.create_task(desk.owners.find(user_id, None))
        async with desk.database.writing() as session:
            await linking.make_primary(session, user_id, account_id, now)
        await reading
        known = desk.owners.remembered(user_id)
        assert known is None or known.accounts[None].id == account_id
        async with desk.database.reading() as session:
            other = next(row for row in await accounts.listed(session, user_id) if row.id != account_id)
        account_id = other.id


def test_without_redis_memory_is_believed_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Known({}, b"mark", 100.0)
    for at, mark, expected in ((101.0, None, True), (102.5, None, False), (110.0, b"mark", True),
                               (110.0, b"other", False), (131.0, b"mark", False)):
        monkeypatch.setattr(owners.time, "monotonic", lambda at=at: at)
        assert known.holds(mark) is expected, (at, mark)
