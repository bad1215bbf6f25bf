"""Background tasks that are looked after: restarted when they die, drained when the process stops."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any

import structlog

log = structlog.get_logger(__name__)

Start = Callable[[str, Coroutine[Any, Any, None]], None]
"""Runs a piece of work by its name; RuntimeError when too much is under way."""

FIRST_PAUSE, LONGEST_PAUSE, HEALTHY_AFTER = 0.1, 10.0, 60.0


class Wake:
    """A coalescing wake-up: any number of ``set`` calls before a ``wait`` are one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Wake whoever waits, or the next one who does."""
        self._event.set()

    async def wait(self, timeout: float) -> bool:
        """Wait until set or ``timeout`` seconds have passed; says which."""
        try:
            await asyncio.wait_for(self._event.wait(), timeout)
        except TimeoutError:
            return False
        self._event.clear()
        return True


async def finish(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Let these end; when the wait for them is cancelled, so are they, before anything they use is closed."""
    left = list(tasks)
    try:
        if left:
            await asyncio.wait(left)
    except asyncio.CancelledError:
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        raise


class Supervisor:
    """Starts loops, restarts those that die, and stops them all within a deadline."""

    def __init__(self, *, max_one_shots: int = 256, on_restart: Callable[[str], None] | None = None) -> None:
        self.stopping = asyncio.Event()
        self._loops: dict[str, asyncio.Task[None]] = {}
        self._one_shots: set[asyncio.Task[Any]] = set()
        self._max_one_shots = max_one_shots
        self._on_restart = on_restart
        self._failing: set[str] = set()

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run ``work`` until the process stops, again and again if it ends before."""
        self._loops[name] = asyncio.create_task(self._keep_running(name, work), name=name)

    def spawn(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        """Run one piece of work to its end; it is awaited at stop. RuntimeError when too many are under way."""
        if len(self._one_shots) >= self._max_one_shots:
            work.close()
            raise RuntimeError("too much work under way")
        task = asyncio.create_task(self._once(name, work), name=name)
        self._one_shots.add(task)
        task.add_done_callback(self._one_shots.discard)

    async def sleep(self, seconds: float) -> None:
        """Sleep, but wake at once when the process is stopping."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)

    def healthy(self) -> dict[str, bool]:
        """Which loops run and have not failed lately."""
        return {name: not task.done() and name not in self._failing for name, task in self._loops.items()}

    async def stop(self, timeout: float) -> None:
        """Ask everything to end, give it ``timeout`` seconds, then cancel what is left."""
        self.stopping.set()
        deadline = time.monotonic() + timeout
        # A loop may hand over a last piece of work while it ends: look again until nothing is left.
        while (under_way := self._under_way()) and (left := deadline - time.monotonic()) > 0:
            await asyncio.wait(under_way, timeout=left)
        for task in under_way:
            log.warning("task_cancelled_at_stop", task=task.get_name())
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    def _under_way(self) -> set[asyncio.Task[Any]]:
        return {task for task in (*self._loops.values(), *self._one_shots) if not task.done()}

    async def _keep_running(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        pause = FIRST_PAUSE
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                await work()
                failure: BaseException | None = None
            except asyncio.CancelledError as error:
                if _is_cancelled():
                    raise
                failure = error  # something the work waited for was cancelled, not the work
            except Exception as error:
                failure = error
            if self.stopping.is_set():
                return
            if time.monotonic() - began > HEALTHY_AFTER:
                pause = FIRST_PAUSE
            self._failing.add(name)
            log.error("task_restarting", task=name, pause=round(pause, 2), exc_info=failure)
            if self._on_restart is not None:
                self._on_restart(name)
            await self.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
            pause = min(pause * 2, LONGEST_PAUSE)
            self._failing.discard(name)

    async def _once(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except Exception:
            log.exception("task_failed", task=name)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
