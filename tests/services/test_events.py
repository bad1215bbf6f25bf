"""Events: noted in a transaction and told after it, each once and in order, and kept no longer than they are worth."""

import asyncio
import json
from datetime import datetime, timedelta

import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from models.approval import Door
from models.order import OrderStatus
from models.signal import SignalStatus
from models.user import User
from runtime import valkey
from services import approvals, event_hub, event_log, events, manual_grants, orders, signals
from services.desk import Desk
from services.event_hub import Stream
from services.event_log import EventLog
from services.events import Event, EventKind
from services.manual_grants import Gift
from tests.running import free_port, until
from tests.services import stage

Heard = list[tuple[str, dict[str, str]]]


async def listens(desk: Desk, *user_ids: int) -> None:
    """From now on events of these users are kept."""
    for user_id in user_ids:
        await desk.events.open(user_id, None)


async def told(desk: Desk, user_id: int) -> Heard:
    """What is kept of a user once everything has been sent."""

    async def sent() -> bool:
        return not desk.events.is_sending

    await until("everything is sent", sent)
    return [(one.event, json.loads(one.data)) for one in await desk.events.log.read(user_id, "0")]


def kinds(heard: Heard) -> list[str]:
    return [f"{event} {data.get('status', '')}".strip() for event, data in heard]


async def test_what_is_rolled_back_is_never_told(desk: Desk, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    await listens(desk, user_id)
    with pytest.raises(ValueError, match="no"):
        async with desk.database.writing() as session:
            events.note(session, user_id, EventKind.SUBSCRIPTION_UPDATED, tier="vip", status="active")
            raise ValueError("no")
    assert await told(desk, user_id) == []
    async with desk.database.writing() as session:
        events.note(session, user_id, EventKind.SUBSCRIPTION_UPDATED, tier="vip", status="active")
        assert await told(desk, user_id) == []  # not before the commit
    assert await told(desk, user_id) == [("subscription.updated", {"tier": "vip", "status": "active"})]


async def test_an_order_is_told_of_at_every_step(desk: Desk, now: datetime) -> None:
    provider = await stage.found(desk, now)
    user_id = await stage.join(desk, now)
    await listens(desk, user_id)
    view = await stage.ask(desk, provider, now)
    number = await stage.approval_of(desk.database, user_id, view.id)
    async with desk.database.writing() as session:
        await approvals.approve(session, desk.approval_rules, user_id, number, view.terms_hash, Door.APP, now)
    async with desk.database.writing() as session:
        [lease] = await orders.lease(session, ["paper"], "me", now, timedelta(seconds=30), 5)
        assert await orders.mark_sent(session, lease.order.id, "me", stage.EURUSD[0], now, timedelta(seconds=30))
        await orders.lose_sight(session, lease.order.id, now, "no answer", now)
        assert await orders.refuse(session, lease.order.id, OrderStatus.EXPIRED, "not_executed_in_time", None, now)
        assert not await orders.refuse(session, lease.order.id, OrderStatus.FAILED, "unlinked_unseen", None, now)
    heard = await told(desk, user_id)
    assert kinds(heard) == ["approval.created pending", "approval.decided approved", "order.updated queued",
                            "order.updated leased", "order.updated sent", "order.updated unknown",
                            "order.updated expired"]
    assert heard[-1][1] == {"order_id": str(lease.order.id), "approval_id": str(number), "status": "expired"}


async def test_cards_are_told_of_with_everything_that_happens_to_them(desk: Desk, now: datetime) -> None:
    provider = await stage.found(desk, now)
    user_id = await stage.join(desk, now)
    await listens(desk, user_id)
    view = await stage.ask(desk, provider, now)
    async with desk.database.writing() as session:
        await signals.revise(session, provider, view.id, {"note": "Another"}, now)
    await stage.spread(desk, now)
    async with desk.database.writing() as session:
        await signals.end(session, provider, view.id, SignalStatus.CANCELLED, now)
    await stage.spread(desk, now)
    await stage.ask(desk, provider, now, expires_in_seconds=30)
    async with desk.database.writing() as session:
        assert await approvals.expire_due(session, now + timedelta(minutes=1), 10) == 1
    assert kinds(await told(desk, user_id)) == [
        "approval.created pending", "approval.revised pending", "approval.withdrawn withdrawn",
        "approval.created pending", "approval.expired expired"]


async def test_a_late_card_is_not_told_of_before_it_may_be_seen(desk: Desk, now: datetime) -> None:
    provider = await stage.found(desk, now)
    user_id = await stage.join(desk, now, "free")
    await listens(desk, user_id)
    await stage.ask(desk, provider, now)
    assert await told(desk, user_id) == []
    assert not await desk.events.log.tell_due() and await told(desk, user_id) == []
    await stage.ask(desk, provider, now - timedelta(seconds=899), expires_in_seconds=1800)  # seen in a second
    heard: Heard = []

    async def is_told() -> bool:
        await desk.events.log.tell_due()
        heard[:] = await told(desk, user_id)
        return bool(heard)

    await until("the late card is told of", is_told)
    assert kinds(heard) == ["approval.created pending"]


async def test_a_tier_given_by_hand_and_an_account_that_changed(desk: Desk, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    await listens(desk, user_id)
    account = await desk.owners.find(user_id, None)
    await desk.positions.forget(account.id)
    assert await told(desk, user_id) == [("positions.updated", {"account_id": str(account.id)})]
    async with desk.database.writing() as session:
        telegram_id = (await session.scalars(select(User.telegram_id).where(User.id == user_id))).one()
        vip = desk.catalogue.named("vip")
        assert vip is not None
        await manual_grants.give(session, Gift(telegram_id, vip, 30, "test"), now)
    assert (await told(desk, user_id))[-1] == ("subscription.updated", {"tier": "vip", "status": "granted"})


async def test_nothing_is_kept_for_whom_nobody_listens(desk: Desk, now: datetime, redis: Redis) -> None:
    provider = await stage.found(desk, now)
    followers = await stage.crowd(desk.database, provider, 1_200, now)
    async with desk.database.writing() as session:
        for user_id in followers:
            events.note(session, user_id, EventKind.APPROVAL_CREATED, approval_id="1", status="pending")
    assert await told(desk, followers[0]) == []
    assert await redis.keys("events:v1:[0-9]*") == []


async def test_thousands_are_told_in_a_few_trips_and_in_order(desk: Desk, now: datetime, redis: Redis) -> None:
    user_ids = list(range(1, 3_001))
    await listens(desk, *user_ids)
    before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    async with desk.database.writing() as session:
        for number in range(2):
            for user_id in user_ids:
                events.note(session, user_id, EventKind.APPROVAL_CREATED, approval_id=str(number), status="pending")
    for user_id in (1, 1_500, 3_000):
        assert [data["approval_id"] for _, data in await told(desk, user_id)] == ["0", "1"]
    trips = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] - before
    assert trips <= 2 * 3_000 / event_hub.AT_ONCE + 1


@pytest.mark.parametrize("turns", range(6))
async def test_an_end_is_heeded_even_while_something_is_told(turns: int) -> None:
    stream = Stream(1)

    async def follow() -> None:
        async with asyncio.timeout(60) as stream.limit:
            while True:
                stream.wake.clear()
                await stream.woken(60)

    following = asyncio.create_task(follow())
    for _ in range(10):
        await asyncio.sleep(0)
    stream.wake.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    stream.end()
    over, _ = await asyncio.wait([following], timeout=2)
    following.cancel()
    assert over


async def test_a_batch_that_is_sent_twice_is_told_once(desk: Desk) -> None:
    await listens(desk, 1)
    batch = event_log.new_batch()
    for _ in range(2):
        await desk.events.log.append([Event(1, EventKind.ORDER_UPDATED, {"order_id": "1"})], batch)
    assert len(await told(desk, 1)) == 1


async def test_its_room_is_bounded(desk: Desk, redis: Redis, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "MOST_LATE", 5)
    await listens(desk, 1)
    many = [Event(1, EventKind.ORDER_UPDATED, {"order_id": str(number)}) for number in range(500)]
    late = [Event(1, EventKind.APPROVAL_CREATED, {"approval_id": str(number)}, now + timedelta(hours=1))
            for number in range(20)]
    await desk.events.log.append([*many, *late], event_log.new_batch())
    assert await redis.xlen("events:v1:1") <= 2 * event_log.MOST_KEPT
    assert await redis.zcard(event_log.LATE) == 5
    assert 0 < await redis.ttl("events:v1:1") <= event_log.KEEP_SECONDS


async def test_without_redis_commits_go_on_and_nothing_piles_up(desk: Desk, now: datetime,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_hub, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(desk.events, "log", EventLog(valkey.connect(f"redis://127.0.0.1:{free_port()}")))
    for _ in range(3):
        async with desk.database.writing() as session:
            for number in range(1_000):
                events.note(session, 1, EventKind.ORDER_UPDATED, order_id=str(number))

    async def is_over() -> bool:
        return not desk.events.is_sending

    await until("it gives up", is_over)
    await asyncio.sleep(0)
    assert not desk.events.is_sending
