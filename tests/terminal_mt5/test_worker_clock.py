"""The trade server's time, learnt from quotes; floats as decimals."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from terminal.mt5 import codes, convert, faults
from terminal.mt5.clock import ServerClock

NOW = 1_767_366_000_000
HOUR = 3_600_000


def test_a_moving_quote_tells_the_time() -> None:
    clock = ServerClock()
    clock.note("EURUSD", NOW + 2 * HOUR - 300, NOW)
    assert (clock.offset, clock.is_certain) == (timedelta(hours=2), False)
    clock.note("EURUSD", NOW + 2 * HOUR + 100, NOW + 400)
    assert clock.is_certain
    moment = datetime(2026, 1, 2, 15, tzinfo=UTC)
    assert clock.utc(int((moment + timedelta(hours=2)).timestamp() * 1000)) == moment
    assert clock.wall(moment) == moment + timedelta(hours=2)


def test_old_quotes_are_only_an_estimate_and_the_newest_counts() -> None:
    clock = ServerClock()
    clock.note("GBPUSD", NOW - 6 * HOUR, NOW)
    clock.note("EURUSD", NOW + 3 * HOUR - 2_000, NOW)
    clock.note("USDJPY", NOW - 1 * HOUR, NOW)
    assert (clock.offset, clock.is_certain) == (timedelta(hours=3), False)
    clock.note("EURUSD", NOW + 3 * HOUR - 2_000, NOW + 500)
    assert not clock.is_certain, "it has not moved"


def test_a_closed_market_makes_nobody_certain() -> None:
    clock = ServerClock()
    friday = NOW - 30 * HOUR
    for seconds in range(20):
        clock.note("EURUSD", friday, NOW + seconds * 1000)
    assert (clock.offset, clock.is_certain) == (timedelta(0), False)
    # It moved at some time in the last hours, and stands: that says nothing of now.
    clock.note("EURUSD", friday + 20 * HOUR, NOW + 6 * HOUR)
    assert not clock.is_certain


def test_summer_time_is_noticed() -> None:
    clock = ServerClock()
    for step in range(3):
        clock.note("EURUSD", NOW + 3 * HOUR + step * 1000, NOW + step * 1000)
    assert clock.offset == timedelta(hours=3)
    later = NOW + 24 * HOUR
    for step in range(3):
        clock.note("EURUSD", later + 2 * HOUR + step * 1000, later + step * 1000)
    assert clock.offset == timedelta(hours=2)


@pytest.mark.parametrize(("value", "digits", "text"), [
    (1.1, 5, "1.10000"), (0.1 + 0.2, 2, "0.30"), (151.5, 3, "151.500"), (1.0851033333333333, 5, "1.08510333"),
    (67250.0, 2, "67250.00"), (39120.0, 1, "39120.0"), (1e-05, 5, "0.00001")])
def test_prices(value: float, digits: int, text: str) -> None:
    assert format(convert.price(value, digits), "f") == text


@pytest.mark.parametrize(("value", "text"), [
    (0.30000000000000004, "0.3"), (100.0, "100"), (100000.0, "100000"), (1e-05, "0.00001"), (0.07, "0.07"),
    (0.0, "0")])
def test_volumes_and_sizes(value: float, text: str) -> None:
    assert format(convert.exact(value), "f") == text


def test_money_is_rounded_half_away_from_zero() -> None:
    assert convert.money(2.675, 2) == Decimal("2.68") and convert.money(-2.675, 2) == Decimal("-2.68")
    assert convert.money(1234.5, 0) == Decimal(1235)


def test_numbers_of_legs_and_closes_lead_back_to_the_order() -> None:
    order = 1 << 48 | 42
    assert [codes.leg_of(codes.leg_magic(order, leg)) for leg in range(codes.MOST_LEGS)] == list(range(15))
    assert {codes.intent_of(codes.leg_magic(order, leg)) for leg in range(codes.MOST_LEGS)} == {order}
    close = codes.closing_magic(codes.leg_magic(order, 3))
    assert (codes.intent_of(close), codes.leg_of(close)) == (order, codes.CLOSING)
    assert codes.intent_of(codes.closing_magic(0)) == 0 and codes.intent_of(codes.closing_magic(77)) == 0
    assert not codes.is_ours(77) and codes.intent_of(77) == 77 and codes.intent_of(2 << 48) == 2 << 48
    assert codes.closing_magic(order) < 1 << 53, "every JSON reader keeps it exact"


@pytest.mark.parametrize(("code", "text", "named", "retryable", "permanent"), [
    (-1, "Terminal: Call failed", "terminal_away", True, False),
    (-2, 'Invalid "volume" argument', "invalid_request", False, False),
    (-5, "Terminal: Incompatible versions, python library", "terminal_lost", True, False),
    (-6, "Terminal: Authorization failed", "wrong_password", False, True),
    (-7, "Unsupported authorization mode, OTP or certificate password needed", "otp_required", False, True),
    (-8, "Auto-Trading using Python API disabled in Terminal", "trading_disabled", False, True),
    (-10000, "IPC internal", "terminal_lost", True, False), (-10001, "IPC send failed", "terminal_lost", True, False),
    (-10002, "IPC recv failed", "terminal_lost", True, False),
    (-10004, "No IPC connection", "terminal_lost", True, False),
    (-10005, "IPC timeout", "terminal_hangs", True, False)])
def test_errors_of_calls(code: int, text: str, named: str, retryable: bool, permanent: bool) -> None:
    error = faults.of_call(code, text)
    assert (error.code, error.retryable, error.permanent, error.ambiguous) == (named, retryable, permanent, False)
    after = faults.as_ambiguous(error)
    assert (after.code, after.ambiguous) == (named, True)


@pytest.mark.parametrize(("code", "text", "named", "permanent"), [
    (-10003, "IPC initialize failed, Process create failed 'x'", "terminal_missing", True),
    (-10003, "IPC initialize failed, MetaTrader 5 x64 not found", "terminal_missing", True),
    (-10003, "IPC initialize failed, Pipe server didn't answer in 60 sec", "terminal_hangs", False),
    (-10005, "IPC timeout", "terminal_away", False), (-2, "Terminal: Invalid params", "broker_unknown", True),
    (-4, "Terminal: Not found", "broker_unknown", True), (-2, 'Invalid "login" argument', "invalid_request", True),
    (-5, "Terminal: Incompatible versions", "terminal_missing", True), (-7, "Unsupported", "terminal_missing", True),
    (-8, "Auto-Trading using Python API disabled in Terminal", "trading_disabled", True)])
def test_errors_of_signing_in(code: int, text: str, named: str, permanent: bool) -> None:
    error = faults.of_sign_in(code, text)
    assert (error.code, error.permanent, error.ambiguous) == (named, permanent, False)
