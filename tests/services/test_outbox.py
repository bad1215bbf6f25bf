"""The outbox: what is owed is claimed by one, in its order, settled once, and never lost with a worker."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, event, select

from models.database import Database
from models.message import OutboxItem, OutboxKind, OutboxState, Priority
from services import outbox
from services.desk import Desk
from services.outbox import Claimed
from tests.services import stage

LEASE = timedelta(seconds=30)


async def owe(database: Database, now: datetime, *messages: tuple[int, str], priority: int = Priority.ANSWER) -> None:
    async with database.writing() as session:
        for chat_id, key in messages:
            await outbox.say(session, chat_id, key, {"text": key}, now, priority=priority)


async def claim(database: Database, owner: str, now: datetime, limit: int = 10,
                busy: tuple[int, ...] = ()) -> list[Claimed]:
    async with database.writing() as session:
        return await outbox.claim(session, owner, now, LEASE, limit, busy)


async def settle(database: Database, item: Claimed, owner: str, now: datetime,
                 state: OutboxState = OutboxState.SENT) -> None:
    async with database.writing() as session:
        await outbox.settle(session, item, owner, state, now, message_id=5)


async def row(database: Database, item_id: int) -> OutboxItem:
    async with database.reading() as session:
        return await session.get_one(OutboxItem, item_id)


async def test_parallel_workers_never_claim_the_same_row(database: Database, now: datetime) -> None:
    await owe(database, now, *((chat, f"m{chat}") for chat in range(120)))
    taken: list[int] = []

    async def work(owner: str) -> None:
        while items := await claim(database, owner, now, limit=7):
            taken.extend(item.id for item in items)
            for item in items:
                await settle(database, item, owner, now)

    await asyncio.gather(*(work(f"w{n}") for n in range(8)))
    assert len(taken) == len(set(taken)) == 120
    assert await stage.count(database, OutboxItem, OutboxItem.state == OutboxState.SENT) == 120


async def test_parallel_workers_never_hold_one_chat_twice(database: Database, now: datetime) -> None:
    await owe(database, now, *((chat, f"c{chat}-{n}") for n in range(12) for chat in range(3)))
    told: dict[int, list[str]] = {0: [], 1: [], 2: []}
    held: set[int] = set()

    async def work(owner: str) -> None:
        while items := await claim(database, owner, now, limit=2):
            for item in items:
                assert item.chat_id not in held, "one chat in two hands"
                held.add(item.chat_id)
            await asyncio.sleep(0.002)
            for item in items:
                assert item.payload is not None
                told[item.chat_id].append(item.payload["text"])
                held.discard(item.chat_id)
                await settle(database, item, owner, now)

    while await stage.count(database, OutboxItem, OutboxItem.state == OutboxState.PENDING):
        await asyncio.gather(*(work(f"w{n}") for n in range(6)))
    assert told == {chat: [f"c{chat}-{n}" for n in range(12)] for chat in range(3)}


async def test_a_lost_workers_row_comes_back_after_its_lease(database: Database, now: datetime) -> None:
    await owe(database, now, (1, "a"), (1, "b"))
    (held,) = await claim(database, "dead", now)
    assert await claim(database, "w", now + LEASE - timedelta(seconds=1)) == [], "one at a time to a chat"
    (again,) = await claim(database, "w", now + LEASE)
    assert again.id == held.id
    await settle(database, held, "dead", now)
    assert (await row(database, held.id)).state == OutboxState.PENDING, "who lost the lease settles nothing"
    await settle(database, again, "w", now)
    assert (await row(database, held.id)).state == OutboxState.SENT
    (following,) = await claim(database, "w", now)
    assert following.payload == {"text": "b"}


async def test_the_urgent_goes_first_and_busy_chats_wait(database: Database, now: datetime) -> None:
    await owe(database, now, (1, "house"), priority=Priority.HOUSEKEEPING)
    await owe(database, now, (2, "card"), priority=Priority.CARD)
    await owe(database, now, (3, "late answer"))
    await owe(database, now + timedelta(seconds=5), (4, "not yet"))
    order = [item.payload["text"] for item in await claim(database, "w", now, busy=(2,)) if item.payload]
    assert order == ["late answer", "house"]
    assert [item.chat_id for item in await claim(database, "v", now)] == [2]
    assert [item.chat_id for item in await claim(database, "v", now + timedelta(seconds=5))] == [4]


async def test_a_postponed_row_waits_and_counts_only_its_own_attempts(database: Database, now: datetime) -> None:
    await owe(database, now, (1, "a"))
    later = now + timedelta(seconds=7)
    for counts, attempts in ((False, 0), (True, 1), (True, 2)):
        (item,) = await claim(database, "w", now)
        async with database.writing() as session:
            await outbox.postpone(session, item, "w", later, counts=counts, error="429")
        found = await row(database, item.id)
        assert (found.attempts, found.next_try_at, found.lease_until) == (attempts, later, None)
        assert await claim(database, "w", later - timedelta(milliseconds=1)) == []
        now, later = later, later + timedelta(seconds=7)


async def test_asking_twice_is_asking_once(database: Database, now: datetime) -> None:
    async def say() -> None:
        await owe(database, now, (1, "once"))

    await asyncio.gather(*(say() for _ in range(10)))
    assert await stage.count(database, OutboxItem) == 1


async def test_next_due_names_the_earliest(database: Database, now: datetime) -> None:
    async with database.reading() as session:
        assert await outbox.next_due(session) is None
    await owe(database, now + timedelta(seconds=9), (1, "a"))
    await owe(database, now + timedelta(seconds=4), (2, "b"))
    async with database.reading() as session:
        assert await outbox.next_due(session) == now + timedelta(seconds=4)
        assert (await outbox.backlog(session))["pending"] == {Priority.ANSWER: 2}


async def card(desk: Desk, now: datetime) -> int:
    """The approval of a card that is still owed."""
    provider_id, user_id = await stage.found(desk, now), await stage.join(desk, now)
    return await stage.approval_of(desk.database, user_id, (await stage.ask(desk, provider_id, now)).id)


async def test_a_card_is_owed_until_it_is_sent(desk: Desk, now: datetime) -> None:
    approval_id = await card(desk, now)

    async def is_owed(number: int) -> bool:
        async with desk.database.reading() as session:
            return await outbox.card_is_owed(session, number)

    (item,) = await claim(desk.database, "w", now)
    assert await is_owed(approval_id) and not await is_owed(approval_id + 1)
    await settle(desk.database, item, "w", now)
    assert not await is_owed(approval_id)
    async with desk.database.writing() as session:
        await outbox.edit_cards(session, [approval_id], now)
    assert not await is_owed(approval_id)


async def test_an_edit_asked_for_again_while_under_way_is_made_again(desk: Desk, now: datetime) -> None:
    approval_id = await card(desk, now)
    (first,) = await claim(desk.database, "w", now)
    await settle(desk.database, first, "w", now)

    async def ask_for_edit(at: datetime) -> None:
        async with desk.database.writing() as session:
            await outbox.edit_cards(session, [approval_id], at)

    await ask_for_edit(now + timedelta(seconds=2))
    assert await claim(desk.database, "w", now) == []
    await ask_for_edit(now)
    (edit,) = await claim(desk.database, "w", now)
    assert (edit.kind, edit.version) == (OutboxKind.EDIT, 2)
    await ask_for_edit(now)
    await settle(desk.database, edit, "w", now)
    (again,) = await claim(desk.database, "w", now)
    assert (again.id, again.version) == (edit.id, 3)
    await settle(desk.database, again, "w", now)
    assert await claim(desk.database, "w", now) == []
    await ask_for_edit(now)  # a settled edit is owed anew
    assert [item.version for item in await claim(desk.database, "w", now)] == [4]
    assert await stage.count(desk.database, OutboxItem, OutboxItem.kind == OutboxKind.EDIT) == 1


async def test_the_janitor_takes_only_what_is_settled_and_old(database: Database, now: datetime) -> None:
    await owe(database, now, *((chat, f"m{chat}") for chat in range(4)))
    items = await claim(database, "w", now)
    await settle(database, items[0], "w", now - timedelta(days=8))
    await settle(database, items[1], "w", now - timedelta(days=8), OutboxState.DEAD)
    await settle(database, items[2], "w", now)
    async with database.writing() as session:
        assert await outbox.drop_settled(session, now - timedelta(days=7), 100) == 2
    async with database.reading() as session:
        left = set(await session.scalars(select(OutboxItem.dedupe_key)))
    assert left == {"m2", "m3"}


async def test_a_lease_is_renewed_only_by_who_still_has_it(database: Database, now: datetime) -> None:
    await owe(database, now, (1, "a"))
    (item,) = await claim(database, "slow", now)
    async with database.writing() as session:
        assert await outbox.renew(session, item, "slow", now + 2 * LEASE)
    assert await claim(database, "other", now + LEASE) == []
    over = now + 2 * LEASE
    (taken,) = await claim(database, "other", over)
    async with database.writing() as session:
        assert not await outbox.renew(session, item, "slow", over + LEASE)
        assert await outbox.renew(session, taken, "other", over + LEASE)
    await settle(database, taken, "other", over)
    async with database.writing() as session:
        assert not await outbox.renew(session, taken, "other", over + LEASE)


async def test_the_janitor_does_not_walk_the_whole_outbox(sqlite_database: Database, now: datetime) -> None:
    asked: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", keep)
    try:
        async with sqlite_database.writing() as session:
            await outbox.drop_settled(session, now, 500)
    finally:
        event.remove(Engine, "before_cursor_execute", keep)
    search, given = next(pair for pair in asked if pair[0].startswith("SELECT"))
    async with sqlite_database.reading() as session:
        plan = (await (await session.connection()).exec_driver_sql(f"EXPLAIN QUERY PLAN {search}", given)).all()
    assert ["SEARCH" in row[3] and "ix_outbox_state_settled_at" in row[3] for row in plan] == [True], plan
