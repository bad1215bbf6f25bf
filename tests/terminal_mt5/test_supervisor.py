"""What supervision promises while workers hang, die and talk nonsense: real processes, real pipes."""

import asyncio
import logging
import os
import signal
import time
from decimal import Decimal
from pathlib import Path

import pytest
import uvloop

from terminal.mt5.gateway import TerminalGateway
from terminal.protocol import AccountRef, GatewayError, OrderRequest, OrderType, ResultStatus, Side
from tests.terminal_mt5.desk_side import PASSWORD, DeskSide, eventually, workers_of

REF, OTHER = AccountRef("11", "Broker-Live"), AccountRef("22", "Broker-Live")
ORDER = OrderRequest(5, "EURUSD", Side.BUY, OrderType.MARKET, Decimal("0.10"), None, None, (), "c", None)


async def failure(call: object) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await call  # type: ignore[misc]
    return caught.value


async def recovered(side: DeskSide, gateway: TerminalGateway, ref: AccountRef = REF) -> None:
    """Nothing is wrong any more and the pause is over: the next call is served by a new worker."""
    side.tell(ref.login)
    side.clock.now += 100
    assert (await gateway.account(ref)).login == ref.login


async def test_a_terminal_is_started_once_and_asked_in_order(side: DeskSide) -> None:
    gateway = side.gateway()
    answers = await asyncio.gather(gateway.account(REF), gateway.positions(REF), gateway.tick(REF, "EURUSD"),
                                   gateway.send(REF, ORDER))
    assert answers[0].balance == Decimal("1000.00") and answers[3].status is ResultStatus.FILLED
    assert side.done("11") == ["open", "account", "positions", "tick", "send"]
    assert side.asked_for_passwords == 1 and len(workers_of(side)) == 1


@pytest.mark.parametrize(("act", "code"), [
    ("hang", "terminal_hangs"), ("die", "terminal_lost"), ("garbage", "bad_answer"), ("not_json", "bad_answer"),
    ("oversized", "bad_answer"), ("half", "terminal_hangs"), ("wrong_id", "bad_answer"), ("nonsense", "bad_answer")])
async def test_a_worker_that_fails_is_a_typed_error_and_is_replaced(side: DeskSide, act: str, code: str) -> None:
    gateway = side.gateway(call_seconds=3.0, send_seconds=3.0)
    await gateway.account(REF)
    (former,) = workers_of(side)
    side.tell("11", positions=act, send=act)
    error = await failure(gateway.positions(REF))
    assert (error.code, error.retryable, error.ambiguous, error.permanent) == (code, True, False, False)
    await eventually(lambda: former not in workers_of(side))
    side.clock.now += 100
    error = await failure(gateway.send(REF, ORDER))
    assert (error.code, error.retryable, error.ambiguous) == (code, False, True)
    await recovered(side, gateway)


def test_under_the_loop_the_desk_runs_on(tmp_path: Path) -> None:
    async def scene() -> tuple[str, str, list[int]]:
        side = DeskSide(tmp_path)
        gateway = side.gateway(call_seconds=3.0)
        await gateway.account(REF)
        side.tell("11", positions="hang")
        error = await failure(gateway.positions(REF))
        side.tell("11")
        side.clock.now += 100
        login = (await gateway.verify(REF, "x")).login
        await gateway.close_all()
        return error.code, login, workers_of(side)

    assert uvloop.run(scene()) == ("terminal_hangs", "11", [])


@pytest.mark.parametrize("act", ["family", "orphan"])
async def test_what_a_worker_has_started_goes_with_it(side: DeskSide, act: str) -> None:
    gateway = side.gateway(call_seconds=1.0)
    side.tell("11", positions=act)
    call = asyncio.create_task(failure(gateway.positions(REF)))
    await side.until("11", "positions")
    await eventually(lambda: call.done() or len(workers_of(side)) == 2)
    assert (await call).code in ("terminal_hangs", "terminal_lost")
    await eventually(lambda: not workers_of(side))


@pytest.mark.parametrize("op", ["send", "close", "modify", "cancel"])
async def test_every_act_at_the_broker_is_ambiguous_when_the_terminal_hangs(side: DeskSide, op: str) -> None:
    gateway = side.gateway(send_seconds=0.3)
    side.tell("11", **{op: "hang"})
    calls = {"send": lambda: gateway.send(REF, ORDER), "close": lambda: gateway.close(REF, 7),
             "modify": lambda: gateway.modify(REF, 7, None, None), "cancel": lambda: gateway.cancel(REF, 7)}
    error = await failure(calls[op]())
    assert (error.code, error.ambiguous) == ("terminal_hangs", True)


async def test_an_order_that_was_never_written_is_not_ambiguous(side: DeskSide) -> None:
    gateway = side.gateway(call_seconds=3.0)
    side.tell("11", positions="hang")
    hanging = asyncio.create_task(failure(gateway.positions(REF)))
    await side.until("11", "positions")
    error = await failure(gateway.send(REF, ORDER))
    assert (error.code, error.retryable, error.ambiguous) == ("terminal_away", True, False)
    assert (await hanging).code == "terminal_hangs" and side.done("11", "send") == []


async def test_a_worker_that_dies_while_idle_makes_no_order_ambiguous(side: DeskSide,
                                                                      caplog: pytest.LogCaptureFixture) -> None:
    gateway = side.gateway()
    await gateway.account(REF)
    (worker,) = workers_of(side)
    os.kill(worker, signal.SIGKILL)
    await eventually(lambda: "terminal_lost" in caplog.text)
    assert (await failure(gateway.send(REF, ORDER))).code == "terminal_away"  # its pause of a second
    side.clock.now += 2
    assert (await gateway.send(REF, ORDER)).status is ResultStatus.FILLED


async def test_a_worker_that_talks_unasked_is_replaced(side: DeskSide, caplog: pytest.LogCaptureFixture) -> None:
    gateway = side.gateway()
    side.tell("11", tick="twice")
    assert (await gateway.tick(REF, "EURUSD")) is not None
    await eventually(lambda: "bad_answer" in caplog.text and not workers_of(side))
    await recovered(side, gateway)


async def test_one_that_hangs_holds_up_nobody_else(side: DeskSide) -> None:
    gateway = side.gateway(call_seconds=4.0)
    await asyncio.gather(gateway.account(REF), gateway.account(OTHER))
    side.tell("11", positions="hang")
    hanging, answers = asyncio.create_task(failure(gateway.positions(REF))), 0
    while not hanging.done():
        await gateway.positions(OTHER)
        answers += 1
    assert (await hanging).code == "terminal_hangs" and answers > 3, "whoever stood behind it would have waited"


async def test_a_full_queue_refuses_at_once(side: DeskSide) -> None:
    gateway = side.gateway(queue=3)
    side.tell("11", account={"sleep": 3.0})
    first = asyncio.create_task(gateway.account(REF))
    await side.until("11", "account")
    waiting = [asyncio.create_task(gateway.positions(REF)) for _ in range(3)]
    await asyncio.sleep(0)
    error = await failure(gateway.positions(REF))
    assert (error.code, error.retryable, error.ambiguous) == ("terminal_busy", True, False)
    assert not any(call.done() for call in (first, *waiting)), "it did not wait for anybody"
    await asyncio.gather(first, *waiting)
    assert side.done("11", "positions") == ["positions"] * 3


async def test_a_call_whose_caller_has_gone_is_never_made(side: DeskSide) -> None:
    gateway = side.gateway(queue=2)
    side.tell("11", account={"sleep": 0.5})
    first = asyncio.create_task(gateway.account(REF))
    await side.until("11", "account")
    gone = [asyncio.create_task(gateway.send(REF, ORDER)) for _ in range(2)]
    await asyncio.sleep(0)
    for call in gone:
        call.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    assert await gateway.positions(REF) == ()  # and it holds no place in the queue
    await first
    assert side.done("11", "send") == []


async def test_a_caller_that_goes_while_the_terminal_starts_has_asked_nothing(side: DeskSide) -> None:
    gateway = side.gateway()
    side.tell("11", open={"sleep": 0.5})
    call = asyncio.create_task(gateway.send(REF, ORDER))
    await side.until("11", "open")
    call.cancel()
    assert (await gateway.account(REF)).login == "11"
    assert side.done("11") == ["open", "account"]


async def test_an_order_whose_caller_goes_midway_is_brought_to_its_end(side: DeskSide,
                                                                       caplog: pytest.LogCaptureFixture) -> None:
    gateway = side.gateway()
    side.tell("11", send={"sleep": 0.4})
    call = asyncio.create_task(gateway.send(REF, ORDER))
    await side.until("11", "send")
    call.cancel()
    assert (await gateway.account(REF)).login == "11"
    assert side.done("11") == ["open", "send", "account"] and len(workers_of(side)) == 1
    assert "nobody waited for the outcome of send" in caplog.text


async def test_what_a_worker_refuses_is_told_as_it_is_and_costs_it_nothing(side: DeskSide) -> None:
    gateway = side.gateway()
    side.tell("11", send={"error": {"code": "trading_disabled", "detail": "Trading is off.", "permanent": True}})
    error = await failure(gateway.send(REF, ORDER))
    assert (error.code, error.detail, error.permanent, error.ambiguous) == (
        "trading_disabled", "Trading is off.", True, False)
    assert (await gateway.account(REF)).login == "11" and side.done("11", "open") == ["open"]


async def test_a_terminal_signed_in_to_another_account_is_not_believed(side: DeskSide) -> None:
    gateway = side.gateway()
    side.tell("11", open="stranger")
    assert (await failure(gateway.send(REF, ORDER))).code == "bad_answer"
    assert side.done("11") == ["open"]
    side.tell("11", account="stranger")
    side.clock.now += 100
    assert (await failure(gateway.account(REF))).code == "bad_answer"
    await recovered(side, gateway)


@pytest.mark.parametrize(("acts", "code"), [
    ({"hello": "hang"}, "terminal_hangs"), ({"hello": "die"}, "terminal_lost"), ({"hello": "garbage"}, "bad_answer"),
    ({"hello": "protocol"}, "bad_answer")])
async def test_a_worker_that_does_not_come_up(side: DeskSide, acts: dict[str, str], code: str) -> None:
    side.tell("_", **acts)
    gateway = side.gateway(start_seconds=1.5)
    error = await failure(gateway.send(REF, ORDER))
    assert (error.code, error.retryable, error.ambiguous) == (code, True, False)
    assert workers_of(side) == []
    side.tell("_")
    side.clock.now += 100
    assert (await side.gateway().send(REF, ORDER)).ticket == 7


@pytest.mark.parametrize(("act", "code"), [("hang", "terminal_hangs"), ("die", "terminal_lost"),
                                           ("nonsense", "bad_answer")])
async def test_a_terminal_that_does_not_sign_in(side: DeskSide, act: str, code: str) -> None:
    side.tell("11", open=act)
    gateway = side.gateway(start_seconds=5.0)
    assert (await failure(gateway.account(REF))).code == code
    assert workers_of(side) == []
    side.tell("11")
    side.clock.now += 100
    assert (await gateway.account(REF)).login == "11"


async def test_at_the_end_everything_is_ended_within_its_bound(side: DeskSide) -> None:
    refs = [AccountRef(str(login), "Broker-Live") for login in (11, 22, 33)]
    side.tell("22", send="hang")
    side.tell("33", send={"sleep": 0.4})
    gateway = side.gateway(farewell_seconds=4.0)
    await asyncio.gather(*(gateway.account(ref) for ref in refs))
    hanging = asyncio.create_task(failure(gateway.send(refs[1], ORDER)))
    ending = asyncio.create_task(gateway.send(refs[2], ORDER))
    queued = asyncio.create_task(failure(gateway.send(refs[1], ORDER)))
    await side.until("22", "send")
    await side.until("33", "send")
    began = time.perf_counter()
    await gateway.close_all()
    assert time.perf_counter() - began < 20.0 and workers_of(side) == []
    error = await hanging
    assert (error.code, error.ambiguous) == ("terminal_lost", True)
    assert (await ending).ticket == 7 and (await queued).ambiguous is False
    assert (await failure(gateway.account(REF))).code == "terminal_away"
    assert side.done("11")[-1] == "shutdown"


async def test_the_password_is_told_to_the_worker_and_to_nobody_else(side: DeskSide,
                                                                     caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    gateway = side.gateway()
    side.tell("11", open="shout")
    await gateway.account(REF)
    (worker,) = workers_of(side)
    for name in ("cmdline", "environ"):
        told = Path(f"/proc/{worker}/{name}").read_bytes()
        assert b"canary" not in told and b"BOT_TOKEN" not in told, name
    limits = Path(f"/proc/{worker}/limits").read_text().splitlines()
    assert next(line for line in limits if line.startswith("Max core file size")).split()[4:6] == ["0", "0"]
    await eventually(lambda: "signing in with [hidden]" in caplog.text and '"password": "[hidden]"' in caplog.text)
    side.tell("22", open={"error": {"code": "broker_unknown", "detail": "no PASSWORD at this server"}})
    error = await failure(gateway.account(OTHER))
    assert error.detail == "no [hidden] at this server"
    side.tell("11", positions="die")
    await failure(gateway.positions(REF))
    shown = f"{caplog.text} {error!r} {error} {error.args} {gateway!r} {vars(gateway)!r} {asyncio.all_tasks()!r}"
    assert "canary" not in shown and PASSWORD not in shown
    for path in side.base.rglob("*"):
        assert path.is_dir() or b"canary" not in path.read_bytes(), path


async def test_a_password_that_cannot_be_read_starts_nothing(side: DeskSide, caplog: pytest.LogCaptureFixture) -> None:
    async def password_of(ref: AccountRef) -> str:
        raise RuntimeError("canary")

    gateway = TerminalGateway(side.launcher(), password_of, side.rules)
    assert (await failure(gateway.account(REF))).code == "terminal_away"
    assert "RuntimeError" in caplog.text and "canary" not in caplog.text and workers_of(side) == []
    await gateway.close_all()
