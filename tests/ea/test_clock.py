"""The clock of the MQL5 files: the desk's time whatever the computer says, and the trade server's beside it."""

import pytest

from tests.ea.program import Program

START = 1_714_564_801
UNKNOWN, ESTIMATED, CERTAIN = 0, 1, 2


@pytest.fixture
def clock(parts: Program) -> Program:
    parts.ask("clock-clear")
    return parts


def times(clock: Program, word: str, *arguments: int) -> tuple[int, int]:
    """The desk's time in milliseconds, and the latest it may be."""
    answer = clock.ask(word, *arguments)
    assert answer is not None
    now, latest = map(int, answer.split())
    return now, latest


def note(clock: Program, quote: int, reckoned: int, tick: int) -> tuple[int, int]:
    answer = clock.ask("clock-note", quote, reckoned, tick)
    assert answer is not None
    kind, seconds = map(int, answer.split())
    return kind, seconds


def test_time_goes_on_by_the_ticks(clock: Program) -> None:
    now, latest = times(clock, "clock-set", START, 10_000, 10_200)
    assert now == START * 1000 + 600 and latest == now + 600
    assert times(clock, "clock-now", 70_200)[0] == now + 60_000


def test_the_truth_is_never_later_than_the_latest(clock: Program) -> None:
    """The desk may have answered at any moment of its second, and at any moment of the way."""
    _, latest = times(clock, "clock-set", START, 0, 3000)
    assert latest >= START * 1000 + 999 + 3000 - 1
    now, _ = times(clock, "clock-now", 3000)
    assert now - (latest - now) <= START * 1000


def test_a_reading_that_tells_the_same_moves_nothing(clock: Program) -> None:
    now, _ = times(clock, "clock-set", START, 0, 0)
    assert times(clock, "clock-set", START + 60, 60_900, 60_900)[0] == now + 60_900
    assert times(clock, "clock-set", START + 130, 120_000, 120_000)[0] == (START + 130) * 1000 + 500


def test_it_is_read_again_after_ten_minutes(clock: Program) -> None:
    assert clock.ask("clock-must-sync", 0) == b"\x01"
    times(clock, "clock-set", START, 0, 100)
    assert clock.ask("clock-must-sync", 600_099) == b"\x00"
    assert clock.ask("clock-must-sync", 600_100) == b"\x01"


@pytest.mark.parametrize("hours", [0, 2, 3, -5, 5.75, 14, -12])
def test_a_quote_that_moves_tells_the_servers_clock(clock: Program, hours: float) -> None:
    offset = int(hours * 3600)
    times(clock, "clock-set", START, 0, 0)
    assert note(clock, START + offset - 20, START + offset, 0) == (ESTIMATED, offset)
    assert note(clock, START + offset + 1, START + offset + 1, 1000) == (CERTAIN, offset)


def test_an_old_quote_tells_nothing(clock: Program) -> None:
    """The market was closed: the newest quote is of Friday, and the terminal's reckoning is all there is."""
    times(clock, "clock-set", START, 0, 0)
    assert note(clock, START - 100_000, START + 7200, 0) == (ESTIMATED, 7200)
    assert note(clock, START - 100_000, START + 7201, 1000) == (ESTIMATED, 7200)
    assert note(clock, START - 99_000, START + 7202, 2000) == (ESTIMATED, 7200)


def test_a_quote_seen_again_after_a_long_time_tells_nothing(clock: Program) -> None:
    times(clock, "clock-set", START, 0, 0)
    note(clock, START + 7200 - 10, START + 7200, 0)
    assert note(clock, START + 7200 + 60, START + 7200 + 100, 100_000)[0] == ESTIMATED


def test_what_is_certain_is_not_estimated_again(clock: Program) -> None:
    times(clock, "clock-set", START, 0, 0)
    note(clock, START + 7200 - 10, START + 7200, 0)
    assert note(clock, START + 7201, START + 7201, 1000) == (CERTAIN, 7200)
    assert note(clock, START + 7201, START + 100_000, 5000) == (CERTAIN, 7200)


def test_a_clock_that_was_never_set_learns_nothing(clock: Program) -> None:
    assert note(clock, START, START, 0) == (UNKNOWN, 0)
