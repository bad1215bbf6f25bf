"""Position arithmetic against figures published by MetaQuotes and brokers, and laws that hold for any figures."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal import maths
from terminal.maths import CalcMode
from terminal.protocol import Side

D = Decimal
LOT = D(100_000)
BUY, SELL = Side.BUY, Side.SELL
prices = st.decimals("0.00001", "99999", places=5)
volumes = st.decimals("0.01", "100", places=2)
sides = st.sampled_from(Side)


def in_dollars(raw: Decimal, quote: str, base: str, close: Decimal, rates: dict[str, Decimal] | None = None) -> Decimal:
    converted = maths.to_deposit(raw, quote, "USD", base=base, quote=quote, close_price=close,
                                 rate=lambda source, target: (rates or {}).get(source + target))
    assert converted is not None
    return maths.money(converted)


# The printed results of order_calc_profit and of brokers' worked examples.
@pytest.mark.parametrize(("symbol", "side", "volume", "contract", "opened", "closed", "profit"), [
    ("EURUSD", BUY, "1", "100000", "1.10000", "1.10300", "300.00"),
    ("GBPUSD", BUY, "1", "100000", "1.25000", "1.25300", "300.00"),
    ("GBPUSD", SELL, "1", "100000", "1.25000", "1.25300", "-300.00"),
    ("USDJPY", BUY, "1", "100000", "108.183", "108.483", "276.54"),
    ("USDJPY", SELL, "1", "100000", "108.179", "107.879", "278.09"),
    ("XAUUSD", BUY, "1", "100", "2500", "2510", "1000.00"),
])
def test_profit_as_published(symbol: str, side: Side, volume: str, contract: str, opened: str, closed: str,
                             profit: str) -> None:
    base, quote = symbol[:3], symbol[3:]
    raw = maths.profit(CalcMode.FOREX, side, D(volume), D(opened), D(closed), D(contract))
    assert in_dollars(raw, quote, base, D(closed)) == D(profit)


def test_profit_of_a_cross_goes_through_the_market() -> None:
    raw = maths.profit(CalcMode.FOREX, BUY, D(4), D("131.57"), D("132.16"), LOT)
    assert raw == 236_000
    assert in_dollars(raw, "JPY", "EUR", D("132.16"), {"JPYUSD": 1 / D("107.24")}) == D("2200.67")
    assert maths.profit(CalcMode.FOREX, BUY, D(1), D(155), D(156), LOT) == 100_000


def test_profit_without_a_rate_is_unknown_not_zero() -> None:
    assert maths.to_deposit(D(1), "JPY", "USD", base="EUR", quote="JPY", close_price=D(1), rate=lambda *_: None) is None


def test_profit_of_futures() -> None:
    assert maths.profit(CalcMode.FUTURES, BUY, D(2), D("4500.00"), D("4510.25"), D(1), tick_value=D("12.5"),
                        tick_size=D("0.25")) == 1025


@pytest.mark.parametrize(("pair", "in_dollars_each", "margin"), [
    ("EURUSD", "1.0991", "109.91"), ("GBPUSD", "1.2273", "122.73"), ("USDJPY", "1", "100.00"),
    ("USDCHF", "1", "100.00"), ("EURJPY", "1.0991", "109.91"), ("GBPJPY", "1.2273", "122.73")])
def test_margin_of_pairs_as_published(pair: str, in_dollars_each: str, margin: str) -> None:
    """0.1 lot at 1:100: reckoned in the base currency, whatever the price."""
    raw = maths.margin(CalcMode.FOREX, D("0.1"), D("107.5"), LOT, 100)
    assert maths.money(raw * D(in_dollars_each)) == D(margin)


@pytest.mark.parametrize(("mode", "given_", "margin"), [
    (CalcMode.CFD_INDEX, {"tick_value": D(1), "tick_size": D(1), "margin_rate": D("0.01")}, "3900.00"),
    (CalcMode.CFD, {"margin_rate": D("0.01")}, "3900.00"),
    (CalcMode.CFD_LEVERAGE, {}, "3900.00"),
    (CalcMode.EXCH_STOCKS, {}, "390000"),
    (CalcMode.FOREX_NO_LEVERAGE, {}, "10"),
    (CalcMode.FUTURES, {"initial_margin": D(1500), "margin_rate": D("1.5")}, "2250"),
])
def test_margin_of_everything_else(mode: CalcMode, given_: dict[str, Decimal], margin: str) -> None:
    assert maths.margin(mode, D(1), D(39_000), D(10), 100, **given_) == D(margin)


def test_account_figures_as_order_check_prints_them() -> None:
    equity = D("101300.53") + D("-32981.00")
    used = D("51193.67")
    assert equity == D("68319.53") and equity - used == D("17125.86")
    level = maths.margin_level(equity, used)
    assert level is not None and float(level) == 133.45308121101692
    assert maths.margin_level(equity, D(0)) is None


def test_swap_as_published() -> None:
    nights = [maths.swap(D(2), D("-5.47"), D("0.00001"), LOT, night) for night in (1, maths.SWAP_TRIPLE)]
    assert nights == [D("-10.94"), D("-32.82")]


def test_money_is_rounded_half_away_from_zero() -> None:
    assert [maths.money(D(text)) for text in ("1.005", "-1.005", "1.0049", "-0.005", "0.004")] == [
        D("1.01"), D("-1.01"), D("1.00"), D("-0.01"), D("0.00")]
    assert maths.money(D("1234.5"), 0) == 1235


def test_average_price() -> None:
    assert maths.vwap([(D("1"), D("1.10")), (D("3"), D("1.20"))]) == D("1.175")
    with pytest.raises(ValueError, match="no volume"):
        maths.vwap([])


def test_points() -> None:
    assert maths.points(BUY, D("1.10000"), D("1.10300"), D("0.00001")) == 300
    assert maths.points(SELL, D("1.10000"), D("1.10300"), D("0.00001")) == -300


@pytest.mark.parametrize(("volume", "targets", "shares"), [
    ("0.05", 2, ["0.03", "0.02"]), ("0.01", 3, ["0.01"]), ("0.02", 3, ["0.01", "0.01"]), ("1.00", 1, ["1.00"]),
    ("0.10", 3, ["0.04", "0.03", "0.03"]), ("1.00", 0, [])])
def test_a_volume_over_its_targets(volume: str, targets: int, shares: list[str]) -> None:
    found = maths.spread_over(D(volume), [D(number) for number in range(targets)], D("0.01"))
    assert [share for _, share in found] == [D(share) for share in shares]
    assert [target for target, _ in found] == [D(number) for number in range(len(shares))]


@given(sides, volumes, prices, prices)
def test_what_one_side_wins_the_other_loses(side: Side, volume: Decimal, opened: Decimal, closed: Decimal) -> None:
    other = SELL if side == BUY else BUY
    won = maths.profit(CalcMode.FOREX, side, volume, opened, closed, LOT)
    assert won == -maths.profit(CalcMode.FOREX, other, volume, opened, closed, LOT)
    assert (won > 0) == ((closed - opened) * maths.sign(side) > 0)


@given(sides, volumes, prices, prices, prices)
def test_profit_adds_up_over_the_way(side: Side, volume: Decimal, first: Decimal, second: Decimal,
                                     third: Decimal) -> None:
    def part(opened: Decimal, closed: Decimal) -> Decimal:
        return maths.profit(CalcMode.FOREX, side, volume, opened, closed, LOT)

    assert part(first, second) + part(second, third) == part(first, third)


@given(volumes, prices, st.integers(1, 2000), st.sampled_from([CalcMode.FOREX, CalcMode.CFD_LEVERAGE]))
def test_margin_grows_with_volume_and_falls_with_leverage(volume: Decimal, price: Decimal, leverage: int,
                                                          mode: CalcMode) -> None:
    margin = maths.margin(mode, volume, price, LOT, leverage)
    assert margin > 0 and maths.margin(mode, volume + 1, price, LOT, leverage) > margin
    assert maths.margin(mode, volume, price, LOT, leverage + 1) < margin


@given(volumes, st.sampled_from([D("0.01"), D("0.1"), D("0.5"), D(1)]))
def test_volumes_are_floored_to_steps(volume: Decimal, step: Decimal) -> None:
    floored = maths.floor_to_step(volume, step)
    assert volume - step < floored <= volume and floored % step == 0
    assert maths.floor_to_step(floored, step) == floored


@given(volumes, st.lists(prices, max_size=10), st.sampled_from([D("0.01"), D("0.1")]))
def test_shares_of_a_volume_are_all_of_it(volume: Decimal, targets: Sequence[Decimal], step: Decimal) -> None:
    shares = maths.spread_over(volume, targets, step)
    assert sum((share for _, share in shares), D(0)) == (volume if targets else 0)
    assert all(share > 0 for _, share in shares)
    assert [target for target, _ in shares] == list(targets[:len(shares)])
    whole = [share for _, share in shares]
    assert whole == sorted(whole, reverse=True), "the earlier targets first"


@given(st.lists(st.tuples(volumes, prices), min_size=1, max_size=20))
def test_an_average_lies_between_its_extremes(fills: list[tuple[Decimal, Decimal]]) -> None:
    paid = [price for _, price in fills]
    assert min(paid) - D("1e-20") <= maths.vwap(fills) <= max(paid) + D("1e-20")


@given(st.decimals("-1e12", "1e12", places=6))
def test_money_is_off_by_half_a_cent_at_most(amount: Decimal) -> None:
    assert abs(maths.money(amount) - amount) <= D("0.005") and maths.money(-amount) == -maths.money(amount)


@pytest.mark.parametrize(("volume", "multiplier", "own", "theirs", "copied"), [
    ("1.00", "2.50", "5000", "2000", "6.25"), ("2.50", "2.00", "2000", "8000", "1.25")])
def test_copied_volume_as_published(volume: str, multiplier: str, own: str, theirs: str, copied: str) -> None:
    assert maths.copied_volume(Decimal(volume), Decimal(multiplier), Decimal(own), Decimal(theirs)) == Decimal(copied)


@pytest.mark.parametrize(("balance", "share", "leverage", "lots"), [
    ("40000", "0.50", 200, "1.60"), ("5000", "0.35", 50, "0.07")])
def test_copied_percentage_as_published(balance: str, share: str, leverage: int, lots: str) -> None:
    percent = maths.copied_percent(Decimal(balance), Decimal(share), Decimal(15_000), Decimal("1.2700"), leverage, 100)
    assert maths.copied_volume(Decimal(1), percent / 100, Decimal(1), Decimal(1)) == Decimal(lots)


@pytest.mark.parametrize(("exact", "rounded"), [
    ("0.25", "1"), ("6.25", "6"), ("9.99", "9"), ("10", "10"), ("29.7", "25"), ("99.9", "95"), ("100", "100"),
    ("129.6", "120")])
def test_copied_percentages_are_rounded_as_published(exact: str, rounded: str) -> None:
    assert maths.copied_percent(Decimal(exact), Decimal(1), Decimal(100), Decimal(1), 100, 100) == Decimal(rounded)
