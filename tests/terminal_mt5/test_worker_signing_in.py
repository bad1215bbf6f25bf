"""Through the worker's pipes: who may sign in, what the worker says when it cannot, and how it ends."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from terminal.mt5 import frames, wire
from terminal.protocol import AccountSnapshot, GatewayError
from tests.running import until
from tests.terminal_mt5.stage import INVESTOR, LOGIN, PASSWORD, SERVER, Pipe, Stage, order, staged


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as made:
        yield made


@pytest.fixture
async def pipe(stage: Stage) -> Pipe:
    """A worker that has not signed in yet."""
    made = await Pipe.start()
    stage.pipes.append(made)
    return made


async def refusal(pipe: Pipe, stage: Stage, **changed: Any) -> GatewayError:
    args = {"login": LOGIN, "server": SERVER, "password": PASSWORD, "path": str(stage.program),
            "timeout_seconds": 45} | changed
    with pytest.raises(GatewayError) as caught:
        await pipe.ask("open", **args)
    return caught.value


async def opened(pipe: Pipe, stage: Stage, **changed: Any) -> AccountSnapshot:
    args = {"login": LOGIN, "server": SERVER, "password": PASSWORD, "path": str(stage.program), "timeout_seconds": 45}
    return wire.revive(AccountSnapshot, await pipe.ask("open", **{**args, **changed}))


async def test_hello_comes_first(pipe: Pipe) -> None:
    assert pipe.hello == {"protocol": 2, "library": "5.0.6231", "pid": pipe.process.pid}


WRONG: list[tuple[dict[str, Any], str, bool]] = [
    ({"password": "wrong"}, "wrong_password", True),
    ({"login": "77"}, "wrong_password", True),
    ({"server": "Nobody-Live"}, "broker_unknown", True),
    ({"server": "Sandbox-Raw"}, "wrong_password", True),
    ({"path": "/nowhere/terminal64.exe"}, "terminal_missing", True),
    ({"login": "five"}, "invalid_request", True),
    ({"login": "0"}, "invalid_request", True),
    ({"login": str(1 << 64)}, "invalid_request", True),
    ({"password": "x" * 300}, "invalid_request", True),
    ({"password": None}, "invalid_request", True),
    ({"timeout_seconds": "soon"}, "invalid_request", False)]


async def test_who_cannot_sign_in_is_told_why(pipe: Pipe, stage: Stage) -> None:
    for changed, code, permanent in WRONG:
        error = await refusal(pipe, stage, **changed)
        assert (error.code, error.permanent, error.ambiguous) == (code, permanent, False), changed
    # Nothing is spoilt by it: the same worker may be told better.
    assert (await opened(pipe, stage)).login == LOGIN


async def test_an_account_with_one_time_passwords_cannot_be_linked(pipe: Pipe, stage: Stage) -> None:
    stage.broker.add_account("5002", "one", server=SERVER, otp=True)
    error = await refusal(pipe, stage, login="5002", password="one")
    assert (error.code, error.permanent) == ("otp_required", True)


async def test_a_broker_that_cannot_be_reached_may_come_back(pipe: Pipe, stage: Stage) -> None:
    (stage.folder / "config" / "servers.json").write_text(json.dumps({SERVER: "127.0.0.1:1"}))
    error = await refusal(pipe, stage)
    assert (error.code, error.retryable, error.permanent) == ("terminal_away", True, False)


async def test_an_investor_sees_and_does_not_trade(pipe: Pipe, stage: Stage) -> None:
    snapshot = await opened(pipe, stage, password=INVESTOR)
    assert (snapshot.login, snapshot.server, snapshot.can_trade) == (LOGIN, SERVER, False)
    result = await pipe.send(order())
    assert (result.status, result.retcode, result.reason) == ("rejected", 10017, "trading_disabled")
    assert (await pipe.act("close", ticket=1, volume=None)).retcode == 10017
    assert not any(call == "order_send" for _, call in stage.broker.calls)


async def test_the_account_that_answers_must_be_the_one_that_was_meant(pipe: Pipe, stage: Stage) -> None:
    await opened(pipe, stage, server=SERVER)
    stage.broker.add_account("5003", "three", server=SERVER)
    stage.broker.book.accounts[int(LOGIN)].login = 5003
    with pytest.raises(GatewayError) as caught:
        await pipe.ask("account")
    assert (caught.value.code, caught.value.permanent) == ("wrong_account", True)
    with pytest.raises(GatewayError, match="wrong_account"):
        await pipe.send(order())
    assert not any(call == "order_send" for _, call in stage.broker.calls)


async def test_without_the_package_it_says_so(stage: Stage) -> None:
    pipe = await Pipe.start(wheel=False)
    stage.pipes.append(pipe)
    assert pipe.hello["library"] == ""
    assert (await refusal(pipe, stage)).code == "terminal_missing"


async def test_before_and_after_opening(pipe: Pipe, stage: Stage) -> None:
    assert await pipe.ask("ping") == {"connected": False}
    for op in ("account", "positions", "orders", "symbols"):
        with pytest.raises(GatewayError, match="invalid_request"):
            await pipe.ask(op)
    await opened(pipe, stage)
    assert await pipe.ask("ping") == {"connected": True}
    assert (await refusal(pipe, stage)).code == "invalid_request"


NONSENSE: list[tuple[str, dict[str, Any]]] = [
    ("dance", {}), ("symbol", {}), ("close", {"ticket": "many"}), ("deals", {"since": "2026-01-01T00:00:00"}),
    ("loss", {"symbol": "EURUSD", "side": "up", "volume": "1", "open_price": "1", "close_price": "1"}),
    ("send", {"request": {"magic": 1}, "rules": {}}), ("modify", {"ticket": 1, "stop_loss": "low"}),
    ("find", {"magic": None}), ("send", {"request": None, "rules": {"deviation_points": -1}}),
    ("send", {"request": order(), "rules": {"deviation_points": -1}}),
    ("send", {"request": order(magic=-1), "rules": {}}), ("send", {"request": order(magic=1 << 64), "rules": {}})]


async def test_what_makes_no_sense_is_refused_and_nothing_breaks(pipe: Pipe, stage: Stage) -> None:
    await opened(pipe, stage)
    for op, args in NONSENSE:
        with pytest.raises(GatewayError) as caught:
            await pipe.ask(op, **args)
        assert (caught.value.code, caught.value.ambiguous) == ("invalid_request", False), (op, args)
    assert await pipe.ask("ping") == {"connected": True}
    assert not any(call == "order_send" for _, call in stage.broker.calls)


async def test_a_terminal_off_line_is_away_and_comes_back(pipe: Pipe, stage: Stage) -> None:
    await opened(pipe, stage)
    stage.broker.faults.add(LOGIN, "disconnect", 1, seconds=4.0, call="terminal_info")
    for op, args in (("account", {}), ("positions", {}), ("orders", {}), ("find", {"magic": 1 << 48})):
        with pytest.raises(GatewayError) as caught:
            await pipe.ask(op, **args)
        assert (caught.value.code, caught.value.retryable) == ("terminal_away", True), op
    assert await pipe.ask("ping") == {"connected": False}
    with pytest.raises(GatewayError) as caught:
        await pipe.send(order())
    assert (caught.value.code, caught.value.ambiguous) == ("terminal_away", False)

    async def is_back() -> bool:
        return bool((await pipe.ask("ping"))["connected"])

    await until("it is on line again", is_back)
    assert (await opened_again(pipe)).login == LOGIN


async def opened_again(pipe: Pipe) -> AccountSnapshot:
    return wire.revive(AccountSnapshot, await pipe.ask("account"))


async def test_when_the_terminal_is_gone_the_worker_goes_too(pipe: Pipe, stage: Stage) -> None:
    await opened(pipe, stage)
    await stage.broker.stop()
    with pytest.raises(GatewayError) as caught:
        await pipe.ask("positions")
    assert (caught.value.code, caught.value.retryable, caught.value.ambiguous) == ("terminal_lost", True, False)
    assert await asyncio.wait_for(pipe.process.wait(), 90) == 3
    stage.broker.book.open()


async def test_shutdown_ends_it(pipe: Pipe, stage: Stage) -> None:
    await opened(pipe, stage)
    assert await pipe.ask("shutdown") == {}
    assert await asyncio.wait_for(pipe.process.wait(), 90) == 0


@pytest.mark.parametrize(("raw", "code"), [
    (b"", 0), (b"GET / HTTP/1.1\r\n\r\n", 2), (struct.pack(">I", 4) + b"]]]]", 2), (struct.pack(">I", 12) + b"{", 0)])
async def test_it_ends_with_its_conversation(pipe: Pipe, raw: bytes, code: int) -> None:
    assert pipe.process.stdin is not None
    pipe.process.stdin.write(raw)
    pipe.process.stdin.write_eof()
    assert await asyncio.wait_for(pipe.process.wait(), 90) == code


async def test_a_password_is_in_no_answer_and_on_no_stream(pipe: Pipe, stage: Stage) -> None:
    canary = "canary-7f3a-päss"
    heard = [str(await refusal(pipe, stage, password=canary))]
    heard.append(str(await refusal(pipe, stage, password=canary, login="five")))
    heard.append(str(await refusal(pipe, stage, password=canary, timeout_seconds=None)))
    stage.broker.change_account(LOGIN, password=canary)
    heard.append(str(await opened(pipe, stage, password=canary)))
    heard.append(str(await refusal(pipe, stage, password=canary)))
    assert pipe.process.stderr is not None
    await pipe.ask("shutdown")
    errors = (await pipe.process.stderr.read()).decode()
    assert "canary" not in errors + "".join(heard) and "7f3a" not in errors
    command = Path(f"/proc/{pipe.process.pid}/cmdline")
    assert not command.exists() or canary.encode() not in command.read_bytes()


async def test_nothing_but_frames_is_on_its_output(stage: Stage, tmp_path: Path) -> None:
    """A library that prints, in Python or below it, does not spoil the conversation."""
    noisy = ("import os, sys\nimport MetaTrader5\n"
             "def loud(**named):\n    print('hello from Python')\n    os.write(1, b'hello from below')\n    return ()\n"
             "MetaTrader5.positions_get = loud\n"
             "from terminal.mt5.worker import main\nsys.exit(main())\n")
    (tmp_path / "noisy.py").write_text(noisy)
    pipe = await Pipe.start(program=[str(tmp_path / "noisy.py")])
    stage.pipes.append(pipe)
    await opened(pipe, stage)
    assert await pipe.ask("positions") == []
    assert await pipe.ask("ping") == {"connected": True}
    assert pipe.process.stderr is not None
    await pipe.ask("shutdown")
    assert b"hello from below" in await pipe.process.stderr.read()


def test_a_frame_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(ValueError, match="too long"):
        frames.encode({"id": 1, "ok": "x" * frames.MOST_BYTES})
