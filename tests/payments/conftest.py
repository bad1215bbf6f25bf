"""The payment provider before two servers: the product's stand-in, and localstripe in a process of its own."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.payments import backends
from tests.payments.backends import Backend, Receiver
from tests.running import ROOT


@pytest.fixture(scope="session")
def localstripe_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One localstripe a session. Where the suite is a gate its absence is a failure, elsewhere a reason to skip."""
    if importlib.util.find_spec("localstripe") is None:
        if os.environ.get("CI"):
            raise RuntimeError("localstripe is one of the development dependencies, and is not installed")
        pytest.skip("localstripe is not installed")
    folder = tmp_path_factory.mktemp("localstripe")
    launcher = ROOT / "tests" / "payments" / "localstripe_server.py"
    with subprocess.Popen([sys.executable, "-P", str(launcher)], cwd=folder, env={"PATH": os.environ["PATH"]},
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None and child.stdout is not None
        port = child.stdout.readline().strip()
        assert port, "localstripe did not start"
        yield f"http://127.0.0.1:{port}"
        child.stdin.close()
        child.wait(30)


@pytest.fixture(params=["standin", "localstripe"])
def localstripe_at(request: pytest.FixtureRequest) -> str | None:
    """Where localstripe listens, when it is its turn."""
    if request.param == "standin":
        return None
    found: str = request.getfixturevalue("localstripe_url")
    return found


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with backends.receiving() as made:
        yield made


@pytest.fixture
async def backend(localstripe_at: str | None, receiver: Receiver, tmp_path: Path) -> AsyncIterator[Backend]:
    """Each of the servers in turn."""
    opened = backends.localstripe(localstripe_at, receiver) if localstripe_at else backends.standin(
        tmp_path / "stripe.db", receiver)
    async with opened as made:
        yield made
