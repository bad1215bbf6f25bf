"""The real MetaTrader5 wheel in Windows' Python, under Wine: it is as recorded, and the worker runs with it."""

import json

from scripts.real_wheel import record
from tests.terminal_mt5 import wine

pytestmark = wine.NEEDED


def test_the_real_wheel_is_as_it_was_recorded() -> None:
    recorded = json.loads(record.VECTORS.read_text("utf-8"))
    seen = record.observed()
    for name in recorded:
        assert seen[name] == recorded[name], name
    assert record.written(seen) == record.VECTORS.read_text("utf-8")
    assert seen["releases_the_gil"] is False
