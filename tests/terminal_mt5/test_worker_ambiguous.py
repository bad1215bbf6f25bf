"""Two hundred times a broker does what cannot be told apart, and never is an order executed twice.

What stands above a worker is played as the desk does it: an order is handed over once; when its outcome is open, or
the worker had to be ended, the terminal is asked what became of it until it says so or the time is over.
"""

import asyncio
import random
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from terminal.mt5 import frames
from terminal.protocol import GatewayError, OrderRequest, OrderType, ResultStatus, Side, TradeResult
from tests.terminal_mt5.stage import LOGIN, SERVER, Pipe, Stage, order, staged

D = Decimal
RUNS, AT_ONCE = 200, 10
KINDS = ("timeout_after_fill", "no_answer", "requote", "price_off", "partial_fill", "altered_comment", "invalid_fill",
         "reject", "late_fill", "lost_order", "placed_then_fill", "hang", "disconnect", "fine")
WEIGHTS = tuple(4 if kind != "hang" else 1 for kind in KINDS)
HANG_SECONDS, LATE_SECONDS, DEADLINE, LOOK_SECONDS, LOOKS = 6.0, 0.3, 5.0, 0.1, 5


@dataclass
class Run:
    """One customer, one order, and what was believed in the end."""

    login: str
    request: OrderRequest
    faults: list[str]
    believed: TradeResult | None = None
    unclear: list[str] = field(default_factory=list)


class Customer:
    """Asks a worker, ends it at its deadline, and starts another."""

    def __init__(self, stage: Stage, login: str) -> None:
        self._stage, self._login = stage, login
        self._pipe: Pipe | None = None

    async def ask(self, op: str, request: OrderRequest) -> TradeResult | None:
        """A result or None; GatewayError, ambiguous when the worker was ended over it."""
        if self._pipe is None:
            self._pipe = await self._stage.worker(login=self._login, password=self._login)
        try:
            async with asyncio.timeout(DEADLINE):
                if op == "send":
                    return await self._pipe.send(request)
                return await self._pipe.find(request.magic)
        except (TimeoutError, frames.Ended, ConnectionError) as error:
            await self.end()
            raise GatewayError("terminal_lost", type(error).__name__, ambiguous=True) from None
        except GatewayError as error:
            if error.code == "terminal_lost":
                await self.end()
            raise

    async def end(self) -> None:
        if self._pipe is not None:
            self._stage.pipes.remove(self._pipe)
            await self._pipe.end()
            self._pipe = None


def drawn(dice: random.Random, number: int, login: str) -> Run:
    """An order and the weather it meets."""
    targets = [D("1.09"), D("1.095"), D("1.1")][:dice.choice([0, 0, 1, 2, 3])]
    kind, price = dice.choice([(OrderType.MARKET, None)] * 4 + [(OrderType.LIMIT, D("1.08"))])
    request = order(number, volume=D(dice.choice(["0.03", "0.1", "0.25"])), take_profits=targets, order_type=kind,
                    price=price, side=Side.BUY)
    return Run(login, request, dice.choices(KINDS, WEIGHTS, k=dice.choice([1, 1, 2, 3])))


async def play(stage: Stage, customer: Customer, run: Run, dice: random.Random) -> None:
    for kind in run.faults:
        if kind != "fine":
            seconds = HANG_SECONDS if kind == "hang" else LATE_SECONDS
            stage.broker.faults.add(run.login, kind, 1, seconds=seconds, call="order_send")
    try:
        run.believed = await customer.ask("send", run.request)
        return
    except GatewayError as error:
        run.unclear.append(str(error))
        if not error.ambiguous:
            return
    if dice.random() < 0.3:
        # A desk that has forgotten itself hands the same order over again to the same worker: it must not go out.
        try:
            run.believed = await customer.ask("send", run.request) if customer._pipe is not None else None
        except GatewayError as error:
            run.unclear.append(str(error))
    for _ in range(LOOKS):
        if run.believed is not None:
            return
        await asyncio.sleep(LOOK_SECONDS)
        try:
            run.believed = await customer.ask("find", run.request)
        except GatewayError as error:
            run.unclear.append(str(error))


def verdict(stage: Stage, run: Run) -> str:
    """What is wrong with the end of a run; empty when all is well."""
    base = run.request.magic
    rows = [row for row in stage.broker.orders_executed(run.login) if row.magic & ~(0xF << 44) == base]
    waiting = [row for row in stage.broker.book.pending_of(int(run.login)) if row.magic & ~(0xF << 44) == base]
    done = sum((row.volume_initial - row.volume_current for row in rows), D(0))
    rests = sum((row.volume_initial for row in waiting), D(0))
    legs = [row.magic for row in (*rows, *waiting)]
    if len(legs) != len(set(legs)):
        return "a leg was executed twice"
    if done + rests > run.request.volume:
        return f"{done + rests} lots where {run.request.volume} were wanted"
    believed = run.believed
    if believed is None:
        return f"{done + rests} lots nobody knows of" if done + rests else ""
    if believed.status == ResultStatus.REJECTED:
        return "executed, but believed refused" if done + rests else ""
    if believed.status == ResultStatus.FILLED and believed.volume != done:
        return f"{done} lots, but believed {believed.volume}"
    if believed.status == ResultStatus.PLACED and not waiting:
        return "believed to wait, but does not"
    return ""


async def test_never_twice(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.broker.set_price("EURUSD", D("1.08500"), D("1.08510"))
        runs: list[Run] = []

        async def customer(number: int) -> None:
            dice = random.Random(20_261 + number)
            login = str(6_000 + number)
            stage.broker.add_account(login, login, server=SERVER, balance=D(1_000_000))
            asks = Customer(stage, login)
            for turn in range(RUNS // AT_ONCE):
                run = drawn(dice, 1_000 * (number + 1) + turn, login)
                runs.append(run)
                await play(stage, asks, run, dice)
                stage.broker.faults.clear_for(login)
                stage.broker.away_until.pop(int(login), None)
            # Where anything was unclear the desk goes on looking: a leg may have come after the others were found.
            await asyncio.sleep(HANG_SECONDS - DEADLINE + LATE_SECONDS)
            for run in [run for run in runs if run.login == login and run.unclear]:
                run.believed = await asks.ask("find", run.request) or run.believed
            await asks.end()

        await asyncio.gather(*(customer(number) for number in range(AT_ONCE)))
        assert len(runs) == RUNS
        wrong = [(run.faults, run.request, run.believed, run.unclear, problem) for run in runs
                 if (problem := verdict(stage, run))]
        assert not wrong, wrong[0]
        met = {kind for run in runs for kind in run.faults}
        assert met == set(KINDS)
        assert sum(bool(run.unclear) for run in runs) > RUNS // 4, "the weather was too good"
        assert sum(len(stage.broker.orders_executed(6_000 + n)) for n in range(AT_ONCE)) > RUNS // 2
        assert LOGIN not in {run.login for run in runs}
