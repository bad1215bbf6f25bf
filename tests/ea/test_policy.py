"""The local fence: each limit at its edge, and that nothing stands in the way where there is none."""

from typing import Any

import pytest

from tests.ea.program import Program

POLICY = {"max_lots": "1", "max_total_lots": "3", "symbols": "EURUSD, XAU*", "stop_required": 1, "max_spread": 20,
          "max_loss": "100", "max_orders": 5, "max_silence": 60}
FACTS = {"symbol": "EURUSD", "volume": "0.5", "held": "1", "has_stop": 1, "spread": "10", "loss": "50", "orders": 2,
         "silence": 1000}
OPEN = {"max_lots": "0", "max_total_lots": "0", "symbols": "", "stop_required": 0, "max_spread": 0, "max_loss": "0",
        "max_orders": 0, "max_silence": 0}


def refusal(parts: Program, policy: dict[str, Any], **facts: Any) -> str:
    answer = parts.ask("policy", *policy.values(), *(FACTS | facts).values())
    assert answer is not None
    return answer.decode()


@pytest.mark.parametrize(("facts", "code"), [
    ({}, ""),
    ({"volume": "1"}, ""), ({"volume": "1.01"}, "policy_max_lots"),
    ({"held": "2.5"}, ""), ({"held": "2.51"}, "policy_total_lots"),
    ({"symbol": "eurusd"}, ""), ({"symbol": "XAUUSD"}, ""), ({"symbol": "xau"}, ""),
    ({"symbol": "EURUSD.m"}, "policy_symbol"), ({"symbol": "GBPUSD"}, "policy_symbol"),
    ({"symbol": ""}, "policy_symbol"),
    ({"has_stop": 0}, "policy_no_stop"),
    ({"spread": "20"}, ""), ({"spread": "21"}, "policy_spread"),
    ({"loss": "99.99"}, ""), ({"loss": "100"}, "policy_daily_loss"), ({"loss": "-500"}, ""),
    ({"orders": 4}, ""), ({"orders": 5}, "policy_max_orders"),
    ({"silence": 60_000}, ""), ({"silence": 60_001}, "policy_no_heartbeat"), ({"silence": -1}, "policy_no_heartbeat"),
])
def test_each_limit_at_its_edge(parts: Program, facts: dict[str, Any], code: str) -> None:
    assert refusal(parts, POLICY, **facts) == code


def test_without_limits_nothing_is_refused(parts: Program) -> None:
    assert refusal(parts, OPEN, volume="100", held="1000", has_stop=0, spread="9999", loss="1000000", orders=10_000,
                   silence=-1, symbol="ANY") == ""


@pytest.mark.parametrize("limit", list(POLICY))
def test_each_limit_stands_alone(parts: Program, limit: str) -> None:
    """With every other one off it still refuses what breaks it."""
    breaks = {"max_lots": {"volume": "9"}, "max_total_lots": {"held": "9"}, "symbols": {"symbol": "GBPUSD"},
              "stop_required": {"has_stop": 0}, "max_spread": {"spread": "99"}, "max_loss": {"loss": "1000"},
              "max_orders": {"orders": 99}, "max_silence": {"silence": 999_999}}[limit]
    only = OPEN | {limit: POLICY[limit]}
    assert refusal(parts, only) == ""
    assert refusal(parts, only, **breaks).startswith("policy_")


@pytest.mark.parametrize(("symbol", "names", "is_listed"), [
    ("EURUSD", "", True), ("EURUSD", " , ,", True), ("EURUSD", "EURUSD", True), ("EURUSD", "GBPUSD,EURUSD", True),
    ("EURUSD", " eurusd ", True), ("EURUSD", "EURUSD,", True), ("EURUSD", ",EURUSD", True), ("EURUSD", "EUR", False),
    ("EURUSD", "EURUSDX", False), ("EURUSD", "EUR*", True), ("EURUSD", "*", True), ("EURUSD", "EURUSD*", True),
    ("EURUSD", "EURUSD.*", False), ("EURUSD", "GBP*, USD*", False), ("EURUSD", "EUR;USD", False)])
def test_names_in_the_list(parts: Program, symbol: str, names: str, is_listed: bool) -> None:
    assert parts.ask("listed", symbol, names) == (b"\x01" if is_listed else b"\x00")
