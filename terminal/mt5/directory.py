"""The terminals' directories: a copy of one installed terminal for each account.

A portable terminal keeps everything beside its program: its settings, its logs, the account it is signed in to. Two
accounts therefore never share a directory.
"""

import asyncio
import hashlib
import logging
import re
import secrets
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from terminal.protocol import AccountRef, GatewayError

log = logging.getLogger(__name__)

PROGRAM = "terminal64.exe"
PART, GONE, FRESH = ".part-", ".gone-", ".fresh-"


def name_of(ref: AccountRef) -> str:
    """A directory's name for the account: readable, safe on every file system, and no two accounts have the same."""
    readable = re.sub(r"[^a-z0-9]+", "-", f"{ref.server.casefold()[:40]} {ref.login[:20]}").strip("-")
    digest = hashlib.sha256(f"{ref.server.casefold()}\0{ref.login}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{readable}-{digest[:20]}".lstrip("-")


class Directories:
    """Copies the template for each account below ``base``. Copying happens in threads of its own."""

    def __init__(self, template: Path, base: Path) -> None:
        self._template, self._base = template.absolute(), base.absolute()
        # Not the loop's own threads: a slow disk must not hold up those who look up names with them.
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="terminal-directories")

    async def prepared(self, ref: AccountRef, *, fresh: bool = False) -> Path:
        """The account's directory with a terminal in it; a ``fresh`` one is the caller's to ``discard``."""
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._prepare, name_of(ref), fresh)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if fresh:
                work.add_done_callback(self._discard_late)
            raise
        except OSError as error:
            log.error("a terminal's directory cannot be made: %s", error)
            raise GatewayError("terminal_missing", "The terminal's directory cannot be made.") from error

    async def forget(self, ref: AccountRef) -> None:
        """Remove what the account's terminal kept."""
        await self._in_thread(self._base / name_of(ref))

    async def discard(self, folder: Path) -> None:
        """Remove a fresh directory."""
        await self._in_thread(folder)

    async def tidy(self) -> None:
        """Remove what an earlier process left half made or half removed, and what it tried accounts in."""
        def leftovers() -> list[Path]:
            try:
                return [path for mark in (PART, GONE, FRESH) for path in self._base.glob(f"{mark}*")]
            except OSError:
                return []

        loop = asyncio.get_running_loop()
        for path in await loop.run_in_executor(self._threads, leftovers):
            await self._in_thread(path)

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, folder: Path) -> None:
        try:
            work = asyncio.get_running_loop().run_in_executor(self._threads, self._remove, folder)
        except RuntimeError:  # closed already: ``tidy`` finds it at the next start
            return
        await work

    def _discard_late(self, work: "asyncio.Future[Path]") -> None:
        if not work.cancelled() and work.exception() is None:
            with suppress(RuntimeError):
                self._threads.submit(self._remove, work.result())

    def _prepare(self, name: str, fresh: bool) -> Path:
        if not (self._template / PROGRAM).is_file():
            raise GatewayError("terminal_missing", "No terminal is installed where terminals are copied from.")
        self._base.mkdir(parents=True, exist_ok=True, mode=0o700)
        if fresh:
            return self._copy_to(self._base / f"{FRESH}{secrets.token_hex(8)}")
        target = self._base / name
        return target if (target / PROGRAM).is_file() else self._copy_to(target)

    def _copy_to(self, target: Path) -> Path:
        """All of the template or nothing: the copy gets its name when it is whole."""
        part = self._base / f"{PART}{secrets.token_hex(8)}"
        try:
            shutil.copytree(self._template, part)
            part.chmod(0o700)
            if target.exists() and not (target / PROGRAM).is_file():
                self._remove(target)
            part.rename(target)
        except OSError:
            if not (target / PROGRAM).is_file():  # else someone else was first, and that one serves as well
                raise
        finally:
            if part.exists():
                shutil.rmtree(part, ignore_errors=True)
        return target

    def _remove(self, folder: Path) -> None:
        """At once out of the way, then piece by piece; what Windows still holds open goes at the next start."""
        if not folder.exists():
            return
        gone = self._base / f"{GONE}{secrets.token_hex(8)}"
        try:
            folder.rename(gone)
        except OSError:
            gone = folder
        shutil.rmtree(gone, ignore_errors=True)
        if gone.exists():
            log.warning("a terminal's directory could not be removed yet: %s", gone.name)
