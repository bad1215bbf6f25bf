"""The line to Redis and what is asked in one turn: order, breaks, patience, and a process that stood still."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from runtime import valkey
from runtime.coalescing import Coalesced
from runtime.line import Line, Script
from runtime.valkey import EmbeddedValkey

ECHO = Script("return {KEYS[1], ARGV[1]}")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    running = EmbeddedValkey()
    running.url = await running.start(tmp_path)  # type: ignore[attr-defined]
    yield running
    await running.stop()


@pytest.fixture
async def line(server: EmbeddedValkey) -> AsyncIterator[Line]:
    client = valkey.connect(server.url)  # type: ignore[attr-defined]
    yield client.line
    await client.aclose()


async def test_many_questions_at_once_get_each_its_own_answer(line: Line) -> None:
    found = await asyncio.gather(*(line.ask(5, "ECHO", str(number)) for number in range(500)))
    assert found == [str(number).encode() for number in range(500)]


async def test_an_error_is_of_its_own_question_alone(line: Line) -> None:
    found = await asyncio.gather(line.ask(5, "ECHO", "a"), line.ask(5, "NONSENSE"), line.ask(5, "ECHO", "b"),
                                 return_exceptions=True)
    assert found[0] == b"a" and isinstance(found[1], ResponseError) and found[2] == b"b"


async def test_a_script_the_server_does_not_know_is_told_in_full(line: Line) -> None:
    for _ in range(2):
        assert await line.run(5, ECHO, ["k"], [b"\x00v"]) == [b"k", b"\x00v"]
        await line.ask(5, "SCRIPT", "FLUSH")
    with pytest.raises(ResponseError):
        await line.run(5, Script("return nonsense("), [], [])


async def test_a_server_that_ends_is_told_to_all_and_found_again(line: Line, server: EmbeddedValkey) -> None:
    assert await line.ask(5, "ECHO", "a") == b"a"
    waiting = [asyncio.create_task(line.ask(5, "BLPOP", "nothing", 0)) for _ in range(3)]
    await asyncio.sleep(0.05)
    server._child.kill()  # type: ignore[union-attr]
    server._child.wait()  # type: ignore[union-attr]
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(error, OSError) for error in found)
    with pytest.raises(ConnectionError):
        await line.ask(5, "ECHO", "a")
    server.restart()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await line.ask(5, "ECHO", "b") == b"b"
                break
            except OSError:
                await asyncio.sleep(0.02)


async def test_an_answer_that_does_not_come_is_given_up_and_leaves_nothing_behind(line: Line) -> None:
    with pytest.raises(TimeoutError):
        await line.ask(0.1, "BLPOP", "nothing", 0)
    assert await line.ask(5, "ECHO", "a") == b"a", "not the answer to what was given up"


async def test_who_goes_away_takes_no_answer_from_the_others(line: Line) -> None:
    tasks = [asyncio.create_task(line.ask(5, "ECHO", str(number))) for number in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [f for n, f in enumerate(found) if n != 3] == [str(n).encode() for n in range(10) if n != 3]


async def test_a_process_that_stood_still_reads_before_it_gives_up(line: Line) -> None:
    await line.ask(5, "PING")
    asked = asyncio.create_task(line.ask(0.05, "ECHO", "a"))
    await asyncio.sleep(0)
    time.sleep(0.3)
    assert await asked == b"a"


@pytest.mark.parametrize("secret", ["", "s3cret"])
async def test_a_server_with_a_password_and_another_database(server: EmbeddedValkey, secret: str) -> None:
    plain = valkey.connect(server.url)  # type: ignore[attr-defined]
    await plain.execute_command("CONFIG", "SET", "requirepass", secret)
    address = server.url.replace("unix://", f"unix://:{secret}@" if secret else "unix://")  # type: ignore[attr-defined]
    client = valkey.connect(address.replace("db=0", "db=3"))
    await client.line.ask(5, "SET", "k", "v")
    assert await client.get("k") == b"v"
    await client.aclose()
    await plain.aclose()


async def test_what_is_asked_meanwhile_goes_together_in_the_next_call() -> None:
    calls: list[list[int]] = []

    async def double(asked: Sequence[int]) -> list[int]:
        calls.append(list(asked))
        await asyncio.sleep(0.02)
        return [2 * number for number in asked]

    doubled = Coalesced(double)
    first = asyncio.ensure_future(asyncio.gather(*(doubled.ask(number) for number in range(300))))
    await asyncio.sleep(0.01)
    later = [doubled.ask(number) for number in (7, 8, 9)]
    later[0].cancel()
    assert await first == [2 * n for n in range(300)] and await asyncio.gather(*later[1:]) == [16, 18]
    assert [len(asked) for asked in calls] == [256, 47]
    assert await doubled.ask(1) == 2


@pytest.mark.parametrize("answers", [[1], [1, 2, 3], ValueError("no")], ids=str)
async def test_what_goes_wrong_goes_wrong_for_everyone_of_the_turn(answers: list[int] | ValueError) -> None:
    async def wrong(_asked: Sequence[int]) -> list[int]:
        if isinstance(answers, ValueError):
            raise answers
        return answers

    together = Coalesced(wrong)
    for _ in range(2):
        found = await asyncio.gather(together.ask(1), together.ask(2), return_exceptions=True)
        assert all(isinstance(error, RuntimeError | ValueError) for error in found)
