"""Terms: levels that contradict each other are refused and never repaired; equal terms hash equally."""

import itertools
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services import terms
from services.errors import ContradictoryLevels, InvalidRequest
from services.terms import Levels

BUY = Levels("EURUSD", "buy", "limit", Decimal("1.0700"), None, Decimal("1.0650"), (Decimal("1.0750"),), None)
EXPIRES = datetime(2026, 3, 1, tzinfo=UTC)
PRICES = st.decimals(min_value=Decimal("0.00001"), max_value=Decimal(100_000), places=5)
# Few enough that levels are often equal: that is where a rule is off by one.
NEAR = st.integers(1, 6).map(Decimal)


@st.composite
def any_levels(draw: st.DrawFn) -> Levels:
    """Levels of every shape, true to their side or not."""
    ends = draw(st.none() | st.tuples(NEAR, NEAR))
    return Levels("XAUUSD", draw(st.sampled_from(["buy", "sell"])), draw(st.sampled_from(["market", "limit", "stop"])),
                  draw(st.none() | NEAR), ends, draw(st.none() | NEAR),
                  tuple(draw(st.lists(NEAR, max_size=4))), draw(st.none() | st.text(max_size=10)))


def stands(levels: Levels) -> bool:
    """The rule in other words: mirrored for a sell, stop < every entry < every target, and the entry is one range."""
    sign = 1 if levels.side == "buy" else -1
    if levels.entry_range is not None:
        low, high = levels.entry_range
        if low > high or levels.order_type == "stop":
            return False
        if levels.entry_price is not None and not low <= levels.entry_price <= high:
            return False
    entries = [*(levels.entry_range or ()), *([levels.entry_price] if levels.entry_price is not None else [])]
    if levels.order_type != "market" and not entries:
        return False
    ladder = [[sign * levels.stop_loss] if levels.stop_loss is not None else [], [sign * e for e in entries],
              [sign * t for t in levels.take_profits]]
    rungs = [rung for rung in ladder if rung]
    in_order = all(max(lower) < min(upper) for lower, upper in itertools.pairwise(rungs))
    return in_order and len(set(levels.take_profits)) == len(levels.take_profits)


def is_refused(levels: Levels) -> bool:
    try:
        terms.check(levels)
    except (ContradictoryLevels, InvalidRequest):
        return True
    return False


@settings(max_examples=1000)
@given(any_levels())
def test_levels_stand_exactly_when_the_rule_says_so(levels: Levels) -> None:
    assert is_refused(levels) is not stands(levels)


@given(st.lists(PRICES, min_size=3, max_size=6, unique=True), st.sampled_from(["buy", "sell"]),
       st.sampled_from(["market", "limit", "stop"]))
def test_sound_levels_are_taken_and_the_other_side_is_not(prices: list[Decimal], side: str, order_type: str) -> None:
    ladder = sorted(prices, reverse=side == "sell")
    sound = Levels("XAUUSD", side, order_type, ladder[1], None, ladder[0], tuple(ladder[2:]), None)
    terms.check(sound)
    with pytest.raises(ContradictoryLevels):
        terms.check(replace(sound, side="sell" if side == "buy" else "buy"))


@given(any_levels())
def test_checking_changes_nothing(levels: Levels) -> None:
    before = repr(levels)
    is_refused(levels)
    assert repr(levels) == before


@pytest.mark.parametrize("changes", [
    {"stop_loss": Decimal("1.0700")}, {"stop_loss": Decimal("1.0800")}, {"take_profits": (Decimal("1.0700"),)},
    {"take_profits": (Decimal("1.0600"),)}, {"take_profits": (Decimal("1.08"), Decimal("1.0800"))},
    {"entry_range": (Decimal("1.0720"), Decimal("1.0690"))}, {"entry_range": (Decimal("1.0710"), Decimal("1.0720"))},
    {"entry_price": None, "entry_range": (Decimal("1.0640"), Decimal("1.0700"))},
    {"entry_price": None, "entry_range": (Decimal("1.0700"), Decimal("1.0750"))},
    {"order_type": "market", "entry_price": None, "take_profits": (Decimal("1.0600"),)},
    {"side": "sell"},
], ids=str)
def test_contradictions_have_their_code(changes: dict[str, Any]) -> None:
    with pytest.raises(ContradictoryLevels) as caught:
        terms.check(replace(BUY, **changes))
    assert caught.value.code == "contradictory_levels"


@pytest.mark.parametrize("order_type", ["limit", "stop"])
def test_a_resting_order_needs_its_price(order_type: str) -> None:
    with pytest.raises(InvalidRequest):
        terms.check(replace(BUY, order_type=order_type, entry_price=None))


def test_equal_prices_in_other_writing_hash_equally() -> None:
    other = replace(BUY, entry_price=Decimal("1.07"), stop_loss=Decimal("1.065000"), take_profits=(Decimal("1.075"),))
    assert terms.digest(1, 1, BUY, EXPIRES) == terms.digest(1, 1, other, EXPIRES)
    assert terms.body_digest(BUY, 900) == terms.body_digest(other, 900)
    assert terms.canonical(replace(BUY, entry_price=Decimal("1E+2")))["entry_price"] == "100"


def test_everything_countersigned_is_in_the_hash() -> None:
    others = {"symbol": "GBPUSD", "side": "sell", "order_type": "market", "entry_price": Decimal("1.0701"),
              "entry_range": (Decimal("1.0690"), Decimal("1.0710")), "stop_loss": None,
              "take_profits": (Decimal("1.0750"), Decimal("1.08")), "note": "half"}
    assert set(others) == {field.name for field in fields(Levels)}
    hashes = {terms.digest(1, 1, replace(BUY, **{name: value}), EXPIRES) for name, value in others.items()}
    hashes |= {terms.digest(1, 1, BUY, EXPIRES), terms.digest(2, 1, BUY, EXPIRES), terms.digest(1, 2, BUY, EXPIRES),
               terms.digest(1, 1, BUY, EXPIRES + timedelta(seconds=1))}
    assert len(hashes) == len(others) + 4


def test_targets_are_told_apart_from_their_order() -> None:
    one, two = Decimal("1.0750"), Decimal("1.0800")
    assert (terms.digest(1, 1, replace(BUY, take_profits=(one, two)), EXPIRES)
            != terms.digest(1, 1, replace(BUY, take_profits=(two, one)), EXPIRES))


@pytest.mark.parametrize(("levels", "edge", "reward"), [
    (BUY, Decimal("1.0700"), Decimal("1.0")),
    (replace(BUY, take_profits=(Decimal("1.0750"), Decimal("1.0825"))), Decimal("1.0700"), Decimal("2.5")),
    (replace(BUY, entry_price=None, entry_range=(Decimal("1.0690"), Decimal("1.0700"))), Decimal("1.0700"),
     Decimal("1.0")),
    (replace(BUY, side="sell", entry_price=None, entry_range=(Decimal("1.0690"), Decimal("1.0700")),
             stop_loss=Decimal("1.0740"), take_profits=(Decimal("1.0590"),)), Decimal("1.0690"), Decimal("2.0")),
    (replace(BUY, stop_loss=None), Decimal("1.0700"), None),
    (replace(BUY, take_profits=()), Decimal("1.0700"), None),
    (replace(BUY, order_type="market", entry_price=None), None, None),
], ids=["one target", "the last target", "buying from above", "selling from below", "no stop", "no target", "market"])
def test_the_entry_reckoned_with_and_what_it_promises(levels: Levels, edge: Decimal | None,
                                                      reward: Decimal | None) -> None:
    terms.check(levels)
    assert (terms.entry_edge(levels), terms.risk_reward(levels)) == (edge, reward)
