"""Sizing for accounts at devices, by what their devices have really told over HTTP."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from bot import cards as written
from models.account import Account
from models.order import Order
from services import accounts, approvals, cards, device_symbols, execution, sizing, symbol_reports, symbols
from services.device_symbols import DevicePlan
from terminal.protocol import AccountSnapshot, Side
from tests.webapp.broker_stage import forget, gold, linked, quoted, spec, tell, tell_all, terminal
from tests.webapp.conftest import Door
from tests.webapp.devices_stage import push, register

LEVELS: dict[str, Any] = {"symbol": "EURUSD", "side": "buy", "order_type": "market", "entry_price": None,
                          "stop_loss": D("1.06508"), "take_profits": ["1.08000"]}
CENT = {"contract_size": "1000"}


def order(**changes: Any) -> Order:
    """Buys at the market; the stop is 50 pips below where the tests quote EURUSD."""
    return Order(**{**LEVELS, "id": 1, **changes})


async def account_of(door: Door, account_id: int, **sizing: Any) -> tuple[Account, AccountSnapshot]:
    async with door.desk.database.writing() as session:
        account = await session.get_one(Account, account_id)
        if sizing:
            account.sizing = sizing
    return account, await door.desk.gateways["device"].account(accounts.ref(account))


async def planned(door: Door, account_id: int, of: Order | None = None, *, after: float = 0.0,
                  sizing: dict[str, Any] | None = None) -> DevicePlan:
    """The plan, so many seconds from now."""
    account, snapshot = await account_of(door, account_id, **(sizing or {}))
    return await device_symbols.plan_for_device(door.desk, account, of or order(), snapshot,
                                                datetime.now(UTC) + timedelta(seconds=after))


def euro(**changes: Any) -> dict[str, Any]:
    return quoted(spec(**changes), "1.07000", "1.07008")


async def test_a_quote_is_asked_for_and_then_the_stop_costs_a_percent(door: Door) -> None:
    _, _, key, account_id = await linked(door, [spec(), gold()])
    asked = await planned(door, account_id, after=30)
    assert asked == DevicePlan("EURUSD.r", None, None, D(100), D("0.00001"), ("EURUSD.r",), False)
    await tell(door, key, euro())
    told = await planned(door, account_id)
    assert told == DevicePlan("EURUSD.r", D("0.20"), None, D(100), D("0.00001"), (), False)
    sold = await planned(door, account_id, order(side="sell", stop_loss=D("1.075"), take_profits=["1.06"]))
    assert sold.volume == D("0.20")
    assert (await planned(door, account_id, after=16)).wanted == ("EURUSD.r",), "the quote is old by now"
    await tell(door, key, euro() | {"quoted_at": "2026-01-02T22:00:00Z"})
    again = await planned(door, account_id)
    assert again.volume == D("0.20"), "whether the market is open is for the broker to say"


@pytest.mark.parametrize("step", ["0.0000000000000001", "1.0000000000000000"])
async def test_absurd_steps_and_values_are_sized_like_others(door: Door, step: str) -> None:
    _, _, key, account_id = await linked(door, [spec()])
    await tell(door, key, euro(tick_value="0.0000000000000001", volume_step=step, volume_max="999999999999999"))
    assert (await planned(door, account_id)).volume == sizing.MOST_LOTS


async def test_the_same_quote_told_again_is_a_fresh_one(door: Door) -> None:
    _, _, key, account_id = await linked(door, [])
    quote = euro()
    await tell(door, key, quote, ago=200, terminal=terminal())
    await tell_all(door, key, quote)
    assert (await planned(door, account_id)).volume == D("0.20")
    await forget(door)
    assert (await planned(door, account_id)).wanted == ("EURUSD.r",), "nobody knows any more that it was just told"
    await tell(door, key, quote)
    assert (await planned(door, account_id)).volume == D("0.20")


async def test_a_terminal_without_a_quote_is_not_asked_without_a_pause(door: Door) -> None:
    _, _, key, account_id = await linked(door, [spec(tick_value=None)])
    waits = await planned(door, account_id)
    assert (waits.volume, waits.refusal, waits.wanted, waits.wants_all) == (None, None, (), False)
    assert (await planned(door, account_id, after=3)).wanted == ("EURUSD.r",)
    await tell(door, key, euro(tick_value=None))
    assert (await planned(door, account_id)).refusal == "no_conversion_rate"
    assert (await planned(door, account_id, sizing={"mode": "fixed", "volume": "0.30"})).volume == D("0.30")


async def test_what_needs_no_quote_does_not_wait_for_one(door: Door) -> None:
    _, _, _, account_id = await linked(door, [spec()])
    resting = await planned(door, account_id, after=3_600, of=order(
        order_type="limit", entry_price=D("1.06000"), stop_loss=D("1.05500"), take_profits=[]))
    assert (resting.volume, resting.risk) == (D("0.20"), D(100))
    day = await planned(door, account_id, after=90_000, of=order(
        order_type="limit", entry_price=D("1.06000"), stop_loss=D("1.05500"), take_profits=[]))
    assert day.wanted == ("EURUSD.r",), "what a tick is worth changes too"
    bare = await planned(door, account_id, order(stop_loss=None), after=3_600)
    assert (bare.volume, bare.risk) == (D("0.01"), None)
    for given, sized, refusal in (("0.157", "0.15", None), ("99", "50", None), ("0.009", None, "volume_below_minimum")):
        plan = await planned(door, account_id, after=3_600, sizing={"mode": "fixed", "volume": given})
        assert (plan.volume, plan.refusal, plan.risk) == (D(sized) if sized else None, refusal, None)


@pytest.mark.parametrize(("changes", "refusal"), [
    ({"stop_loss": D("1.07100")}, "stop_beyond_price"), ({"take_profits": ["1.06900", "1.08"]}, "target_passed"),
    ({"entry_price": D("1.06700"), "stop_loss": D("1.06508")}, "price_moved")])
async def test_a_fresh_quote_refuses_what_has_drifted(door: Door, changes: dict[str, Any], refusal: str) -> None:
    _, _, _, account_id = await linked(door, [euro()])
    plan = await planned(door, account_id, order(**changes))
    assert (plan.volume, plan.refusal, plan.symbol) == (None, refusal, "EURUSD.r")
    old = await planned(door, account_id, order(**changes), after=60)
    assert (old.refusal, old.wanted) == (None, ("EURUSD.r",))


async def test_a_small_account_is_refused_and_never_sized_up(door: Door) -> None:
    _, _, _, account_id = await linked(door, [euro()], equity="400.00", balance="400.00")
    assert (await planned(door, account_id)).refusal == "volume_below_minimum"


@pytest.mark.parametrize(("symbols", "wanted", "refusal", "name"), [
    ([gold()], "XAUUSD", None, "GOLD"),
    ([gold("GOLD.m"), gold("GOLD.c", contract_size="1")], "XAUUSD", None, "GOLD.m"),
    ([spec("EURUSD.a"), spec("EURUSD.b")], "EURUSD", "symbol_ambiguous", "EURUSD"),
    ([spec("EURUSDc", **CENT)], "EURUSD", "symbol_unconfirmed", "EURUSD"),
    ([spec("USDJPY", currency_base="USD", currency_profit="JPY")], "EURUSD", "unknown_symbol", "EURUSD"),
    ([spec("EURUSD", trade_mode="disabled"), spec("EURUSD.r")], "EURUSD", None, "EURUSD.r")])
async def test_names_are_found_as_at_a_terminal(door: Door, symbols: list[dict[str, Any]], wanted: str,
                                                refusal: str | None, name: str) -> None:
    _, _, _, account_id = await linked(door, symbols)
    plan = await planned(door, account_id, order(symbol=wanted), after=30)
    assert (plan.symbol, plan.refusal) == (name, refusal)
    assert plan.wanted == ((name,) if refusal is None else ())


async def test_a_cent_account_is_sized_by_its_own_figures_once_it_is_confirmed(door: Door) -> None:
    user_id, token, key, account_id = await linked(
        door, [quoted(spec("EURUSDc", **CENT), "1.07000", "1.07008")], currency="USC", equity="100000.00")
    assert (await planned(door, account_id)).refusal == "symbol_unconfirmed"
    path = f"/api/v1/accounts/{account_id}/symbols/EURUSD"
    status, refused, _ = await door.call("PUT", path, token=token, body={"broker_symbol": "EURUSDx"})
    assert (status, refused["code"]) == (422, "invalid_request")
    status, row, _ = await door.call("PUT", path, token=token, body={"broker_symbol": "EURUSDc"})
    assert (status, row["source"]) == (200, "edited")
    assert (await planned(door, account_id)).volume == D("2.00")
    await tell_all(door, key, gold())
    assert (await planned(door, account_id)).refusal == "unknown_symbol", "it is gone"
    assert user_id


async def test_a_device_that_tells_symbols_is_asked_for_all_of_them(door: Door) -> None:
    _, token, key, account_id = await linked(door)
    await tell(door, key, terminal=terminal())
    for _ in range(2):
        plan = await planned(door, account_id)
        assert (plan.volume, plan.refusal, plan.wanted, plan.wants_all) == (None, None, (), True)
        await tell(door, key, euro(), is_first=True)
    await tell(door, key, gold(), is_last=True)
    assert (await planned(door, account_id)).volume == D("0.20")
    second = await register(door, token, "Home", account_id=str(account_id))
    await tell(door, second, quoted(spec(), "1.08000", "1.08008"))
    plan = await planned(door, account_id, order(take_profits=[]))
    assert plan.volume == D("0.06"), "what any of its devices has heard last counts"


async def test_another_user_or_another_account_is_not_heard(door: Door) -> None:
    _, _, _, account_id = await linked(door)
    _, _, other, _ = await linked(door, [euro()], 7002)
    await tell_all(door, other, euro())
    account, _ = await account_of(door, account_id)
    gateway, ref = door.desk.gateways["device"], accounts.ref(account)
    assert await gateway.symbol(ref, "EURUSD.r") is None and await gateway.tick(ref, "EURUSD.r") is None
    assert not (await planned(door, account_id)).wants_all


async def test_a_device_that_stands_elsewhere_is_not_heard_of_its_old_account(door: Door) -> None:
    _, _, key, account_id = await linked(door, [euro()])
    account, _ = await account_of(door, account_id)
    gateway, ref = door.desk.gateways["device"], accounts.ref(account)
    assert await gateway.symbol(ref, "EURUSD.r") is not None
    await push(door, key, login="5", server="Elsewhere-Live", positions=[])
    await tell_all(door, key, euro())
    assert await gateway.symbol(ref, "EURUSD.r") is None
    assert await symbol_reports.standing(door.desk.database, ref) == symbol_reports.Standing(False, False)


async def test_a_quote_is_shown_for_a_minute(door: Door) -> None:
    _, _, key, account_id = await linked(door, [])
    account, _ = await account_of(door, account_id)
    gateway, ref = door.desk.gateways["device"], accounts.ref(account)
    await tell(door, key, euro(), ago=90)
    tick = await gateway.tick(ref, "EURUSD.r")
    assert tick is not None and (tick.bid, tick.ask) == (D("1.07000"), D("1.07008")), "it was heard just now"
    await forget(door)
    assert await gateway.tick(ref, "EURUSD.r") is None


async def test_execution_plans_as_it_does_for_terminals(door: Door) -> None:
    _, _, key, account_id = await linked(door, [euro(), gold()])
    account, snapshot = await account_of(door, account_id)
    gateway, ref, now = door.desk.gateways["device"], accounts.ref(account), datetime.now(UTC)
    found = await symbols.resolve(door.desk.database, gateway, account, "EURUSD", now)
    assert found.name == "EURUSD.r"
    plan = await execution.plan(
        gateway, door.desk.execution_rules, ref, {}, symbol="EURUSD.r", side="buy", order_type="market", entry=None,
        stop=D("1.06508"), targets=[D("1.08")], equity=snapshot.equity)
    assert (plan.volume, plan.loss, plan.refusal) == (D("0.20"), D("-100.00000"), None)
    assert plan.spec is not None and (plan.spec.digits, plan.spec.stops_level) == (5, 10)
    await tell(door, key, spec("EURJPY", currency_profit="JPY", tick_value=None))
    assert await gateway.loss_at(ref, "EURJPY", Side.BUY, D(1), D(160), D(159)) is None
    assert await gateway.loss_at(ref, "GOLD", Side.SELL, D("0.5"), D("4000.00"), D("3999.00")) == D(50)
    assert {one.name for one in await gateway.symbols(ref)} == {"EURUSD.r", "GOLD", "EURJPY"}



class TestCards:
    @pytest.fixture
    async def asked(self, door: Door) -> Any:
        """Who has been asked about gold at the market: their key, token and approval, and how their card reads."""
        provider = await door.provider()
        user_id, token, key, account_id = await linked(door, [gold()])
        await door.publish(provider, order_type="market", entry_price=None, stop_loss="4020", take_profits=["4060"])
        approval = await door.waiting(token)

        async def card() -> tuple[cards.Outlook, str, str]:
            now = datetime.now(UTC)
            async with door.desk.database.reading() as session:
                view = await approvals.view(session, user_id, int(approval["id"]), now)
            seen = await cards.outlook(door.desk, view, now)
            _, page, _ = await door.call("GET", "/app/fragments/approvals", token=token)
            return seen, page.decode(), written.write(view, seen, now)

        return key, account_id, card

    async def test_it_says_what_approving_means_when_a_price_is_known(self, door: Door, asked: Any) -> None:
        key, account_id, card = asked
        seen, page, text = await card()
        assert (seen.volume, seen.loss, seen.refusal, seen.digits) == (None, None, None, 2)
        assert "worked out when your device tells the price" in page and "sized when its device" in text
        await tell(door, key, quoted(gold(), "4030.00", "4030.50"))
        seen, page, text = await card()
        assert (seen.volume, seen.loss, seen.refusal) == (D("0.09"), D("-94.500"), None)
        assert (seen.current_price, seen.is_estimate) == (D("4030.50"), True)
        assert "0.09" in page and "≈ 0.09 lots" in text and "94.50" in text
        await tell(door, key, quoted(gold(), "4070.00", "4070.50"))
        seen, _, text = await card()
        assert seen.refusal == "target_passed" and seen.volume is None
        assert "already passed a target" in text
        await account_of(door, account_id, mode="fixed", volume="0.30")
        await tell(door, key, quoted(gold(), "4030.00", "4030.50"))
        seen, _, text = await card()
        assert (seen.volume, seen.loss) == (D("0.30"), D("-315.000")) and "no stop" not in text

    async def test_it_says_why_it_would_be_refused(self, door: Door, asked: Any) -> None:
        key, _, card = asked
        await tell_all(door, key, spec())
        seen, _, text = await card()
        assert (seen.volume, seen.refusal) == (None, "unknown_symbol")
        assert "does not have this symbol" in text
        await push(door, key, login="1", positions=[])
        seen, _, _ = await card()
        assert (seen.volume, seen.refusal, seen.digits) == (None, None, None), "it stands at another account"

    async def test_an_entry_is_reckoned_with_where_there_is_no_price(self, door: Door) -> None:
        provider = await door.provider()
        user_id, token, _, _ = await linked(door, [gold()])
        await door.publish(provider, order_type="market", entry_price="4030", stop_loss="4020", take_profits=["4060"])
        approval, now = await door.waiting(token), datetime.now(UTC)
        async with door.desk.database.reading() as session:
            view = await approvals.view(session, user_id, int(approval["id"]), now)
        seen = await cards.outlook(door.desk, view, now)
        assert (seen.volume, seen.loss, seen.current_price) == (D("0.10"), D("-100.00"), None)
