"""A terminal host for tests: in this process, or in one of its own that can be killed."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from terminal.mt5 import tls
from terminal.mt5.host import TerminalHost
from terminal.mt5.remote import RemoteLauncher
from terminal.mt5.tls import TlsFiles
from tests.certificates import Authority, Papers
from tests.terminal_mt5.desk_side import RULES, DeskSide


def files(papers: Papers) -> TlsFiles:
    return TlsFiles(papers.ca, papers.certificate, papers.key)


class HostSide:
    """The papers of both sides, and hosts on free ports."""

    def __init__(self, side: DeskSide, folder: Path) -> None:
        self.side, self.folder = side, folder
        self.authority = Authority(folder)
        self.host_papers = self.authority.papers("host", "localhost", "127.0.0.1")
        self.desk_papers = self.authority.papers("desk")

    @asynccontextmanager
    async def host(self, *, papers: Papers | None = None, **rules: Any) -> AsyncIterator[int]:
        """A host in this process; gives its port."""
        clock = self.side.clock
        made = TerminalHost(self.side.launcher(), tls.for_host(files(papers or self.host_papers)),
                            replace(RULES, **rules), sleep=clock.sleep)
        port = await made.start("127.0.0.1", 0)
        try:
            yield port
        finally:
            await made.close()

    def launcher(self, port: int, papers: Papers | None = None, name: str = "localhost") -> RemoteLauncher:
        return RemoteLauncher(name, port, files(papers or self.desk_papers))

    async def process(self, port: int = 0) -> tuple[asyncio.subprocess.Process, int]:
        """A host in a process of its own."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.terminal_mt5.host_side", str(self.side.folder.parent), str(port),
            *map(str, (self.host_papers.ca, self.host_papers.certificate, self.host_papers.key)),
            stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        return process, int(await process.stdout.readline())


async def _serve(folder: str, port: str, *papers: str) -> None:
    side = DeskSide(Path(folder))
    context = tls.for_host(TlsFiles(*map(Path, papers)))
    host = TerminalHost(side.launcher(), context, RULES)
    sys.stdout.write(f"{await host.start('127.0.0.1', int(port))}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
