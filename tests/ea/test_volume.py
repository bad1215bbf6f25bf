"""Volumes of the MQL5 files: never more than the risk allows, and spread over targets as the desk spreads them."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminal import maths
from terminal.mt5 import codes
from tests.ea.program import Program

STEPS = [Decimal(step) for step in ("0.01", "0.1", "1", "0.001", "0.25")]
MAGIC = 1 << 48 | 4711


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(STEPS), st.integers(0, 500), st.integers(0, 12), st.integers(1, 20))
def test_portions_are_the_desks(parts: Program, step: Decimal, steps: int, targets: int, least: int) -> None:
    volume = step * steps
    answer = parts.ask("portions", f"{volume:f}", targets, f"{least * step:f}", f"{step:f}")
    right = maths.portions(volume, [Decimal(i + 1) for i in range(targets)], step, least * step)
    shares = [Decimal(text) for text in (answer or b"").decode().split()]
    assert shares == ([share for _, share in right] if right else [volume])


def test_there_are_no_more_portions_than_legs(parts: Program) -> None:
    answer = parts.ask("portions", "1", 20, "0.01", "0.01")
    assert answer is not None and len(answer.split()) == codes.MOST_LEGS


@settings(max_examples=400, deadline=None)
@given(st.integers(1, 10_000), st.integers(0, 10**7), st.integers(1, 10**6), st.sampled_from(STEPS))
def test_never_more_than_the_risk_allows(parts: Program, steps: int, risk: int, loss: int, step: Decimal) -> None:
    volume, money, one_lot = step * steps, Decimal(risk) / 100, Decimal(loss) / 100
    answer = parts.ask("within-risk", f"{volume:f}", f"{money:f}", f"{one_lot:f}", f"{step:f}")
    assert answer is not None
    cut = Decimal(answer.decode())
    assert cut <= volume
    # A millionth of a step is forgiven: doubles are no nearer than that.
    assert cut * one_lot <= money + one_lot * step / 10**6
    right = maths.floor_to_step(min(volume, money / one_lot), step)
    assert cut in (right, right + step)


def test_without_a_loss_the_volume_stays(parts: Program) -> None:
    assert parts.ask("within-risk", "0.37", "10", "0", "0.1") == b"0.3"
    assert parts.ask("within-risk", "0.37", "10", "-5", "0.01") == b"0.37"


@pytest.mark.parametrize(("volume", "held", "right"), [
    ("0.01", "0", ""), ("0", "0", "volume_below_minimum"), ("0.009", "0", "volume_below_minimum"), ("5", "0", ""),
    ("5.01", "0", "volume_above_maximum"), ("1", "9", ""), ("1.01", "9", "volume_limit"),
    ("0.01", "10", "volume_limit")])
def test_what_a_symbol_does_not_take(parts: Program, volume: str, held: str, right: str) -> None:
    assert parts.ask("volume-refusal", volume, "0.01", "5", "10", held, "0.01") == right.encode()


def test_without_a_limit_there_is_none(parts: Program) -> None:
    assert parts.ask("volume-refusal", "5", "0.01", "5", "0", "1000", "0.01") == b""


@pytest.mark.parametrize("leg", range(15))
def test_numbers_of_legs_are_the_desks(parts: Program, leg: int) -> None:
    number = codes.leg_magic(MAGIC, leg)
    assert parts.ask("leg-magic", MAGIC, leg) == str(number).encode()
    assert parts.ask("leg-of", MAGIC, number) == str(leg).encode()


@pytest.mark.parametrize("other", [MAGIC + 1, MAGIC - 1, codes.closing_magic(MAGIC), 0, 4711, 2 << 48 | 4711,
                                   codes.leg_magic(MAGIC, 1) + 1])
def test_what_is_no_leg_of_the_order(parts: Program, other: int) -> None:
    """A close bears the sixteenth leg: it opens nothing."""
    assert parts.ask("leg-of", MAGIC, other) == b"-1"
