"""Requests that are signed, answers that are believed or not, and clocks that are wrong."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from sdk.errors import NotGenuine, Refused, Unauthenticated, Unreachable
from sdk.http import Backoff
from sdk.keys import Key
from sdk.sealing import STRIDE, Sealing
from sdk.transport import MOST_BYTES, Transport, ask_time, origin, pair
from tests.sdk.small_desk import KEY, OTHER, Asked, SmallDesk, plainly, signature, signed, small_desk, unsigned
from wire import signing


@pytest.fixture
async def desk() -> AsyncIterator[SmallDesk]:
    async with small_desk() as made:
        yield made


class Counted:
    """Counters in memory."""

    def __init__(self) -> None:
        self.next, self.reserved = 1, list[int]()

    async def reserve_counters(self, count: int, at_least: int) -> int:
        first = max(self.next, at_least)
        self.next = first + count
        self.reserved.append(first)
        return first

    async def raise_counters(self, at_least: int) -> None:
        self.next = max(self.next, at_least)


async def test_requests_are_signed_and_no_nonce_is_used_twice(desk: SmallDesk) -> None:
    line = desk.line()
    assert await asyncio.gather(*(line.ask("POST", "/ack", b'{"a":1}') for _ in range(20))) == [{"fine": True}] * 20
    nonces = [asked.headers["X-Nonce"] for asked in desk.asked]
    assert len(set(nonces)) == 20 and all(re.fullmatch(r"[A-Za-z0-9_-]{22}", nonce) for nonce in nonces)
    assert {asked.target for asked in desk.asked} == {"/api/v1/ea/ack"} and desk.times_asked >= 1
    assert "Cookie" not in desk.asked[-1].headers and desk.asked[0].headers["Content-Type"] == "application/json"


async def test_204_is_nothing(desk: SmallDesk) -> None:
    desk.turns = [signed(None, 204)]
    assert await desk.line().ask("GET", "/poll") is None


def _signed_for_another(desk: SmallDesk, asked: Asked) -> web.Response:
    body = b'{"fine":true}'
    return web.Response(body=body, headers=signature(desk, "A" * 22, 200, body))


def _signed_by_another(desk: SmallDesk, asked: Asked) -> web.Response:
    body = b'{"fine":true}'
    text = signing.canonical_answer(200, asked.headers["X-Nonce"], body)
    return web.Response(body=body, headers={"X-Signature": signing.sign(OTHER.secret, text)})


def _changed(desk: SmallDesk, asked: Asked) -> web.Response:
    return web.Response(body=b'{"fine":falsch}', headers=signature(desk, asked.headers["X-Nonce"], 200, b"{}"))


def _another_status(desk: SmallDesk, asked: Asked) -> web.Response:
    body = b'{"code":"not_found"}'
    return web.Response(body=body, status=404, headers=signature(desk, asked.headers["X-Nonce"], 200, body))


def _twice(desk: SmallDesk, asked: Asked) -> web.Response:
    answer = plainly(desk, asked, 200, {})
    answer.headers.add("X-Signature", answer.headers["X-Signature"])
    return answer


def _elsewhere(desk: SmallDesk, asked: Asked) -> web.Response:
    return web.Response(status=302, headers={"Location": f"{desk.url}/api/v1/ea/poll"})


@pytest.mark.parametrize("turn", [
    unsigned({"fine": True}), _signed_for_another, _signed_by_another, _changed, _another_status, _twice, _elsewhere,
    unsigned({"code": "not_found"}, 404), unsigned({"code": "already_begun"}, 409), unsigned(None, 204)])
async def test_what_the_desk_has_not_signed_for_this_request_is_not_believed(desk: SmallDesk, turn: Any) -> None:
    desk.turns = [turn]
    with pytest.raises(NotGenuine):
        await desk.line().ask("GET", "/poll")
    assert len(desk.asked) == 1


async def test_an_old_answer_is_not_believed_again(desk: SmallDesk) -> None:
    old: list[web.Response] = []

    def record(small: SmallDesk, asked: Asked) -> web.Response:
        made = plainly(small, asked, 200, {"orders": []})
        old.append(made)
        return made

    def replay(small: SmallDesk, asked: Asked) -> web.Response:
        assert isinstance(old[0].body, bytes)
        return web.Response(body=old[0].body, headers={"X-Signature": old[0].headers["X-Signature"]})

    desk.turns = [record, replay]
    line = desk.line()
    assert await line.ask("GET", "/poll") == {"orders": []}
    with pytest.raises(NotGenuine):
        await line.ask("GET", "/poll")


@pytest.mark.parametrize(("turn", "seconds"), [
    (signed({"code": "rate_limited"}, 429, Retry_After="7"), 7), (unsigned({}, 429, Retry_After="7"), 7),
    (signed({"code": "unavailable"}, 503, Retry_After="2"), 2), (unsigned("<html>", 502), 0),
    (unsigned({}, 503, Retry_After="86400"), 300), (unsigned({}, 503, Retry_After="Wed, 21 Oct"), 0)])
async def test_a_busy_desk_says_for_how_long(desk: SmallDesk, turn: Any, seconds: float) -> None:
    desk.turns = [turn]
    with pytest.raises(Unreachable) as caught:
        await desk.line().ask("GET", "/poll")
    assert caught.value.retry_after == seconds and not isinstance(caught.value, NotGenuine)


async def test_a_refusal_of_the_desk_has_its_code(desk: SmallDesk) -> None:
    desk.turns = [signed({"code": "already_begun", "detail": "Look."}, 409)]
    with pytest.raises(Refused) as caught:
        await desk.line().ask("POST", "/begin", b"{}")
    assert (caught.value.status, caught.value.code, caught.value.detail) == (409, "already_begun", "Look.")


async def test_what_is_no_json_is_no_answer(desk: SmallDesk) -> None:
    def double(small: SmallDesk, asked: Asked) -> web.Response:
        body = b'{"orders":[],"orders":[]}'
        return web.Response(body=body, headers=signature(small, asked.headers["X-Nonce"], 200, body))

    desk.turns = [double]
    with pytest.raises(Unreachable):
        await desk.line().ask("GET", "/poll")


async def test_an_answer_without_end_is_cut_off(desk: SmallDesk) -> None:
    desk.turns = [lambda small, asked: web.Response(body=b"x" * (MOST_BYTES + 2))]
    with pytest.raises(Unreachable, match="too long"):
        await desk.line().ask("GET", "/poll")


# -- clocks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [0, 7_200, -7_200, 90])
async def test_a_machine_with_a_wrong_clock_asks_for_the_time_first(desk: SmallDesk, ahead: int) -> None:
    desk.ahead = ahead
    assert await desk.line().ask("GET", "/poll") == {"fine": True}
    assert len(desk.asked) == 1 and abs(desk.clock.timestamp() - desk.now()) <= 1


async def test_a_clock_that_is_moved_is_set_again_once(desk: SmallDesk) -> None:
    line = desk.line()
    await line.ask("GET", "/poll")
    desk.ahead = 600
    assert await line.ask("GET", "/poll") == {"fine": True}
    assert desk.times_asked == 2 and len(desk.asked) == 3


async def test_a_device_that_is_not_known_asks_the_time_once_and_no_more(desk: SmallDesk) -> None:
    desk.key = OTHER
    with pytest.raises(Unauthenticated):
        await desk.line().ask("GET", "/poll")
    assert len(desk.asked) == 2 and desk.times_asked == 2


async def test_a_desk_that_is_not_there(desk: SmallDesk) -> None:
    transport = Transport("http://127.0.0.1:9")
    with pytest.raises(Unreachable):
        await ask_time(transport, desk.clock)
    await transport.close()


# -- envelopes -------------------------------------------------------------------------------------------------


async def test_sealed_requests_are_counted_and_their_answers_opened(desk: SmallDesk) -> None:
    counters = Counted()
    line = desk.line(Sealing(KEY, counters))
    assert await asyncio.gather(*(line.ask("POST", "/ack", b'{"secret":1}') for _ in range(8))) == [{"fine": True}] * 8
    assert await line.ask("GET", "/poll") == {"fine": True}
    counts = [int(asked.target.rpartition("=")[2]) for asked in desk.asked]
    assert counts == list(range(counts[0], counts[0] + 9)) and counts[0] >= desk.now() * 1000 - 60_000
    assert all(b"secret" not in asked.body for asked in desk.asked) and desk.asked[0].said == b'{"secret":1}'
    assert len(counters.reserved) == 1 and desk.asked[-1].body == b""


async def test_a_new_start_goes_on_counting_above(desk: SmallDesk) -> None:
    counters = Counted()
    for _ in range(3):
        await desk.line(Sealing(KEY, counters)).ask("GET", "/poll")
    counts = [int(asked.target.rpartition("=")[2]) for asked in desk.asked]
    assert counts == sorted(set(counts)) and counts[1] >= counts[0] + STRIDE


async def test_a_count_the_desk_has_had_goes_on_from_where_the_desk_says(desk: SmallDesk) -> None:
    desk.last_counter = 2**52
    line = desk.line(Sealing(KEY, Counted()))
    assert await line.ask("GET", "/poll") == {"fine": True} == await line.ask("GET", "/poll")
    assert [int(asked.target.rpartition("=")[2]) for asked in desk.asked[1:]] == [2**52 + 1, 2**52 + 2]


@pytest.mark.parametrize("status", [200, 404, 409])
async def test_a_plain_answer_to_a_sealed_request_is_not_believed(desk: SmallDesk, status: int) -> None:
    desk.turns = [lambda small, asked: plainly(small, asked, status, {"code": "lease_lost"})]
    with pytest.raises(NotGenuine, match="plain"):
        await desk.line(Sealing(KEY, Counted())).ask("GET", "/poll")


async def test_an_envelope_of_another_request_is_not_opened(desk: SmallDesk) -> None:
    old: list[bytes] = []

    def record(small: SmallDesk, asked: Asked) -> web.StreamResponse:
        made = signed({"orders": []})(small, asked)
        assert isinstance(made, web.Response) and isinstance(made.body, bytes)
        old.append(made.body)
        return made

    def again(small: SmallDesk, asked: Asked) -> web.Response:
        return web.Response(body=old[0], headers={
            "Content-Type": "application/vnd.countersign.envelope",
            **signature(small, asked.headers["X-Nonce"], 200, old[0])})

    desk.turns = [record, again]
    line = desk.line(Sealing(KEY, Counted()))
    await line.ask("GET", "/poll")
    with pytest.raises(NotGenuine, match="opened"):
        await line.ask("GET", "/poll")


# -- the rest --------------------------------------------------------------------------------------------------


async def test_pairing_brings_a_key_and_its_refusals_have_codes(desk: SmallDesk) -> None:
    secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    async def paired(request: web.Request) -> web.Response:
        given = await request.json()
        if given["code"] != "ABCDE-FGHJK":
            return web.json_response({"code": "unauthenticated"}, status=401)
        return web.json_response({"device": {"id": "dv_1"}, "secret": secret}, status=201)

    app = web.Application()
    app.router.add_post("/api/v1/ea/pair", paired)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    transport = Transport(f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        made = await pair(transport, "ABCDE-FGHJK", "5001", "Server", "1.0.0")
        assert made == ("dv_1", secret) and Key.of(*made).secret == bytes(range(32))
        with pytest.raises(Refused, match="unauthenticated"):
            await pair(transport, "WRONG", "5001", "Server", "1.0.0")
    finally:
        await transport.close()
        await runner.cleanup()


@pytest.mark.parametrize("url", [
    "http://desk.example", "https://desk.example/app", "ftp://desk.example", "desk.example", "https://",
    "https://user@desk.example", "https://desk.example?x=1"])
def test_an_address_that_is_no_desk(url: str) -> None:
    with pytest.raises(ValueError, match="must"):
        origin(url)


def test_addresses_of_desks() -> None:
    assert origin("https://desk.example/") == "https://desk.example"
    assert origin("http://127.0.0.1:8080") == "http://127.0.0.1:8080" and origin("https://a.b:444") == "https://a.b:444"


@pytest.mark.parametrize(("device_id", "secret"), [
    ("", "A" * 43), ("dv 1", "A" * 43), ("dv_1", "A" * 42), ("dv_1", "A" * 44), ("dv_1", "!" * 43), ("dv_1", "")])
def test_what_is_no_key(device_id: str, secret: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        Key.of(device_id, secret)


def test_a_key_does_not_print_its_secret() -> None:
    assert "secret" not in repr(KEY) and "x01" not in repr(KEY)


def test_pauses_grow_to_a_bound_and_begin_anew() -> None:
    backoff = Backoff(1.0, 60.0)
    pauses = [backoff.failed() for _ in range(40)]
    assert 0.5 <= pauses[0] <= 1.0 and all(30.0 <= pause <= 60.0 for pause in pauses[6:])
    assert backoff.failed(at_least=120.0) == 120.0
    backoff.succeeded()
    assert backoff.failed() <= 1.0
