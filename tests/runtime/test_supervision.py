"""The supervisor: what dies comes back, more slowly each time; what is under way at the stop is finished."""

import asyncio
import itertools
import time

import pytest

from runtime import supervision
from runtime.supervision import Supervisor, Wake, finish

DEADLINE = 30.0


async def test_a_loop_that_fails_comes_back_and_says_so() -> None:
    restarts: list[str] = []
    supervisor, done = Supervisor(on_restart=restarts.append), asyncio.Event()
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise RuntimeError("broken")
        done.set()
        await supervisor.stopping.wait()

    supervisor.start("worker", work)
    await asyncio.wait_for(done.wait(), DEADLINE)
    assert runs == 3 and restarts == ["worker", "worker"] and supervisor.healthy() == {"worker": True}
    await supervisor.stop(1.0)


async def test_a_loop_that_just_ends_comes_back() -> None:
    supervisor, twice = Supervisor(), asyncio.Event()
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 2:
            twice.set()

    supervisor.start("worker", work)
    await asyncio.wait_for(twice.wait(), DEADLINE)
    await supervisor.stop(1.0)


async def test_the_pause_doubles_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(supervision, "LONGEST_PAUSE", 0.08)
    supervisor, enough = Supervisor(), asyncio.Event()
    at: list[float] = []

    async def work() -> None:
        at.append(time.monotonic())
        if len(at) == 14:
            enough.set()
            await supervisor.stopping.wait()
        raise RuntimeError("broken")

    supervisor.start("worker", work)
    await asyncio.wait_for(enough.wait(), DEADLINE)  # without a limit the last pause alone would be longer
    await supervisor.stop(1.0)
    pauses = [later - earlier for earlier, later in itertools.pairwise(at)]
    # Each pause is spread over half to one and a half of its length.
    for pause, least in zip(pauses, (0.01, 0.02, *[0.04] * 11), strict=True):
        assert pause >= least * 0.9


async def test_a_failing_loop_is_not_healthy_while_it_pauses() -> None:
    failed = asyncio.Event()
    supervisor = Supervisor(on_restart=lambda _: failed.set())

    async def work() -> None:
        raise RuntimeError("broken")

    supervisor.start("worker", work)
    await asyncio.wait_for(failed.wait(), DEADLINE)
    assert supervisor.healthy() == {"worker": False}
    await supervisor.stop(1.0)


async def test_a_cancellation_inside_the_work_does_not_end_its_loop() -> None:
    """A library that cancels what we wait for raises CancelledError into us; the loop must survive that."""
    supervisor, back = Supervisor(), asyncio.Event()
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 2:
            back.set()
            await supervisor.stopping.wait()
            return
        inner = asyncio.create_task(asyncio.sleep(60))
        inner.cancel()
        await inner

    supervisor.start("worker", work)
    await asyncio.wait_for(back.wait(), DEADLINE)
    assert supervisor.healthy() == {"worker": True}
    await supervisor.stop(1.0)


async def test_a_loop_that_is_cancelled_ends() -> None:
    """As when the event loop itself is torn down."""
    supervisor, began = Supervisor(), asyncio.Event()

    async def work() -> None:
        began.set()
        await asyncio.Event().wait()

    supervisor.start("worker", work)
    await asyncio.wait_for(began.wait(), DEADLINE)
    (task,) = (task for task in asyncio.all_tasks() if task.get_name() == "worker")
    task.cancel()
    _, still_there = await asyncio.wait([task], timeout=1.0)
    assert not still_there and supervisor.healthy() == {"worker": False}


async def test_the_stop_waits_for_what_is_under_way() -> None:
    supervisor, finished = Supervisor(), []

    async def loop() -> None:
        await supervisor.stopping.wait()
        await asyncio.sleep(0.05)
        finished.append("loop")

    async def piece() -> None:
        await asyncio.sleep(0.05)
        finished.append("piece")

    supervisor.start("loop", loop)
    supervisor.spawn("piece", piece())
    await asyncio.sleep(0)
    await supervisor.stop(DEADLINE)
    assert sorted(finished) == ["loop", "piece"]


async def test_work_handed_over_by_a_loop_that_ends_is_finished_too() -> None:
    supervisor, finished = Supervisor(), []

    async def last_words() -> None:
        await asyncio.sleep(0.02)
        finished.append("said")

    async def loop() -> None:
        await supervisor.stopping.wait()
        supervisor.spawn("last words", last_words())

    supervisor.start("loop", loop)
    await asyncio.sleep(0)
    await supervisor.stop(DEADLINE)
    assert finished == ["said"]


async def test_the_stop_cancels_what_takes_too_long() -> None:
    supervisor, cancelled = Supervisor(), []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append("endless")
            raise

    supervisor.start("loop", endless)
    supervisor.spawn("piece", endless())
    await asyncio.sleep(0)
    began = time.monotonic()
    await supervisor.stop(0.1)
    assert cancelled == ["endless", "endless"] and time.monotonic() - began < 20.0
    assert supervisor.healthy() == {"loop": False}


async def test_a_pausing_loop_does_not_delay_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "FIRST_PAUSE", 60.0)
    failed = asyncio.Event()
    supervisor = Supervisor(on_restart=lambda _: failed.set())

    async def work() -> None:
        raise RuntimeError("broken")

    supervisor.start("worker", work)
    await asyncio.wait_for(failed.wait(), DEADLINE)
    began = time.monotonic()
    await supervisor.stop(DEADLINE)
    assert time.monotonic() - began < 20.0


async def test_one_shots_are_bounded_and_their_failures_stay_theirs() -> None:
    supervisor, release = Supervisor(max_one_shots=2), asyncio.Event()

    async def wait() -> None:
        await release.wait()
        raise RuntimeError("broken")

    supervisor.spawn("one", wait())
    supervisor.spawn("two", wait())
    with pytest.raises(RuntimeError, match="too much"):
        supervisor.spawn("three", wait())
    release.set()
    await supervisor.stop(DEADLINE)
    supervisor.spawn("after", asyncio.sleep(0))


async def test_stopping_nothing_is_nothing() -> None:
    await Supervisor().stop(1.0)


async def test_wakes_coalesce_and_are_not_lost() -> None:
    wake = Wake()
    wake.set()
    wake.set()
    assert await wake.wait(DEADLINE) is True
    assert await wake.wait(0.01) is False
    waiting = asyncio.create_task(wake.wait(DEADLINE))
    await asyncio.sleep(0)
    wake.set()
    assert await waiting is True


async def test_work_handed_out_by_a_loop_ends_with_it_when_time_is_over() -> None:
    """What it uses is closed after the stop, so nothing may go on behind its back."""
    ended: list[str] = []

    async def piece(name: str, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
            ended.append(f"{name} finished")
        except asyncio.CancelledError:
            ended.append(f"{name} cancelled")
            raise

    supervisor = Supervisor()

    async def work() -> None:
        pieces = [asyncio.create_task(piece("short", 0.1)), asyncio.create_task(piece("endless", 3600.0))]
        try:
            await supervisor.stopping.wait()
        finally:
            await finish(pieces)

    supervisor.start("worker", work)
    await asyncio.sleep(0)
    await supervisor.stop(0.5)
    assert ended == ["short finished", "endless cancelled"]


async def test_finishing_nothing_is_nothing() -> None:
    await finish([])
