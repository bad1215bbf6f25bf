"""Supervision as Windows has it, done under Wine."""

from tests.terminal_mt5 import wine

pytestmark = wine.NEEDED


def test_a_terminal_that_fails_is_replaced_and_nothing_is_left() -> None:
    assert wine.told_by("tests.terminal_mt5.under_wine.supervised") == {
        "login": "11", "hang": "terminal_hangs", "after hang": "11", "die": "terminal_lost", "after die": "11",
        "garbage": "bad_answer", "after garbage": "11", "verified": "11", "said goodbye": "shutdown",
        "directories": 1}
