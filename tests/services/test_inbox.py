"""The inbox: stored once, handled once and in order per lane, tried again after failures, given up in the end."""

import asyncio
from datetime import datetime, timedelta

from sqlalchemy import select, update

from models.database import Database
from models.message import InboxItem, InboxState
from models.user import User
from services import inbox
from services.inbox import Claimed, Delivery
from tests.services import stage

SPAN = timedelta(seconds=60)


def update_of(number: int, chat: int = 1) -> Delivery:
    return Delivery(str(number), f"chat:{chat}", b'{"update_id":%d}' % number)


async def store(database: Database, now: datetime, *deliveries: Delivery, source: str = "telegram") -> int:
    async with database.writing() as session:
        return await inbox.store(session, source, deliveries, now)


async def claim(database: Database, owner: str, now: datetime, limit: int = 10) -> list[Claimed]:
    async with database.writing() as session:
        return await inbox.claim(session, "telegram", owner, now, SPAN, limit)


async def finish(database: Database, item: Claimed, owner: str, now: datetime) -> bool:
    async with database.writing() as session:
        return await inbox.finish(session, item.id, owner, now)


async def test_a_redelivery_is_stored_once(database: Database, now: datetime) -> None:
    assert await store(database, now, update_of(1), update_of(2), update_of(1)) == 2
    assert await store(database, now, update_of(2), update_of(3)) == 1
    assert await store(database, now, update_of(1), source="stripe") == 1
    assert await store(database, now) == 0
    async with database.reading() as session:
        assert await inbox.last_external_id(session, "telegram") == 3
        assert await inbox.last_external_id(session, "nobody") is None


async def test_parallel_redeliveries_are_stored_once(database: Database, now: datetime) -> None:
    batch = [update_of(number) for number in range(20)]
    stored = await asyncio.gather(*(store(database, now, *(batch if n % 2 else batch[5:])) for n in range(10)))
    assert sum(stored) == 20 == await stage.count(database, InboxItem)


async def test_a_handled_update_is_still_known_when_it_comes_again(database: Database, now: datetime) -> None:
    await store(database, now, update_of(1))
    (item,) = await claim(database, "w", now)
    assert await finish(database, item, "w", now)
    assert await store(database, now, update_of(1)) == 0
    assert await claim(database, "w", now) == []


async def test_parallel_workers_keep_each_chats_order(database: Database, now: datetime) -> None:
    await store(database, now, *(update_of(number, chat=number % 4) for number in range(60)))
    handled: dict[str, list[int]] = {}
    under_way: set[str] = set()

    async def work(owner: str) -> None:
        while items := await claim(database, owner, now, limit=2):
            for item in items:
                assert item.lane not in under_way, "one chat in two hands"
                under_way.add(item.lane)
            await asyncio.sleep(0.002)
            for item in items:
                handled.setdefault(item.lane, []).append(int(item.external_id))
                under_way.discard(item.lane)
                assert await finish(database, item, owner, now)

    while await stage.count(database, InboxItem, InboxItem.state == InboxState.PENDING):
        await asyncio.gather(*(work(f"w{n}") for n in range(6)))
    assert handled == {f"chat:{chat}": [n for n in range(60) if n % 4 == chat] for chat in range(4)}


async def test_a_lane_waits_for_its_oldest_and_others_do_not(database: Database, now: datetime) -> None:
    await store(database, now, update_of(1, 1), update_of(2, 1), update_of(3, 2))
    first, other = await claim(database, "w", now)
    assert (first.external_id, other.external_id) == ("1", "3")
    async with database.writing() as session:
        assert await inbox.fail(session, first, "w", now, "Bad gateway", 5) == InboxState.PENDING
    assert await claim(database, "w", now) == []
    (again,) = await claim(database, "w", now + timedelta(seconds=1))
    assert (again.external_id, again.attempts) == ("1", 1)


async def test_five_failures_are_enough_and_free_the_lane(database: Database, now: datetime) -> None:
    await store(database, now, update_of(1), update_of(2))
    pauses = []
    for attempt in range(1, 6):
        (item,) = await claim(database, "w", now)
        assert (item.external_id, item.attempts) == ("1", attempt - 1)
        async with database.writing() as session:
            state = await inbox.fail(session, item, "w", now, "x" * 900, 5)
        assert state == (InboxState.DEAD if attempt == 5 else InboxState.PENDING)
        async with database.reading() as session:
            pauses.append((await session.get_one(InboxItem, item.id)).next_try_at - now)
        now += timedelta(minutes=5)
    assert timedelta(0) < pauses[0] < pauses[1] < pauses[2] < pauses[3] < timedelta(minutes=5)
    (following,) = await claim(database, "w", now)
    assert following.external_id == "2"
    async with database.reading() as session:
        dead = (await session.scalars(select(InboxItem).where(InboxItem.state == InboxState.DEAD))).one()
        assert await inbox.backlog(session) == {"pending": 1, "dead": 1, "held": 0}
    assert dead.attempts == 5 and dead.error == "x" * 500 and dead.handled_at is not None


async def test_who_lost_the_lease_undoes_what_they_did(database: Database, now: datetime) -> None:
    await store(database, now, update_of(1))
    (slow,) = await claim(database, "slow", now)
    assert await claim(database, "quick", now + SPAN - timedelta(seconds=1)) == []
    (again,) = await claim(database, "quick", now + SPAN)
    assert again.id == slow.id
    assert not await finish(database, slow, "slow", now)
    assert await finish(database, again, "quick", now)
    assert not await finish(database, again, "quick", now), "once"


async def test_effects_and_the_mark_are_one_transaction(database: Database, now: datetime) -> None:
    await store(database, now, update_of(1))
    (item,) = await claim(database, "w", now)
    try:
        async with database.writing() as session:
            session.add(User(telegram_id=1, first_name="half", card_notice="on", created_at=now))
            await session.flush()
            assert await inbox.finish(session, item.id, "w", now)
            raise RuntimeError("the process dies here")
    except RuntimeError:
        pass
    assert await stage.count(database, User) == 0
    assert len(await claim(database, "w", now + SPAN)) == 1


async def test_the_janitor_leaves_the_dead_the_young_and_each_sources_newest(database: Database, now: datetime) -> None:
    old = now - timedelta(days=8)
    await store(database, old, *(update_of(number, chat=number) for number in range(1, 5)))
    await store(database, old, update_of(70), update_of(71), update_of(72), source="stripe")
    async with database.writing() as session:
        await session.execute(update(InboxItem).values(state=InboxState.DONE, handled_at=old))
        await session.execute(update(InboxItem).where(InboxItem.external_id == "70")
                              .values(handled_at=now - timedelta(days=39)))
        await session.execute(update(InboxItem).where(InboxItem.external_id == "1").values(state=InboxState.DEAD))
        await session.execute(update(InboxItem).where(InboxItem.external_id == "2").values(handled_at=now))
    async with database.writing() as session:
        assert await inbox.drop_handled(session, now - timedelta(days=7), 100) == 2
    async with database.reading() as session:
        left = set(await session.scalars(select(InboxItem.external_id)))
        assert left == {"1", "2", "4", "71", "72"}, "Stripe keeps events for a month and may be asked for them"
        assert await inbox.last_external_id(session, "telegram") == 4


async def test_pauses_grow_but_never_beyond_ten_minutes(database: Database, now: datetime) -> None:
    async with database.writing() as session:
        await inbox.store(session, "stripe", [inbox.Delivery("evt_1", "stripe:sub_1", b"{}")], now)
    pauses = []
    for _ in range(30):
        async with database.writing() as session:
            [item] = await inbox.claim(session, "stripe", "w", now, timedelta(seconds=60), 1)
            await inbox.fail(session, item, "w", now, "Outage", 150)
        async with database.reading() as session:
            due = await inbox.next_due(session, "stripe")
        assert due is not None
        pauses.append(due - now)
        now = due
    assert pauses == sorted(pauses) and pauses[0] < timedelta(seconds=1) and pauses[-1] == timedelta(minutes=10)
