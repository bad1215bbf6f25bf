"""Workers on this machine: one process each, in a group of its own, in its account's directory."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from terminal.mt5 import veiled_log
from terminal.mt5.calls import Veil
from terminal.mt5.directory import PROGRAM, Directories
from terminal.mt5.launch import Channel
from terminal.protocol import AccountRef, GatewayError

if sys.platform == "win32":
    from terminal.mt5 import windows

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
LAST_SECONDS = 5.0
WORKER = "terminal.mt5.worker"


class LocalWorker:
    """A worker's process. Killing it kills its whole group: what it started may hang as well as it may."""

    def __init__(self, process: asyncio.subprocess.Process, directory: Path, ends: "Ends") -> None:
        assert process.stdout is not None and process.stdin is not None and process.stderr is not None
        self.reader, self.writer = process.stdout, process.stdin
        self.path = str(directory / PROGRAM)
        self.veil = Veil()
        self.pid = process.pid
        self._process, self._name, self._ends = process, directory.name, ends
        self._is_killed = False
        self._log = asyncio.create_task(veiled_log.follow(process.stderr, directory.name, self.veil))

    def kill(self) -> None:
        if not self._is_killed:
            self._is_killed = True
            self._ends.kill(self._process)
            self.writer.close()

    async def gone(self) -> None:
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await self._process.wait()
                await self._log
        except TimeoutError:
            log.error("terminal %s: its worker %d does not go", self._name, self.pid)
            self._log.cancel()
        await self._ends.after()


class Ends:
    """How everything of one worker is ended; on Windows a job, elsewhere the process group it leads."""

    def __init__(self, directories: Directories, fresh: Path | None) -> None:
        self._directories, self._fresh = directories, fresh
        if sys.platform == "win32":
            self.job = windows.Job()

    def kill(self, process: asyncio.subprocess.Process) -> None:
        if sys.platform == "win32":
            self.job.kill()
        else:
            # Also when the worker itself has gone: what it started may not.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    async def after(self) -> None:
        """Remove a directory that was for this worker alone."""
        if self._fresh is not None:
            fresh, self._fresh = self._fresh, None
            await self._directories.discard(fresh)


class LocalLauncher:
    """Starts workers here. ``extra_path`` is where a MetaTrader5 package stands in for the real one."""

    def __init__(self, directories: Directories, environment: Mapping[str, str], *,
                 extra_path: Sequence[Path] = (), worker: str = WORKER) -> None:
        paths = os.pathsep.join(str(path) for path in (*extra_path, ROOT))
        self._directories, self._worker = directories, worker
        self._tidying: asyncio.Task[None] | None = None
        # UTC because the library reads naive times as local ones; the rest of our environment is none of its business.
        self._environment = {**environment, "PYTHONPATH": paths, "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1",
                             "PYTHONDONTWRITEBYTECODE": "1", "TZ": "UTC"}

    async def launch(self, ref: AccountRef, *, fresh: bool = False) -> Channel:
        """A worker in the account's directory, which is made where there is none."""
        if self._tidying is None:
            self._tidying = asyncio.create_task(self._directories.tidy())
        await asyncio.shield(self._tidying)  # before anything new is there, or it would be taken for something old
        directory = await self._directories.prepared(ref, fresh=fresh)
        ends = Ends(self._directories, directory if fresh else None)
        process = None
        try:
            process = await self._start(directory)
            if sys.platform == "win32":
                ends.job.take(process.pid)
                await windows.start_terminal(ends.job, directory / PROGRAM, self._environment)
            return LocalWorker(process, directory, ends)
        except BaseException as error:
            if process is not None:
                ends.kill(process)
            await ends.after()
            if isinstance(error, OSError):
                log.error("a terminal's worker cannot be started: %s", error)
                raise GatewayError("terminal_lost", "The worker cannot be started.", retryable=True) from error
            raise

    async def forget(self, ref: AccountRef) -> None:
        """Remove the account's directory."""
        await self._directories.forget(ref)

    async def close(self) -> None:
        """Begin nothing more."""
        self._directories.close()

    async def _start(self, directory: Path) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        if sys.platform == "win32":
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", self._worker, cwd=directory, env=self._environment,
                stdin=pipe, stdout=pipe, stderr=pipe, creationflags=0x08000000)  # no console window
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "terminal.mt5.leash", str(os.getpid()), self._worker, cwd=directory,
            env=self._environment, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
