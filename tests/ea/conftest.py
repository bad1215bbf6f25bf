"""One compiled program for the session and one running process for each test process."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ea.program import Program, built_once, require_compiler


@pytest.fixture(scope="session")
def executable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_compiler()
    base = tmp_path_factory.getbasetemp()
    return built_once((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "ea")


@pytest.fixture(scope="session")
def program(executable: Path) -> Iterator[Program]:
    with Program(executable) as running:
        yield running
