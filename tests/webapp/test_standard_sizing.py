"""Sizing for devices that tell nothing but their account: by what such a symbol is at most brokers."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any

import pytest

from models.account import Account
from services import accounts, device_symbols
from services.device_symbols import DevicePlan
from services.terms import Levels
from terminal.paper.quotes import QuoteFeed
from tests.webapp.broker_stage import linked
from tests.webapp.conftest import Door
from tests.webapp.test_device_sizing import order, planned

ENTRY = {"entry_price": D("1.07008"), "stop_loss": D("1.06508"), "take_profits": []}


@pytest.fixture(autouse=True)
def market(quotes: QuoteFeed) -> None:
    quotes.set_price("EURUSD", D("1.07000"), D("1.07008"))
    quotes.set_price("USDJPY", D("150.000"), D("150.010"))
    quotes.set_price("EURGBP", D("0.85000"), D("0.85010"))
    quotes.set_price("GBPUSD", D("1.25000"), D("1.25010"))
    quotes.set_price("XAUUSD", D("2350.00"), D("2350.30"))


def fits(plan: DevicePlan, volume: str | None, refusal: str | None = None) -> None:
    assert (plan.volume, plan.refusal) == (D(volume) if volume else None, refusal), plan
    assert (plan.wanted, plan.wants_all) == ((), False)


@pytest.mark.parametrize(("changes", "volume", "refusal"), [
    (ENTRY, "0.20", None),
    ({**ENTRY, "order_type": "limit"}, "0.20", None),
    ({**ENTRY, "side": "sell", "stop_loss": D("1.07508")}, "0.20", None),
    ({"symbol": "GOLD", "entry_price": D("4000"), "stop_loss": D("3990"), "take_profits": []}, "0.10", None),
    ({"symbol": "USDJPY", "entry_price": D("150"), "stop_loss": D("149"), "take_profits": []}, "0.14", None),
    ({"symbol": "EURGBP", "entry_price": D("0.85"), "stop_loss": D("0.845"), "take_profits": []}, "0.15", None),
    ({"symbol": "US30", "entry_price": D("40000"), "stop_loss": D("39900")}, None, "not_told"),
    ({"symbol": "AAPL", "entry_price": D("200"), "stop_loss": D("190")}, None, "not_told"),
    ({"symbol": "AAPL", "stop_loss": None}, "0.01", None)])
async def test_an_entry_and_a_stop_are_enough_where_all_brokers_agree(door: Door, changes: dict[str, Any],
                                                                      volume: str | None, refusal: str | None) -> None:
    _, _, _, account_id = await linked(door)
    plan = await planned(door, account_id, order(**changes))
    fits(plan, volume, refusal)
    assert plan.symbol == changes.get("symbol", "EURUSD")
    assert plan.risk == (D(100) if changes["stop_loss"] else None)


async def test_without_an_entry_the_market_may_be_a_percent_away(door: Door) -> None:
    _, _, _, account_id = await linked(door)
    fits(await planned(door, account_id), "0.06")
    fits(await planned(door, account_id, order(stop_loss=D("1.08"))), None, "no_quote")
    fits(await planned(door, account_id, order(side="sell", stop_loss=D("1.075"), take_profits=[])), "0.06")


async def test_other_currencies_are_converted_as_far_as_rates_are_known(door: Door) -> None:
    _, _, _, account_id = await linked(door, currency="EUR")
    fits(await planned(door, account_id, order(**ENTRY)), "0.21")
    fits(await planned(door, account_id, order(symbol="EURGBP", entry_price=D("0.85"), stop_loss=D("0.845"),
                                               take_profits=[])), "0.16")
    _, _, _, odd = await linked(door, telegram_id=7002, currency="USC")
    fits(await planned(door, odd, order(**ENTRY)), None, "no_conversion_rate")


async def test_fixed_volumes_need_nothing(door: Door) -> None:
    _, token, _, account_id = await linked(door)
    for symbol in ("EURUSD", "ANYTHING"):
        plan = await planned(door, account_id, order(symbol=symbol), sizing={"mode": "fixed", "volume": "0.375"})
        fits(plan, "0.375")
    path = f"/api/v1/accounts/{account_id}/symbols/EURUSD"
    status, row, _ = await door.call("PUT", path, token=token, body={"broker_symbol": "EURUSD.whatever"})
    assert (status, row["broker_symbol"]) == (200, "EURUSD.whatever"), "taken as given: nobody has told what there is"
    assert (await planned(door, account_id)).symbol == "EURUSD.whatever"


async def test_an_account_that_was_never_reported_waits(door: Door) -> None:
    _, _, _, account_id = await linked(door)
    async with door.desk.database.reading() as session:
        account = await session.get_one(Account, account_id)
    plan = await device_symbols.plan_for_device(door.desk, account, order(**ENTRY), None, datetime.now(UTC))
    fits(plan, None)
    alone = replace(door.desk, paper=None)
    snapshot = await door.desk.gateways["device"].account(accounts.ref(account))
    fits(await device_symbols.plan_for_device(alone, account, order(**ENTRY), snapshot, datetime.now(UTC)), None,
         "not_told")


async def test_it_is_foreseen_as_it_will_be(door: Door) -> None:
    _, _, _, account_id = await linked(door)
    async with door.desk.database.reading() as session:
        account = await session.get_one(Account, account_id)
    snapshot = await door.desk.gateways["device"].account(accounts.ref(account))
    levels = Levels("EURUSD", "buy", "limit", D("1.07008"), None, D("1.06508"), (), None)
    for wanted, volume, loss in ((levels, "0.20", "-100.000000"), (replace(levels, symbol="US30"), None, None)):
        seen = await device_symbols.foresee(door.desk, account, wanted, snapshot, datetime.now(UTC))
        assert (seen.volume, seen.loss) == (D(volume) if volume else None, D(loss) if loss else None)
