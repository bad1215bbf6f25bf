"""A broker, a terminal's folder and a worker over real pipes, for every test that needs a MetaTrader account."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.mt5 import WHEEL
from sandbox.mt5.broker import Broker
from terminal.mt5 import frames, wire
from terminal.protocol import GatewayError, OrderRequest, OrderType, Side, TradeResult
from tests.terminal_mt5 import ROOT

LOGIN, PASSWORD, INVESTOR = "5001", "correct horse", "just looking"
SERVER = "Sandbox-MT5"
MAGIC = 1 << 48
WORKER = "-m", "terminal.mt5.worker"
RULES = {"deviation_points": 20, "max_tick_age_seconds": 10, "margin_buffer": "0.0"}


def environment(*, wheel: bool = True) -> dict[str, str]:
    """What a worker's process needs to see; without ``wheel`` there is no MetaTrader5 package for it."""
    places = [str(ROOT), *([str(WHEEL)] if wheel else [])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places)}


class Pipe:
    """One worker process and its two pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.hello: dict[str, Any] = {}
        self._number = 0

    @classmethod
    async def start(cls, *, wheel: bool = True, program: Sequence[str] = WORKER) -> "Pipe":
        process = await asyncio.create_subprocess_exec(
            sys.executable, *program, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment(wheel=wheel))
        pipe = cls(process)
        assert process.stdout is not None
        pipe.hello = (await frames.read(process.stdout))["hello"]
        return pipe

    async def ask(self, op: str, **args: Any) -> Any:
        """The answer of an operation; GatewayError when it answers with one."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self._number += 1
        plain = {name: wire.plain(value) for name, value in args.items()}
        self.process.stdin.write(frames.encode({"id": self._number, "op": op, "args": plain}))
        await self.process.stdin.drain()
        answer = await frames.read(self.process.stdout)
        assert answer["id"] == self._number
        if "error" in answer:
            error = answer["error"]
            raise GatewayError(error["code"], error["detail"], retryable=error["retryable"],
                               ambiguous=error["ambiguous"], permanent=error["permanent"])
        return answer["ok"]

    async def send(self, request: OrderRequest, **rules: Any) -> TradeResult:
        return wire.revive(TradeResult, await self.ask("send", request=request, rules={**RULES, **rules}))

    async def act(self, op: str, **args: Any) -> TradeResult:
        """close, modify or cancel."""
        return wire.revive(TradeResult, await self.ask(op, **args))

    async def find(self, magic: int, since: Any = None) -> TradeResult | None:
        found = await self.ask("find", magic=magic, since=since)
        return None if found is None else wire.revive(TradeResult, found)

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()


@dataclass
class Stage:
    """A broker with one account, the folder of a terminal, and the workers that were started."""

    broker: Broker
    folder: Path
    program: Path
    pipes: list[Pipe]

    async def worker(self, *, login: str = LOGIN, password: str = PASSWORD, server: str = SERVER,
                     program: Sequence[str] = WORKER) -> Pipe:
        """A worker that has signed in; GatewayError when it could not."""
        pipe = await Pipe.start(program=program)
        self.pipes.append(pipe)
        await pipe.ask("open", login=login, server=server, password=password, path=str(self.program),
                       timeout_seconds=45)
        return pipe


@asynccontextmanager
async def staged(folder: Path, **account: Any) -> AsyncIterator[Stage]:
    """A running broker with an account; ends every worker and the broker in the end."""
    broker = Broker(folder / "broker.db")
    await broker.start()
    stage = Stage(broker, folder / "terminal", broker.write_terminal_folder(folder / "terminal"), [])
    try:
        broker.add_account(LOGIN, PASSWORD, **{"server": SERVER, "investor": INVESTOR, **account})
        yield stage
    finally:
        for pipe in stage.pipes:
            await pipe.end()
        await broker.stop()


def order(number: int = 1, **changes: Any) -> OrderRequest:
    """A market order for a tenth of a lot."""
    given: dict[str, Any] = {
        "magic": MAGIC | number, "symbol": "EURUSD", "side": Side.BUY, "order_type": OrderType.MARKET,
        "volume": "0.1", "price": None, "stop_loss": None, "take_profits": (), "comment": f"CS{number}",
        "expires_at": None, **changes}
    return wire.revive(OrderRequest, {name: wire.plain(value) for name, value in given.items()})
