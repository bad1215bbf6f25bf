"""A device that says that nothing has changed is alive, and nothing is written for it but that."""

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, update

from models.device import Device, DeviceSnapshot
from services import reports
from tests.webapp import documented
from tests.webapp.broker_stage import forget, linked
from tests.webapp.conftest import Door
from tests.webapp.devices_stage import SNAPSHOT, Key, position, push, register, report


def digest(body: dict[str, Any]) -> str:
    """Of the very bytes that the test's client sends."""
    return hashlib.sha256(json.dumps(body).encode()).hexdigest()


def same(body: dict[str, Any], ago: float = 0.0) -> dict[str, Any]:
    return {"same_as": digest(body), "taken_at": (datetime.now(UTC) - timedelta(seconds=ago)).isoformat()}


async def say(door: Door, key: Key, body: dict[str, Any]) -> tuple[int, str | None]:
    status, answer, _ = await door.signed("POST", SNAPSHOT, key, body)
    documented.check("POST", "/ea/snapshot", status, answer)
    return status, answer["code"] if status >= 400 else None


async def kept(door: Door, key: Key) -> DeviceSnapshot:
    async with door.desk.database.reading() as session:
        return await session.get_one(DeviceSnapshot, key[0])


async def test_the_same_again_keeps_the_account_fresh(door: Door) -> None:
    _, token, key, account_id = await linked(door)
    whole = report(ago=60, login="80007001", currency="USD", positions=[position()])
    assert await say(door, key, whole) == (204, None), "an older one is a repeat"
    assert await say(door, key, same(whole)) == (409, "snapshot_unknown")
    whole = report(login="80007001", currency="USD", positions=[position()])
    assert await say(door, key, whole) == (204, None)
    again = same(whole)
    assert await say(door, key, again) == (204, None)
    found = await reports.reported(door.desk.database, door.desk.redis, key[0])
    assert found is not None and found.account.taken_at == datetime.fromisoformat(again["taken_at"])
    assert [one.ticket for one in found.positions] == [11]
    status, shown, _ = await door.call("GET", f"/api/v1/accounts/{account_id}/positions", token=token)
    assert status == 200 and shown["as_of"][:23] == again["taken_at"][:23]
    assert await say(door, key, same(whole, ago=30)) == (204, None)
    found = await reports.reported(door.desk.database, door.desk.redis, key[0])
    assert found is not None and found.account.taken_at == datetime.fromisoformat(again["taken_at"])


async def test_only_the_sign_of_life_is_written_and_not_every_time(door: Door) -> None:
    key = await register(door, (await door.person())[1])
    whole = report(ago=20)
    await say(door, key, whole)
    found: list[str] = []

    def keep(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")) and "device_snapshots" in statement:
            found.append(statement)

    event.listen(Engine, "before_cursor_execute", keep)
    try:
        for ago in (15, 10):
            assert await say(door, key, same(whole, ago)) == (204, None)
        assert found == []
        known = json.loads(await door.desk.redis.get(f"device:report:v1:{key[0]}"))
        long_ago = datetime.now(UTC) - 2 * reports.WRITE_EVERY
        known["at"][2] = long_ago.isoformat()
        await door.desk.redis.set(f"device:report:v1:{key[0]}", json.dumps(known))
        async with door.desk.database.writing() as session:
            await session.execute(update(DeviceSnapshot).values(received_at=long_ago))
            await session.execute(update(Device).values(last_seen_at=long_ago))
        found.clear()
        before = await kept(door, key)
        assert await say(door, key, same(whole, 5)) == (204, None)
    finally:
        event.remove(Engine, "before_cursor_execute", keep)
    assert len(found) == 1 and found[0].startswith("UPDATE") and "positions" not in found[0]
    after = await kept(door, key)
    assert after.received_at > before.received_at and after.taken_at > before.taken_at
    async with door.desk.database.reading() as session:
        assert (await session.scalars(select(Device.last_seen_at))).one() > long_ago


async def test_what_the_desk_does_not_have_is_sent_whole(door: Door) -> None:
    _, token = await door.person()
    key, whole = await register(door, token), report(ago=3)
    assert await say(door, key, same(whole)) == (409, "snapshot_unknown")
    await say(door, key, whole)
    _, other_token = await door.person(7002)
    other = await register(door, other_token)
    assert await say(door, other, same(whole)) == (409, "snapshot_unknown"), "another device's is not its own"
    newer = report(ago=2, equity="1.00")
    await say(door, key, newer)
    assert await say(door, key, same(whole)) == (409, "snapshot_unknown"), "there is a newer one"
    assert await say(door, key, same(newer)) == (204, None)
    await forget(door)
    assert await say(door, key, same(newer)) == (409, "snapshot_unknown")
    whole = report()
    assert await say(door, key, whole) == (204, None) and await say(door, key, same(whole)) == (204, None)


@pytest.mark.parametrize("change", [{"same_as": "0" * 63}, {"same_as": "A" * 64}, {"account": {}}, {"taken_at": "now"},
                                    {"taken_at": "2026-01-05T10:05:00Z"}, {"positions": []}])
async def test_what_is_neither_is_refused(door: Door, change: dict[str, Any]) -> None:
    key, whole = await register(door, (await door.person())[1]), report()
    await say(door, key, whole)
    assert await say(door, key, same(whole) | change) == (422, "invalid_request")


async def test_many_at_once_agree(door: Door) -> None:
    key, whole = await register(door, (await door.person())[1]), report(ago=30)
    await say(door, key, whole)
    bodies = [same(whole, ago) for ago in (25, 20, 15, 10, 5)]
    assert {status for status, _ in await asyncio.gather(*(say(door, key, body) for body in bodies))} == {204}
    await push(door, key, equity="3.00")
    found = await reports.reported(door.desk.database, door.desk.redis, key[0])
    assert found is not None and str(found.account.equity) == "3.00"


async def test_a_database_that_was_put_back_is_told_everything_again(door: Door) -> None:
    key, whole = await register(door, (await door.person())[1]), report(ago=20)
    await say(door, key, whole)
    known = json.loads(await door.desk.redis.get(f"device:report:v1:{key[0]}"))
    known["at"][2] = (datetime.now(UTC) - 2 * reports.WRITE_EVERY).isoformat()
    await door.desk.redis.set(f"device:report:v1:{key[0]}", json.dumps(known))
    async with door.desk.database.writing() as session:
        await session.execute(update(DeviceSnapshot).values(positions=[], received_at=datetime(2026, 1, 1, tzinfo=UTC)))
    assert await say(door, key, same(whole)) == (204, None)
    assert [one["ticket"] for one in (await kept(door, key)).positions] == [11]
