"""The loading process and the yardsticks, as the benchmarks start, ask and end them."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.running import ROOT, until


async def yardstick(name: str, port: int, redis_url: str, key: bytes) -> asyncio.subprocess.Process:
    """A yardstick that listens: see benchmarks/yardsticks.py."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.yardsticks", name, str(port), cwd=ROOT,
        env={**os.environ, "REDIS_URL": redis_url, "JWT_KEY": key.hex()})

    async def listens() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    await until(f"{name} listens", listens)
    return child


async def ended(child: asyncio.subprocess.Process) -> None:
    """End a process and wait for it."""
    child.terminate()
    await child.wait()


class Client:
    """The loading process, asked to load."""

    def __init__(self, child: asyncio.subprocess.Process, folder: Path) -> None:
        self._child, self._folder = child, folder

    @classmethod
    async def start(cls, folder: Path) -> "Client":
        return cls(await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.load", cwd=ROOT, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, limit=2**26), folder)

    async def know(self, name: str, port: int, requests: list[str], begins: list[str], *, status: int = 200,
                   once: bool = False) -> None:
        """Teach it a target: its requests, the status of each answer, and what its body begins with.

        Requests that are good ``once`` are not made again: a slice ends with the last of them.
        """
        asks = self._folder / f"{name}.json"
        asks.write_text(json.dumps(list(zip(requests, begins, strict=True))))
        await self._order({"name": name, "port": port, "asks": str(asks), "status": status, "once": once})

    async def ask(self, name: str, connections: int, seconds: float, *, each: bool = False) -> dict[str, Any]:
        """Load a target for so long; every answer must be right."""
        found = await self._order({"name": name, "connections": connections, "seconds": seconds, "each": each})
        assert not found["wrongs"], (name, found["wrongs"], found["wrong"])
        return found

    async def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._child.stdin is not None and self._child.stdout is not None
        self._child.stdin.write(json.dumps(order).encode() + b"\n")
        found: dict[str, Any] = json.loads(await self._child.stdout.readline())
        return found

    async def close(self) -> None:
        await ended(self._child)
