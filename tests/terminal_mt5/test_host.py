"""A terminal host against whoever connects: strangers, the silent, the talkative; and its command."""

import asyncio
import json
import signal
import ssl
import struct
import sys
from typing import Any

import pytest

import app
import terminals
from terminal.mt5 import frames, host, tls
from tests.terminal_mt5.desk_side import DeskSide, eventually, workers_of
from tests.terminal_mt5.host_side import HostSide, files


async def connected(beyond: HostSide, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("localhost", port, ssl=tls.for_desk(files(beyond.desk_papers)))


ATTACH = {"attach": {"server": "Broker-Live", "login": "11"}, "fresh": False}
OPEN: dict[str, Any] = {"login": "11", "server": "Broker-Live", "password": "x", "path": "/etc/passwd",
                        "timeout_seconds": 5}


@pytest.mark.parametrize("first", [
    b"GET / HTTP/1.1\r\n\r\n", struct.pack(">I", 1), struct.pack(">I", 2) + b"[]", struct.pack(">I", 4) + b"null",
    frames.encode({}), frames.encode({"attach": {}}), frames.encode({"attach": {"server": 1, "login": "1"}}),
    frames.encode({"attach": {"server": "a", "login": "b"}, "fresh": 1}), frames.encode({"id": 1, "op": "open"}),
    struct.pack(">I", frames.MOST_BYTES + 1)])
async def test_a_first_word_that_is_none_ends_the_line(side: DeskSide, beyond: HostSide, first: bytes) -> None:
    async with beyond.host() as port:
        reader, writer = await connected(beyond, port)
        writer.write(first)
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        writer.close()
        assert workers_of(side) == []


@pytest.mark.parametrize("request_", [
    {"id": 1, "op": "open", "args": {**OPEN, "login": "22"}}, {"id": 1, "op": "open", "args": {**OPEN, "server": "b"}},
    {"id": 1, "op": "open", "args": None}, {"id": 1, "op": "open"}])
async def test_a_line_is_for_the_account_it_was_opened_for(side: DeskSide, beyond: HostSide,
                                                           request_: dict[str, Any]) -> None:
    async with beyond.host() as port:
        reader, writer = await connected(beyond, port)
        writer.write(frames.encode(ATTACH))
        assert "hello" in await frames.read(reader)
        writer.write(frames.encode(request_))
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        await eventually(lambda: not workers_of(side))
        assert side.done("11") == side.done("22") == []
        writer.close()


async def test_a_desk_that_floods_a_worker_that_hangs_is_cut_off(side: DeskSide, beyond: HostSide) -> None:
    side.tell("11", ping="hang")
    async with beyond.host() as port:
        reader, writer = await connected(beyond, port)
        writer.write(frames.encode(ATTACH) + frames.encode({"id": 1, "op": "open", "args": OPEN}))
        writer.write(frames.encode({"id": 2, "op": "ping", "args": {}}))
        await side.until("11", "ping")
        with pytest.raises((ConnectionError, TimeoutError)):
            async with asyncio.timeout(10):
                while True:
                    writer.write(frames.encode({"id": 3, "op": "ping", "args": {"x": "x" * 100_000}}))
                    await writer.drain()
        await eventually(lambda: not workers_of(side))
        writer.transport.abort()
        assert reader is not None


async def test_who_says_nothing_is_not_waited_for(side: DeskSide, beyond: HostSide,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "FIRST_WORD_SECONDS", 0.2)
    monkeypatch.setattr(tls, "HANDSHAKE_SECONDS", 0.2)
    monkeypatch.setattr(host, "STRANGERS", 1)
    async with beyond.host(terminals=1) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(6)]  # no handshake at all
        reader, writer = await connected(beyond, port)                                 # waits its turn behind them
        async with asyncio.timeout(10):
            assert await reader.read() == b""                                          # nor a first word
        for _, stranger in (*silent, (reader, writer)):
            stranger.close()
        reader, writer = await connected(beyond, port)
        writer.write(frames.encode(ATTACH))
        async with asyncio.timeout(10):
            assert "hello" in await frames.read(reader)
        writer.close()


async def test_many_lines_of_one_account_leave_one_worker(side: DeskSide, beyond: HostSide) -> None:
    async with beyond.host() as port:
        lines = await asyncio.gather(*(connected(beyond, port) for _ in range(8)))
        for _, writer in lines:
            writer.write(frames.encode(ATTACH))

        async def greeted(reader: asyncio.StreamReader) -> bool:
            try:
                return "hello" in await frames.read(reader)
            except (frames.Ended, ssl.SSLError):
                return False

        async with asyncio.timeout(20):
            await lines[-1][0].readexactly(4)
        await eventually(lambda: len(workers_of(side)) == 1)
        for reader, writer in lines[:-1]:
            await greeted(reader)
            writer.close()
        assert len(workers_of(side)) == 1
        lines[-1][1].close()
        await eventually(lambda: not workers_of(side))


def environment(beyond: HostSide, folder: str) -> dict[str, str]:
    overlay = beyond.folder / "host.toml"
    overlay.write_text(f"[terminal]\nfolder = {json.dumps(folder)}\n")
    papers = beyond.host_papers
    return {"DATA": str(beyond.folder / "data"), "CONFIG": str(overlay), "TERMINAL_TLS_CA": str(papers.ca),
            "TERMINAL_TLS_CERT": str(papers.certificate), "TERMINAL_TLS_KEY": str(papers.key)}


async def started(beyond: HostSide, *program: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, *program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=environment(beyond, str(beyond.side.template)))


async def test_the_command_listens_says_so_and_ends_when_told(beyond: HostSide) -> None:
    process = await started(beyond, "-m", "app", "terminal-host", "--listen", "127.0.0.1:0")
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    assert line.startswith("Terminals are offered at 127.0.0.1:")
    port = int(line.rsplit(":", 1)[1].rstrip(".\n"))
    reader, writer = await connected(beyond, port)
    writer.write(frames.encode(ATTACH))
    async with asyncio.timeout(30):
        assert "hello" in await frames.read(reader)  # the real worker; there is no MetaTrader5 package for it here
    second = await started(beyond, "-c", "import sys, config, terminals; "
                           f"sys.exit(terminals.run_host(config.load(), ('127.0.0.1', {port})))")
    _, said = await second.communicate()
    assert second.returncode == 1 and b"cannot start" in said and b"Traceback" not in said
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        rest, said = await process.communicate()
    assert process.returncode == 0 and rest == b"" and b"Traceback" not in said
    assert await reader.read() == b""
    writer.close()


def test_the_command_says_what_it_lacks(beyond: HostSide, monkeypatch: pytest.MonkeyPatch,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in environment(beyond, "").items():
        monkeypatch.setenv(name, value)
    for name in ("TERMINAL_TLS_CA", "TERMINAL_TLS_KEY"):
        monkeypatch.delenv(name)
    assert app.main(["terminal-host", "--listen", "127.0.0.1:0"]) == 78
    assert [line.split(":")[0].strip() for line in capsys.readouterr().err.splitlines()[1:]] == [
        "TERMINAL_TLS_CA", "TERMINAL_TLS_KEY", "config terminal.folder"]


@pytest.mark.parametrize("listen", ["nowhere", "127.0.0.1:99999", ":1", "1.2.3.4:x", "a:b:1", "١.٢:3", "[::1:5"])
def test_an_address_to_listen_at_has_a_port(listen: str) -> None:
    with pytest.raises(SystemExit):
        app.main(["terminal-host", "--listen", listen])


def test_addresses_of_both_kinds() -> None:
    assert terminals.address("[::1]:7441") == ("::1", 7441)
    assert terminals.address("0.0.0.0:7441") == ("0.0.0.0", 7441)
