"""Nothing that chance makes of a device's request is answered as a fault of ours.

``DOOR_FUZZ`` says how many are tried; ``make door-fuzz`` tries a million.
"""

import logging
import os
import random
from typing import Any

import pytest

from services import waiting_orders
from tests.webapp.conftest import Door
from tests.webapp.door_fuzz import Fuzz
from tests.webapp.trading_stage import floor

TIMES = int(os.environ.get("DOOR_FUZZ", "1500"))
log = logging.getLogger(__name__)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def overlay() -> dict[str, Any]:
    return {"limits": dict.fromkeys(("auth", "reads", "decisions", "signed", "unknown", "reports", "pairings"), 10**9)}


async def test_no_request_is_a_fault_of_ours(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_orders, "GOOD_SECONDS", 1e9)  # nobody else writes orders here
    fuzz = Fuzz(await floor(door), random.Random(int(os.environ.get("DOOR_FUZZ_SEED", "1"))))
    try:
        await fuzz.run(TIMES)
    finally:
        fuzz.hang_up()
    log.info("answers %s; lines reached %s; kept %s", dict(fuzz.answers), fuzz.growth, len(fuzz.kept))
    assert fuzz.answers[204] and fuzz.answers[401] and fuzz.answers[422] + fuzz.answers[400]
    assert fuzz.growth[0][1] < fuzz.growth[len(fuzz.growth) // 2][1] < fuzz.growth[-1][1], "it finds new ways"
