"""The terminal that stands around an Expert Advisor in the tests, a group of its functions after another."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web

from sandbox.mt5.broker import Broker
from sandbox.mt5.market import now_msc
from tests.ea.terminal import CRITICAL, KILLED, LOGIN, Terminal, broker_at, opened

D = Decimal


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with broker_at(tmp_path / "broker.db") as running:
        yield running


@asynccontextmanager
async def at(executable: Path, folder: Path, broker: Broker, probes: str, **given: object) -> AsyncIterator[Terminal]:
    """A terminal with the sample in it that will try these, not yet started."""
    inputs = {"Probes": probes, "Period": 1} | dict(given.pop("inputs", {}))  # type: ignore[call-overload]
    terminal = Terminal(executable, folder, broker, inputs, **given)  # type: ignore[arg-type]
    try:
        yield terminal
    finally:
        await terminal.put_away()


async def tried(executable: Path, folder: Path, broker: Broker, probes: str, **given: object) -> list[str]:
    """What the sample prints, from the first probe to the last."""
    async with at(executable, folder, broker, probes, **given) as terminal:
        await terminal.start(ticks=probes.count(",") + 1)
        assert await terminal.ended() == 0, terminal.trouble()
        told = terminal.prints()
        assert told.pop() == "reason=1"
        return [line for line in told if not line.startswith("probed=")]


def printed(terminal: Terminal, line: str, times: int) -> bool:
    return terminal.prints().count(line) >= times


async def test_inputs_are_what_the_source_says_or_the_owner(sample: Path, tmp_path: Path, broker: Broker) -> None:
    assert await tried(sample, tmp_path, broker, "inputs") == [
        "inputs=1 0.100 loud 7 3 https://desk.example/echo?a=b"]
    changed = {"Volume": 0.25, "Loud": False, "Magic": 2**53 - 1, "Kind": 0, "Url": "http://ä"}
    assert await tried(sample, tmp_path, broker, "inputs", inputs=changed) == [
        "inputs=1 0.250 quiet 9007199254740991 0 http://ä"]


async def test_files(sample: Path, tmp_path: Path, broker: Broker) -> None:
    assert await tried(sample, tmp_path, broker, "files") == [
        "missing=error 5004", "written=5", "written=3", "one=FIRst", "written=6", "not moved=5020", "moved=moved",
        "one now=second", "two now=5019", "written=6", "outside=error 5002", "deleted=gone"]
    assert (tmp_path / "common" / "Files" / "shared.bin").read_text() == "common"
    assert not list((tmp_path / "data").rglob("*.bin"))
    assert await tried(sample, tmp_path, broker, "texts") == [
        "line=one", "line=two", "line=three", "lines=3 of 14"]


@pytest.mark.parametrize(("disk", "told"), [
    ("full", ["written=0", "one=", "moved=moved"]),
    ("read-only", ["not opened=Folder\\one.bin 5004", "one=error 5004", "moved=no"]),
    ("stuck", ["written=6", "one=FIRst", "moved=no"]),
])
async def test_a_disk_that_does_not_do_as_it_is_told(sample: Path, tmp_path: Path, broker: Broker, disk: str,
                                                      told: list[str]) -> None:
    said = await tried(sample, tmp_path, broker, "files", settings={"EA_DISK": disk})
    assert set(told) <= set(said), said


async def test_what_was_not_flushed_is_gone_with_the_program(sample: Path, tmp_path: Path, broker: Broker) -> None:
    async with at(sample, tmp_path, broker, "forget,variables") as terminal:
        await terminal.start()
        await terminal.said("probed=variables")
        await terminal.kill()
        assert (tmp_path / "data/MQL5/Files/forgotten.bin").read_bytes() == b""
        assert "variable=none" in terminal.prints()
    # The second process finds what was flushed, and not what was set after that.
    assert "variable=42.5" in await tried(sample, tmp_path, broker, "variables")
    # One that ends in order leaves everything.
    assert "variable=7.5" in await tried(sample, tmp_path, broker, "forget,variables")
    assert (tmp_path / "data/MQL5/Files/forgotten.bin").read_bytes() == b"AAA"


async def test_a_file_belongs_to_one_program(sample: Path, tmp_path: Path, broker: Broker) -> None:
    async with at(sample, tmp_path, broker, "hold") as terminal:
        await terminal.start()
        assert await terminal.said("held=") == "held=mine"
        assert await tried(sample, tmp_path, broker, "hold") == ["held=5004"]
        await terminal.kill()
    assert await tried(sample, tmp_path, broker, "hold") == ["held=mine"]


async def test_times(sample: Path, tmp_path: Path, broker: Broker) -> None:
    before, began = int(time.time()), time.monotonic()
    said = dict(line.split("=", 1) for line in await tried(
        sample, tmp_path, broker, "times", speed=20, skew_seconds=-7200, settings={"EA_TIME_ZONE_SECONDS": "3600"}))
    assert int(said["slept"]) >= 2 and time.monotonic() - began < 60
    assert 0 <= int(said["gmt"]) + 7200 - before <= time.monotonic() - began + 1
    # The trade server's clock is two hours ahead of UTC, whatever the computer thinks. Its quotes pass with the
    # program's time.
    assert 7200 <= int(said["quoted"]) - before <= 7200 + 20 * (time.monotonic() - began) + 1
    assert (said["local"], said["server"]) == ("3600", "7200")
    assert said["written"] == "1970.01.01 00:00 1970.01.01 23:59:59 01:00"


async def test_the_clock_is_set_and_time_jumps_while_it_runs(sample: Path, tmp_path: Path, broker: Broker) -> None:
    async with at(sample, tmp_path, broker, "inputs,times", inputs={"Period": 30_000_000}, speed=20) as terminal:
        await terminal.start()
        assert await terminal.tell("skew 100000") == "ok"
        assert "inputs" not in str(terminal.prints()), "the timer is half an hour away"
        await terminal.tell("advance 30000000")
        await terminal.said("probed=inputs")
        await terminal.tell("advance 30000000")
        gmt = int((await terminal.said("gmt=")).removeprefix("gmt="))
        assert abs(gmt - 100_000 - time.time()) < 600
        await terminal.said("probed=times")
        await terminal.stop(9)
        assert terminal.prints()[-1] == "reason=9"


async def test_the_panel_can_be_read(sample: Path, tmp_path: Path, broker: Broker) -> None:
    async with at(sample, tmp_path, broker, "panel") as terminal:
        await terminal.start()
        assert await terminal.said("found=") == "found=0 -1"
        assert await terminal.panel() == {"CsBack": "", "CsText": ("1234567890" * 7)[:63]}
        assert ("alert", "an alert") in terminal.lines and ("comment", "a comment") in terminal.lines
        await terminal.stop()


async def test_account_and_symbols(sample: Path, tmp_path: Path, broker: Broker) -> None:
    assert await tried(sample, tmp_path, broker, "account") == [
        f"login={LOGIN} Sandbox-MT5 USD Sandbox Markets", "equity=10000.00", "hedging=yes", "allowed=1111",
        "connected=1", "ping=12500", "build=6231", f"data={tmp_path / 'data'}", "name=Sample"]
    broker.auto_trading = False
    broker.change_account(LOGIN, mode="netting", trade_allowed=False, expert_allowed=False)
    said = await tried(sample, tmp_path, broker, "account", settings={"EA_TRADE_ALLOWED": "0"})
    assert "hedging=no" in said and "allowed=0000" in said
    listed = len(broker.listed["Sandbox-MT5"])
    assert await tried(sample, tmp_path, broker, "symbols") == [
        f"total={listed} 8", f"first={next(iter(broker.listed['Sandbox-MT5']))}", "exist=yes", "unknown=4301",
        "spec=5 0.00001 1.00 0.01 USD", "filling=fok", "calculated=100.00 1080.00"]


async def test_a_symbol_has_a_price_once_it_was_selected(sample: Path, tmp_path: Path, broker: Broker) -> None:
    broker.set_price("XAUUSD", D("2350.40"), D("2350.60"))
    slow = {"EA_SLOW_QUOTES": "1"}
    assert await tried(sample, tmp_path, broker, "selecting", settings=slow) == [
        "before=4302", "select=yes", "at once=not yet", "later=2350.40"]


async def test_trading(sample: Path, tmp_path: Path, broker: Broker) -> None:
    assert await tried(sample, tmp_path, broker, "trade,held,history", inputs={"Magic": 2**53 - 1}) == [
        "checked=good 0", "sent=taken 10009 0 order 0.10", f"position={2**53 - 1} 0 0.10 EURUSD sample",
        "selected=yes", "total=1", "nobody's=4753", "selected=yes", "deal=0 0 0.00 of 0 ",
        f"deal={2**53 - 1} 0 0.10 of 4 sample", "orders=1", "none=4755", "nothing of it=0"]
    assert opened(broker) == {2**53 - 1: 1}
    assert await tried(sample, tmp_path, broker, "pending") == [
        "sent=taken 10009 0 order 0.10", "waiting=7 1 0.10 EURUSD", "sent=taken 10009 0 order 0.00", "left=4754"]


@pytest.mark.parametrize(("fault", "said", "executed"), [
    (("refuse", 10018), "not taken 10018 4756 none 0.00", 0),
    (("refuse", 10004), "not taken 10004 4756 none 0.00", 0),
    (("timeout_after_fill", 10012), "not taken 10012 4756 none 0.00", 1),
    (("timeout_after_fill", 10031), "not taken 10031 4756 none 0.00", 1),
    (("no_answer", 0), "not taken 10012 4756 none 0.00", 1),
    (("partial_fill", 0), "taken 10010 0 order 0.05", 1),
    (("placed_then_fill", 0), "taken 10008 0 order 0.00", 1),
    (("fail", 0), "not taken 0 4756 none 0.00", 0),
])
async def test_bad_weather(sample: Path, tmp_path: Path, broker: Broker, fault: tuple[str, int], said: str,
                           executed: int) -> None:
    broker.faults.add(LOGIN, fault[0], call="order_send", seconds=0.0, retcode=fault[1])
    assert f"sent={said}" in await tried(sample, tmp_path, broker, "trade")
    assert sum(opened(broker).values()) == executed


async def test_refusals_of_the_broker_itself(sample: Path, tmp_path: Path, broker: Broker) -> None:
    assert "checked=bad 10014" in await tried(sample, tmp_path, broker, "trade", inputs={"Volume": 0.123})
    assert "sent=not taken 10019 4756 none 0.00" in await tried(sample, tmp_path, broker, "trade",
                                                                 inputs={"Volume": 99})
    broker.auto_trading = False
    assert "sent=not taken 10027 4756 none 0.00" in await tried(sample, tmp_path, broker, "trade")
    assert "sent=not taken 10027 4752 none 0.00" in await tried(sample, tmp_path, broker, "trade",
                                                                 settings={"EA_TRADE_ALLOWED": "0"})
    assert not opened(broker)


async def test_without_its_trade_server_a_terminal_shows_what_it_knew(sample: Path, tmp_path: Path,
                                                                      broker: Broker) -> None:
    async with at(sample, tmp_path, broker, "trade,held,held,trade,history", inputs={"Period": 1000}) as terminal:
        await terminal.start()
        for probe in ("trade", "held"):
            await terminal.tell("advance 1000")
            await terminal.said(f"probed={probe}")
        broker.away_until[int(LOGIN)] = now_msc() + 600_000
        broker.engine.close(broker.book.accounts[int(LOGIN)], broker.listed["Sandbox-MT5"]["EURUSD"],
                            broker.book.positions_of(int(LOGIN))[0], 4, "[sl]")
        for _ in range(3):
            await terminal.tell("advance 1000")
        await terminal.said("probed=history")
        await terminal.stop()
        assert terminal.prints().count("total=1") == 2, "the position that it saw before"
        assert "sent=not taken 10031 4756 none 0.00" in terminal.prints()
    # Started anew it has seen nothing.
    said = await tried(sample, tmp_path, broker, "held,account,history")
    assert {"total=0", "connected=0", "selected=no", "orders=0", "equity=0.00"} <= set(said)
    assert opened(broker) == {7: 1}


async def test_a_terminal_hears_of_trades_later_than_it_is_answered(sample: Path, tmp_path: Path,
                                                                   broker: Broker) -> None:
    given = {"settings": {"EA_LAG_MS": "500000", "EA_LAX_SENDING": "1"}, "inputs": {"Period": 1000}}
    async with at(sample, tmp_path, broker, "held,trade,held,held", **given) as terminal:
        await terminal.start()
        for probe, number in (("held", 1), ("trade", 1), ("held", 2)):
            await terminal.tell("advance 1000")
            await terminal.until(partial(printed, line=f"probed={probe}", times=number))
        assert "sent=taken 10009 0 order 0.10" in terminal.prints()
        await terminal.tell("advance 600000")
        await terminal.until(partial(printed, line="probed=held", times=3))
        await terminal.stop()
        assert [line for line in terminal.prints() if line.startswith("total")] == ["total=0", "total=0", "total=1"]


async def test_an_answer_that_is_no_success_may_be_called_one(sample: Path, tmp_path: Path, broker: Broker) -> None:
    broker.faults.add(LOGIN, "refuse", call="order_send", retcode=10018)
    said = await tried(sample, tmp_path, broker, "trade", settings={"EA_LAX_SENDING": "1"})
    assert "sent=taken 10018 0 none 0.00" in said


# -- requests ------------------------------------------------------------------------------------------------


async def echo(request: web.Request) -> web.StreamResponse:
    body = await request.text()
    told = f"{request.method} {request.path_qs} {request.headers['X-Key']} {request.content_type} {body} ä"
    if request.path == "/chunks":
        response = web.StreamResponse(headers={"X-Signature": "v1=00"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        for place in range(0, len(told), 7):
            await response.write(told[place:place + 7].encode())
        await response.write_eof()
        return response
    if request.path == "/slow":
        await asyncio.sleep(30)
    if request.path == "/cut":
        assert request.transport is not None
        request.transport.abort()
    return web.Response(status=204 if request.path == "/empty" else 409, text=told, headers={"X-Signature": "v1=00"})


@pytest.fixture
async def address() -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", echo)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


TOLD = 'POST {} 1 application/json {{"a": "b"}} ä'


@pytest.mark.parametrize(("path", "status"), [("/echo?a=b&c=%20", 409), ("/chunks", 200)])
async def test_requests(sample: Path, tmp_path: Path, broker: Broker, address: str, path: str, status: int) -> None:
    given = {"inputs": {"Url": f"https://desk.example{path}"}, "address": address}
    said = await tried(sample, tmp_path, broker, "request", **given)
    body = TOLD.format(path)
    assert said[:4] == [f"status={status}", "error=0", f"body={body}", f"size={len(body.encode())}"]
    assert "X-Signature: v1=00\r\n" in said[4] and "HTTP/1.1" not in said[4]
    lower = await tried(sample, tmp_path, broker, "request", **given, settings={"EA_LOWER_HEADERS": "1"})
    assert "x-signature: v1=00\r\n" in lower[4]


async def test_an_answer_without_a_body(sample: Path, tmp_path: Path, broker: Broker, address: str) -> None:
    said = await tried(sample, tmp_path, broker, "request", inputs={"Url": "https://desk.example/empty"},
                       address=address)
    assert said[:4] == ["status=204", "error=0", "body=", "size=0"]


@pytest.mark.parametrize(("url", "allowed", "reached", "error"), [
    ("https://desk.example/", "https://other.example", True, 4014),
    ("https://desk.example.evil/", "https://desk.example", True, 4014),
    ("https://desk.example/", "", True, 4014),
    ("desk.example/", "desk.example", True, 5200),
    ("ftp://desk.example/", "ftp://desk.example", True, 5200),
    ("https://desk.example/a b", "https://desk.example", True, 5200),
    ("https://desk.example/", "https://desk.example", False, 5201),
    ("https://desk.example/slow", "https://desk.example", True, 5202),
    ("https://desk.example/cut", "https://other.example,https://desk.example", True, 5203),
])
async def test_requests_that_come_to_nothing(sample: Path, tmp_path: Path, broker: Broker, address: str, url: str,
                                             allowed: str, reached: bool, error: int) -> None:
    inputs = {"Url": url, "Patience": 300 if error == 5202 else 30_000}
    said = await tried(sample, tmp_path, broker, "request", inputs=inputs, allowed_urls=allowed,
                       address=address if reached else "127.0.0.1:1")
    assert said == ["status=-1", f"error={error}", "body=", "size=0", "headers="]


# -- ends ----------------------------------------------------------------------------------------------------


async def test_a_program_that_errs_is_taken_off_its_chart(sample: Path, tmp_path: Path, broker: Broker) -> None:
    async with at(sample, tmp_path, broker, "fall") as terminal:
        await terminal.start()
        assert await terminal.ended() == CRITICAL
        assert terminal.lines[-1] == ("critical", "array out of range")


async def test_what_the_sanitizers_find_is_a_failure(sample: Path, tmp_path: Path, broker: Broker) -> None:
    with pytest.raises(AssertionError, match="signed integer overflow"):
        await tried(sample, tmp_path, broker, "overflow")


async def test_it_goes_when_nobody_is_there_any_more(sample: Path, tmp_path: Path, broker: Broker) -> None:
    async with at(sample, tmp_path, broker, "inputs") as terminal:
        await terminal.start()
        await terminal.said("probed=inputs")
        terminal.leave()
        assert await terminal.ended() == 0
        assert terminal.prints()[-1] == "reason=9"


async def test_a_program_may_go_by_itself_or_not_begin(sample: Path, tmp_path: Path, broker: Broker) -> None:
    async with at(sample, tmp_path, broker, "remove") as terminal:
        await terminal.start()
        assert await terminal.ended() == 0
        assert terminal.prints()[-1] == "reason=0"
    async with at(sample, tmp_path, broker, "nothing") as terminal:
        await terminal.start()
        assert await terminal.ended() == 3
        assert terminal.lines[-2:] == [("print", "reason=8"), ("deinit", "8")]


async def test_it_can_be_killed_at_every_point(sample: Path, tmp_path: Path, broker: Broker, address: str) -> None:
    """Each of them is another state of the world."""
    probes = "files,variables,request,trade"
    async with at(sample, tmp_path / "counted", broker, probes, address=address) as terminal:
        await terminal.start(ticks=4, counting=True)
        await terminal.ended()
        points = terminal.points()
    assert points == [
        *["making or emptying a file", "write", "half a write"], *["write", "half a write"],
        *["making or emptying a file", "write", "half a write"], "taking the old file away", "moving a file",
        *["making or emptying a file", "write", "half a write"], "deleting a file", "flushing variables",
        "request", "request sent", "request answered", "order", "order sent", "order answered"]
    seen = []
    for number, name in enumerate(points, 1):
        folder, before = tmp_path / str(number), opened(broker).total()
        async with at(sample, folder, broker, probes, address=address) as terminal:
            await terminal.start(kill_at=number)
            assert await terminal.ended() == KILLED
            files = {path.name: path.read_bytes() for path in folder.rglob("*.bin")}
            await asyncio.sleep(0)
            while name == "order sent" and opened(broker).total() == before:
                await asyncio.sleep(0.01)
            seen.append((name, files, opened(broker).total() - before))
    assert seen[1] == ("write", {"one.bin": b""}, 0)
    assert seen[2] == ("half a write", {"one.bin": b"fi"}, 0)
    assert seen[4] == ("half a write", {"one.bin": b"First"}, 0)
    assert seen[8][1] == {"one.bin": b"FIRst", "two.bin": b"second"}
    assert seen[9] == ("moving a file", {"two.bin": b"second"}, 0)
    assert [executed for name, _, executed in seen if name.startswith("order")] == [0, 1, 1]
