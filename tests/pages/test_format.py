"""Figures in the trader's writing. Nothing that comes in may come out as None, NaN or an exponent."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.pages import format

THIN, MINUS = "\u202f", "\u2212"


def d(text: str) -> Decimal:
    return Decimal(text)


@pytest.mark.parametrize(("value", "digits", "written"), [
    ("2350.1", 2, f"2{THIN}350.10"), ("1.08534", 5, "1.08534"), ("157.4", 3, "157.400"),
    ("39120", 1, f"39{THIN}120.0"), ("67250", 2, f"67{THIN}250.00"), ("1234567", 0, f"1{THIN}234{THIN}567"),
    ("2350.100", None, f"2{THIN}350.1"), ("2E+3", None, f"2{THIN}000"), ("0.00001", 5, "0.00001"),
])
def test_prices_respect_the_digits_of_their_symbol(value: str, digits: int | None, written: str) -> None:
    assert format.price(d(value), digits) == written


@pytest.mark.parametrize(("value", "currency", "written"), [
    ("10000", "USD", f"10{THIN}000.00\u00a0USD"), ("-100.996", "USD", f"{MINUS}101.00\u00a0USD"),
    ("1234.5", "JPY", f"1{THIN}235\u00a0JPY"), ("-0.001", "EUR", "0.00\u00a0EUR"),
])
def test_money_wears_its_currency(value: str, currency: str, written: str) -> None:
    assert format.money(d(value), currency) == written


def test_results_wear_their_sign() -> None:
    assert format.money(d("12.4"), "USD", signed=True) == "+12.40\u00a0USD"
    assert format.money(d("-12.4"), "USD", signed=True) == f"{MINUS}12.40\u00a0USD"
    assert format.money(d("0"), "USD", signed=True) == "0.00\u00a0USD"
    assert format.distance(d("-10.1"), 2) == f"{MINUS}10.10"
    assert format.points(d("-19.0")) == f"{MINUS}19\u00a0pts"
    assert format.percent(d("-1.5"), signed=True) == f"{MINUS}1.50\u00a0%"
    assert [format.sign(d(text)) for text in ("0.01", "-0.01", "0", "NaN")] == ["gain", "loss", "even", "even"]


@pytest.mark.parametrize(("lots", "written"), [
    ("0.1", "0.10"), ("1", "1.00"), ("0.125", "0.125"), ("0.1000", "0.10"), ("1000", f"1{THIN}000.00")])
def test_volumes_have_at_least_two_digits(lots: str, written: str) -> None:
    assert format.volume(d(lots)) == written


def test_rewards_are_multiples_of_risk() -> None:
    assert format.multiple(d("1.9703")) == "2.0\u00a0R"


@pytest.mark.parametrize("nothing", [None, d("NaN"), d("Infinity"), d("-Infinity"), d("sNaN")])
def test_what_is_not_known_is_a_dash(nothing: Decimal | None) -> None:
    written = [format.price(nothing, 2), format.distance(nothing, None), format.money(nothing, "USD"),
               format.volume(nothing), format.percent(nothing), format.points(nothing), format.multiple(nothing)]
    assert set(written) == {format.DASH}
    assert format.sign(nothing) == "even"


FIGURE = re.compile(rf"{MINUS}?[0-9]{{1,3}}({THIN}[0-9]{{3}})*(\.[0-9]+)?")


@given(st.decimals(min_value=-10**12, max_value=10**12, allow_nan=False), st.integers(0, 8))
def test_every_figure_reads_back_as_the_number_it_was(value: Decimal, digits: int) -> None:
    written = format.price(value, digits)
    assert FIGURE.fullmatch(written)
    read = Decimal(written.replace(THIN, "").replace(MINUS, "-"))
    assert abs(read - value) <= Decimal(1).scaleb(-digits) / 2
    as_given = format.price(value, None)
    assert Decimal(as_given.replace(THIN, "").replace(MINUS, "-")) == value


def test_text_that_turns_round_what_it_says_is_straightened() -> None:
    assert format.plain("buy\u202e lles\u2066 \u200bat 1\ufeff") == "buy lles at 1"
    assert format.plain("مكتب\u200f") == "مكتب"
    assert format.plain("two\nlines") == "two\nlines"
