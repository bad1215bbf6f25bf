"""The pace finds Telegram's true limit, whatever else goes well meanwhile."""

from typing import Any

import pytest

from bot import pacing
from bot.pacing import DECREASE, SLOWEST, Pace


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pacing, "time", clock)
    return clock


def speak(pace: Pace, clock: Clock, seconds: float, limit: float) -> tuple[int, int]:
    """Speak at the pace to a Telegram that allows ``limit`` a second; returns how often it agreed and refused."""
    said = refused = 0
    until, bucket = clock.at + seconds, 1.0
    while clock.at < until:
        step = 1.0 / pace.rate
        clock.at += step
        bucket = min(bucket + step * limit, 1.0 + limit / 10)
        if bucket >= 1.0:
            bucket -= 1.0
            said += 1
            pace.went_well()
        else:
            refused += 1
            pace.too_fast(1.0)
    return said, refused


@pytest.mark.parametrize(("limit", "share"), [(2.0, 0.3), (5.0, 0.1), (10.0, 0.03), (20.0, 0.01)])
def test_the_pace_comes_down_to_the_true_limit_and_stays_near_it(clock: Clock, limit: float, share: float) -> None:
    pace = Pace(28.0, 30.0, 1.0)
    speak(pace, clock, 30.0, limit)
    said, refused = speak(pace, clock, 120.0, limit)
    assert said >= 0.6 * limit * 120
    assert 0 < refused <= share * said


def test_a_burst_of_refusals_is_one_lesson(clock: Clock) -> None:
    pace = Pace(28.0, 30.0, 1.0)
    for _ in range(8):
        pace.too_fast(1.0)
    assert pace.rate == 28.0 * DECREASE


def test_the_pace_never_stops_and_comes_back(clock: Clock) -> None:
    pace = Pace(28.0, 30.0, 1.0)
    for _ in range(60):
        clock.at += 1.0
        pace.too_fast(1.0)
    assert pace.rate == SLOWEST
    for _ in range(600):
        clock.at += 0.5
        pace.went_well()
    assert pace.rate == 30.0


def test_a_quiet_hour_is_no_proof(clock: Clock) -> None:
    pace: Any = Pace(10.0, 30.0, 1.0)
    clock.at += 3600.0
    pace.went_well()
    assert pace.rate <= 10.25
