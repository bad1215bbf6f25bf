"""The fence, and what is looked at before an order is begun."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdk import checks, policy
from sdk.checks import Market, NotTraded
from sdk.clock import DeskClock
from sdk.messages import EaOrder
from sdk.policy import Day, Fence, Policy
from sdk.state import Identity, Start, State
from terminal.protocol import AccountSnapshot, OrderType, Side, SymbolSpec, Tick

D = Decimal
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
ACCOUNT = AccountSnapshot("5001", "S", "B", "USD", 100, "hedging", D(1000), D(1000), D(0), D(1000), None, NOW)
SPEC = SymbolSpec("XAUUSD", "Gold", 2, D("0.01"), D("0.01"), D(100), D("0.01"), D(50), D("0.01"), 0, "XAU", "USD",
                  "USD", "cfd")
TICK = Tick("XAUUSD", D("2350.00"), D("2350.20"), NOW)
FINE = Day(D(0), 0, 1.0)


def order(**changes: Any) -> EaOrder:
    return replace(EaOrder("1", 1, 1 << 48 | 1, "XAUUSD", Side.BUY, OrderType.MARKET, D("0.10"), D("2350.00"),
                           D("2300.00"), (D("2450.00"),), 2_500, "CS1", NOW), **changes)


@pytest.mark.parametrize(("limits", "day", "volume", "stop", "code"), [
    (Policy(), FINE, "5", None, None),
    (Policy(), Day(D(0), 0, None), "0.1", "2300", "policy_no_heartbeat"),
    (Policy(), Day(D(0), 0, 121.0), "0.1", "2300", "policy_no_heartbeat"),
    (Policy(max_silence_seconds=None), Day(D(0), 0, None), "0.1", "2300", None),
    (Policy(symbols=("EURUSD", "xau*")), FINE, "0.1", "2300", None),
    (Policy(symbols=("xauusd",)), FINE, "0.1", "2300", None),
    (Policy(symbols=("XAU", "XAUUSD.r")), FINE, "0.1", "2300", "policy_symbol"),
    (Policy(symbols=()), FINE, "0.1", "2300", "policy_symbol"),
    (Policy(needs_stop=True), FINE, "0.1", None, "policy_no_stop"),
    (Policy(needs_stop=True), FINE, "0.1", "2300", None),
    (Policy(max_lots=D("0.10")), FINE, "0.10", "2300", None),
    (Policy(max_lots=D("0.10")), FINE, "0.11", "2300", "policy_max_lots"),
    (Policy(max_total_lots=D("1.10")), FINE, "0.10", "2300", None),
    (Policy(max_total_lots=D("1.09")), FINE, "0.10", "2300", "policy_total_lots"),
    (Policy(max_orders_a_day=3), Day(D(0), 2, 1.0), "0.1", "2300", None),
    (Policy(max_orders_a_day=3), Day(D(0), 3, 1.0), "0.1", "2300", "policy_max_orders"),
    (Policy(max_daily_loss=D(100)), Day(D("99.99"), 0, 1.0), "0.1", "2300", None),
    (Policy(max_daily_loss=D(100)), Day(D(100), 0, 1.0), "0.1", "2300", "policy_daily_loss"),
    (Policy(max_spread_points=20), FINE, "0.1", "2300", None),
    (Policy(max_spread_points=19), FINE, "0.1", "2300", "policy_spread")])
def test_the_fence(limits: Policy, day: Day, volume: str, stop: str | None, code: str | None) -> None:
    assert policy.refusal(limits, day, SPEC, TICK, D(volume), D(stop) if stop else None, D(1)) == code


@pytest.mark.parametrize(("start", "net_deposits", "equity", "lost"), [
    (Start(D(1000), D(900)), D(900), "950", "50"), (Start(D(1000), D(900)), D(1400), "1450", "50"),
    (Start(D(1000), D(900)), D(400), "500", "0"), (Start(D(1000), None), D(400), "950", "50"),
    (Start(D(1000), D(900)), None, "950", "50"), (Start(D(1000), D(900)), D(900), "1100", "-100")])
def test_what_is_paid_in_or_out_is_no_gain_and_no_loss(start: Start, net_deposits: Decimal | None, equity: str,
                                                       lost: str) -> None:
    assert policy.lost_since(start, replace(ACCOUNT, equity=D(equity), net_deposits=net_deposits)) == D(lost)


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[State]:
    made = State(tmp_path / "device.db")
    await made.open(Identity("5001", "S"))
    yield made
    await made.close()


async def test_the_days_beginning_is_the_first_look_at_it(memory: State) -> None:
    clock = DeskClock()
    clock.set(int(NOW.timestamp()), 0.0, 0.0)
    fence = Fence(Policy(max_daily_loss=D(100)), memory, clock)
    await fence.look(ACCOUNT)
    fence.heard()

    async def code(equity: int) -> str | None:
        return await fence.refusal(replace(ACCOUNT, equity=D(equity)), SPEC, TICK, D("0.1"), D(2300), D(0), 1)

    assert [await code(equity) for equity in (950, 901, 900, 950)] == [None, None, "policy_daily_loss", None]
    clock.set(int(NOW.timestamp()) + 86_400, 0.0, 0.0)
    assert await code(900) is None and await code(801) is None and await code(800) == "policy_daily_loss"


# -- the market ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("changes", "code"), [
    ({}, None), ({"entry_price": D("2325.00")}, "price_moved"), ({"entry_price": D("2375.30")}, "price_moved"),
    ({"entry_price": D("2375.20")}, None), ({"entry_price": None, "max_deviation_points": 0}, None),
    ({"stop_loss": D("2350.20")}, "stop_beyond_price"), ({"take_profits": (D("2350.20"),)}, "target_passed"),
    ({"side": Side.SELL, "stop_loss": D("2350.00"), "take_profits": ()}, "stop_beyond_price"),
    ({"side": Side.SELL, "stop_loss": D("2360"), "take_profits": (D("2340"), D("2350"))}, "target_passed"),
    ({"order_type": OrderType.LIMIT, "entry_price": D("2000")}, None)])
def test_a_market_order_that_has_missed_its_moment(changes: dict[str, Any], code: str | None) -> None:
    if code is None:
        checks.levels(order(**changes), Market(ACCOUNT, SPEC, TICK))
        return
    with pytest.raises(NotTraded, match=code):
        checks.levels(order(**changes), Market(ACCOUNT, SPEC, TICK))


def test_the_price_may_slip_by_what_is_left_of_the_way() -> None:
    market = Market(ACCOUNT, SPEC, TICK)
    assert checks.levels(order(entry_price=D("2350.00"), max_deviation_points=100), market) == 80
    assert checks.levels(order(entry_price=D("2350.20"), max_deviation_points=100), market) == 100
    assert checks.levels(order(entry_price=None, max_deviation_points=30), market) == 30


@pytest.mark.parametrize(("volume", "risk", "per_lot", "lots"), [
    ("0.10", None, None, "0.10"), ("0.10", "500", "5000", "0.10"), ("0.10", "499.99", "5000", "0.09"),
    ("0.10", "500", "-5", "0.10"), ("0.10", "500", None, "0.10"), ("0.107", None, None, "0.10"),
    ("0.10", "49.99", "5000", None), ("0.009", None, None, None)])
def test_volumes_go_down_to_what_the_risk_allows(volume: str, risk: str | None, per_lot: str | None,
                                                 lots: str | None) -> None:
    given_order = order(volume=D(volume), risk=D(risk) if risk else None)
    market = Market(ACCOUNT, SPEC, TICK, D(per_lot) if per_lot else None)
    if lots is not None:
        assert checks.volume(given_order, market) == D(lots)
        return
    with pytest.raises(NotTraded, match="volume_below_minimum"):
        checks.volume(given_order, market)


@given(st.decimals("0.01", "50", places=4), st.decimals("0", "100000", places=2),
       st.decimals("0.01", "100000", places=2), st.sampled_from(["0.01", "0.1", "1", "0.25"]))
def test_no_volume_is_ever_above_the_order_or_its_risk(volume: Decimal, risk: Decimal, per_lot: Decimal,
                                                       step: str) -> None:
    spec = replace(SPEC, volume_step=D(step), volume_min=D(step))
    try:
        lots = checks.volume(order(volume=volume, risk=risk), Market(ACCOUNT, spec, TICK, per_lot))
    except NotTraded:
        assert min(volume, risk / per_lot) < D(step)
        return
    assert D(step) <= lots <= volume and lots * per_lot <= risk and lots % D(step) == 0
    assert min(volume, risk / per_lot) - lots < D(step)


def test_several_targets_need_a_hedging_account_unless_the_volume_reaches_one_only() -> None:
    two, netting = order(take_profits=(D(2450), D(2500))), replace(ACCOUNT, margin_mode="netting")
    checks.targets(two, Market(ACCOUNT, SPEC, TICK), D("0.10"))
    checks.targets(two, Market(netting, SPEC, TICK), D("0.01"))
    checks.targets(order(), Market(netting, SPEC, TICK), D("0.10"))
    with pytest.raises(NotTraded, match="targets_need_hedging"):
        checks.targets(two, Market(netting, SPEC, TICK), D("0.10"))
