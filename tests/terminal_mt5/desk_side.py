"""A desk's side of terminals for tests: a template, the plain worker, and a gateway with short deadlines."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from terminal.mt5.calls import SupervisionRules
from terminal.mt5.directory import PROGRAM, Directories
from terminal.mt5.gateway import TerminalGateway
from terminal.mt5.launch import Launcher
from terminal.mt5.local import LocalLauncher
from terminal.protocol import AccountRef

PASSWORD = "canary-Pa55'\"wörd\\end"
WORKER = "tests.terminal_mt5.plain_worker"
RULES = SupervisionRules(start_seconds=20.0, call_seconds=10.0, send_seconds=10.0, start_every_seconds=0.0)


class Clock:
    """Time that a test moves, and a sleep that only says how long it was asked to last."""

    def __init__(self) -> None:
        self.now, self.slept = 1_000.0, list[float]()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class DeskSide:
    """One desk, its workers, and what they were told to do."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.base = folder / "stand-in", folder / "terminals"
        self.template = folder / "template"
        for made in (self.folder, self.template):
            made.mkdir(parents=True, exist_ok=True)
        (self.template / PROGRAM).write_bytes(b"MZ")
        self.clock, self.rules = Clock(), RULES
        self.passwords: dict[AccountRef, str] = {}
        self.asked_about: list[AccountRef] = []
        self._gateways: list[TerminalGateway] = []

    def tell(self, login: str, **acts: Any) -> None:
        """From now on the worker of this login does so."""
        path = self.folder / f"{login}.json"
        path.with_suffix(".new").write_text(json.dumps(acts))
        path.with_suffix(".new").replace(path)

    def done(self, login: str, op: str | None = None) -> list[str]:
        """What workers of this login have been asked, in order."""
        path = self.folder / f"{login}.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if (op is None and not line.startswith("path ")) or line == op]

    async def until(self, login: str, op: str, times: int = 1) -> None:
        """Wait until a worker of this login has been asked so."""
        await eventually(lambda: len(self.done(login, op)) >= times)

    def launcher(self, worker: str = WORKER) -> LocalLauncher:
        return LocalLauncher(Directories(self.template, self.base), {"STAND_IN": str(self.folder)}, worker=worker)

    def gateway(self, launcher: Launcher | None = None, **rules: Any) -> TerminalGateway:
        made = TerminalGateway(launcher or self.launcher(), self._password_of, replace(RULES, **rules),
                               clock=self.clock, sleep=self.clock.sleep)
        self._gateways.append(made)
        return made

    @property
    def asked_for_passwords(self) -> int:
        return len(self.asked_about)

    async def close(self) -> None:
        for gateway in self._gateways:
            await gateway.close_all()

    async def _password_of(self, ref: AccountRef) -> str:
        self.asked_about.append(ref)
        return self.passwords.get(ref, PASSWORD)


async def eventually(is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not is_so():
            await asyncio.sleep(0.01)


def workers_of(side: DeskSide) -> list[int]:
    """The processes of workers that run for this desk."""
    return workers_told_of(side.folder)


def workers_told_of(folder: Path) -> list[int]:
    """The processes that were told to look for their orders there, by what the kernel says of them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "environ").read_bytes() and b"State:\tZ" not in (
                    process / "status").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found
