"""The control API, as the contract has it."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, WebAppInfo
from aiohttp import web

from sandbox import signing
from services import terms
from services.errors import ContradictoryLevels
from services.terms import Levels
from tests.sandbox.conftest import ADA, Open, Stage, until

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "signing.json").read_text())
PROVIDER = ("key-1", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")
PRICES = {"XAUUSD": (Decimal("2350.28"), Decimal("2350.53")), "EURUSD": (Decimal("1.08526"), Decimal("1.08534")),
          "BTCUSD": (Decimal("67237.50"), Decimal("67262.50")), "GBPUSD": (Decimal("1.27021"), Decimal("1.27031")),
          "US30": (Decimal("39119.0"), Decimal("39121.0")), "USDJPY": (Decimal("155.321"), Decimal("155.330"))}


async def test_the_state_has_all_that_is_needed_to_connect(stage: Stage) -> None:
    stage.sandbox.attach(provider_key=PROVIDER)
    state = await stage.get("/state")
    assert (state["api_base"], state["bot_token"], state["app_url"]) == (stage.base, stage.token, "http://127.0.0.1:9")
    assert state["bot"]["id"] == 7000000001 and state["bot"]["username"]
    assert state["provider"] == {"key_id": PROVIDER[0], "secret": PROVIDER[1]}
    assert (state["stripe"], state["terminal"]) == (None, {"server": None, "accounts": []})
    assert [user["id"] for user in state["users"]] == [ADA, ADA + 1, ADA + 2]


async def test_people_can_be_added(stage: Stage) -> None:
    added = await stage.post("/users", {"first_name": "Dora", "username": "dora"})
    assert added == {"id": ADA + 3}
    await stage.write(added["id"])
    assert (await stage.bot.get_updates())[-1].message.from_user.username == "dora"  # type: ignore[union-attr]


async def test_messages_show_their_buttons(stage: Stage) -> None:
    message_id = await stage.write(ADA, "/start sig_7")
    button = InlineKeyboardButton
    await stage.bot.send_message(ADA, "card", reply_markup=InlineKeyboardMarkup(inline_keyboard=[
        [button(text="No", callback_data="n", style="danger"), button(text="Yes", callback_data="y")],
        [button(text="App", web_app=WebAppInfo(url="https://a.example/app"))],
        [button(text="Link", url="https://a.example/")]]))
    mine, card = await stage.get(f"/chats/{ADA}/messages")
    assert (mine["message_id"], mine["from"], mine["text"], mine["buttons"]) == (message_id, "user", "/start sig_7", [])
    assert card["buttons"] == [
        [{"text": "No", "callback_data": "n", "style": "danger"}, {"text": "Yes", "callback_data": "y"}],
        [{"text": "App", "web_app_url": "https://a.example/app"}], [{"text": "Link", "url": "https://a.example/"}]]


@pytest.mark.parametrize(("path", "body", "status"), [
    ("/users", {}, 400), ("/users", {"first_name": " "}, 400), ("/users", {"first_name": 7}, 400),
    ("/users", {"first_name": "A", "username": "no spaces"}, 400), ("/users", [], 400),
    ("/chats/1/messages", {"text": "x"}, 404), ("/chats/x/messages", {"text": "x"}, 404),
    ("/chats/٥/messages", {"text": "x"}, 404), (f"/chats/{'9' * 40}/messages", {"text": "x"}, 404),
    (f"/chats/{ADA}/messages", {"text": ""}, 400), (f"/chats/{ADA}/messages", {}, 400),
    (f"/chats/{ADA}/taps", {"message_id": 1, "callback_data": "x"}, 404),
    (f"/chats/{ADA}/taps", {"message_id": "1", "callback_data": "x"}, 400),
    (f"/chats/{ADA}/taps", {"message_id": True, "callback_data": "x"}, 400),
    (f"/chats/{ADA}/taps", {"message_id": 1, "callback_data": "ä" * 33}, 400),
    ("/users/1/block", None, 404),
    ("/faults", {"target": "stripe", "fault": "429"}, 400), ("/faults", {"target": "telegram", "fault": "rain"}, 400),
    ("/faults", {"target": "telegram", "fault": "429", "times": 0}, 400),
    ("/faults", {"target": "telegram", "fault": ["429"]}, 400),
    ("/faults", {"target": "telegram", "fault": "429", "method": "x"}, 400),
    ("/prices", {"symbol": "XAUUSD", "bid": "NaN", "ask": "1"}, 400),
    ("/prices", {"symbol": "XAUUSD", "bid": "1", "ask": None}, 400),
    ("/prices", {"symbol": "XAU USD", "bid": "1", "ask": "1"}, 400),
    ("/prices", {"symbol": "XAUUSD", "bid": "1", "ask": "1"}, 409),
    ("/prices/nudge", {"symbol": "XAUUSD", "direction": 2}, 400),
    ("/publish", {"symbol": "XAUUSD"}, 409), ("/nothing", {}, 404),
])
async def test_refusals_are_json(stage: Stage, path: str, body: Any, status: int) -> None:
    found, answer = await stage.try_post(path, body)
    assert (found, list(answer)) == (status, ["error"])


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"a":1,"a":2}', b"[" * 1000, b'{"text":NaN}',
                                 b'{"text":"\\ud800"}'])
async def test_bodies_that_are_not_json_are_refused(stage: Stage, raw: bytes) -> None:
    async with stage.http.post(f"{stage.base}/control/chats/{ADA}/messages", data=raw) as answer:
        assert answer.status == 400 and "error" in await answer.json()


async def test_prices_are_handed_to_the_market(stage: Stage) -> None:
    moved: list[Any] = []

    async def set_price(symbol: str, bid: Decimal, ask: Decimal) -> None:
        if symbol not in PRICES:
            raise ValueError(f"unknown symbol {symbol}")
        moved.append((symbol, bid, ask))

    async def nudge(symbol: str, direction: int) -> None:
        moved.append((symbol, direction))

    stage.sandbox.attach(set_price=set_price, nudge=nudge, prices=lambda: PRICES)
    await stage.post("/prices", {"symbol": "XAUUSD", "bid": "2351.10", "ask": 2352})
    await stage.post("/prices/nudge", {"symbol": "EURUSD", "direction": -1})
    assert moved == [("XAUUSD", Decimal("2351.10"), Decimal(2352)), ("EURUSD", -1)]
    assert (await stage.try_post("/prices", {"symbol": "NOPE", "bid": "1", "ask": "1"}))[0] == 400
    assert (await stage.get("/prices"))["XAUUSD"] == {"bid": "2350.28", "ask": "2350.53"}


async def test_examples_are_sane_at_any_price(stage: Stage) -> None:
    stage.sandbox.attach(prices=lambda: PRICES)
    examples = [example["body"] for example in await stage.get("/examples")]
    assert len(examples) == 6
    *sound, mistyped = examples
    for body in sound:
        bid, ask = PRICES[body["symbol"]]
        up = body["side"] == "buy"
        entry = Decimal(body.get("entry_price", ask if up else bid))
        better = {"market": entry == (ask if up else bid), "limit": entry < bid if up else entry > ask,
                  "stop": entry > ask if up else entry < bid}
        assert better[body["order_type"]], body
        targets = [Decimal(target) for target in body["take_profits"]]
        assert targets == sorted(targets, reverse=not up) and len(set(targets)) == len(targets)
        assert all((target > entry) == up for target in targets)
        assert (Decimal(body["stop_loss"]) < entry) == up
    assert Decimal(mistyped["stop_loss"]) > PRICES["USDJPY"][1] and mistyped["side"] == "buy"
    with pytest.raises(ContradictoryLevels, match="stop of a buy"):
        terms.check(Levels(mistyped["symbol"], mistyped["side"], mistyped["order_type"],
                           Decimal(mistyped["entry_price"]) if "entry_price" in mistyped else None, None,
                           Decimal(mistyped["stop_loss"]), tuple(map(Decimal, mistyped["take_profits"])), None))


class Product:
    """A product's door for signals that checks nothing and notes everything."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[dict[str, str], bytes]] = []

    async def signals(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append((dict(request.headers), body))
        if json.loads(body)["symbol"] == "BAD":
            return web.json_response({"code": "contradictory_levels"}, status=422)
        return web.json_response({"id": "1"}, status=201)


@pytest.fixture
async def product() -> AsyncIterator[Product]:
    made = Product()
    app = web.Application()
    app.router.add_post("/api/v1/signals", made.signals)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def test_publishing_signs_as_a_provider(open_stage: Open, product: Product) -> None:
    stage = await open_stage(app_url=product.url + "/")
    stage.sandbox.attach(provider_key=PROVIDER)
    assert await stage.try_post("/publish", {"symbol": "XAUUSD", "stop_loss": "2340.0"}) == (201, {"id": "1"})
    assert await stage.try_post("/publish", {"symbol": "BAD"}) == (422, {"code": "contradictory_levels"})
    (headers, body), (second, _) = product.requests
    text = "\n".join(("POST", "/api/v1/signals", headers["X-Timestamp"], headers["X-Nonce"],
                      hashlib.sha256(body).hexdigest()))
    secret = bytes(range(32))
    assert headers["X-Signature"] == "v1=" + hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
    assert headers["X-Key-Id"] == "key-1" and headers["X-Nonce"] != second["X-Nonce"]
    assert json.loads(body)["external_id"].startswith("console-")


async def test_a_product_that_is_down_is_said_to_be(stage: Stage) -> None:
    stage.sandbox.attach(provider_key=PROVIDER)
    status, answer = await stage.try_post("/publish", {"symbol": "XAUUSD"})
    assert status == 502 and "does not answer" in answer["error"]


@pytest.mark.parametrize("vector", VECTORS["requests"], ids=lambda v: v["name"])
def test_signatures_agree_with_the_vectors(vector: dict[str, str]) -> None:
    body = bytes.fromhex(vector["body_hex"]) if "body_hex" in vector else vector["body_utf8"].encode()
    made = signing.headers("k", vector["secret"], method=vector["method"], target=vector["path_query"], body=body,
                           now=int(vector["timestamp"]), nonce=vector["nonce"])
    assert (made["X-Signature"], made["X-Nonce"]) == (vector["signature"], vector["nonce"])


async def test_events_tell_what_happens(stage: Stage) -> None:
    seen: list[dict[str, Any]] = []
    async with stage.http.get(f"{stage.base}/control/events") as stream:
        async def listen() -> None:
            async for line in stream.content:
                if line.startswith(b"data: "):
                    seen.append(json.loads(line[6:]))

        listener = asyncio.create_task(listen())
        message_id = await stage.write(ADA)
        await stage.bot.send_chat_action(ADA, "typing")

        async def told() -> bool:
            return {"type": "message", "chat_id": ADA, "message_id": message_id} in seen and any(
                news["type"] == "action" for news in seen)

        await until("both are told", told)
        await asyncio.wait_for(stage.sandbox.stop(), 90)
        await asyncio.wait_for(listener, 90)


async def test_faults_can_be_seen_and_cleared(stage: Stage) -> None:
    await stage.post("/faults", {"target": "telegram", "fault": "502", "times": 3})
    assert [fault["times"] for fault in (await stage.get("/state"))["faults"]] == [3]
    async with stage.http.delete(f"{stage.base}/control/faults") as answer:
        assert await answer.json() == {"faults": []}
    await stage.write(ADA)
    await stage.bot.send_message(ADA, "x")
    assert (await stage.get("/log"))["calls"]["sendMessage"] == {"200": 1}
