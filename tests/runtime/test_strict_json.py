"""JSON with one reading only: what the standard parser lets through is refused, in bounded time."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import strict_json
from runtime.strict_json import InvalidJson

# Large enough that quadratic work shows: what takes 10 ms here in linear time then takes many seconds.
HOSTILE_BYTES = 64 * 1024
keys = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"))
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-2**63, 2**63 - 1) | keys
    | st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-10**9, max_value=10**9),
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20)


def refused(raw: bytes) -> bool:
    try:
        strict_json.loads(raw)
    except InvalidJson:
        return True
    return False


@pytest.mark.parametrize("text", [
    "NaN", "Infinity", "-Infinity", '{"a": NaN}', "[1e999]", "[-1e999]", "1e99999999999999999999999", "0e-400",
    "1e-99999999999999999999999", "1." + "9" * 60, "1" * 5000, "-" + "1" * 30, "9223372036854775808",
    "-9223372036854775809"])
def test_numbers_nobody_could_keep(text: str) -> None:
    assert refused(text.encode())


@pytest.mark.parametrize("text", [
    '{"a": 1, "a": 1}', '{"a": 1, "\\u0061": 2}', '[{"b": {"a": 1, "c": 2, "a": 3}}]', '{"": 1, "": 2}'])
def test_a_key_has_one_value(text: str) -> None:
    assert refused(text.encode())


@pytest.mark.parametrize("raw", [
    b"", b" ", b"{", b'{"a": 1,}', b"[1,]", b"{'a': 1}", b"{} {}", b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b'"\xff"',
    b'"\xed\xa0\x80"', b"// x\n{}", b"01", b"+1", b".5", b"1.", b'"\x01"', b'"\n"', b"nul", b'"\\x41"', b'"open'])
def test_what_is_no_json(raw: bytes) -> None:
    assert refused(raw)


@pytest.mark.parametrize("text", [
    '"\\u0000"', '{"\\u0000": 1}', '"\\ud800"', '"\\udc00\\ud800"', '{"a": ["\\udfff"]}'])
def test_characters_no_database_keeps(text: str) -> None:
    assert refused(text.encode())
    assert strict_json.loads(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_32_and_no_more(opening: str, closing: str) -> None:
    assert not refused((opening * 32 + "1" + closing * 32).encode())
    assert refused((opening * 33 + "1" + closing * 33).encode())


def test_brackets_in_strings_are_not_depth() -> None:
    value = ['"[' * 100, "\\", '\\"' * 100]
    assert strict_json.loads(json.dumps(value).encode()) == value
    assert refused(('["\\\\",' + "[" * 32 + "]" * 33).encode()), "a backslash that ends a string hides no bracket"


@pytest.mark.parametrize("unit", [b"[", b'"', b'\\"', b'"\\"', b"\\", b'{"a":', b"1", b"1.", b"-", b"]", b'","', b"\\u",
                                  b"[]", b"{},"])
@pytest.mark.parametrize("prefix", [b"", b'"', b"[", b'["'])
def test_hostile_bodies_take_no_time(prefix: bytes, unit: bytes) -> None:
    raw = prefix + unit * ((HOSTILE_BYTES - len(prefix)) // len(unit))
    began = time.perf_counter()
    assert refused(raw)
    assert time.perf_counter() - began < 10.0


def test_numbers_are_exact() -> None:
    found = strict_json.loads(b'[0.1, 1.10, 1e2, 9223372036854775807, -9223372036854775808, -0.0]')
    assert found == [Decimal("0.1"), Decimal("1.10"), Decimal(100), 2**63 - 1, -2**63, Decimal(0)]
    assert isinstance(found[0], Decimal) and str(found[1]) == "1.10" and type(found[3]) is int


@given(plain)
def test_what_is_written_is_read(value: Any) -> None:
    def as_text(inner: Any) -> Any:
        if isinstance(inner, Decimal):
            return format(inner, "f")
        if isinstance(inner, list):
            return [as_text(one) for one in inner]
        return {key: as_text(one) for key, one in inner.items()} if isinstance(inner, dict) else inner

    assert strict_json.loads(strict_json.dumps(value)) == as_text(value)


@given(st.binary(max_size=200) | st.text('[]{}",:\\1eE+-. \nantruefls').map(str.encode))
def test_bytes_are_read_as_the_standard_parser_does_or_refused(raw: bytes) -> None:
    try:
        found = strict_json.loads(raw)
    except InvalidJson:
        return
    assert found == json.loads(raw, parse_float=Decimal)


def test_a_large_report_is_no_longer_work_than_it_need_be() -> None:
    row = {"ticket": 5_000_001, "symbol": "EURUSD.r", "side": "buy", "entry_price": "1.07008", "profit": "-10.00"}
    raw = json.dumps({"positions": [row] * 1_000}).encode()

    def best(read: Callable[[bytes], Any]) -> float:
        spans = []
        for _ in range(7):
            began = time.perf_counter()
            read(raw)
            spans.append(time.perf_counter() - began)
        return min(spans)

    assert best(strict_json.loads) < 16 * best(json.loads)


def test_decimals_and_instants_are_written_for_readers() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    at = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
    written = strict_json.dumps({"a": Decimal("1E+3"), "b": Decimal("0.10"), "c": at, "d": at.astimezone(east)})
    assert written == b'{"a":"1000","b":"0.10","c":"2026-03-01T12:00:00.123Z","d":"2026-03-01T12:00:00.123Z"}'
    assert strict_json.dumps(["é"]) == '["é"]'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), datetime(2026, 3, 1)])
def test_what_has_no_meaning_is_not_written(value: Any) -> None:
    with pytest.raises(ValueError):
        strict_json.dumps([value])


def test_unknown_things_are_not_written() -> None:
    with pytest.raises(TypeError):
        strict_json.dumps({"a": object()})
