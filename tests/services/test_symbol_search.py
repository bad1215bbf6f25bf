"""Which of a broker's symbols is meant: names, currencies, contract sizes, and what must never be guessed."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services import symbol_search
from services.instruments import CURRENCIES, known, normal
from services.symbol_search import Found
from terminal.protocol import SymbolSpec, TradeMode

MISSING, AMBIGUOUS = Found(None, "missing"), Found(None, "ambiguous")


def spec(name: str, base: str, quote: str, contract: str = "100000", description: str = "",
         mode: TradeMode = TradeMode.FULL) -> SymbolSpec:
    tick = Decimal("0.00001")
    return SymbolSpec(name, description, 5, tick, tick, Decimal(contract), Decimal("0.01"), Decimal(100),
                      Decimal("0.01"), 10, base, quote, base, "forex", trade_mode=mode)


def euro(name: str, **changes: object) -> SymbolSpec:
    return replace(spec(name, "EUR", "USD"), **changes)  # type: ignore[arg-type]


def gold(name: str, base: str = "XAU", contract: str = "100", description: str = "Gold vs US Dollar") -> SymbolSpec:
    return spec(name, base, "USD", contract, description)


@pytest.mark.parametrize("name", ["EURUSD", "EURUSDm", "EURUSD.", "EURUSD.pro", "EURUSD_i", "EURUSD-ecn", "EURUSD.r",
                                  "mEURUSD", "iEURUSD", "#EURUSD", ".EURUSD", "eurusd", "EURUSD#", "EURUSDm#",
                                  "EUR/USD", "EUR/USD.a", "EURUSD+", "EURUSD!", "EURUSDx"])
def test_what_brokers_put_round_a_name(name: str) -> None:
    others = [spec("GBPUSD.pro", "GBP", "USD"), spec("EURJPY", "EUR", "JPY"), gold("XAUUSD")]
    assert symbol_search.search("EURUSD", [*others, euro(name)]) == Found(name, None)


@pytest.mark.parametrize("symbol", ["EURUSD", "eurusd", "EUR/USD", "EUR_USD", "EUR-USD", " EURUSD"])
def test_how_a_signal_may_write_it(symbol: str) -> None:
    assert symbol_search.search(symbol, [euro("EURUSDm")]) == Found("EURUSDm", None)


@pytest.mark.parametrize(("symbol", "offered"), [
    ("EURUSD", spec("EURUSD.x", "EUR", "JPY")), ("EURUSD", spec("EURUSD.x", "GBP", "USD")),
    ("XAUUSD", spec("XAUUSD", "XAU", "EUR", "100", "Gold")), ("XAUUSD", spec("GOLD", "XAU", "EUR", "100", "Gold")),
    ("XAUUSD", spec("XAUEUR", "XAU", "EUR", "100", "Gold vs Euro")), ("XAUUSD", spec("XAGUSD", "XAG", "USD", "5000")),
    ("BTCUSD", spec("BTCUSDT", "BTC", "USDT", "1", "Bitcoin")), ("BTC", spec("BTCEUR", "BTC", "EUR", "1", "Bitcoin")),
    ("BTC", spec("BTCETH", "BTC", "ETH", "1", "Bitcoin")), ("GER40", spec("GER40", "USD", "USD", "1", "DAX")),
    ("UK100", spec("FTSEMIB", "EUR", "EUR", "1", "FTSE MIB")),
    ("GOLD", spec("GOLD", "USD", "USD", "1", "Barrick Gold Corporation")),
    ("XAUUSD", spec("GOLD", "USD", "USD", "100", "Barrick Gold Corp")),
    ("USOIL", spec("OIL", "USD", "USD", "1000", "Brent Crude Oil")),
    ("US30", spec("US300", "USD", "USD", "1", "Something")), ("US30", spec("US30_Z5", "USD", "USD", "1", "Dow Jones")),
    ("XAUUSD", gold("XAUUSD-H26")), ("XAUUSD", gold("GOLD_Dec25")), ("EURUSD", euro("EURUSDmicro")),
    ("US500", spec("US500.c", "USD", "USD", "1", "Russell 2000"))])
def test_what_is_not_it(symbol: str, offered: SymbolSpec) -> None:
    assert symbol_search.search(symbol, [offered]) == MISSING


GROUPS = {
    "XAUUSD": [gold("GOLD"), gold("GOLD.r"), gold("GOLD", base="USD", description="Spot gold"), gold("XAUUSD.m")],
    "XAGUSD": [spec("SILVER", "XAG", "USD", "5000", "Silver")],
    "US30": [spec(name, "USD", "USD", "1", text) for name, text in (
        ("DJ30", "Dow Jones 30"), ("WS30", "Wall Street 30 Cash"), ("US30.cash", "US 30"), ("DJI30m", "DJIA"))],
    "NAS100": [spec(name, "USD", "USD", "20", text) for name, text in (
        ("USTEC", "US Tech 100 Index"), ("US100.c", "US 100"), ("NDX100", "NASDAQ 100"))],
    "GER40": [spec(name, "EUR", "EUR", "25", text) for name, text in (
        ("DE40", "Germany 40"), ("GER30", "DAX"), ("DE40Cash", "Germany 40 Cash"), ("#GER40", "DAX 40"))],
    "US500": [spec("SPX500", "USD", "USD", "10", "S&P 500 Index"), spec("SP500m", "USD", "USD", "1", "S&P500")],
    "UK100": [spec("FTSE100", "GBP", "GBP", "1", "FTSE 100"), spec("UK100.i", "GBP", "GBP", "1", "UK 100")],
    "BTCUSD": [spec("BITCOIN", "USD", "USD", "1", "Bitcoin"), spec("BTCUSD.x", "BTC", "USD", "1", "BTC")],
    "USOIL": [spec("XTIUSD", "XTI", "USD", "1000"), spec("OIL", "USD", "USD", "1000", "WTI Crude Oil"),
              spec("WTI.f", "USD", "USD", "1000", "West Texas Intermediate")],
    "UKOIL": [spec("BRENT", "USD", "USD", "1000", "Brent Crude Oil"), spec("XBRUSD", "XBR", "USD", "1000")],
}


@pytest.mark.parametrize(("symbol", "offered"), [(name, one) for name, specs in GROUPS.items() for one in specs])
def test_other_names_of_the_same_thing(symbol: str, offered: SymbolSpec) -> None:
    everything_else = [one for name, specs in GROUPS.items() if name != symbol for one in specs]
    assert symbol_search.search(symbol, [*everything_else, offered]) == Found(offered.name, None)


@pytest.mark.parametrize("alias", ["GOLD", "XAUUSD", "XAU", "gold"])
def test_a_signal_may_use_another_name_too(alias: str) -> None:
    assert symbol_search.search(alias, [gold("XAUUSD.r"), spec("XAUEUR", "XAU", "EUR", "100")]) == Found("XAUUSD.r",
                                                                                                      None)


@pytest.mark.parametrize(("symbol", "offered"), [
    ("EURUSD", spec("EURUSDc", "EUR", "USD", "1000")), ("EURUSD", spec("EURUSD", "EUR", "USD", "10000")),
    ("XAUUSD", gold("XAUUSDm", contract="1")), ("XAUUSD", gold("GOLD", base="USD", description="")),
    ("US30", spec("DOW.c", "USD", "USD", "1", "Index CFD")), ("AAPL", spec("AAPL.DE", "EUR", "EUR", "1", "Apple"))])
def test_what_its_owner_has_to_confirm(symbol: str, offered: SymbolSpec) -> None:
    assert symbol_search.search(symbol, [offered]) == Found(offered.name, "unconfirmed")


def test_what_needs_no_confirmation_goes_before_what_does() -> None:
    assert symbol_search.search("EURUSD", [euro("EURUSD", contract_size=Decimal(1000)), euro("EURUSD.long")]) == \
        Found("EURUSD.long", None)


def test_one_that_can_be_traded_goes_first_then_the_shortest_name() -> None:
    closed = euro("EURUSD", trade_mode=TradeMode.DISABLED)
    assert symbol_search.search("EURUSD", [closed, euro("EURUSD.pro"), euro("EURUSD.i")]) == Found("EURUSD.i", None)
    assert symbol_search.search("EURUSD", [closed]) == Found("EURUSD", None)
    assert symbol_search.search("EURUSD", [euro("EURUSD"), euro("EURUSD.i")]) == Found("EURUSD", None)
    assert symbol_search.search("EURUSD", [euro("EURUSD.a"), euro("EURUSD.b")]) == AMBIGUOUS
    assert symbol_search.search("XAUUSD", [gold("GOLD"), gold("XAUUSD.long")]) == Found("XAUUSD.long", None)


def test_what_nobody_knows_is_found_by_its_very_name_only() -> None:
    apple = spec("AAPL", "USD", "USD", "1", "Apple Inc")
    assert symbol_search.search("AAPL", [apple, spec("AAPL.US", "USD", "USD", "1")]) == Found("AAPL", None)
    assert symbol_search.search("AAPL", [spec("AAPL.DE", "EUR", "EUR"), spec("AAPL.US", "USD", "USD")]) == AMBIGUOUS
    assert symbol_search.search("TSLA", [apple]) == MISSING


currency = st.sampled_from(sorted(CURRENCIES))
around = st.tuples(st.sampled_from(["", "m", "i", "#", "."]), st.sampled_from(
    ["", ".", ".r", "_i", "-ecn", "m", "pro", "+", "#", ".raw", "c", "_Z5", ".5"]))


@st.composite
def offers(draw: st.DrawFn) -> SymbolSpec:
    """A pair under a broker's name for it; sometimes the currencies are not those of the name."""
    base, quote = draw(currency), draw(currency)
    before, after = draw(around)
    told_base, told_quote = (draw(currency), draw(currency)) if draw(st.booleans()) else (base, quote)
    return spec(f"{before}{base}{quote}{after}", told_base, told_quote,
                draw(st.sampled_from(["100000", "100000", "1000"])), mode=draw(st.sampled_from(list(TradeMode))))


@given(currency, currency, st.lists(offers(), max_size=12), st.randoms())
def test_never_across_currencies_and_the_order_does_not_matter(base: str, quote: str, listed: list[SymbolSpec],
                                                              random: object) -> None:
    by_name = {one.name: one for one in listed}
    found = symbol_search.search(base + quote, by_name.values())
    if found.name is not None and base != quote:
        chosen = by_name[found.name]
        assert (chosen.currency_base, chosen.currency_profit) == (base, quote)
        assert base + quote in chosen.name.upper()
        assert (found.problem == "unconfirmed") == (chosen.contract_size != 100_000)
    shuffled = list(by_name.values())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert symbol_search.search(base + quote, shuffled) == found
    assert symbol_search.search(f"{base}/{quote}", shuffled) == found


@given(currency, currency, around, st.lists(offers(), max_size=8))
def test_its_own_plain_name_is_found_beside_anything_else(base: str, quote: str, _: object,
                                                          listed: list[SymbolSpec]) -> None:
    if base == quote:
        return
    plain = spec(base + quote, base, quote)
    rest = [one for one in listed if one.name.upper() != plain.name]
    assert symbol_search.search(plain.name, [*rest, plain]) == Found(plain.name, None)
    assert symbol_search.is_meant(plain.name, plain)


@given(st.text(max_size=32))
def test_any_text_is_a_question_that_has_an_answer(text: str) -> None:
    assert symbol_search.search(text, [euro("EURUSD"), gold("GOLD")]).problem in (None, "missing", "ambiguous",
                                                                                 "unconfirmed")
    assert normal(normal(text)) == normal(text)
    known(text)
