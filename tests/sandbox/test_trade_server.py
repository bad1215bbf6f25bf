"""The sandbox's trade server as the control API and the console show it."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import expect

from sandbox import Sandbox, new_token
from sandbox.trade_server import SERVER, TradeServer, customers
from tests.pages.stage import chromium
from tests.sandbox.conftest import UNLIMITED, Stage, bot_at
from tests.sandbox.test_control import PRICES


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[TradeServer]:
    opened = TradeServer(tmp_path, "0badcafe")
    await opened.open(lambda: PRICES)
    yield opened
    await opened.close()


@pytest.fixture
async def stage(tmp_path: Path, server: TradeServer) -> AsyncIterator[Stage]:
    token = new_token()
    sandbox = Sandbox(token, tmp_path / "telegram.db", "http://127.0.0.1:9", limits=UNLIMITED, broker=server)
    base = await sandbox.start("127.0.0.1", 0)
    made = Stage(sandbox, base, token, bot_at(base, token), aiohttp.ClientSession())
    yield made
    await made.bot.session.close()
    await made.http.close()
    await sandbox.stop()


async def test_the_state_names_the_accounts_of_its_server(stage: Stage) -> None:
    terminal = (await stage.get("/state"))["terminal"]
    assert terminal["server"] == SERVER
    assert [one["login"] for one in terminal["accounts"]] == ["5000001", "5000002", "5000003", "5000009"]
    assert all(one["server"] == SERVER for one in terminal["accounts"])
    assert {one["server"] for one in terminal["elsewhere"]} == {"Sandbox-Raw", "Sandbox-Micro"}
    for one in terminal["accounts"]:
        assert one["password"] and one["investor_password"] and one["password"] != one["investor_password"]


async def test_passwords_differ_from_account_to_account_and_from_sandbox_to_sandbox() -> None:
    first, second = customers("0badcafe"), customers("deadbeef")
    assert len({one.password for one in first + second}) == len(first) * 2


async def test_faults_of_terminals_wait_until_they_strike(stage: Stage, server: TradeServer) -> None:
    waiting = (await stage.post("/faults", {"target": "terminal", "fault": "requote", "times": 2}))["faults"]
    assert [(one["target"], one["kind"], one["times"]) for one in waiting] == [("terminal", "requote", 2)]
    assert server.broker.faults.take(5000002, "order_send") is not None
    await stage.post("/faults", {"target": "terminal", "fault": "hang", "times": 1, "login": "5000003", "seconds": 0})
    assert server.broker.faults.take(5000001, "account_info") is None
    assert server.broker.faults.take(5000003, "account_info") is not None
    async with stage.http.delete(f"{stage.base}/control/faults") as answer:
        assert (await answer.json())["faults"] == []
    assert server.broker.faults.waiting() == []


@pytest.mark.parametrize("body", [
    {"fault": "earthquake"}, {"fault": "hang", "times": 0}, {"fault": "hang", "times": True},
    {"fault": "hang", "login": "me"}, {"fault": "hang", "seconds": 601}, {"fault": "hang", "seconds": "1"}])
async def test_a_fault_that_cannot_be_is_refused(stage: Stage, body: dict[str, object]) -> None:
    status, answer = await stage.try_post("/faults", {"target": "terminal", **body})
    assert status == 400 and answer["error"]
    assert (await stage.get("/state"))["faults"] == []


async def test_money_is_paid_in_and_out_of_accounts(stage: Stage, server: TradeServer) -> None:
    paid = [await stage.post("/terminal/payments", {"login": "5000001", "amount": amount, **kind})
            for amount, kind in (("2500.50", {}), (-500, {}), ("70", {"kind": "credit"}), ("-20", {"kind": "bonus"}))]
    assert [(one["balance"], one["credit"]) for one in paid] == [
        ("12500.50", "0"), ("12000.50", "0"), ("12000.50", "70"), ("12000.50", "50")]
    found = [server.broker.book.deals[one["deal"]] for one in paid]
    assert [(deal.login, deal.type, deal.profit, deal.symbol) for deal in found] == [
        (5000001, 2, Decimal("2500.50"), ""), (5000001, 2, Decimal(-500), ""), (5000001, 3, Decimal(70), ""),
        (5000001, 6, Decimal(-20), "")]


@pytest.mark.parametrize("body", [
    {"login": "1", "amount": "5"}, {"amount": "5"}, {"login": "5000001"}, {"login": "5000001", "amount": "0"},
    {"login": "5000001", "amount": True}, {"login": "5000001", "amount": "1e99"}, {"login": "5000001", "amount": "NaN"},
    {"login": "5000001", "amount": "0.001"}, {"login": "5000001", "amount": "5", "kind": "gift"},
    {"login": "5000001", "amount": "-10000.01"}, {"login": "5000001", "amount": "-1", "kind": "credit"}])
async def test_a_payment_that_cannot_be_is_refused(stage: Stage, server: TradeServer, body: dict[str, object]) -> None:
    before = dict(server.broker.book.deals)
    status, answer = await stage.try_post("/terminal/payments", body)
    assert status == 400 and answer["error"]
    assert server.broker.book.deals == before


async def test_the_market_of_the_broker_is_the_practice_market(server: TradeServer) -> None:
    quote = server.broker.market.quote("XAUUSD")
    assert quote is not None and (quote.bid, quote.ask) == PRICES["XAUUSD"]


async def test_accounts_keep_their_money_over_a_restart(tmp_path: Path) -> None:
    first = TradeServer(tmp_path, "0badcafe")
    await first.open(lambda: PRICES)
    first.broker.by_hand(5000001, "EURUSD", "buy", Decimal("0.10"))
    await first.close()
    second = TradeServer(tmp_path, "0badcafe")
    await second.open(lambda: PRICES)
    assert len(second.broker.book.positions_of(5000001)) == 1
    await second.close()


async def test_the_console_shows_what_has_to_be_typed(stage: Stage) -> None:
    async with chromium() as browser:
        page = await browser.new_page(viewport={"width": 1440, "height": 900})
        await page.goto(f"{stage.base}/")
        await page.click("#broker summary")
        await expect(page.get_by_test_id("broker-account")).to_have_count(6)
        await expect(page.get_by_title("Main-1-0badcafe")).to_be_visible()
        await page.get_by_test_id("deposit").first.click()
        await expect(page.get_by_text("Balance 10500")).to_be_visible()
        await page.click("#faults summary")
        await page.get_by_text("The broker requotes").click()
        await expect(page.locator("#faults .count")).to_have_text("2")
