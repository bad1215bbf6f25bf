"""Programs compiled once for the session, and one running process of each for each test process."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ea.proof import compile as proof
from tests.ea.program import Program, built_once, require_compiler

SAMPLE = Path(__file__).parent / "experts" / "Sample.mq5"


def compiled_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where programs are: for the whole session, or with EA_BUILT in a place that stays."""
    require_compiler()
    base = tmp_path_factory.getbasetemp()
    lasting = os.environ.get("EA_BUILT")
    return Path(lasting) if lasting else (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "ea"


def executable(tmp_path_factory: pytest.TempPathFactory, program: str) -> Path:
    return built_once(compiled_at(tmp_path_factory), program, partial(proof.build, program=program),
                      proof.HERE / f"{program}.cpp")


def expert_of(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    """A whole Expert Advisor, ready to be started by ``tests.ea.terminal``."""
    return built_once(compiled_at(tmp_path_factory), source.stem, partial(proof.build_expert, source=source),
                      proof.HERE / "runner.cpp", source)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with Program(executable(tmp_path_factory, "driver")) as running:
        yield running


@pytest.fixture(scope="session")
def json_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with Program(executable(tmp_path_factory, "asks_json")) as running:
        yield running


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return expert_of(tmp_path_factory, SAMPLE)


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with Program(executable(tmp_path_factory, "asks_parts")) as running:
        yield running
