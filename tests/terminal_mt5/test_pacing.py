"""How often a failing terminal is tried: by a clock the test moves."""

import asyncio

import pytest

from terminal.mt5.pacing import Breaker, Stagger
from terminal.protocol import GatewayError
from tests.terminal_mt5.desk_side import Clock


def breaker(clock: Clock, jitter: float = 0.0) -> Breaker:
    return Breaker(clock=clock, jitter=lambda: jitter)


def pause_of(made: Breaker, clock: Clock) -> float:
    """How long the breaker says no, from now on."""
    began = clock.now
    while True:
        try:
            made.check()
        except GatewayError as error:
            assert (error.code, error.retryable) == ("terminal_away", True)
            clock.now += 0.125
        else:
            waited, clock.now = clock.now - began, began
            return waited


def test_pauses_double_up_to_a_minute() -> None:
    clock = Clock()
    made, pauses = breaker(clock), []
    for _ in range(9):
        made.failed()
        pauses.append(pause_of(made, clock))
        clock.now += 61  # far enough apart to be no burst
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60] and not made.is_open


def test_pauses_are_jittered_upwards() -> None:
    clock = Clock()
    made = breaker(clock, jitter=1.0)
    made.failed()
    assert pause_of(made, clock) == 1.25


def test_five_failures_within_a_minute_open_it_and_one_success_closes_it() -> None:
    clock = Clock()
    made = breaker(clock)
    for _ in range(5):
        assert not made.is_open
        made.failed()
        clock.now += 12
    assert made.is_open
    clock.now += 60
    made.check()  # the probe may go
    assert made.is_open
    made.failed()
    assert pause_of(made, clock) == 60 and made.is_open
    clock.now += 60
    made.succeeded()
    made.check()
    assert not made.is_open
    made.failed()
    assert pause_of(made, clock) == 1 and not made.is_open


def test_failures_that_are_spread_out_do_not_open_it() -> None:
    clock = Clock()
    made = breaker(clock)
    for _ in range(20):
        made.failed()
        clock.now += 16
    assert not made.is_open


def test_a_success_in_between_is_the_end_of_the_row() -> None:
    clock = Clock()
    made = breaker(clock)
    for _ in range(20):
        made.failed()
        made.succeeded()
    assert not made.is_open and pause_of(made, clock) == 0


def test_what_a_person_must_change_holds_it_until_they_have() -> None:
    clock = Clock()
    made = breaker(clock)
    made.hold(GatewayError("wrong_password", "Wrong.", permanent=True))
    clock.now += 1e9
    made.succeeded()
    with pytest.raises(GatewayError, match="wrong_password") as caught:
        made.check()
    assert caught.value.permanent and not caught.value.retryable
    made.reset()
    made.check()


async def test_turns_lie_apart_in_the_order_they_were_asked_for() -> None:
    clock = Clock()
    stagger, order = Stagger(2.0, clock=clock, sleep=clock.sleep), []

    async def take(name: int) -> None:
        await stagger.turn()
        order.append(name)

    await asyncio.gather(*(take(name) for name in range(4)))
    assert clock.slept == [2.0, 4.0, 6.0] and order == [0, 1, 2, 3]
    clock.now += 100
    await stagger.turn()
    assert clock.slept == [2.0, 4.0, 6.0]
