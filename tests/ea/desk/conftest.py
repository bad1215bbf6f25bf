"""The real Expert Advisor at the real desk's door."""

from pathlib import Path

import pytest

from tests.ea.conftest import expert_of
from tests.ea.desk.stage import EXPERT
from tests.webapp.conftest import door, overlay

__all__ = ["door", "overlay"]


@pytest.fixture(scope="session")
def expert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return expert_of(tmp_path_factory, EXPERT)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind of database: what differs between them is the desk's affair."""
    return sqlite_url
