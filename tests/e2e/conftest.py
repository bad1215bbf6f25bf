"""Whole desks: the real process, the real command line, Telegram's stand-in with its own limits."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox.telegram.limits import Limits
from tests.running import World, world

PATIENT = "[limits]\nauth = 10000\nreads = 100000\ndecisions = 10000\nsigned = 10000\n"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[World]:
    """A desk on SQLite with generous limits of its own, so that only Telegram's count.

    Taps may be answered late: how long a crowd takes is the machine's affair.
    """
    async with world(tmp_path, Limits(callback_query_seconds=120.0), PATIENT) as made:
        yield made
