"""From the gateway to a broker and back: the true worker, the library's stand-in, here and through a terminal host."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import config
import terminals
from sandbox.mt5 import WHEEL
from terminal.mt5 import tls
from terminal.mt5.gateway import TerminalGateway
from terminal.mt5.host import TerminalHost
from terminal.protocol import AccountRef, GatewayError, ResultStatus
from tests.terminal_mt5.host_side import HostSide, files
from tests.terminal_mt5.stage import INVESTOR, LOGIN, PASSWORD, SERVER, Stage, order, staged
from tests.terminal_mt5.test_supervisor import failure

OTHER, OTHER_PASSWORD = "5002", "another horse"
MINE, THEIRS = AccountRef(LOGIN, SERVER), AccountRef(OTHER, SERVER)
PASSWORDS = {MINE: PASSWORD, THEIRS: OTHER_PASSWORD}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    (tmp_path / "broker").mkdir()
    async with staged(tmp_path / "broker") as made:
        made.broker.add_account(OTHER, OTHER_PASSWORD, server=SERVER)
        yield made


@pytest.fixture(params=["here", "host"])
async def gateway(request: pytest.FixtureRequest, stage: Stage, tmp_path: Path,
                  beyond: HostSide) -> AsyncIterator[TerminalGateway]:
    """As the composition root builds it, with terminals on this machine or at a host."""
    async def password_of(ref: AccountRef) -> str:
        return PASSWORDS[ref]

    brisk = {"start_every_seconds": 0, "call_seconds": 3, "send_seconds": 3, "start_seconds": 30}
    at_folder = config.load({"DATA": str(tmp_path / "data")}, {"terminal": {**brisk, "folder": str(stage.folder)}})
    async with AsyncExitStack() as stack:
        settings = at_folder
        if request.param == "host":
            host = TerminalHost(terminals.local_launcher(at_folder, WHEEL), tls.for_host(files(beyond.host_papers)),
                                terminals.rules_of(at_folder))
            port = await host.start("127.0.0.1", 0)
            stack.push_async_callback(host.close)
            papers = beyond.desk_papers
            settings = config.load(
                {"TERMINAL_TLS_CA": str(papers.ca), "TERMINAL_TLS_CERT": str(papers.certificate),
                 "TERMINAL_TLS_KEY": str(papers.key)}, {"terminal": {**brisk, "host": f"localhost:{port}"}})
        made = terminals.terminal_of(settings, password_of, WHEEL)
        assert made is not None
        stack.push_async_callback(made.close_all)
        yield made


def test_no_terminals_are_no_gateway() -> None:
    async def password_of(ref: AccountRef) -> str:
        return ""

    assert terminals.terminal_of(config.load({}), password_of) is None


async def test_linking_looking_and_trading(gateway: TerminalGateway, stage: Stage) -> None:
    error = await failure(gateway.verify(MINE, "wrong horse"))
    assert error.code == "wrong_password" and error.permanent
    assert (await gateway.verify(MINE, INVESTOR)).can_trade is False
    snapshot = await gateway.verify(MINE, PASSWORD)
    assert (snapshot.login, snapshot.server, snapshot.can_trade) == (LOGIN, SERVER, True)
    assert (await gateway.symbol(MINE, "EURUSD")) is not None and len(await gateway.symbols(MINE)) > 5
    since = datetime.now(UTC) - timedelta(minutes=5)
    result = await gateway.send(MINE, order(1))
    assert result.status is ResultStatus.FILLED and result.ticket is not None
    again = await gateway.find(MINE, order(1).magic, since)
    assert again is not None and again.ticket == result.ticket
    (position,) = await gateway.positions(MINE)
    assert position.ticket == result.ticket and position.magic == order(1).magic
    assert (await gateway.close(MINE, position.ticket)).status is ResultStatus.FILLED
    assert await gateway.positions(MINE) == () and len(await gateway.deals(MINE, since)) >= 2
    assert (await gateway.account(THEIRS)).login == OTHER


async def test_a_call_that_holds_its_process_is_ended_and_holds_up_nobody(gateway: TerminalGateway,
                                                                          stage: Stage) -> None:
    await asyncio.gather(gateway.account(MINE), gateway.account(THEIRS))
    stage.broker.faults.add(LOGIN, "hang", seconds=100.0)
    hanging, answers = asyncio.create_task(failure(gateway.positions(MINE))), 0
    while not hanging.done():
        await gateway.tick(THEIRS, "EURUSD")
        answers += 1
    assert (await hanging).code == "terminal_hangs" and answers > 3, "whoever stood behind it would have waited"
    assert (await recovered(gateway)).login == LOGIN


@pytest.mark.parametrize("fault", ["timeout_after_fill", "no_answer"])
async def test_an_order_filled_behind_our_back_is_found_afterwards(gateway: TerminalGateway, stage: Stage,
                                                                   fault: str) -> None:
    await gateway.account(MINE)
    since = datetime.now(UTC) - timedelta(minutes=1)
    stage.broker.faults.add(LOGIN, fault)
    assert (await failure(gateway.send(MINE, order(2)))).ambiguous
    await recovered(gateway)
    found = await gateway.find(MINE, order(2).magic, since)
    assert found is not None and found.status is ResultStatus.FILLED
    assert len(stage.broker.orders_executed(LOGIN)) == 1
    again = await gateway.send(MINE, order(2))  # it looks for its number first
    assert again.ticket == found.ticket and len(stage.broker.orders_executed(LOGIN)) == 1


async def test_a_terminal_that_hangs_in_an_order_is_ended_and_the_truth_is_found(gateway: TerminalGateway,
                                                                               stage: Stage) -> None:
    await gateway.account(MINE)
    since = datetime.now(UTC) - timedelta(minutes=1)
    stage.broker.faults.add(LOGIN, "hang", seconds=100.0, call="order_send")
    error = await failure(gateway.send(MINE, order(3)))
    assert (error.code, error.ambiguous, error.retryable) == ("terminal_hangs", True, False)
    await recovered(gateway)
    found = await gateway.find(MINE, order(3).magic, since)
    assert (found is not None) == (len(stage.broker.orders_executed(LOGIN)) == 1)


async def recovered(gateway: TerminalGateway) -> object:
    """The account, as soon as the pause after a failure is over."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await gateway.account(MINE)
            except GatewayError as error:
                assert error.code in ("terminal_away", "terminal_hangs"), error
                await asyncio.sleep(0.1)
