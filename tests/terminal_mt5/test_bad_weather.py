"""Everything goes wrong at once, at random: every call ends, nothing is lost, and afterwards all is as before."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable

import pytest

from terminal.mt5.gateway import TerminalGateway
from terminal.protocol import AccountRef, GatewayError
from tests.terminal_mt5.desk_side import DeskSide, eventually, workers_of
from tests.terminal_mt5.host_side import HostSide
from tests.terminal_mt5.test_supervisor import ORDER

ACTS = ["hang", "die", "garbage", "not_json", "oversized", "half", "wrong_id", "nonsense", "twice", "family", "orphan",
        "stranger", {"sleep": 0.05}, {"error": {"code": "terminal_lost", "detail": "gone", "retryable": True}},
        {"error": {"code": "terminal_away", "detail": "away", "retryable": True}}]
OPS = ["open", "account", "positions", "send"]
REFS = [AccountRef(str(login), "Broker-Live") for login in (1, 2, 3, 4)]
CODES = {"terminal_hangs", "terminal_lost", "bad_answer", "terminal_away", "terminal_busy"}


async def one(gateway: TerminalGateway, ref: AccountRef, dice: random.Random, told: Counter[str]) -> None:
    """One call of somebody who may not have the patience to wait for it."""
    op = dice.choice(["account", "positions", "positions", "send", "send", "verify"])
    calls = {"account": lambda: gateway.account(ref), "positions": lambda: gateway.positions(ref),
             "send": lambda: gateway.send(ref, ORDER), "verify": lambda: gateway.verify(ref, "x")}
    try:
        async with asyncio.timeout(dice.choice([0.1, 20.0, 20.0])) as patience:
            await calls[op]()
            told["answered"] += 1
    except GatewayError as error:
        assert error.code in CODES and not (error.ambiguous and (error.retryable or op != "send")), error
        told[error.code] += 1
    except TimeoutError:
        assert patience.expired() and (patience.when() or 0) > 0
        told["impatient"] += 1


@pytest.mark.parametrize("where", ["here", "host"])
async def test_every_call_ends_and_nothing_is_left(side: DeskSide, beyond: HostSide, where: str,
                                                   measured: Callable[[str], None]) -> None:
    dice, told = random.Random(where), Counter[str]()
    rules = {"call_seconds": 0.3, "send_seconds": 0.3, "start_seconds": 3.0, "queue": 4, "idle_seconds": 0.0}
    async with beyond.host(terminals=6) as port:
        gateway = side.gateway(beyond.launcher(port) if where == "host" else None, terminals=6, **rules)
        for _ in range(6):
            for ref in REFS:
                side.tell(ref.login, **{op: dice.choice(ACTS) for op in dice.sample(OPS, dice.randrange(3))})
            async with asyncio.timeout(60):
                await asyncio.gather(*(one(gateway, dice.choice(REFS), dice, told) for _ in range(10)))
            side.clock.now += 200
        for ref in REFS:
            side.tell(ref.login)
        for ref in REFS:  # and no place, no queue and no breaker is left taken

            async def works(ref: AccountRef = ref) -> bool:
                side.clock.now += 200
                try:
                    return (await gateway.send(ref, ORDER)).ticket == 7
                except GatewayError as error:
                    assert error.code in CODES
                    return False

            async with asyncio.timeout(30):
                while not await works():
                    await asyncio.sleep(0.05)
        assert len(workers_of(side)) <= 6
        measured(f"bad weather {where}: {dict(told)}")
        assert told["answered"] and told["impatient"] and sum(told.values()) == 6 * 10
        await gateway.close_all()
        await eventually(lambda: not workers_of(side))
