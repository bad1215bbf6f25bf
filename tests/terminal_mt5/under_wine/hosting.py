"""A terminal host on Windows: a folder for it, then its three papers. It ends when its input does."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

from terminal.mt5 import tls
from terminal.mt5.calls import SupervisionRules
from terminal.mt5.directory import PROGRAM, Directories
from terminal.mt5.host import TerminalHost
from terminal.mt5.local import LocalLauncher
from terminal.mt5.tls import TlsFiles
from tests.terminal_mt5.under_wine.launching import MUTE


async def serve(folder: Path, *papers: str) -> None:
    template, base = folder / "template", folder / "terminals"
    template.mkdir()
    shutil.copy(MUTE, template / PROGRAM)
    launcher = LocalLauncher(Directories(template, base), dict(os.environ))
    host = TerminalHost(launcher, tls.for_host(TlsFiles(*map(Path, papers))), SupervisionRules(start_every_seconds=0.0))
    try:
        sys.stdout.write(f"{await host.start('127.0.0.1', 0)}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
    finally:
        await host.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), *sys.argv[2:]))
