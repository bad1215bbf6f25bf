"""Events that are true but not for us, events that come twice with other words, and those nobody could apply."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from models.audit import AuditEvent
from models.message import InboxItem, InboxState, OutboxItem
from services import stripe_inbox, users
from services.payments.protocol import Money
from tests.billing.conftest import Till
from tests.billing.test_webhook import event, events, send


@pytest.fixture(autouse=True)
async def prices(till: Till) -> None:
    await till.payments.ensure_price("premium", Money(2999, "usd"))


async def states(till: Till) -> dict[str, str]:
    async with till.desk.database.reading() as session:
        rows = await session.execute(select(InboxItem.external_id, InboxItem.state))
    return {row.external_id: row.state for row in rows}


@pytest.fixture
def details(till: Till) -> Callable[[str], Awaitable[tuple[int, Any]]]:
    async def ask(token: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with till.client.get(f"{till.base}/readyz?details=1", headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    return ask


@pytest.mark.parametrize("change", [{"livemode": True}, {"account": "acct_another"}])
async def test_an_event_of_another_mode_or_account_is_held_back(till: Till, change: dict[str, Any]) -> None:
    user, token = await till.person()
    await till.hold()
    await till.buy(token)
    foreign = event({"id": "in_1", "object": "invoice"}, id="evt_foreign", **change)
    assert await send(till, foreign) == (200, {"received": True})
    await till.settle()
    assert (await states(till))["evt_foreign"] == InboxState.HELD
    assert await send(till, foreign) == (200, {"duplicate": True})
    assert await till.tier(user) == "free"
    assert 'countersign_stripe_events_total{outcome="held"} 1.0' in till.desk.metrics.render()[0].decode()


async def test_another_body_under_a_known_id_is_written_into_the_audit_log(till: Till) -> None:
    first = event({"id": "in_1", "object": "invoice"}, "mystery.happened", id="evt_same")
    second = event({"id": "in_2", "object": "invoice"}, "mystery.happened", id="evt_same")
    for raw in (first, first, second):
        await send(till, raw)
    async with till.desk.database.reading() as session:
        [told] = await session.scalars(select(AuditEvent).where(AuditEvent.action == "event_body_differs"))
        [kept] = await session.scalars(select(InboxItem).where(InboxItem.external_id == "evt_same"))
    assert told.detail["event_id"] == "evt_same" and told.detail["known"] == kept.payload_sha256
    assert kept.payload == first


async def test_what_redis_has_seen_and_the_database_has_not_is_handled(till: Till) -> None:
    """A process may have died between the two: the next delivery has the same bytes and must count."""
    user, token = await till.person()
    await till.settle()
    await till.hold()
    await till.buy(token)
    raw = (await events(till))["invoice.paid"]
    await till.desk.redis.set(f"hint:webhook:{hashlib.sha256(raw).hexdigest()}", b"1", ex=600)
    assert await send(till, raw) == (200, {"received": True})
    await till.becomes(user, "premium")
    assert await till.entries() == 1


async def test_a_known_body_is_told_from_its_hint_without_the_writer(till: Till) -> None:
    raw = event({"id": "x_1", "object": "mystery"}, "mystery.happened")
    assert await send(till, raw) == (200, {"received": True})
    async with till.desk.database.writing():  # on SQLite there is one writer, and it is taken
        assert await send(till, raw) == (200, {"duplicate": True})


async def test_an_event_in_another_version_is_taken_and_counted(till: Till) -> None:
    user, token = await till.person()
    await till.settle()
    await till.hold()
    await till.buy(token)
    raw = (await events(till))["invoice.paid"].replace(b"2026-10-28.endive", b"2019-01-01.ancient")
    assert await send(till, raw) == (200, {"received": True})
    await till.becomes(user, "premium")
    assert "countersign_stripe_other_version_total 1.0" in till.desk.metrics.render()[0].decode()


async def test_what_nobody_could_apply_is_shown_to_admins(
        till: Till, details: Callable[[str], Awaitable[tuple[int, Any]]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe_inbox, "MAX_ATTEMPTS", 2)
    (admin, token), (_, other) = await till.person(9001), await till.person(9002)
    async with till.desk.database.writing() as session:
        await users.name_admins(session, (9001,), datetime.now(UTC))
    poison = event({"id": "re_missing", "object": "refund"}, "refund.updated", id="evt_poison")
    assert (await send(till, poison))[0] == 200
    for _ in range(2):
        async with till.desk.database.writing() as session:
            await session.execute(update(InboxItem).values(next_try_at=datetime.now(UTC) - timedelta(seconds=1)))
        await till.inbox.drain(datetime.now(UTC))
    status, told = await details(token)
    assert status == 200 and told["ready"] is True and told["inbox"]["dead"] == 1
    assert [(d["external_id"], d["state"], d["error"]) for d in told["deliveries"]] == [
        ("evt_poison", "dead", "PaymentError")]
    assert (await details(other))[0] == 404 and (await details(""))[0] == 401
    async with till.desk.database.reading() as session:
        owed = (await session.scalars(select(OutboxItem).where(OutboxItem.chat_id == 9001))).all()
    assert [item.payload for item in owed if item.dedupe_key.startswith("dead:")] == [{"template": "event_dead"}]
    assert admin


async def test_an_answer_on_record_is_repeated_without_the_writer_and_without_redis(till: Till) -> None:
    _, token = await till.person()
    first = await till.call("POST", "/checkout", token, {"tier": "premium"}, "key")
    async with till.desk.database.writing():  # on SQLite there is one writer, and it is taken
        again = await till.call("POST", "/checkout", token, {"tier": "premium"}, "key")
        other = await till.call("POST", "/checkout", token, {"tier": "vip"}, "key")
    await till.desk.redis.flushall()
    once_more = await till.call("POST", "/checkout", token, {"tier": "premium"}, "key")
    for status, body, headers in (again, once_more):
        assert (status, body, headers["Idempotent-Replayed"]) == (201, first[1], "true")
    assert (other[0], other[1]["code"]) == (422, "idempotency_key_reused")
