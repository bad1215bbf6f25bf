"""What the tests of supervision stand on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.terminal_mt5.desk_side import DeskSide
from tests.terminal_mt5.host_side import HostSide


@pytest.fixture
async def side(tmp_path: Path) -> AsyncIterator[DeskSide]:
    """A desk's side of terminals with plain workers; every one of them is gone afterwards."""
    made = DeskSide(tmp_path)
    yield made
    await made.close()


@pytest.fixture
def beyond(side: DeskSide, tmp_path: Path) -> HostSide:
    """The other side of the line: an authority, papers for both, and hosts."""
    return HostSide(side, tmp_path / "papers")
