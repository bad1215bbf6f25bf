"""Envelopes through the devices' door: what they protect, what is refused, and that answers show nothing."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import select

from config import Settings
from models.database import Database
from models.device import DeviceSnapshot
from runtime import valkey
from terminal.paper.quotes import QuoteFeed
from tests.conftest import build_desk
from tests.webapp import documented
from tests.webapp.conftest import Door
from tests.webapp.devices_stage import SNAPSHOT, position, register, report
from tests.webapp.sealed_stage import Question, SealingDevice, opened, resigned
from tests.webapp.trading_stage import ACK, BEGIN, POLL, floor
from wire import envelope
from wire.envelope import Direction

DEVICES = "/api/v1/devices"


@pytest.fixture
async def device(door: Door) -> SealingDevice:
    return SealingDevice(door.base, await register(door, (await door.person())[1]))


async def require_envelope(door: Door, device: SealingDevice) -> None:
    token = (await door.person())[1]
    status, changed, _ = await door.call("PATCH", f"{DEVICES}/{device.key[0]}", token=token,
                                         body={"requires_envelope": True})
    assert (status, changed["requires_envelope"]) == (200, True)


async def test_a_report_comes_sealed(door: Door, device: SealingDevice) -> None:
    answer = await device.ask("POST", SNAPSHOT, report())
    assert (answer.status, answer.body, answer.is_signed) == (204, b"", True)
    async with door.desk.database.reading() as session:
        kept = (await session.scalars(select(DeviceSnapshot))).one()
    assert (kept.login, kept.positions[0]["symbol"]) == ("70012345", "EURUSD.r")


async def test_an_order_travels_sealed_both_ways(door: Door) -> None:
    """Symbol, volume and ticket are nowhere in the bytes that go over the socket."""
    stage = await floor(door)
    device = SealingDevice(door.base, stage.device)
    order = await stage.approve(entry_price="2350.00")
    offer = await device.poll()
    assert (offer.status, offer.is_sealed, offer.is_signed) == (200, True, True)
    documented.check("GET", "/ea/poll", 200, offer.told)
    assert offer.told["orders"][0]["symbol"] == "XAUUSD"
    assert b"XAUUSD" not in offer.wire and b"2350" not in offer.wire and b"orders" not in offer.wire
    begun = await device.ask("POST", BEGIN, {"order_id": str(order.id)})
    assert (begun.status, begun.told["order_id"], begun.is_sealed) == (200, str(order.id), True)
    question = device.question("POST", ACK, {"order_id": str(order.id), "status": "filled", "ticket": 123456789})
    assert b"123456789" not in question.written() and b"filled" not in question.written()
    told = await device.send(question)
    assert told.told == {"recorded": "taken"} and b"recorded" not in told.wire
    assert (await stage.order(order.id)).ticket == 123456789
    assert (await device.poll()).status == 204


async def test_refusals_are_sealed_too(device: SealingDevice) -> None:
    for path, body, expected in ((SNAPSHOT, report() | {"more": 1}, 422), (SNAPSHOT, report(ago=600), 422),
                                 (BEGIN, {"order_id": "424242"}, 404), (ACK, [], 400)):
        answer = await device.ask("POST", path, body)
        assert (answer.status, answer.is_sealed, answer.is_signed) == (expected, True, True), answer.told
        assert answer.code is not None and answer.code.encode() not in answer.wire


async def test_plain_and_sealed_requests_of_one_device_take_turns(door: Door, device: SealingDevice) -> None:
    for _ in range(3):
        assert (await device.ask("POST", SNAPSHOT, report())).status == 204
        status, _, _ = await door.signed("POST", SNAPSHOT, device.key, report())
        assert status == 204
        status, refused, _ = await door.signed("POST", BEGIN, device.key, {"order_id": "4242"})
        assert (status, refused["code"]) == (404, "not_found"), "a plain question gets a plain answer"


@pytest.mark.parametrize("query", [
    "?envelope=v1", "?counter=5", "?counter=5&envelope=v1", "?envelope=v2&counter=5", "?envelope=v1&counter=0",
    "?envelope=v1&counter=05", "?envelope=v1&counter=-5", "?envelope=v1&counter=+5", "?envelope=v1&counter=5.0",
    "?envelope=v1&counter=", "?envelope=v1&counter=9007199254740992", "?envelope=v1&counter=99999999999999999999",
    "?envelope=v1&counter=5&counter=5", "?envelope=v1&counter=5&more=1", "?more=1&envelope=v1&counter=5",
    "?envelope=v1&envelope=v1&counter=5", "?envelope=v1&counter=%35", "?%65nvelope=v1&counter=5",
    "?envelope=V1&counter=5", "?envelope=v1&counter=5&", "?envelope=v1;counter=5", "??envelope=v1&counter=5&counter=6",
])
async def test_an_envelope_is_asked_for_in_one_form(device: SealingDevice, query: str) -> None:
    answer = await device.ask("GET", POLL, counter=5, query=query)
    assert (answer.status, answer.code, answer.is_sealed, answer.is_signed) == (400, "invalid_request", False, True)
    documented.check("GET", "/ea/poll", 400, answer.told)


async def test_the_form_is_looked_at_after_the_signature(device: SealingDevice) -> None:
    """Strangers learn nothing of what a query does."""
    question = device.question("GET", POLL, counter=5, query="?envelope=v9")
    answer = await device.send(replace(question, headers={**question.headers, "X-Signature": "v1=" + "0" * 64}))
    assert (answer.status, answer.code) == (401, "unauthenticated")


async def test_no_counter_twice(device: SealingDevice) -> None:
    assert (await device.poll(counter=7)).status == 204
    for counter in (7, 6, 1):
        answer = await device.poll(counter=counter)
        assert (answer.status, answer.code, answer.told["next_counter"]) == (409, "counter_used", 8)
        assert (answer.is_sealed, answer.is_signed) == (False, True)
        documented.check("GET", "/ea/poll", 409, answer.told)
    assert (await device.poll(counter=8)).status == 204


async def test_a_request_that_is_sent_again_is_refused(device: SealingDevice) -> None:
    """By its nonce; with another nonce, which only who has the secret can sign, by its counter."""
    question = device.question("POST", SNAPSHOT, report())
    assert (await device.send(question)).status == 204
    assert (await device.send(question)).status == 401
    assert (await device.send(resigned(device, question))).code == "counter_used"


async def test_of_the_same_counter_at_once_one_is_served(device: SealingDevice) -> None:
    answers = await asyncio.gather(*(device.poll(counter=5) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [204] + [409] * 19


async def test_no_byte_can_be_changed_on_the_way(device: SealingDevice) -> None:
    """Without the secret the signature gives every change away, and no counter is lost by that."""
    question = device.question("POST", ACK, {"order_id": "4242", "status": "failed"})
    for place in range(len(question.body)):
        body = bytearray(question.body)
        body[place] ^= 1 << (place % 8)
        answer = await device.send(replace(question, body=bytes(body)))
        assert (answer.status, answer.is_signed) == (401, False), place
    assert (await device.send(question)).status == 404, "the request itself still stands"


async def test_no_byte_can_be_changed_by_who_can_sign(device: SealingDevice) -> None:
    """The envelope stands by itself: the signature is true each time, and it opens not once."""
    text, whole = b'{"order_id":"4242","status":"failed"}', device.question("POST", ACK, {}, counter=1)
    for place in range(2 + len(device.key[0]) + 8 + len(text) + envelope.TAG_BYTES):
        target = f"{ACK}?envelope=v1&counter={place + 2}"
        sealed = envelope.seal(device.keys, Direction.C2S, place + 2, target, text)
        body = bytearray(sealed)
        body[place] ^= 1 << (place % 8)
        answer = await device.send(resigned(device, whole, target=target, body=bytes(body)))
        assert (answer.status, answer.code) == (400, "envelope_broken"), place
        assert answer.is_sealed and answer.is_signed
        documented.check("POST", "/ea/ack", 400, answer.told)
        again = await device.send(resigned(device, whole, target=target, body=sealed))
        assert again.code == "counter_used", "what did not open has used its counter up"


async def misplaced(device: SealingDevice, other: SealingDevice) -> AsyncIterator[tuple[str, Question]]:
    """Envelopes that are true somewhere else, signed for here by who can."""
    text = b'{"order_id":"4242","status":"failed"}'

    def put(body: bytes, counter: int) -> Question:
        return device.question("POST", ACK, counter=counter, raw=body)

    target = f"{ACK}?envelope=v1&counter=100"
    yield "another device's", put(envelope.seal(other.keys, Direction.C2S, 100, target, text), 100)
    renamed = envelope.Keys(device.key[0], other.keys.up, other.keys.down)
    target = f"{ACK}?envelope=v1&counter=101"
    yield "under another device's secret", put(envelope.seal(renamed, Direction.C2S, 101, target, text), 101)
    yield "of another path", put(
        envelope.seal(device.keys, Direction.C2S, 102, f"{BEGIN}?envelope=v1&counter=102", text), 102)
    yield "of another counter", put(
        envelope.seal(device.keys, Direction.C2S, 99, f"{ACK}?envelope=v1&counter=103", text), 103)
    yield "of the answers' direction", put(
        envelope.seal(device.keys, Direction.S2C, 104, f"{ACK}?envelope=v1&counter=104", text), 104)
    yield "nothing", put(b"\x01", 105)
    yield "plain text", put(text, 106)
    target = f"{ACK}?envelope=v1&counter=107"
    yield "with a byte behind it", put(envelope.seal(device.keys, Direction.C2S, 107, target, text) + b"\0", 107)


async def test_envelopes_of_another_place(door: Door, device: SealingDevice) -> None:
    other = SealingDevice(door.base, await register(door, (await door.person(7002, "Eve"))[1]))
    async for name, question in misplaced(device, other):
        answer = await device.send(question)
        assert (answer.status, answer.code, answer.is_sealed, answer.is_signed) == (
            400, "envelope_broken", True, True), name


async def test_an_answer_is_no_request(device: SealingDevice) -> None:
    """What the desk itself has sealed, sent back to it under the same counter and a new one."""
    answer = await device.ask("POST", BEGIN, {"order_id": "4242"}, counter=10)
    assert answer.is_sealed
    assert (await device.ask("POST", BEGIN, counter=10, raw=answer.body)).code == "counter_used"
    assert (await device.ask("POST", BEGIN, counter=11, raw=answer.body)).code == "envelope_broken"


async def test_a_poll_has_no_body(device: SealingDevice) -> None:
    question = device.question("GET", POLL, {"x": 1})
    answer = await device.send(question)
    assert (answer.code, answer.is_sealed) == ("envelope_broken", True)
    assert (await device.ask("POST", ACK)).code in ("envelope_broken", "unsupported_media_type")
    assert (await device.ask("POST", ACK, {}, content_type="application/json")).code == "unsupported_media_type"


async def test_downgrades_are_refused(door: Door, device: SealingDevice) -> None:
    """Nobody can strip the envelope off a request, and a device that has to seal is not served plainly."""
    question = device.question("POST", SNAPSHOT, report())
    stripped = replace(question, target=SNAPSHOT, body=json.dumps(report()).encode())
    assert (await device.send(stripped)).status == 401
    assert (await device.send(replace(question, target=SNAPSHOT))).status == 401
    await require_envelope(door, device)
    for method, path, body in (("GET", POLL, None), ("POST", SNAPSHOT, report()), ("POST", ACK, {}),
                               ("POST", BEGIN, {})):
        raw = json.dumps(body).encode() if body is not None else b""
        plain = await device.ask(method, path, query="", raw=raw, content_type="application/json")
        assert (plain.status, plain.code, plain.is_sealed, plain.is_signed) == (403, "envelope_required", False, True)
        documented.check(method, path.removeprefix("/api/v1"), 403, plain.told)
        assert plain.told["detail"] == "This device has to seal what it sends."
    odd = await device.ask("GET", POLL, query="?wait=20")
    assert odd.code == "envelope_required"
    assert (await device.ask("POST", SNAPSHOT, report())).status == 204


async def test_the_longest_report_fits_its_envelope_or_is_refused_by_size(device: SealingDevice) -> None:
    """The limit is of the bytes that are sent: what comes out of an envelope is shorter."""
    many = report(positions=[position(1 + number) for number in range(900)])
    assert len(json.dumps(many)) < 256 * 1024
    assert (await device.ask("POST", SNAPSHOT, many)).status == 204
    long = device.question("POST", SNAPSHOT, {"filling": "x" * (256 * 1024 - 60)})
    assert len(long.body) > 256 * 1024
    assert (await device.send(long)).status == 413


async def rotate(door: Door, token: str, device: SealingDevice, grace: int) -> SealingDevice:
    status, made, _ = await door.call("POST", f"{DEVICES}/{device.key[0]}/rotate", token=token,
                                      body={"grace_seconds": grace})
    assert status == 200, made
    return SealingDevice(door.base, (device.key[0], made["secret"]))


async def test_a_new_secret_has_counters_of_its_own(door: Door) -> None:
    _, token = await door.person()
    device = SealingDevice(door.base, await register(door, token))
    assert (await device.poll(counter=500)).status == 204
    new = await rotate(door, token, device, 0)
    assert (await device.poll(counter=501)).status == 401
    assert (await new.poll(counter=1)).status == 204


async def test_the_old_secret_seals_and_opens_until_the_new_one_is_used(door: Door) -> None:
    """Its own key and its own counters; whichever secret signs, the envelope is of that one."""
    _, token = await door.person()
    device = SealingDevice(door.base, await register(door, token))
    assert (await device.poll(counter=500)).status == 204
    new = await rotate(door, token, device, 600)
    for counter in (501, 502):
        answer = await device.ask("POST", BEGIN, {"order_id": "4242"}, counter=counter)
        assert (answer.code, answer.is_sealed, answer.is_signed) == ("not_found", True, True)
    assert (await device.poll(counter=502)).told["next_counter"] == 503
    mixed = new.question("POST", BEGIN, {"order_id": "4242"}, counter=503)
    assert (await device.send(resigned(device, mixed))).code == "envelope_broken"
    first = await new.poll(counter=1)
    assert first.code == "counter_used", "both count under one ceiling as long as both are good"
    answer = await new.ask("POST", BEGIN, {"order_id": "4242"}, counter=first.told["next_counter"])
    assert (answer.code, answer.is_sealed) == ("not_found", True)
    assert (await device.poll(counter=600)).status == 401


async def test_counters_outlive_the_desk_and_redis(door: Door, device: SealingDevice, settings: Settings,
                                                   database_url: str, valkey_server: str, quotes: QuoteFeed) -> None:
    """Another desk at the same database, and Redis, which then has forgotten."""
    assert (await device.poll(counter=40)).status == 204
    database, redis = Database.open(database_url), valkey.connect(valkey_server)
    second = build_desk(settings, database, redis, quotes, replica="second")
    async with opened(second, settings) as base:
        there = SealingDevice(base, device.key)
        assert (await there.poll(counter=40)).told["next_counter"] == 41
        assert (await there.poll(counter=41)).status == 204
        [name] = await redis.keys("device:counter:*")
        await redis.delete(name)
        refused = await there.poll(counter=42)
        assert refused.code == "counter_used" and refused.told["next_counter"] > time.time() * 1000 - 600_000
        assert (await there.poll(counter=refused.told["next_counter"])).status == 204
        assert (await device.poll(counter=refused.told["next_counter"])).code == "counter_used"
    await second.supervisor.stop(5.0)
    await redis.aclose()
    await database.close()
