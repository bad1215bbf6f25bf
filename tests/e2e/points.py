"""The desk under a watch that kills it at a named point: ``python -m tests.e2e.points run``.

A point is a moment of a transaction (before it begins, inside it with everything done but the commit, after it) or
of a call to Stripe (before, after), named by the door whose work it is and the function it stands in. The watch is
laid round the product from outside: round ``Database.writing`` and round the HTTP client of Stripe's library.

The folder ``POINTS`` holds ``passed``, a line for every point passed, and ``armed``: the point to die at, if any.
The program is imported once; each line on standard input starts a desk of its own, by ``fork``. Its process id and
then its exit status are said on the file descriptor ``POINTS_SAID``. Nothing reconciles here: webhook and worker
alone have to bring a purchase to its end.
"""

import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import stripe

import app
import cashdesk
from models.database import Database
from services.desk import Desk
from terminal.paper import quotes

DOORS = {"webapp.idempotent": "checkout", "webapp.stripe_webhook": "webhook", "services.stripe_inbox": "inbox"}
PROVIDER = "services.payments.stripe_provider"
# The worker's own steps in that module: what else calls Stripe or writes there is no part of a purchase.
WORKER = ("drain", "_handle")
# The events a purchase hangs on; the others are told apart no further.
TOLD = ("checkout.session.completed", "customer.subscription.created", "invoice.paid")


class Watch:
    """Notes every point passed, and dies at the one that is armed."""

    def __init__(self, folder: Path) -> None:
        self._armed = folder / "armed"
        self._passed = os.open(folder / "passed", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def lay(self) -> None:
        """Round every transaction and every call to Stripe from now on."""
        writing, request = Database.writing, stripe.HTTPXClient.request_async

        def watched_writing(database: Database) -> AbstractAsyncContextManager[Any]:
            place, transaction = _place(sys._getframe(1)), writing(database)
            return transaction if place is None else self._round(transaction, place)

        async def watched_request(client: Any, method: str, url: str, headers: Any, post_data: Any = None) -> Any:
            place = _place(sys._getframe(1))
            self._pass(place, "before")
            answer = await request(client, method, url, headers, post_data)
            self._pass(place, "after")
            return answer

        Database.writing = watched_writing  # type: ignore[method-assign, assignment]
        stripe.HTTPXClient.request_async = watched_request  # type: ignore[method-assign, assignment]

    @asynccontextmanager
    async def _round(self, transaction: AbstractAsyncContextManager[Any], place: str) -> AsyncIterator[Any]:
        self._pass(place, "before")
        async with transaction as session:
            yield session
            self._pass(place, "inside")
        self._pass(place, "after")

    def _pass(self, place: str | None, moment: str) -> None:
        if place is None:
            return
        point = f"{place}, {moment}"
        os.write(self._passed, f"{point}\n".encode())
        if self._armed.exists() and self._armed.read_text() == point:
            self._armed.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


def _place(frame: FrameType | None) -> str | None:
    """``door: function (event)`` of the work under way; None when it is no purchase."""
    frames = list(_outwards(frame))
    door = next((DOORS[module] for module, name, _ in frames
                 if module in DOORS and (DOORS[module] != "inbox" or name in WORKER)), None)
    if door is None:
        return None
    function = next(name for module, name, _ in frames if module.startswith(("services.", "webapp."))
                    and not (module == PROVIDER and name == "_asked"))
    event = next((found for _, _, found in frames if found is not None), None)
    return f"{door}: {function}" + ("" if event is None else f" ({event if event in TOLD else 'another'})")


def _outwards(frame: FrameType | None) -> Iterator[tuple[str, str, str | None]]:
    """Module, function and the type of the event at hand of each frame, from the inmost on."""
    while frame is not None:
        kind = getattr(frame.f_locals.get("event"), "type", None)
        module = str(frame.f_globals.get("__name__", ""))
        yield module, frame.f_code.co_name, kind if module in DOORS and isinstance(kind, str) else None
        frame = frame.f_back


def main() -> None:
    """Start a desk for every line read; one at a time."""
    Watch(Path(os.environ["POINTS"])).lay()
    cashdesk._reconcile = _rest  # type: ignore[assignment]
    # The same rates for every desk of this program: reading them takes the better part of a second.
    rates = quotes._latest_euro_rates()
    quotes._latest_euro_rates = lambda: rates
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(app.main(sys.argv[1:]))
        _say(child)
        _say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


async def _rest(desk: Desk, *_: Any) -> None:
    await desk.supervisor.stopping.wait()


def _say(number: int) -> None:
    os.write(int(os.environ["POINTS_SAID"]), f"{number}\n".encode())


if __name__ == "__main__":
    main()
