"""The desk under a watch that kills it at a named point; ``points_of_purchase`` and ``points_of_trading`` name them.

A point is a moment of a transaction (before it begins, inside it with everything done but the commit, after it) or
of a call to the world outside (before, after), named by the door whose work it is and the function it stands in. The
watch is laid round the product from outside: round ``Database.writing`` and round what calls outside.

The folder ``POINTS`` holds ``passed``, a line for every point passed, and ``armed``: the point to die at, if any.
The program is imported once; each line on standard input starts a desk of its own, by ``fork``. Its process id and
then its exit status are said on the file descriptor ``POINTS_SAID``.
"""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import app
from models.database import Database
from terminal.paper import quotes

Place = Callable[[FrameType], str | None]
"""``door: function`` of the work under way in these frames; None when it is no part of the walk."""


class Watch:
    """Notes every point passed, and dies at the one that is armed."""

    def __init__(self, place: Place) -> None:
        folder = Path(os.environ["POINTS"])
        self._place = place
        self._armed = folder / "armed"
        self._passed = os.open(folder / "passed", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def lay_round_transactions(self) -> None:
        """Round every transaction from now on."""
        writing = Database.writing

        def watched(database: Database) -> AbstractAsyncContextManager[Any]:
            place, transaction = self._place(sys._getframe(1)), writing(database)
            return transaction if place is None else self._round(transaction, place)

        Database.writing = watched  # type: ignore[method-assign, assignment]

    def lay_round_calls(self, owner: Any, name: str) -> None:
        """Round every call of this method of a class from now on."""
        call = getattr(owner, name)

        async def watched(*args: Any, **kwargs: Any) -> Any:
            place = self._place(sys._getframe(1))
            self.pass_by(place, "before")
            answer = await call(*args, **kwargs)
            self.pass_by(place, "after")
            return answer

        setattr(owner, name, watched)

    @asynccontextmanager
    async def _round(self, transaction: AbstractAsyncContextManager[Any], place: str) -> AsyncIterator[Any]:
        self.pass_by(place, "before")
        async with transaction as session:
            yield session
            self.pass_by(place, "inside")
        self.pass_by(place, "after")

    def pass_by(self, place: str | None, moment: str) -> None:
        """Here is a point: note it, and die if it is the one."""
        if place is None:
            return
        point = f"{place}, {moment}"
        os.write(self._passed, f"{point}\n".encode())
        if self._armed.exists() and self._armed.read_text() == point:
            self._armed.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


def outwards(frame: FrameType | None) -> Iterator[tuple[str, str, FrameType]]:
    """Module and function of each frame, from the inmost on."""
    while frame is not None:
        yield str(frame.f_globals.get("__name__", "")), frame.f_code.co_name, frame
        frame = frame.f_back


def run() -> None:
    """Start a desk for every line read; one at a time."""
    # The same rates for every desk of this program: reading them takes the better part of a second.
    rates = quotes._latest_euro_rates()
    quotes._latest_euro_rates = lambda: rates
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(app.main(["run"]))
        _say(child)
        _say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _say(number: int) -> None:
    os.write(int(os.environ["POINTS_SAID"]), f"{number}\n".encode())
