"""Programs compiled once for the session, and one running process of each for each test process."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ea.program import Program, built_once, require_compiler


def executable(tmp_path_factory: pytest.TempPathFactory, program: str) -> Path:
    require_compiler()
    base = tmp_path_factory.getbasetemp()
    return built_once((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"ea-{program}", program)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with Program(executable(tmp_path_factory, "driver")) as running:
        yield running


@pytest.fixture(scope="session")
def json_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with Program(executable(tmp_path_factory, "asks_json")) as running:
        yield running
