"""Terminals at a host: the same promises over a line that may be cut, between two who prove themselves."""

import asyncio
import logging
import ssl
from contextlib import suppress

import pytest

from terminal.mt5.directory import name_of
from terminal.protocol import AccountRef, GatewayError, ResultStatus
from tests.certificates import Authority
from tests.terminal_mt5.desk_side import DeskSide, eventually, workers_of
from tests.terminal_mt5.host_side import HostSide
from tests.terminal_mt5.test_supervisor import ORDER, OTHER, REF, failure


async def test_a_terminal_at_a_host_is_used_as_one_here(side: DeskSide, beyond: HostSide) -> None:
    async with beyond.host() as port:
        gateway = side.gateway(beyond.launcher(port))
        answers = await asyncio.gather(gateway.account(REF), gateway.positions(REF), gateway.send(REF, ORDER))
        assert answers[0].login == "11" and answers[2].status is ResultStatus.FILLED
        assert side.done("11") == ["open", "account", "positions", "send"]
        # The path is the host's own, whatever the desk says.
        path = side.base / name_of(REF) / "terminal64.exe"
        assert f"path {path}" in (side.folder / "11.log").read_text().splitlines()
        await gateway.close_all()
        await eventually(lambda: not workers_of(side))
        assert side.done("11")[-1] == "shutdown"


@pytest.mark.parametrize(("act", "code"), [
    ("hang", "terminal_hangs"), ("die", "terminal_lost"), ("garbage", "bad_answer"), ("oversized", "bad_answer"),
    ("wrong_id", "bad_answer")])
async def test_what_goes_wrong_at_the_host_is_told_apart(side: DeskSide, beyond: HostSide, act: str, code: str) -> None:
    async with beyond.host() as port:
        gateway = side.gateway(beyond.launcher(port), send_seconds=3.0)
        await gateway.account(REF)
        side.tell("11", send=act)
        error = await failure(gateway.send(REF, ORDER))
        # A frame too long is the host's to refuse: all the desk sees is that the line ends.
        assert error.code in (code, "terminal_lost" if act in ("oversized", "garbage") else code)
        assert error.ambiguous
        await eventually(lambda: not workers_of(side))
        side.tell("11")
        side.clock.now += 100
        assert (await gateway.send(REF, ORDER)).ticket == 7


async def test_only_who_shows_a_certificate_of_the_authority_is_heard(side: DeskSide, beyond: HostSide,
                                                                      caplog: pytest.LogCaptureFixture) -> None:
    strangers = Authority(beyond.folder, "strangers")
    own = beyond.desk_papers
    async with beyond.host() as port:
        for papers in (strangers.papers("desk", believing=own.ca),                  # of another authority
                       beyond.authority.papers("desk", days=-1),                    # out of date
                       beyond.authority.papers("host", "localhost")):               # a host is no desk
            gateway = side.gateway(beyond.launcher(port, papers))
            error = await failure(gateway.account(REF))
            assert error.code in ("terminal_lost", "terminal_away") and error.retryable and not error.ambiguous
        context = ssl.create_default_context(cafile=str(own.ca))
        reader, writer = await asyncio.open_connection("localhost", port, ssl=context)  # and none at all
        writer.write(b"\0\0\0\2{}")
        with suppress(OSError):
            assert await reader.read() == b""
        writer.close()
        assert side.done("11") == [] and workers_of(side) == []
        assert caplog.text.count("has not proved itself") == 4
        assert (await side.gateway(beyond.launcher(port)).account(REF)).login == "11"


async def test_only_the_host_that_was_meant_is_told_anything(side: DeskSide, beyond: HostSide) -> None:
    strangers = Authority(beyond.folder, "strangers")
    for papers, name in ((strangers.papers("host", "localhost", believing=beyond.desk_papers.ca), "localhost"),
                         (beyond.authority.papers("host", "elsewhere.example"), "localhost"),
                         (beyond.authority.papers("host", "localhost"), "127.0.0.1"),
                         (beyond.authority.papers("host", "localhost", days=-1), "localhost"),
                         (beyond.authority.papers("desk", "localhost"), "localhost")):
        async with beyond.host(papers=papers) as port:
            error = await failure(side.gateway(beyond.launcher(port, name=name)).account(REF))
            assert (error.code, error.retryable) == ("terminal_away", True)
    assert side.done("11") == [] and workers_of(side) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_old_protocols_are_not_spoken(beyond: HostSide) -> None:
    async with beyond.host() as port:
        context = ssl.create_default_context(cafile=str(beyond.desk_papers.ca))
        context.load_cert_chain(beyond.desk_papers.certificate, beyond.desk_papers.key)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("localhost", port, ssl=context)


async def test_a_host_that_is_not_there(side: DeskSide, beyond: HostSide) -> None:
    async with beyond.host() as port:
        pass
    error = await failure(side.gateway(beyond.launcher(port)).account(REF))
    assert (error.code, error.retryable) == ("terminal_away", True)


async def test_a_host_killed_midway_and_back_again(side: DeskSide, beyond: HostSide) -> None:
    process, port = await beyond.process()
    gateway = side.gateway(beyond.launcher(port))
    await asyncio.gather(gateway.account(REF), gateway.account(OTHER))
    side.tell("11", send="hang")
    side.tell("22", positions="hang")
    sending = asyncio.create_task(failure(gateway.send(REF, ORDER)))
    reading = asyncio.create_task(failure(gateway.positions(OTHER)))
    await side.until("11", "send")
    await side.until("22", "positions")
    process.kill()
    await process.wait()
    error = await sending
    assert (error.code, error.retryable, error.ambiguous) == ("terminal_lost", False, True)
    assert (await reading).ambiguous is False
    await eventually(lambda: not workers_of(side))  # also those that hang
    side.tell("11")
    side.clock.now += 100
    assert (await failure(gateway.account(REF))).code == "terminal_away"
    process, port = await beyond.process(port)
    try:
        side.clock.now += 100
        assert (await gateway.send(REF, ORDER)).ticket == 7
    finally:
        await gateway.close_all()
        process.kill()
        await process.wait()


async def test_a_desk_that_goes_takes_its_workers_with_it(side: DeskSide, beyond: HostSide) -> None:
    async with beyond.host() as port:
        gateway = side.gateway(beyond.launcher(port), call_seconds=60.0, farewell_seconds=0.1)
        side.tell("11", positions="hang")
        hanging = asyncio.create_task(failure(gateway.positions(REF)))
        await side.until("11", "positions")
        assert len(workers_of(side)) == 1
        await gateway.close_all()
        assert (await hanging).code == "terminal_lost"
        await eventually(lambda: not workers_of(side))


async def test_a_new_connection_for_an_account_ends_the_former(side: DeskSide, beyond: HostSide) -> None:
    async with beyond.host() as port:
        first, second = side.gateway(beyond.launcher(port)), side.gateway(beyond.launcher(port))
        await first.account(REF)
        (former,) = workers_of(side)
        assert (await second.account(REF)).login == "11"
        assert len(workers_of(side)) == 1 and workers_of(side) != [former]
        assert (await first.account(OTHER)).login == "22"


async def test_verified_at_a_host_and_forgotten_there(side: DeskSide, beyond: HostSide) -> None:
    async with beyond.host() as port:
        gateway = side.gateway(beyond.launcher(port))
        await gateway.account(REF)
        (running,) = workers_of(side)
        side.tell("11", open={"error": {"code": "wrong_password", "detail": "PASSWORD is wrong", "permanent": True}})
        error = await failure(gateway.verify(REF, "canary-guess"))
        assert (error.code, error.detail) == ("wrong_password", "[hidden] is wrong")
        await eventually(lambda: workers_of(side) == [running])
        side.tell("11")
        await gateway.verify(REF, "right")
        await eventually(lambda: running not in workers_of(side))
        assert (await gateway.account(REF)).login == "11" and len(workers_of(side)) == 1
        await gateway.forget(REF)
        await eventually(lambda: not workers_of(side))
        await eventually(lambda: list(side.base.iterdir()) == [])
    with pytest.raises(GatewayError, match="terminal_away"):
        await gateway.forget(REF)


async def test_a_full_host_says_so(side: DeskSide, beyond: HostSide) -> None:
    async with beyond.host(terminals=1) as port:
        gateway = side.gateway(beyond.launcher(port))
        await gateway.account(REF)
        assert (await failure(gateway.account(OTHER))).code == "terminal_busy"
        await gateway.forget(REF)
        assert (await gateway.account(OTHER)).login == "22"


async def test_one_that_hangs_at_a_host_holds_up_nobody_else(side: DeskSide, beyond: HostSide) -> None:
    async with beyond.host() as port:
        gateway = side.gateway(beyond.launcher(port), call_seconds=4.0)
        await asyncio.gather(gateway.account(REF), gateway.account(OTHER))
        side.tell("11", positions="hang")
        hanging, answers = asyncio.create_task(failure(gateway.positions(REF))), 0
        while not hanging.done():
            await gateway.positions(OTHER)
            answers += 1
        # Whoever stood behind the one that hangs would wait as long as it does.
        assert answers > 3 and (await hanging).code == "terminal_hangs"


async def test_the_host_logs_nothing_of_what_it_carries(side: DeskSide, beyond: HostSide,
                                                        caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    side.tell("11", open="shout")
    async with beyond.host() as port:
        gateway = side.gateway(beyond.launcher(port))
        await gateway.send(REF, ORDER)
        await eventually(lambda: "signing in with [hidden]" in caplog.text)
        await gateway.close_all()
    assert "canary" not in caplog.text and "EURUSD" not in caplog.text and "1000.00" not in caplog.text


async def test_servers_with_odd_names_are_carried(side: DeskSide, beyond: HostSide) -> None:
    async with beyond.host() as port:
        gateway = side.gateway(beyond.launcher(port))
        for server in ("../../etc", "Брокер \"Живой\"", "a" * 300):
            assert (await gateway.account(AccountRef("7", server))).server == server
        assert all(path.parent == side.base for path in side.base.iterdir())
