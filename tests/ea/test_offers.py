"""Orders as the desk offers them, read in MQL5: every member is understood, or the order is not executed."""

import json
from typing import Any

import pytest

from tests.ea.program import Program

MAGIC = 1 << 48 | 4711
OFFER: dict[str, Any] = {
    "order_id": "17", "seq": 1_714_564_801_000, "login": "1001", "server": "Broker-Demo", "symbol": "EURUSD.m",
    "side": "buy", "order_type": "market", "volume": "0.30", "entry_price": "1.08000", "stop_loss": "1.07500",
    "take_profits": ["1.08500", "1.09000"], "max_deviation_points": 20, "magic": MAGIC, "comment": "CS17",
    "issued_at": "2024-05-01T12:00:01Z", "expires_at": "2024-05-01T12:15:01.250000Z", "risk": "150.00",
    "began_at": None}
TOLD = (f"17|1714564801000|{MAGIC}|1001|Broker-Demo|EURUSD.m|0|0|0.3|1.08|1.075|1.085 1.09|150|20|CS17|1714564801000"
        "|1714565701250|new")


def told(parts: Program, offer: dict[str, Any]) -> str | None:
    answer = parts.ask("order", json.dumps(offer).encode())
    return answer.decode() if answer is not None else None


def test_an_offer_is_read_to_the_last_member(parts: Program) -> None:
    assert told(parts, OFFER) == TOLD


@pytest.mark.parametrize(("changes", "old", "new"), [
    ({"side": "sell"}, "|0|0|0.3|", "|1|0|0.3|"), ({"order_type": "limit"}, "|0|0|0.3|", "|0|1|0.3|"),
    ({"order_type": "stop"}, "|0|0|0.3|", "|0|2|0.3|"), ({"entry_price": None}, "|1.08|1.075|", "|-|1.075|"),
    ({"stop_loss": None, "risk": None}, "|1.075|1.085 1.09|150|", "|-|1.085 1.09|-|"), ({"risk": None}, "|150|", "|-|"),
    ({"take_profits": []}, "|1.085 1.09|", "||"), ({"began_at": "2024-05-01T12:00:02Z"}, "|new", "|begun"),
    ({"comment": ""}, "|CS17|", "||"), ({"new_member": {"of": ["a later", "version"]}}, "", ""),
    ({"max_deviation_points": 0}, "|20|", "|0|")])
def test_what_may_be_otherwise(parts: Program, changes: dict[str, Any], old: str, new: str) -> None:
    assert told(parts, OFFER | changes) == TOLD.replace(old, new)


def test_members_that_may_be_left_out(parts: Program) -> None:
    for name in ("risk", "began_at", "entry_price"):
        assert told(parts, {key: value for key, value in OFFER.items() if key != name}) not in (None, "not understood")


@pytest.mark.parametrize("name", sorted(set(OFFER) - {"risk", "began_at", "entry_price", "stop_loss"}))
@pytest.mark.parametrize("value", [None, True, [], {}, "", "x" * 300, 1.5, -1])
def test_what_is_not_understood(parts: Program, name: str, value: Any) -> None:
    if (name, value) in (("take_profits", []), ("comment", "")):
        return
    assert told(parts, OFFER | {name: value}) in (None, "not understood")
    left_out = {key: kept for key, kept in OFFER.items() if key != name}
    assert told(parts, left_out) in (None, "not understood")


@pytest.mark.parametrize("changes", [
    {"volume": "0"}, {"volume": "-0.1"}, {"volume": "1e1"}, {"volume": 0.3}, {"entry_price": "0"}, {"stop_loss": "-1"},
    {"entry_price": 1.08}, {"take_profits": ["1.085", None]}, {"take_profits": [1.085]}, {"take_profits": ["0"]},
    {"take_profits": "1.085"}, {"take_profits": ["1"] * 16}, {"side": "BUY"}, {"side": "long"},
    {"order_type": "Market"}, {"order_type": "stop_limit"}, {"order_type": "limit", "entry_price": None},
    {"max_deviation_points": "20"},
    {"max_deviation_points": 100_001}, {"issued_at": "2024-05-01 12:00:01"}, {"expires_at": "soon"},
    {"expires_at": 1714565701}, {"began_at": True}, {"began_at": "then"}, {"risk": "0"}, {"risk": 150},
    {"stop_loss": None}, {"comment": "c" * 30}, {"symbol": "s" * 33}, {"server": "s" * 65}, {"login": 1001}])
def test_terms_that_make_no_sense(parts: Program, changes: dict[str, Any]) -> None:
    """Risk without a stop cannot be held; an order that waits has a price."""
    assert told(parts, OFFER | changes) == "not understood"


@pytest.mark.parametrize("changes", [
    {"magic": 0}, {"magic": -5}, {"magic": 1 << 53}, {"magic": MAGIC | 1 << 44}, {"magic": MAGIC | 15 << 44},
    {"magic": str(MAGIC)}, {"magic": 1.0}, {"seq": 0}, {"seq": -1}, {"seq": "1"}, {"order_id": 17},
    {"order_id": "9" * 33}])
def test_what_names_no_order(parts: Program, changes: dict[str, Any]) -> None:
    """A number with the bits of a leg in it would be another order's leg."""
    assert told(parts, OFFER | changes) is None


@pytest.mark.parametrize(("first", "text"), [(0, ""), (1, "a"), (-1, "é🪙"), (2**63 - 1, "x" * 200), (-2**63, " ")])
def test_what_is_packed_is_unpacked(parts: Program, first: int, text: str) -> None:
    packed = parts.ask("packed", first, text)
    assert packed is not None
    assert parts.ask("unpacked", packed) == f"{first}|{text}|-1|".encode()
    for size in range(len(packed)):
        assert parts.ask("unpacked", packed[:size]) is None, size
    assert parts.ask("unpacked", packed + b"\x00") is None


@pytest.mark.parametrize("wrong", [b"\xff" * 8, (2000).to_bytes(8), (1 << 40).to_bytes(8), b"\x00" * 7 + b"\x01\xff"])
def test_what_is_no_packed_text(parts: Program, wrong: bytes) -> None:
    assert parts.ask("unpacked", (5).to_bytes(8) + wrong + b"\x00" * 40) is None
