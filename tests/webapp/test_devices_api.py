"""Devices over HTTP: their secrets, their signatures, what they report, and whom they speak for."""

import asyncio
import base64
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from models.device import Device, DeviceSnapshot
from sandbox.signing import headers as signed_headers
from services import tiers
from tests.webapp import documented
from tests.webapp.conftest import Door
from tests.webapp.devices_stage import SNAPSHOT, forget_all, is_signed, position, push, register, report

DEVICES = "/api/v1/devices"


async def test_a_secret_is_shown_once(door: Door) -> None:
    _, token = await door.person()
    status, made, _ = await door.call("POST", DEVICES, token=token, body={"name": "VPS"})
    documented.check("POST", "/devices", status, made)
    assert len(base64.urlsafe_b64decode(made["secret"] + "=")) == 32
    assert (made["device"]["status"], made["device"]["last_seen_at"]) == ("active", None)
    device_id = made["device"]["id"]
    status, listed, _ = await door.call("GET", DEVICES, token=token)
    documented.check("GET", "/devices", status, listed)
    _, renamed, _ = await door.call("PATCH", f"{DEVICES}/{device_id}", token=token, body={"name": "Home"})
    documented.check("PATCH", "/devices/{id}", 200, renamed)
    assert made["secret"] not in json.dumps([listed, renamed])
    assert renamed["name"] == "Home"
    status, rotated, _ = await door.call("POST", f"{DEVICES}/{device_id}/rotate", token=token)
    documented.check("POST", "/devices/{id}/rotate", status, rotated)
    assert rotated["secret"] != made["secret"]
    assert (await door.signed("POST", SNAPSHOT, (device_id, made["secret"]), report()))[0] == 401
    await push(door, (device_id, rotated["secret"]))
    for _ in range(2):
        status, revoked, _ = await door.call("POST", f"{DEVICES}/{device_id}/revoke", token=token)
        documented.check("POST", "/devices/{id}/revoke", status, revoked)
        assert revoked["status"] == "revoked"
    assert (await door.signed("POST", SNAPSHOT, (device_id, rotated["secret"]), report()))[0] == 401
    for act in ("rotate", "revoke"):
        status, _, _ = await door.call("POST", f"{DEVICES}/{device_id}/{act}", token=token, body={"x": 1})
        assert status == 422
    assert (await door.call("POST", f"{DEVICES}/{device_id}/rotate", token=token))[0] == 404


async def test_a_plan_has_room_for_so_many_and_names_are_taken_once(door: Door) -> None:
    user_id, token = await door.person()
    await register(door, token)
    status, refused, _ = await door.call("POST", DEVICES, token=token, body={"name": "Other"})
    documented.check("POST", "/devices", status, refused)
    assert (status, refused["code"], refused["needed_tier"]) == (403, "limit_reached", "vip")
    vip = door.desk.catalogue.named("vip")
    assert vip is not None
    async with door.desk.database.writing() as session:
        tiers.grant(session, vip, user_id, 30, "manual", datetime.now(UTC))
    names = ["A", "A", "VPS", "B", "C", "D"]
    answers = await asyncio.gather(*(door.call("POST", DEVICES, token=token, body={"name": name}) for name in names))
    codes = sorted(answer["code"] if status != 201 else "made" for status, answer, _ in answers)
    assert codes.count("made") == 2 and set(codes) <= {"made", "limit_reached", "name_taken"}
    _, listed, _ = await door.call("GET", DEVICES, token=token)
    one, two = listed["items"][0]["id"], listed["items"][1]["name"]
    status, refused, _ = await door.call("PATCH", f"{DEVICES}/{one}", token=token, body={"name": two})
    assert (status, refused["code"]) == (409, "name_taken")
    status, _, _ = await door.call("POST", f"{DEVICES}/{one}/revoke", token=token)
    status, _, _ = await door.call("POST", DEVICES, token=token, body={"name": listed["items"][0]["name"]})
    assert status == 201, "the name of a revoked device is free"


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 65}, {"name": " x"}, {"name": "a\nb"},
                                  {"name": "a", "secret": "b"}, {"name": 1}, {"name": "a", "account_id": "x"}])
async def test_a_device_has_a_name(door: Door, body: dict[str, Any]) -> None:
    _, token = await door.person()
    status, refused, _ = await door.call("POST", DEVICES, token=token, body=body)
    documented.check("POST", "/devices", status, refused)
    assert status == 422


async def test_another_users_device_is_not_there(door: Door) -> None:
    _, ada = await door.person()
    _, eve = await door.person(7002, "Eve")
    device_id, _ = await register(door, ada)
    _, accounts, _ = await door.call("GET", "/api/v1/accounts", token=ada)
    for method, path, body in (("PATCH", f"{DEVICES}/{{}}", {"name": "x"}), ("POST", f"{DEVICES}/{{}}/rotate", None),
                               ("POST", f"{DEVICES}/{{}}/revoke", None)):
        answers = [await door.call(method, path.format(named), token=eve, body=body)
                   for named in (device_id, "dv_000000000000000000000000", "0", "%00")]
        assert [status for status, _, _ in answers] == [404] * 4
        assert len({answer["detail"] for _, answer, _ in answers}) == 1
    status, _, _ = await door.call("POST", DEVICES, token=eve,
                                   body={"name": "x", "account_id": accounts["items"][0]["id"]})
    assert status == 404
    assert (await door.call("GET", DEVICES, token=eve))[1]["items"] == []


async def test_the_time_is_told_to_everybody(door: Door) -> None:
    status, told, headers = await door.call("GET", "/api/v1/ea/time")
    documented.check("GET", "/ea/time", status, told)
    assert abs(told["server_time"] - time.time()) < 5
    assert "X-Signature" not in headers


async def test_answers_to_a_device_are_signed_refusals_too(door: Door) -> None:
    key = await register(door, (await door.person())[1])
    for body, expected in ((report(), 204), (report() | {"more": 1}, 422), (report(ago=600), 422)):
        raw = json.dumps(body).encode()
        headers = signed_headers(*key, method="POST", target=SNAPSHOT, body=raw, now=int(time.time()))
        async with door.client.post(f"{door.base}{SNAPSHOT}", data=raw,
                                    headers=headers | {"Content-Type": "application/json"}) as answer:
            said = await answer.read()
            assert answer.status == expected, said
            assert is_signed(key, answer.status, headers["X-Nonce"], said, answer.headers)
            assert not is_signed(key, answer.status, headers["X-Nonce"] + "x", said, answer.headers)
            documented.check("POST", "/ea/snapshot", answer.status, json.loads(said) if said else None)


class TestLimits:
    @pytest.fixture
    def overlay(self) -> dict[str, Any]:
        return {"limits": {"reports": 3}}

    async def test_reports_are_counted_for_each_device_and_the_refusal_is_signed(self, door: Door) -> None:
        key = await register(door, (await door.person())[1])
        other = await register(door, (await door.person(7002, "Eve"))[1])
        for number in range(3):
            await push(door, key, equity=f"{number}.00")
        raw = json.dumps(report()).encode()
        headers = signed_headers(*key, method="POST", target=SNAPSHOT, body=raw, now=int(time.time()))
        async with door.client.post(f"{door.base}{SNAPSHOT}", data=raw,
                                    headers=headers | {"Content-Type": "application/json"}) as answer:
            said = await answer.read()
            assert answer.status == 429 and int(answer.headers["Retry-After"]) > 0
            assert is_signed(key, 429, headers["X-Nonce"], said, answer.headers)
            documented.check("POST", "/ea/snapshot", 429, json.loads(said))
        await push(door, other)


async def test_every_failed_signature_gets_the_same_answer(door: Door) -> None:
    _, token = await door.person()
    key = await register(door, token)
    provider, body, now = await door.provider(), report(), int(time.time())
    _, eve = await door.person(7002, "Eve")
    other = await register(door, eve)
    spent = {"X_Nonce": "spent-nonce-0123456789"}
    raw = json.dumps(body).encode()
    used = signed_headers(*key, method="POST", target=SNAPSHOT, body=raw, now=now, nonce=spent["X_Nonce"])
    assert (await door.call("POST", SNAPSHOT, raw=raw, headers=used))[0] == 204
    answers = [
        await door.call("POST", SNAPSHOT, raw=raw, headers=used),
        await door.signed("POST", SNAPSHOT, (key[0], other[1]), body),
        await door.signed("POST", SNAPSHOT, ("dv_unknown", key[1]), body),
        await door.signed("POST", SNAPSHOT, provider, body),
        await door.signed("POST", SNAPSHOT, key, body, X_Timestamp=str(now - 61)),
        await door.signed("POST", SNAPSHOT, key, body, X_Signature="v1=" + "0" * 64),
        await door.signed("POST", SNAPSHOT, key, body, X_Signature="é"),
        await door.call("POST", SNAPSHOT, body=body),
        await door.call("POST", SNAPSHOT, raw=raw + b" ", headers=used | {"X-Nonce": "another-nonce-012345"}),
        await door.call("POST", f"{SNAPSHOT}?x=1", raw=raw, headers=signed_headers(
            *key, method="POST", target=SNAPSHOT, body=raw, now=now)),
    ]
    assert [status for status, _, _ in answers] == [401] * len(answers)
    assert len({(answer["code"], answer["detail"]) for _, answer, _ in answers}) == 1
    assert all("X-Signature" not in headers for _, _, headers in answers)
    status, _, _ = await door.signed("GET", "/api/v1/signals/1", key)
    assert status == 401, "a device is no provider"


async def test_replays_at_once_are_heard_once(door: Door) -> None:
    key = await register(door, (await door.person())[1])
    raw = json.dumps(report()).encode()
    headers = signed_headers(*key, method="POST", target=SNAPSHOT, body=raw, now=int(time.time()))
    answers = await asyncio.gather(*(door.call("POST", SNAPSHOT, raw=raw, headers=headers) for _ in range(20)))
    assert sorted(status for status, _, _ in answers) == [204] + [401] * 19


@pytest.mark.parametrize("change", [
    {"balance": 2500}, {"balance": "NaN"}, {"balance": "1e5"}, {"balance": "1" * 16}, {"margin": "-1"},
    {"margin_level": "x"}, {"leverage": 0}, {"leverage": "100"}, {"margin_mode": "exchange"}, {"currency": "EURO-X"},
    {"login": "abc"}, {"login": ""}, {"server": "a\nb"}, {"server": "x" * 65}, {"equity": None}, {"extra": "1"}])
async def test_an_account_is_reported_in_one_form_only(door: Door, change: dict[str, Any]) -> None:
    key = await register(door, (await door.person())[1])
    status, refused, _ = await door.signed("POST", SNAPSHOT, key, report(**change))
    assert (status, refused["code"]) == (422, "invalid_request"), refused


@pytest.mark.parametrize("positions", [
    [position(volume="-0.1")], [position(side="long")], [position(ticket=0)], [position(symbol="")],
    [position(opened_at="2026-01-05T10:00:00")], [position(magic=-1)], [position(11), position(11)],
    [position(more=1)], [position(n) for n in range(1, 1002)], "none", [position(profit=1)]])
async def test_positions_are_reported_in_one_form_only(door: Door, positions: Any) -> None:
    key = await register(door, (await door.person())[1])
    status, answer, _ = await door.signed("POST", SNAPSHOT, key, report(positions=positions))
    assert status in (413, 422), answer
    assert "X" not in answer.get("detail", "")


async def test_a_device_far_off_in_time_is_refused(door: Door) -> None:
    key = await register(door, (await door.person())[1])
    for ago, expected in ((-55, 204), (-90, 422), (290, 204), (310, 422)):
        status, answer, _ = await door.signed("POST", SNAPSHOT, key, report(ago=ago))
        assert status == expected, (ago, answer)


async def written(door: Door, device_id: str) -> tuple[datetime, datetime | None, str]:
    """When the database was last told, when the device was last seen, and the equity it has."""
    async with door.desk.database.reading() as session:
        row = await session.get_one(DeviceSnapshot, device_id)
        seen = await session.scalar(select(Device.last_seen_at).where(Device.id == device_id))
    return row.received_at, seen, row.account["equity"]


async def test_a_device_that_has_nothing_new_to_say_costs_no_writing(door: Door) -> None:
    key = await register(door, (await door.person())[1])
    await push(door, key)
    first = await written(door, key[0])
    async with door.desk.database.writing(), asyncio.timeout(20):  # the one writer of SQLite is taken
        for _ in range(3):
            await push(door, key)
    assert await written(door, key[0]) == first
    await push(door, key, equity="2600.00")
    second = await written(door, key[0])
    assert second[0] > first[0] and second[1] == second[0] and second[2] == "2600.00"
    await _age(door, key[0], timedelta(seconds=31))
    await push(door, key, equity="2600.00")
    assert (await written(door, key[0]))[0] > second[0]


async def _age(door: Door, device_id: str, by: timedelta) -> None:
    """Let time pass since the database was last told."""
    name = f"device:report:v1:{device_id}"
    kept = json.loads(await door.desk.redis.get(name) or b"")
    kept["at"][2] = (datetime.fromisoformat(kept["at"][2]) - by).isoformat()
    await door.desk.redis.set(name, json.dumps(kept))


async def test_a_report_that_comes_late_changes_nothing(door: Door) -> None:
    key = await register(door, (await door.person())[1])
    await push(door, key, equity="2600.00")
    await push(door, key, equity="2000.00", ago=20)
    assert (await written(door, key[0]))[2] == "2600.00"
    await forget_all(door)
    await push(door, key, equity="2000.00", ago=20)
    assert (await written(door, key[0]))[2] == "2600.00"


async def test_when_it_was_seen_never_goes_back(door: Door) -> None:
    """Another process, whose clock is a little ahead, has seen it already."""
    _, token = await door.person()
    key = await register(door, token)
    await push(door, key)
    ahead = datetime.now(UTC) + timedelta(seconds=20)
    async with door.desk.database.writing() as session:
        await session.execute(update(Device).values(last_seen_at=ahead))
    await push(door, key, equity="2600.00")
    async with door.desk.database.reading() as session:
        assert (await session.scalars(select(Device.last_seen_at))).one() == ahead


async def test_a_device_is_offline_after_five_minutes(door: Door) -> None:
    _, token = await door.person()
    key = await register(door, token)
    await push(door, key)
    for ago, expected in ((timedelta(minutes=4), "active"), (timedelta(minutes=6), "offline")):
        async with door.desk.database.writing() as session:
            await session.execute(update(Device).values(last_seen_at=datetime.now(UTC) - ago))
        _, listed, _ = await door.call("GET", DEVICES, token=token)
        assert listed["items"][0]["status"] == expected
