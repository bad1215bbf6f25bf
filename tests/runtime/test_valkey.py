"""The embedded Valkey as real processes: quick to come, private, back when killed, gone with its parent."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from runtime import valkey
from runtime.valkey import EmbeddedValkey

ROOT = Path(__file__).parents[2]
DEADLINE = 30.0
# A desk in small: starts the server, says where it is, and works on until it is killed.
PARENT = """
import asyncio, sys
from pathlib import Path
from runtime.valkey import EmbeddedValkey

async def main():
    server = EmbeddedValkey()
    print(await server.start(Path(sys.argv[1])), server.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def patience() -> None:
    """The product's own: how soon a server is given up is what is tested here."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    embedded = EmbeddedValkey()
    yield embedded
    await embedded.stop()


def path_of(url: str) -> Path:
    return Path(url.removeprefix("unix://").partition("?")[0])


def is_running(pid: int) -> bool:
    """Whether the process lives; a zombie nobody has buried yet does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.01)


async def answers(url: str) -> bool:
    client = valkey.connect(url)
    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False
    finally:
        await client.aclose()


async def test_it_starts_and_keeps_what_it_is_told(server: EmbeddedValkey, tmp_path: Path,
                                                  measured: Callable[[str], None]) -> None:
    began = time.monotonic()
    url = await server.start(tmp_path)
    measured(f"Valkey answers {(time.monotonic() - began) * 1000:.0f} ms after its start")
    client = valkey.connect(url)
    await client.set("key", "value", ex=60)
    assert await client.get("key") == b"value"
    await client.aclose()


async def test_it_is_private_and_never_throws_keys_away(server: EmbeddedValkey, tmp_path: Path) -> None:
    url = await server.start(tmp_path)
    path = path_of(url)
    assert stat.S_ISSOCK(path.stat().st_mode) and stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700 and len(str(path)) < 107
    client = valkey.connect(url)
    assert await client.config_get("port") == {"port": "0"}, "no door to the network"
    assert await client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert await client.config_get("save") == {"save": ""}
    await client.aclose()


async def test_a_long_directory_moves_the_socket_elsewhere(server: EmbeddedValkey, tmp_path: Path) -> None:
    url = await server.start(tmp_path / ("long" * 30))
    assert len(str(path_of(url))) < 107 and await answers(url)
    assert not (tmp_path / ("long" * 30)).exists()


async def test_it_ends_when_stopped_and_takes_its_folder_along(tmp_path: Path) -> None:
    embedded = EmbeddedValkey()
    url, pid = await embedded.start(tmp_path), embedded.pid
    assert pid is not None and is_running(pid)
    await embedded.stop()
    assert not is_running(pid) and embedded.pid is None and not path_of(url).parent.exists()
    await embedded.stop()


async def test_it_is_started_again_on_the_same_socket_when_it_was_killed(server: EmbeddedValkey,
                                                                        tmp_path: Path) -> None:
    url, stopping = await server.start(tmp_path), asyncio.Event()
    watching = asyncio.create_task(server.watch(stopping))
    first, client = server.pid, valkey.connect(url)
    assert first is not None and await client.ping()
    for _ in range(2):
        before = server.pid
        assert before is not None
        os.kill(before, signal.SIGKILL)
        await until(lambda before=before: server.pid != before)  # type: ignore[misc]
        async with asyncio.timeout(DEADLINE):
            while not await answers(url):
                await asyncio.sleep(0.01)
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                assert await client.ping()
                break
            except (RedisError, OSError):
                await asyncio.sleep(0.01)
    stopping.set()
    await asyncio.wait_for(watching, DEADLINE)
    await client.aclose()


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as plug:
        try:
            plug.connect(str(path))
        except OSError:
            return False
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal")
async def test_it_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"})
    assert parent.stdout is not None
    try:
        url, pid = parent.stdout.readline().split()
        assert is_running(int(pid)) and await answers(url)
        parent.kill()
        parent.wait(DEADLINE)
        await until(lambda: not is_running(int(pid)))
        await until(lambda: not listens(path_of(url)))  # its other threads may end a moment after the first
        # The folder it could not clear away goes at the next start.
        assert path_of(url).parent.exists()
        successor = EmbeddedValkey()
        await successor.start(tmp_path)
        assert not path_of(url).parent.exists()
        await successor.stop()
    finally:
        parent.kill()
        parent.wait(DEADLINE)
        parent.stdout.close()


async def test_servers_beside_each_other_leave_each_other_alone(server: EmbeddedValkey, tmp_path: Path) -> None:
    other = EmbeddedValkey()
    one_url, other_url = await server.start(tmp_path), await other.start(tmp_path)
    assert one_url != other_url and await answers(one_url) and await answers(other_url)
    await other.stop()
    assert await answers(one_url)


async def gives_up(client: Redis) -> bool:
    """Whether a command fails by itself, well before a person would have given up."""
    async with asyncio.timeout(10):
        try:
            await client.get("key")
        except (RedisError, OSError):
            return True
    return False


@pytest.mark.parametrize("kind", ["unix", "tcp"])
async def test_a_listener_that_says_nothing_is_given_up_soon(kind: str, tmp_path: Path) -> None:
    if kind == "unix":
        silent = await asyncio.start_unix_server(lambda reader, writer: None, tmp_path / "s")
        client = valkey.connect(f"unix://{tmp_path / 's'}")
    else:
        silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        client = valkey.connect(f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}")
    assert await gives_up(client)
    await client.aclose()
    silent.close()


async def test_a_server_that_freezes_is_given_up_soon_and_found_again(server: EmbeddedValkey, tmp_path: Path) -> None:
    client = valkey.connect(await server.start(tmp_path))
    await client.ping()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        assert await gives_up(client) and await gives_up(client)
        assert all(await asyncio.gather(*(gives_up(client) for _ in range(10))))
    finally:
        os.kill(server.pid, signal.SIGCONT)
    async with asyncio.timeout(DEADLINE):
        assert await client.ping()
    await client.aclose()
