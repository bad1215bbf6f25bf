"""Volumes: never more than was asked for, never more risk than allowed, refused rather than rounded up."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services import sizing
from services.sizing import Sized, SizingRules
from terminal.paper.symbols import listings

RULES = SizingRules(Decimal("1.0"), Decimal("0.01"))
EURUSD, US30 = listings()["EURUSD"].spec, listings()["US30"].spec
MONEY = st.decimals(min_value=Decimal("0.01"), max_value=Decimal(10_000_000), places=2)
PERCENT = st.decimals(min_value=Decimal("0.01"), max_value=Decimal(100), places=2)


@given(MONEY, MONEY, PERCENT, st.sampled_from([EURUSD, US30]))
def test_the_risk_is_never_above_its_share(equity: Decimal, loss_per_lot: Decimal, percent: Decimal, spec) -> None:
    sized = sizing.volume({"mode": "risk_percent", "value": str(percent)}, RULES, spec, equity, loss_per_lot)
    wanted = equity * percent / 100 / loss_per_lot
    if sized.volume is None:
        assert sized.refusal == "volume_below_minimum" and wanted < spec.volume_min
        return
    assert sized.volume * loss_per_lot <= equity * percent / 100
    assert spec.volume_min <= sized.volume <= spec.volume_max and sized.volume % spec.volume_step == 0
    assert sized.volume == spec.volume_max or wanted - sized.volume < spec.volume_step


@pytest.mark.parametrize(("stored", "spec", "equity", "loss", "expected"), [
    ({}, EURUSD, "10000", "500", Sized(Decimal("0.20"), None)),
    ({}, EURUSD, "10000", None, Sized(Decimal("0.01"), None)),
    ({}, US30, "10000", None, Sized(None, "volume_below_minimum")),
    ({}, EURUSD, "10000", "0", Sized(None, "stop_beyond_price")),
    ({}, EURUSD, "10000", "-3", Sized(None, "stop_beyond_price")),
    ({}, EURUSD, "0", "500", Sized(None, "volume_below_minimum")),
    ({}, EURUSD, "-50", "500", Sized(None, "volume_below_minimum")),
    ({}, EURUSD, "49", "50", Sized(None, "volume_below_minimum")),
    ({"mode": "fixed", "volume": "0.109"}, EURUSD, "1", "500", Sized(Decimal("0.10"), None)),
    ({"mode": "fixed", "volume": "0.009"}, EURUSD, "1", None, Sized(None, "volume_below_minimum")),
    ({"mode": "fixed", "volume": "0.19"}, US30, "1", None, Sized(Decimal("0.1"), None)),
    ({"mode": "fixed", "volume": "5000"}, EURUSD, "1", None, Sized(Decimal("100.00"), None)),
    ({"mode": "risk_percent", "value": "2.5"}, EURUSD, "10000", "333", Sized(Decimal("0.75"), None)),
], ids=str)
def test_volumes(stored: dict[str, str], spec, equity: str, loss: str | None, expected: Sized) -> None:
    assert sizing.volume(stored, RULES, spec, Decimal(equity), None if loss is None else Decimal(loss)) == expected
    if expected.volume is not None:
        assert expected.volume.as_tuple().exponent == spec.volume_step.as_tuple().exponent


def test_the_sizing_in_force_is_written_as_the_contract_does() -> None:
    assert sizing.sizing_of({}, RULES) == {"mode": "risk_percent", "value": "1.0"}
    assert sizing.sizing_of({"mode": "fixed", "volume": "0.10"}, RULES) == {"mode": "fixed", "volume": "0.10"}
