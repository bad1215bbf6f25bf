"""The real MetaTrader5 wheel in Windows' Python, under Wine: it is as recorded, and the worker runs with it."""

import asyncio
import json
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scripts.real_wheel import place, record
from terminal.mt5 import frames
from terminal.mt5.conversation import Broken, Conversation
from terminal.mt5.directory import Directories
from terminal.mt5.local import Ends, LocalWorker
from tests.terminal_mt5 import wine

pytestmark = wine.NEEDED

PASSWORD = "kept-to-itself-7f3a"
NOWHERE = r"Z:\nowhere\terminal64.exe"
# A program that starts and is no terminal.
MUTE = r"C:\windows\system32\hostname.exe"
PATIENCE = 60.0


class Windows:
    """The worker as it runs on a Windows host, but for the host."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin and process.stdout and process.stderr
        self.process, self._reader, self._writer = process, process.stdout, process.stdin
        self._number = 0

    async def hears(self) -> dict[str, Any]:
        return await asyncio.wait_for(frames.read(self._reader), PATIENCE)

    async def ask(self, op: str, **args: Any) -> dict[str, Any]:
        self._number += 1
        self._writer.write(frames.encode({"id": self._number, "op": op, "args": args}))
        answer = await self.hears()
        assert answer.pop("id") == self._number
        return answer

    async def refusal(self, op: str, **args: Any) -> str:
        """The code of the error it answers with."""
        return str((await self.ask(op, **args))["error"]["code"])

    async def after(self, raw: bytes) -> int:
        """Its exit code, when these bytes and the end of the stream have reached it."""
        self._writer.write(raw)
        self._writer.write_eof()
        return await asyncio.wait_for(self.process.wait(), PATIENCE)


async def started() -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*place.command("-m", "terminal.mt5.worker"), env=place.environment(),
                                                stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)


@pytest.fixture
async def worker() -> AsyncIterator[Windows]:
    process = await started()
    try:
        yield Windows(process)
    finally:
        if process.returncode is None:
            process.kill()
        _, errors = await process.communicate()
        assert PASSWORD.encode() not in errors


def signing_in(**changed: Any) -> dict[str, Any]:
    return {"login": "5012345", "server": "Broker-Live", "password": PASSWORD, "path": NOWHERE,
            "timeout_seconds": 5} | changed


def test_the_real_wheel_is_as_it_was_recorded() -> None:
    recorded = json.loads(record.VECTORS.read_text("utf-8"))
    seen = record.observed()
    for name in recorded:
        assert seen[name] == recorded[name], name
    assert record.written(seen) == record.VECTORS.read_text("utf-8")
    assert seen["releases_the_gil"] is False


async def test_the_worker_speaks_of_the_real_wheel_and_refuses_by_name(worker: Windows) -> None:
    hello = (await worker.hears())["hello"]
    assert (hello["protocol"], hello["library"]) == (frames.PROTOCOL, json.loads(record.VECTORS.read_text())["version"])
    assert await worker.ask("ping") == {"ok": {"connected": False}}
    assert await worker.refusal("account") == "invalid_request"
    assert await worker.refusal("no such thing") == "invalid_request"
    error = (await worker.ask("open", **signing_in()))["error"]
    assert (error["code"], error["permanent"], error["ambiguous"]) == ("terminal_missing", True, False)
    assert PASSWORD not in json.dumps(error)
    # What the wheel's own checks refuse is nobody's unknown broker, and nothing it raises ends the worker.
    assert await worker.refusal("open", **signing_in(login="1" * 30)) == "invalid_request"
    assert await worker.refusal("open", **signing_in(login="0")) in ("invalid_request", "terminal_missing")
    assert await worker.refusal("open", **signing_in(server="s" * 300)) == "invalid_request"
    assert await worker.refusal("open", **signing_in(password="p" * 300)) == "invalid_request"
    assert await worker.ask("shutdown") == {"ok": {}}
    assert await asyncio.wait_for(worker.process.wait(), PATIENCE) == 0


@pytest.mark.parametrize(("raw", "code"), [
    (b"", 0), (b"GET / HTTP/1.1\r\n\r\n", 2), (struct.pack(">I", 4) + b"]]]]", 2), (struct.pack(">I", 12) + b"{", 0),
], ids=["silence", "no frame", "no JSON", "half a frame"])
async def test_the_worker_ends_with_its_conversation(worker: Windows, raw: bytes, code: int) -> None:
    await worker.hears()
    assert await worker.after(raw) == code


async def test_a_terminal_that_never_answers_is_ended_at_our_deadline_not_at_the_wheels(tmp_path: Path) -> None:
    """The wheel waits a hundred seconds for a terminal's pipe, whatever it is told, and holds its process meanwhile."""
    process = await started()
    conversation = Conversation(LocalWorker(process, tmp_path, Ends(Directories(tmp_path, tmp_path), None)))
    try:
        await asyncio.wait_for(conversation.hello(), PATIENCE)
        before = time.monotonic()
        with pytest.raises(Broken) as broken:
            await conversation.ask("open", signing_in(path=MUTE, timeout_seconds=1), 4.0)
        assert (broken.value.code, broken.value.asked) == ("terminal_hangs", True)
        assert 3.9 < time.monotonic() - before < 6.0
    finally:
        await conversation.close()
    assert process.returncode is not None
