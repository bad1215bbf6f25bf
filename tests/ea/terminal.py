"""A terminal with one Expert Advisor in it: a process that is started, told things, killed and started again.

Its trade server is a broker of ``sandbox.mt5``, which runs in the test and so outlives it. Files, variables and what
the owner has set are kept in its folder and here; they are the same for every process that is started.
"""

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.mt5.broker import BY_PROGRAM, Broker
from sandbox.mt5.engine import IN, INOUT
from tests.ea.program import SANITIZERS

LOGIN, PASSWORD, SERVER = "5000001", "correct horse", "Sandbox-MT5"
WAIT_SECONDS = 60.0
KILLED = -9
# An exception that nobody caught: the terminal takes such a program off its chart.
CRITICAL = 70


class HasEnded(Exception):
    """Nobody is there to be told anything."""


@dataclass
class Terminal:
    """``inputs`` are the Expert's by name. ``address`` is where its requests go, host:port, whatever their URL says.

    ``speed`` is how much faster than real time its timer, GetTickCount64, Sleep and quotes run; the computer's clock
    does not, it is only wrong by ``skew_seconds``.
    """

    executable: Path
    folder: Path
    broker: Broker
    inputs: Mapping[str, object] = field(default_factory=dict)
    address: str = ""
    allowed_urls: str = "https://desk.example"
    login: str = LOGIN
    password: str = PASSWORD
    server: str = SERVER
    speed: float = 1.0
    skew_seconds: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    """More of the environment by name, ``EA_SLOW_QUOTES`` and its like."""
    lines: list[tuple[str, str]] = field(default_factory=list)
    """What every process has said so far: kind and text."""
    _process: asyncio.subprocess.Process | None = None
    _reader: asyncio.Task[None] | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _answers: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    # -- its life --------------------------------------------------------------------------------------------

    async def start(self, *, kill_at: int = 0, ticks: int = 0, counting: bool = False) -> None:
        """Start a process; it is not waited for. It dies at the ``kill_at``-th point, ends after ``ticks`` timers.

        ``counting`` lets it name every such point as it comes to it.
        """
        assert self._process is None, "it is running"
        self.folder.mkdir(parents=True, exist_ok=True)
        changes = {"EA_KILL_AT": str(kill_at), "EA_TICKS": str(ticks), "EA_COUNT_CALLS": "1" if counting else "0"}
        with (self.folder / "stderr.txt").open("wb") as errors:
            self._process = await asyncio.create_subprocess_exec(
                self.executable, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors,
                env=self._environment() | changes, limit=1 << 22)
        self._answers = asyncio.Queue()
        self._reader = asyncio.create_task(self._read(self._process))

    def _environment(self) -> dict[str, str]:
        settings = {
            "EA_DATA": str(self.folder / "data"), "EA_COMMON_DATA": str(self.folder / "common"),
            "EA_NAME": self.executable.name, "EA_BROKER": self.broker.address, "EA_LOGIN": self.login,
            "EA_PASSWORD": self.password, "EA_SERVER": self.server, "EA_SPEED": str(self.speed),
            "EA_CLOCK_SKEW_SECONDS": str(self.skew_seconds), "EA_ALLOWED_URLS": self.allowed_urls}
        if self.address:
            settings["EA_REACHED_AT"] = self.address
        settings |= {f"EA_INPUT_{name}": _written(value) for name, value in self.inputs.items()}
        return {"PATH": os.environ.get("PATH", ""), **SANITIZERS, **settings, **self.settings}

    async def stop(self, reason: int = 1) -> None:
        """Take the Expert off its chart, and wait until it has gone; anything but an orderly end is a failure."""
        await self.tell(f"stop {reason}")
        assert await self.ended() == 0, self.trouble()

    async def kill(self) -> None:
        """SIGKILL, wherever it is."""
        assert self._process is not None and self._process.returncode is None, self.trouble()
        self._process.kill()
        assert await self.ended() == KILLED, self.trouble()

    def leave(self) -> None:
        """Nobody is there any more to tell it anything, as when the test itself is killed: it ends."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.close()

    async def ended(self) -> int:
        """Wait for its end; the exit code, ``KILLED`` for a kill."""
        assert self._process is not None and self._reader is not None
        async with asyncio.timeout(WAIT_SECONDS):
            await self._reader
            code = await self._process.wait()
        self._process = self._reader = None
        assert code in (0, 3, KILLED, CRITICAL), self.trouble()
        return code

    @property
    def is_running(self) -> bool:
        return self._reader is not None and not self._reader.done()

    async def put_away(self) -> None:
        """End whatever still runs. One that has ended by itself, and nobody saw it, is a failure."""
        if self._process is None or self._reader is None:
            return
        if not self._reader.done():
            self._process.kill()
        assert await self.ended() in (0, KILLED), self.trouble()

    def trouble(self) -> str:
        """What went wrong, for people: the sanitizers' words and the last lines."""
        said = "\n".join(f"{kind}: {text}" for kind, text in self.lines[-20:])
        return (self.folder / "stderr.txt").read_text(errors="replace")[-4000:] + "\n" + said

    # -- what it says and is told ----------------------------------------------------------------------------

    async def tell(self, command: str) -> str:
        """A command of ``ea/proof/runner.cpp``; its answer. It is obeyed between two events of the Expert.

        ``HasEnded`` when it died before.
        """
        assert self._process is not None and self._process.stdin is not None and self._reader is not None
        self._process.stdin.write(command.encode() + b"\n")
        answering = asyncio.ensure_future(self._answers.get())
        await asyncio.wait({answering, self._reader}, timeout=WAIT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            answering.cancel()
            raise HasEnded(self.trouble()) if self._reader.done() else TimeoutError(command)
        answer = answering.result()
        assert answer != "unknown", command
        return answer

    async def panel(self) -> dict[str, str]:
        """The texts on the chart by the names of their objects."""
        return {str(name): str(text) for name, text in json.loads(await self.tell("panel")).items()}

    def prints(self) -> list[str]:
        """The lines of the Experts tab."""
        return [text for kind, text in self.lines if kind == "print"]

    def points(self) -> list[str]:
        """Where a process that counts could have been killed."""
        return [text for kind, text in self.lines if kind == "point"]

    async def until(self, what: Callable[["Terminal"], bool]) -> None:
        """Wait until this is so; looked at after every line. A process that ends meanwhile is a failure."""
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            while not what(self):
                assert self._reader is not None and not self._reader.done(), self.trouble()
                await self._changed.wait()

    async def said(self, words: str) -> str:
        """Wait for a line of the Experts tab that has these words; the first such line."""
        await self.until(lambda one: any(words in line for line in one.prints()))
        return next(line for line in self.prints() if words in line)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            told = json.loads(line)
            if told["kind"] == "done":
                self._answers.put_nowait(told["text"])
            else:
                self.lines.append((told["kind"], told["text"]))
            async with self._changed:
                self._changed.notify_all()
        async with self._changed:
            self._changed.notify_all()


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@asynccontextmanager
async def broker_at(path: Path) -> AsyncIterator[Broker]:
    """A broker with one account, hedging, of 10,000 USD."""
    broker = Broker(path)
    await broker.start()
    try:
        broker.add_account(LOGIN, PASSWORD, server=SERVER)
        yield broker
    finally:
        await broker.stop()


def opened(broker: Broker, login: str = LOGIN) -> Counter[int]:
    """By magic, how many orders of programs the broker has taken to open something: filled ones and waiting ones.

    Twice the same magic is an order that was sent twice.
    """
    deals = {deal.order: deal.magic for deal in broker.book.deals.values()
             if deal.login == int(login) and deal.reason == BY_PROGRAM and deal.entry in (IN, INOUT) and deal.order}
    waiting = {order.ticket: order.magic for order in broker.book.pending_of(int(login)) if order.reason == BY_PROGRAM}
    return Counter((deals | waiting).values())
