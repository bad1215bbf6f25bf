"""The providers' door: signatures, idempotency, geometry, revisions, endings."""

import asyncio
import json
import secrets
import time

import pytest

from models.signal import Signal
from sandbox.signing import headers as signed_headers
from tests.running import GOLD
from tests.webapp.conftest import Door

SIGNALS = "/api/v1/signals"


async def test_publishing_twice_is_publishing_once(door: Door) -> None:
    key, body = await door.provider(), {"external_id": "gold-1", **GOLD}
    status, first, _ = await door.signed("POST", SIGNALS, key, body)
    assert status == 201
    status, again, _ = await door.signed("POST", SIGNALS, key, body)
    assert (status, again) == (200, first)
    status, problem, _ = await door.signed("POST", SIGNALS, key, body | {"stop_loss": "2301"})
    assert (status, problem["code"]) == (409, "external_id_reused")


async def test_equal_publications_at_once_are_one_signal(door: Door) -> None:
    key, body = await door.provider(), {"external_id": "gold-1", **GOLD}
    answers = await asyncio.gather(*(door.signed("POST", SIGNALS, key, body) for _ in range(12)))
    assert sorted(status for status, _, _ in answers) == [200] * 11 + [201]
    assert len({signal["id"] for _, signal, _ in answers}) == 1


async def test_contradictory_levels_are_refused_and_change_nothing(door: Door) -> None:
    key = await door.provider()
    for change in ({"stop_loss": "2500"}, {"side": "sell"}, {"take_profits": ["2100"]}):
        body = {"external_id": secrets.token_hex(4), **GOLD, "entry_price": "2350", **change}
        status, problem, _ = await door.signed("POST", SIGNALS, key, body)
        assert (status, problem["code"]) == (422, "contradictory_levels"), change
    async with door.desk.database.reading() as session:
        assert await session.get(Signal, 1) is None


@pytest.mark.parametrize(("change", "code", "status"), [
    ({"leverage": 5}, "invalid_request", 422), ({"side": "long"}, "invalid_request", 422),
    ({"stop_loss": "NaN"}, "invalid_request", 422), ({"stop_loss": -5}, "invalid_request", 422),
    ({"stop_loss": True}, "invalid_request", 422), ({"take_profits": ["1"] * 11}, "invalid_request", 422),
    ({"expires_in_seconds": 29}, "invalid_request", 422), ({"expires_in_seconds": "900"}, "invalid_request", 422),
    ({"external_id": ""}, "invalid_request", 422), ({"external_id": "x" * 65}, "invalid_request", 422),
    ({"note": "x" * 501}, "invalid_request", 422), ({"note": "a\x07b"}, "invalid_request", 422),
    ({"symbol": "XAU USD"}, "invalid_request", 422), ({"order_type": "limit"}, "invalid_request", 422),
])
async def test_bad_fields_are_named(door: Door, change: dict[str, object], code: str, status: int) -> None:
    answer = await door.signed("POST", SIGNALS, await door.provider(), {"external_id": "a", **GOLD} | change)
    assert (answer[0], answer[1]["code"]) == (status, code)


@pytest.mark.parametrize("raw", [
    b'{"a":NaN}', b'{"a":1,"a":2}', b"[" * 40 + b"]" * 40, b"{", b"\xff\xfe", b'"text"', b'{"a":Infinity}'])
async def test_json_has_one_reading_only(door: Door, raw: bytes) -> None:
    key = await door.provider()
    headers = signed_headers(*key, method="POST", target=SIGNALS, body=raw, now=int(time.time()))
    status, problem, _ = await door.call("POST", SIGNALS, raw=raw, headers=headers)
    assert (status, problem["code"]) == (400, "invalid_json")


async def test_a_large_body_is_refused(door: Door) -> None:
    status, problem, _ = await door.signed("POST", SIGNALS, await door.provider(),
                                           {"external_id": "a", "note": "x" * 33_000, **GOLD})
    assert (status, problem["code"]) == (413, "body_too_large")


async def test_every_failed_signature_gets_the_same_answer(door: Door) -> None:
    key = await door.provider()
    body = {"external_id": "a", **GOLD}
    other = await door.provider("Desk Beta")
    now = int(time.time())
    answers = [
        await door.signed("POST", SIGNALS, (key[0], other[1]), body),
        await door.signed("POST", SIGNALS, ("pk_unknown", key[1]), body),
        await door.signed("POST", SIGNALS, key, body, X_Timestamp=str(now - 61)),
        await door.signed("POST", SIGNALS, key, body, X_Nonce="x" * 20),
        await door.signed("POST", SIGNALS, key, body, X_Nonce="short"),
        await door.signed("POST", SIGNALS, key, body, X_Signature="v1=" + "é" * 10),
        await door.signed("POST", SIGNALS, key, body, X_Signature="v2=" + "0" * 64),
        await door.signed("POST", f"{SIGNALS}?x=1", key, body, X_Signature="v1=" + "0" * 64),
        await door.call("POST", SIGNALS, body=body),
    ]
    bodies = [{k: v for k, v in problem.items() if k != "request_id"} for _, problem, _ in answers]
    assert all(status == 401 for status, _, _ in answers)
    assert all(problem == bodies[0] for problem in bodies)
    assert bodies[0]["code"] == "unauthenticated"


async def test_time_may_be_a_minute_off_and_no_more(door: Door) -> None:
    """Time passes on the way: what is behind gets older, what is ahead comes nearer."""
    key, raw = await door.provider(), b""
    target = f"{SIGNALS}/1"
    for offset, expected in ((-40, 404), (58, 404), (-61, 401), (90, 401)):
        headers = signed_headers(*key, method="GET", target=target, body=raw, now=int(time.time()) + offset)
        assert (await door.call("GET", target, headers=headers))[0] == expected, offset


async def test_a_replay_is_refused_and_a_forgery_uses_up_no_nonce(door: Door) -> None:
    key = await door.provider()
    target = f"{SIGNALS}/1"
    headers = signed_headers(*key, method="GET", target=target, body=b"", now=int(time.time()))
    forged = headers | {"X-Signature": "v1=" + "0" * 64}
    assert (await door.call("GET", target, headers=forged))[0] == 401
    assert (await door.call("GET", target, headers=headers))[0] == 404
    assert (await door.call("GET", target, headers=headers))[0] == 401
    answers = await asyncio.gather(*(door.call("GET", target, headers=signed_headers(
        *key, method="GET", target=target, body=b"", now=int(time.time()))) for _ in range(5)))
    assert {status for status, _, _ in answers} == {404}


async def test_a_replay_is_refused_even_when_redis_has_forgotten(door: Door) -> None:
    key, raw = await door.provider(), json.dumps({"external_id": "a", **GOLD}).encode()
    headers = signed_headers(*key, method="POST", target=SIGNALS, body=raw, now=int(time.time()))
    assert (await door.call("POST", SIGNALS, raw=raw, headers=headers))[0] == 201
    await door.desk.redis.flushall()
    assert (await door.call("POST", SIGNALS, raw=raw, headers=headers))[0] == 401


async def test_a_signal_belongs_to_its_provider(door: Door) -> None:
    signal = await door.publish(await door.provider())
    other = await door.provider("Desk Beta")
    for method, path, body in (("GET", "", None), ("POST", "/revise", {"note": "mine"}), ("POST", "/cancel", {}),
                               ("POST", "/close", {})):
        status, problem, _ = await door.signed(method, f"{SIGNALS}/{signal['id']}{path}", other, body)
        assert (status, problem["code"]) == (404, "not_found")
    for odd in ("0", "-1", "1e3", "١", "9" * 30, "x"):
        assert (await door.signed("GET", f"{SIGNALS}/{odd}", other))[0] in (401, 404)


async def test_a_revision_replaces_undecided_cards(door: Door) -> None:
    key = await door.provider()
    _, token = await door.person()
    signal = await door.publish(key, note="first")
    before = await door.waiting(token)
    path = f"{SIGNALS}/{signal['id']}"
    status, revised, _ = await door.signed("POST", f"{path}/revise", key, {"stop_loss": "2310", "note": None})
    assert status == 200
    assert (revised["stop_loss"], revised["note"], revised["take_profits"]) == ("2310", None, GOLD["take_profits"])
    assert revised["terms_hash"] != signal["terms_hash"]
    status, problem, _ = await door.call("POST", f"/api/v1/approvals/{before['id']}/approve", token=token,
                                         body={"terms_hash": before["terms_hash"]})
    assert (status, problem["code"]) == (412, "terms_changed"), "from the moment it commits"
    await door.fan_out()
    assert (await door.waiting(token))["terms_hash"] == revised["terms_hash"]
    assert (await door.signed("POST", f"{path}/revise", key, {}))[0] == 422
    assert (await door.signed("POST", f"{path}/revise", key, {"side": None}))[0] == 422
    assert (await door.signed("POST", f"{path}/revise", key, {"stop_loss": "2900"}))[1]["code"] == (
        "contradictory_levels")


@pytest.mark.parametrize(("verb", "status"), [("cancel", "cancelled"), ("close", "closed")])
async def test_an_ended_signal_takes_its_cards_back(door: Door, verb: str, status: str) -> None:
    key = await door.provider()
    _, token = await door.person()
    signal = await door.publish(key)
    approval = await door.waiting(token)
    path = f"{SIGNALS}/{signal['id']}"
    assert (await door.signed("POST", f"{path}/{verb}", key))[1]["status"] == status
    assert (await door.signed("POST", f"{path}/{verb}", key, {}))[0] == 200
    answer = await door.call("POST", f"/api/v1/approvals/{approval['id']}/approve", token=token,
                             body={"terms_hash": approval["terms_hash"]})
    assert (answer[0], answer[1]["code"]) == (409, "approval_withdrawn")
    await door.fan_out()
    _, counted, _ = await door.signed("GET", path, key)
    assert counted["approvals"] == {"pending": 0, "approved": 0, "rejected": 0, "expired": 0, "withdrawn": 1}
    other = "close" if verb == "cancel" else "cancel"
    assert (await door.signed("POST", f"{path}/{other}", key))[1]["code"] == "signal_ended"
    assert (await door.signed("POST", f"{path}/revise", key, {"note": "x"}))[1]["code"] == "signal_ended"
