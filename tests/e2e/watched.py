"""A desk under a watch, as a test sees it: armed, started, dead, started again."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from tests.running import READY_SECONDS, ROOT, Process, until


class Watched(Process):
    """The desk under the watch of a program of points; started again without importing it again."""

    def __init__(self, program: str, environment: dict[str, str], folder: Path, log: Path) -> None:
        super().__init__("run", {**environment, "POINTS": str(folder)}, log)
        self._program, self._folder, self._pid = program, folder, 0
        self._said: asyncio.StreamReader

    async def open(self) -> None:
        folder = self._folder
        folder.mkdir()
        (folder / "passed").touch()
        reading, writing = os.pipe()
        with self.log.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self._program, cwd=ROOT,
                env={**self.environment, "POINTS_SAID": str(writing)}, stdin=asyncio.subprocess.PIPE, stdout=log,
                stderr=log, pass_fds=[writing], start_new_session=True)
        os.close(writing)
        self._said = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._said), os.fdopen(reading, "rb"))

    async def start(self, *, wait: bool = True) -> None:
        assert self._child is not None and self._child.stdin is not None
        self._child.stdin.write(b"start\n")
        self._pid = int(await self._said.readline())
        if wait:
            await until("the desk is ready", self.is_ready, READY_SECONDS)

    async def ended(self) -> int:
        return int(await asyncio.wait_for(self._said.readline(), 90))

    async def begin_anew(self) -> None:
        """A fresh process, which has yet to learn what one remembers."""
        os.kill(self._pid, signal.SIGTERM)
        assert await self.ended() == 0
        await self.start()

    async def stop(self) -> int:
        """End the desk and its watch."""
        assert self._child is not None
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
        self._child.stdin.close()  # type: ignore[union-attr]
        return await asyncio.wait_for(self._child.wait(), 90)

    def arm(self, point: str) -> None:
        (self._folder / "armed").write_text(point)

    def passed(self) -> list[str]:
        """The points passed so far, in order."""
        return (self._folder / "passed").read_text().splitlines()
