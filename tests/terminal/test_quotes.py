"""The paper market: real rates at the start, the same walk for the same seed, and no impossible quote."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from currency_converter import CurrencyConverter
from hypothesis import given
from hypothesis import strategies as st

from terminal.paper.quotes import QuoteFeed
from terminal.paper.symbols import listings
from terminal.protocol import Tick

D = Decimal
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def opened(seed: int = 7, anchors: dict[str, Decimal] | None = None) -> QuoteFeed:
    feed = QuoteFeed(seed=seed, anchors=anchors)
    await feed.load(NOW)
    return feed


def walk(feed: QuoteFeed, steps: int) -> list[dict[str, tuple[Decimal, Decimal]]]:
    walked = []
    for _ in range(steps):
        feed.step(NOW)
        walked.append(feed.last())
    return walked


async def test_pairs_open_at_the_rates_of_the_european_central_bank() -> None:
    feed, bank = await opened(), CurrencyConverter(fallback_on_missing_rate=True)
    for name in ("EURUSD", "GBPUSD", "USDJPY", "AUDNZD", "CHFJPY"):
        tick = feed.tick(name)
        assert tick is not None
        published = bank.convert(1, name[:3], name[3:])
        assert abs(float((tick.bid + tick.ask) / 2) / published - 1) < 0.0005, name


async def test_everything_listed_has_a_quote_on_its_grid() -> None:
    feed = await opened()
    assert set(feed.symbols()) == set(listings())
    for name, listing in listings().items():
        tick = feed.tick(name)
        assert tick is not None and tick.ask - tick.bid == listing.spread * listing.spec.point
        assert tick.bid > 0 and tick.bid % listing.spec.point == 0 and tick.at == NOW
    assert feed.tick("NOWHERE") is None and feed.spec("NOWHERE") is None


async def test_the_rest_opens_where_the_configuration_says() -> None:
    tick = (await opened(anchors={"XAUUSD": D("2000.00")})).tick("XAUUSD")
    assert tick is not None and abs((tick.bid + tick.ask) / 2 - 2000) < D("0.02")


async def test_the_same_seed_walks_the_same_way() -> None:
    first, again, other = walk(await opened(7), 20), walk(await opened(7), 20), walk(await opened(8), 20)
    assert first == again and first != other
    assert first[0] != first[-1]


async def test_prices_stay_near_their_anchor(quotes: QuoteFeed) -> None:
    start = quotes.last()
    for now in walk(quotes, 1000)[::100]:
        for name, (bid, _) in now.items():
            assert abs(bid / start[name][0] - 1) < D("0.02"), name


async def test_a_feed_goes_on_from_the_quotes_of_an_earlier_run() -> None:
    feed = QuoteFeed(seed=7)
    await feed.load(NOW, {"EURUSD": (D("1.50000"), D("1.50010")), "GONE": (D(1), D(2))})
    assert feed.tick("EURUSD") == Tick("EURUSD", D("1.50000"), D("1.50010"), NOW) and feed.tick("GONE") is None
    (later,) = walk(feed, 1)
    assert abs(later["EURUSD"][0] - D("1.5")) < D("0.002")


@pytest.mark.parametrize(("symbol", "bid", "ask"), [
    ("NOWHERE", "1", "1"), ("EURUSD", "0", "1"), ("EURUSD", "-1", "1"), ("EURUSD", "1.2", "1.1"),
    ("EURUSD", "NaN", "1"), ("EURUSD", "1", "NaN"), ("EURUSD", "1", "Infinity"), ("EURUSD", "1", "1e12"),
    ("EURUSD", "sNaN", "1")])
async def test_impossible_quotes_are_refused(symbol: str, bid: str, ask: str, quotes: QuoteFeed) -> None:
    before = quotes.last()
    with pytest.raises(ValueError):
        quotes.set_price(symbol, D(bid), D(ask))
    assert quotes.last() == before


async def test_a_nudge_moves_both_sides(quotes: QuoteFeed) -> None:
    feed = quotes
    before = feed.tick("USDJPY")
    after = feed.nudge("USDJPY", -25)
    assert before is not None and (after.bid, after.ask) == (before.bid - D("0.025"), before.ask - D("0.025"))
    with pytest.raises(ValueError, match="unknown"):
        feed.nudge("NOWHERE", 1)


async def test_what_has_moved_is_told_once() -> None:
    feed = await opened()
    assert await feed.moved(0.01) == set(feed.symbols())
    assert await feed.moved(0.01) == set()
    feed.nudge("EURUSD", 1)
    feed.nudge("EURUSD", 1)
    assert await feed.moved(0.01) == {"EURUSD"}


async def test_rates_convert_both_ways_and_across(quotes: QuoteFeed) -> None:
    feed = quotes
    feed.set_price("USDJPY", D("149.995"), D("150.005"))
    feed.set_price("EURUSD", D("1.09995"), D("1.10005"))
    assert feed.rate("USD", "JPY") == 150 and feed.rate("USD", "USD") == 1
    assert abs((feed.rate("JPY", "USD") or D(0)) - D(1) / 150) < D("1e-20")
    assert feed.rate("EUR", "USD") == D("1.1") and feed.rate("XXX", "USD") is None
    across = feed.rate("NZD", "GBP")
    assert across is not None and D("0.3") < across < 1, "through the published rates where no pair is listed"


@given(st.sampled_from(sorted(listings())))
def test_specifications_are_consistent(name: str) -> None:
    spec = listings()[name].spec
    assert spec.point == D(1).scaleb(-spec.digits) and spec.tick_size % spec.point == 0
    assert 0 < spec.volume_step <= spec.volume_min <= spec.volume_max and spec.volume_min % spec.volume_step == 0
    assert spec.contract_size > 0 and spec.stops_level >= 0 and spec.name == name
