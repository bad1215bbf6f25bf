"""Figures and instants of the MQL5 files beside Python's own."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminal import maths
from tests.ea.program import Program

# As webapp/device_schemas.py and webapp/symbol_schemas.py have them: what is written, and what is read as well.
FIGURE, FINE = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,8})?"), re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,16})?")
STEPS = [Decimal(step) for step in ("0.01", "0.1", "1", "0.001", "0.25", "0.05", "5", "0.00001", "100")]


@pytest.mark.parametrize("text", ["0", "-0", "1", "-1", "0.1", "1.08765", "123456789012345.12345678",
                                  "0.1234567890123456", "00.1", "007"])
def test_figures_are_read(parts: Program, text: str) -> None:
    answer = parts.ask("decimal", text)
    assert answer is not None
    assert float(answer) == pytest.approx(float(text), rel=1e-15, abs=6e-9)  # told with eight places


@pytest.mark.parametrize("text", ["", "-", ".", "1.", ".5", "+1", "1e5", " 1", "1 ", "1,5", "0x1", "nan",
                                  "1.12345678901234567", "1234567890123456", "--1", "1.-1", "１", "1.2.3", "inf",
                                  "1\n"])
def test_what_is_no_figure(parts: Program, text: str) -> None:
    assert not FINE.fullmatch(text), "the test is wrong"
    assert parts.ask("decimal", text) is None


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789.-+ e", max_size=12))
def test_a_text_is_a_figure_where_the_desk_takes_it_for_one(parts: Program, text: str) -> None:
    assert (parts.ask("decimal", text) is not None) == bool(FINE.fullmatch(text))


@settings(max_examples=300, deadline=None)
@given(st.decimals(-10**9, 10**9, places=5), st.integers(-2, 10))
def test_figures_are_written_as_the_desk_reads_them(parts: Program, value: Decimal, places: int) -> None:
    written = parts.ask("decimal-text", f"{value:f}", places)
    assert written is not None and FIGURE.fullmatch(written.decode())
    most = min(max(places, 0), 8)
    assert abs(Decimal(written.decode()) - value) <= Decimal(1).scaleb(-most) / 2 + Decimal("1e-6")
    assert not (written.startswith(b"-") and not re.search(rb"[1-9]", written)), "a minus before nothing"


@pytest.mark.parametrize(("step", "places"), [("0.01", 2), ("1", 0), ("0.00001", 5), ("0.25", 2), ("100", 0),
                                              ("0.1", 1), ("0.00000001", 8)])
def test_how_many_places_a_step_has(parts: Program, step: str, places: int) -> None:
    assert parts.ask("places", step) == str(places).encode()


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 200_000), st.sampled_from(STEPS), st.sampled_from(["0", "0.4", "0.9999"]))
def test_volumes_go_down_to_whole_steps(parts: Program, count: int, step: Decimal, rest: str) -> None:
    volume = (count + Decimal(rest)) * step
    if -volume.as_tuple().exponent > 8:
        return
    answer = parts.ask("floor", f"{volume:f}", f"{step:f}")
    assert answer is not None and Decimal(answer.decode()) == maths.floor_to_step(volume, step)


@pytest.mark.parametrize(("price", "tick", "digits", "right"), [
    ("1.087654", "0.00001", 5, "1.08765"), ("1.087656", "0.00001", 5, "1.08766"), ("2345.13", "0.25", 2, "2345.25"),
    ("2345.12", "0.25", 2, "2345"), ("0.3", "0.1", 1, "0.3"), ("154.325", "0.005", 3, "154.325"),
    ("100", "5", 0, "100")])
def test_prices_are_such_as_the_symbol_can_have(parts: Program, price: str, tick: str, digits: int,
                                                right: str) -> None:
    assert parts.ask("tick", price, tick, digits) == right.encode()


def milliseconds(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))


@settings(max_examples=300, deadline=None)
@given(INSTANTS)
def test_instants_there_and_back(parts: Program, at: datetime) -> None:
    written = parts.ask("instant-text", milliseconds(at))
    assert written is not None
    text = written.decode()
    assert text.endswith("Z") and milliseconds(datetime.fromisoformat(text)) == milliseconds(at)
    desks = at.isoformat().replace("+00:00", "Z")
    assert parts.ask("instant", desks) == str(milliseconds(at)).encode()


@pytest.mark.parametrize(("text", "fraction"), [("", 0), (".1", 100), (".12", 120), (".123", 123), (".1239", 123),
                                                (".000001", 0), (".999999999", 999)])
def test_fractions_of_a_second(parts: Program, text: str, fraction: int) -> None:
    assert parts.ask("instant", f"2024-02-29T23:59:59{text}Z") == str(1709251199000 + fraction).encode()


@pytest.mark.parametrize("text", [
    "", "Z", "2024-05-01", "2024-05-01T12:00:01", "2024-05-01 12:00:01Z", "2024-05-01T12:00:01+00:00",
    "2024-05-01T12:00:01z", "2024-05-01T12:00:01.Z", "2024-05-01T12:00:01.1234567890Z", "2024-05-01T24:00:00Z",
    "2024-05-01T12:60:00Z", "2024-05-01T12:00:60Z", "2024-13-01T12:00:01Z", "2024-00-01T12:00:01Z",
    "2024-02-30T12:00:01Z", "2023-02-29T12:00:01Z", "2100-02-29T00:00:00Z", "2024-04-31T00:00:00Z",
    "2024-05-00T12:00:01Z", "1969-12-31T23:59:59Z", "2024-5-01T12:00:01Z0", "2024-05-01T12:00:01,5Z",
    "2024-05-01T12:00:0１Z", "+024-05-01T12:00:01Z", "2024-05-01T12:00:01Z ", "2024-05-01T12:00:01.5",
    " 2024-05-01T12:0Z"])
def test_what_is_no_instant(parts: Program, text: str) -> None:
    assert parts.ask("instant", text) is None
