"""What the tests of the device client stand on: a desk's door on a real socket, and a broker behind it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.floor import Floor, opened
from tests.webapp.conftest import Door, door

__all__ = ["door"]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind of database: what differs between them is the desk's affair."""
    return sqlite_url


@pytest.fixture
def overlay() -> dict[str, Any]:
    return {"tiers": {"free": {"card_delay_seconds": 0}}, "devices": {"poll_seconds": 1},
            "limits": dict.fromkeys(("auth", "reads", "decisions", "signed", "unknown", "reports", "pairings"),
                                    100_000)}


@pytest.fixture
async def floor(door: Door, tmp_path: Path) -> AsyncIterator[Floor]:
    """A person with an account at a broker, before any device serves it."""
    async with opened(door, tmp_path) as made:
        yield made
