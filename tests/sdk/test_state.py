"""What a device remembers, over restarts, crashes and damage."""

import asyncio
import os
import signal
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from sdk import state
from sdk.state import Identity, Phase, Remembered, Start, State, StateBroken
from tests.running import ROOT

ME = Identity("5001", "Sandbox-MT5")
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def order(number: int = 1, seq: int | None = None) -> Remembered:
    return Remembered(1 << 48 | number, str(number), seq if seq is not None else number, Phase.BEGAN, "XAUUSD", True,
                      NOW)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "device" / "device.db"


@pytest.fixture
async def memory(path: Path) -> AsyncIterator[State]:
    made = State(path)
    await made.open(ME)
    yield made
    await made.close()


async def again(path: Path, memory: State) -> State:
    """The same file after a restart."""
    await memory.close()
    made = State(path)
    await made.open(ME)
    return made


async def test_an_order_goes_from_begun_to_said_and_survives_a_restart(path: Path, memory: State) -> None:
    await memory.begin(order())
    found = await memory.order(order().magic)
    assert found == order() and await memory.owed() == []
    await memory.hand_over(order().magic, NOW + timedelta(seconds=1))
    memory = await again(path, memory)
    [sent] = await memory.orders_in(Phase.SENT)
    assert (sent.phase, sent.sent_at) == (Phase.SENT, NOW + timedelta(seconds=1))
    await memory.settle(sent, Phase.FILLED, b'{"status":"filled"}', 77)
    memory = await again(path, memory)
    [filled] = await memory.orders_in(Phase.PLACED, Phase.FILLED)
    [owed] = await memory.owed()
    assert (filled.ticket, owed.body, owed.magic) == (77, b'{"status":"filled"}', sent.magic)
    await memory.paid(owed)
    memory = await again(path, memory)
    assert await memory.owed() == []
    await memory.say_again(sent.magic)
    await memory.say_again(sent.magic)
    assert [one.body for one in await memory.owed()] == [b'{"status":"filled"}'], "owed once, however often asked"
    await memory.close()


async def test_what_may_have_been_sent_is_not_begun_anew(memory: State) -> None:
    await memory.begin(order())
    await memory.hand_over(order().magic, NOW)
    await memory.begin(order())
    await memory.forget(order().magic)
    found = await memory.order(order().magic)
    assert found is not None and found.phase == Phase.SENT


async def test_what_was_only_begun_can_be_forgotten(memory: State) -> None:
    await memory.begin(order())
    await memory.forget(order().magic)
    assert await memory.order(order().magic) is None


async def test_words_are_owed_in_the_order_they_were_said(memory: State) -> None:
    for number in range(5):
        await memory.settle(order(number), Phase.FILLED, f"f{number}".encode())
        await memory.settle(order(number), Phase.OVER, f"c{number}".encode())
    assert [owed.body.decode() for owed in await memory.owed()] == [
        word for number in range(5) for word in (f"f{number}", f"c{number}")]


async def test_the_ring_forgets_the_oldest_and_remembers_how_far(memory: State, monkeypatch: pytest.MonkeyPatch,
                                                                 ) -> None:
    monkeypatch.setattr(state, "RING", 10)
    await memory.settle(order(1), Phase.FILLED, b"open")
    await memory.begin(order(2))
    await memory.hand_over(order(2).magic, NOW)
    for number in range(3, 30):
        await memory.settle(order(number), Phase.OVER, b"x")
        for owed in await memory.owed():
            await memory.paid(owed)
    assert await memory.order(order(1).magic) is not None, "what is open is not forgotten for what is over"
    assert await memory.order(order(2).magic) is not None and await memory.order(order(29).magic) is not None
    assert await memory.highest_forgotten() == 21 and await memory.order(order(21).magic) is None
    assert await memory.order(order(22).magic) is not None


async def test_nothing_that_is_owed_is_forgotten(memory: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "RING", 3)
    for number in range(1, 9):
        await memory.settle(order(number), Phase.OVER, b"x")
    assert len(await memory.owed()) == 8 and await memory.order(order(1).magic) is not None


async def test_orders_of_a_day_are_counted_once_they_are_handed_over(memory: State) -> None:
    for number, hours in ((1, -13), (2, 1), (3, 2)):
        await memory.begin(order(number))
        await memory.hand_over(order(number).magic, NOW + timedelta(hours=hours))
    await memory.begin(order(4))
    midnight = NOW.replace(hour=0)
    assert await memory.traded_since(midnight) == 2


async def test_a_day_has_one_beginning(path: Path, memory: State) -> None:
    assert await memory.day_start("2026-11-26", Decimal("1000.50"), Decimal("900")) == Start(
        Decimal("1000.50"), Decimal("900"))
    memory = await again(path, memory)
    assert await memory.day_start("2026-11-26", Decimal(5), None) == Start(Decimal("1000.50"), Decimal("900"))
    assert await memory.day_start("2026-11-27", Decimal(5), None) == Start(Decimal(5), None)
    assert await memory.day_start("2026-11-26", Decimal(1), None) == Start(Decimal(5), None), "a clock was put back"
    await memory.close()


async def test_a_file_of_the_version_before_is_taken_over(path: Path, memory: State) -> None:
    await memory.begin(replace(order(), volume=Decimal("0.10")))
    await memory.hand_over(order().magic, NOW)
    await memory.close()
    with closing(sqlite3.connect(path)) as file, file:
        file.executescript("ALTER TABLE orders DROP COLUMN volume; PRAGMA user_version = 1")
    memory = await again(path, memory)
    await memory.begin(replace(order(2), volume=Decimal("0.20")))
    await memory.hand_over(order(2).magic, NOW)
    memory = await again(path, memory)
    assert [one.volume for one in await memory.executed_since(NOW)] == [Decimal(0), Decimal("0.20")]
    await memory.close()


async def test_what_may_be_open_is_what_was_handed_over_and_not_refused(path: Path, memory: State) -> None:
    phases = (Phase.SENT, Phase.PLACED, Phase.FILLED, Phase.OVER)
    for hours in (0, 1):
        for place, phase in enumerate(phases):
            one = order(10 * hours + place)
            await memory.begin(one)
            await memory.hand_over(one.magic, NOW - timedelta(hours=hours))
            if phase != Phase.SENT:
                await memory.settle(one, phase, b"{}")
    found = await memory.executed_since(NOW - timedelta(seconds=30))
    assert sorted(int(one.order_id) for one in found) == [0, 1, 2, 10]
    await memory.close()


async def test_counters_never_come_twice(path: Path, memory: State) -> None:
    first = await memory.reserve_counters(256, 1_000)
    memory = await again(path, memory)
    second = await memory.reserve_counters(256, 0)
    await memory.raise_counters(10_000)
    await memory.raise_counters(5)
    assert (first, second, await memory.reserve_counters(1, 0)) == (1_000, 1_256, 10_000)
    await memory.close()


async def test_credentials_are_kept_and_the_file_is_its_owners_alone(path: Path, memory: State) -> None:
    assert await memory.credentials() is None
    await memory.keep_credentials("dv_1", "s" * 43)
    memory = await again(path, memory)
    assert await memory.credentials() == ("dv_1", "s" * 43)
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    await memory.close()


async def test_another_accounts_memory_is_not_taken(path: Path, memory: State) -> None:
    await memory.close()
    stranger = State(path)
    with pytest.raises(StateBroken, match="account 5001 at Sandbox-MT5"):
        await stranger.open(Identity("5002", "Sandbox-MT5"))
    await stranger.close()
    other = State(path)
    await other.open(Identity("5001", "SANDBOX-MT5"))
    await other.close()


@pytest.mark.parametrize("damage", ["garbage", "middle", "version", "tables"])
async def test_a_damaged_file_is_not_believed(path: Path, memory: State, damage: str) -> None:
    for number in range(200):
        await memory.settle(order(number), Phase.OVER, b"x" * 100)
    await memory.close()
    if damage == "garbage":
        path.write_bytes(b"not a database at all" * 100)
    elif damage == "middle":
        whole = bytearray(path.read_bytes())
        whole[5_000:9_000] = os.urandom(4_000)
        path.write_bytes(whole)
    else:
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("PRAGMA user_version = 9" if damage == "version" else "DROP TABLE facts")
    broken = State(path)
    with pytest.raises(StateBroken) as caught:
        await broken.open(ME)
    await broken.close()
    assert str(path) in str(caught.value)


async def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broken = State(tmp_path / "file" / "device.db")
    with pytest.raises(OSError):
        await broken.open(ME)
    await broken.close()


async def test_what_is_being_written_is_written_although_its_caller_goes(path: Path, memory: State) -> None:
    tasks = [asyncio.create_task(memory.settle(order(number), Phase.OVER, b"x")) for number in range(20)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(await memory.owed()) == 20


WRITER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from sdk.state import Identity, Phase, Remembered, State

async def main():
    memory = State(Path(sys.argv[1]))
    await memory.open(Identity("5001", "Sandbox-MT5"))
    now = datetime(2026, 11, 26, 12, tzinfo=UTC)
    for number in range(1, 100_000):
        order = Remembered(1 << 48 | number, str(number), number, Phase.BEGAN, "XAUUSD", True, now)
        await memory.begin(order)
        await memory.hand_over(order.magic, now)
        print("sent", number, flush=True)
        await memory.settle(order, Phase.OVER, b"said")
        print("said", number, flush=True)

asyncio.run(main())
"""


async def test_a_killed_process_loses_nothing_that_was_on_the_disk(path: Path) -> None:
    for wait in (3, 60):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(path), cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        assert child.stdout is not None
        last = [(await child.stdout.readline()).decode().split() for _ in range(wait)]
        child.send_signal(signal.SIGKILL)
        last += [line.split() for line in (await child.stdout.read()).decode().splitlines()]
        await child.wait()
        memory = State(path)
        await memory.open(ME)
        for word, number in last:
            found = await memory.order(order(int(number)).magic)
            assert found is not None and found.phase == Phase.OVER if word == "said" else found is not None
        said = {int(number) for word, number in last if word == "said"}
        assert said <= {owed.magic & 0xFFFF for owed in await memory.owed()}
        await memory.close()
        path.unlink()
