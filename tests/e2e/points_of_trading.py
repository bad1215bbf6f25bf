"""The points of orders and of acts on positions: ``python -m tests.e2e.points_of_trading`` starts desks that die there.

A question to a terminal has a moment more, ``told``: it has been written to the worker, who has not answered yet.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import FrameType
from typing import Any

import terminals
from sandbox.mt5 import WHEEL
from services import background
from services.desk import Desk
from services.syncing import Rules
from terminal.mt5.conversation import Conversation
from terminal.mt5.gateway import TerminalGateway
from terminal.mt5.local import LocalLauncher
from tests.e2e import points
from tests.e2e.points import Watch, outwards

# Whose work it is: the tap that asks, the loop that goes on with acts, the approval, the loop that executes orders.
DOORS = {
    ("services.acts", "_act"): "tap", ("services.acts", "work"): "tap",
    ("services.background", "run_acts"): "acts", ("services.background", "_go_on"): "acts",
    ("webapp.api.approvals", "approve"): "approval",
    ("services.background", "run_orders"): "orders", ("services.background", "_execute"): "orders"}
CALLS = ("positions", "close_marked", "modify", "send", "find")
ACTS = ("close", "modify", "send")


def place_of(frame: FrameType) -> str | None:
    """``door: function`` of the work under way; None when it is something else's."""
    frames = [(module, name) for module, name, _ in outwards(frame)]
    door = next((DOORS[place] for place in frames if place in DOORS), None)
    if door is None:
        return None
    return f"{door}: {next(name for module, name in frames if module.startswith(('services.', 'webapp.')))}"


def watch_workers(watch: Watch) -> None:
    """The terminal's own task writes to the worker: whose work it does, it does not know."""
    ask = Conversation.ask

    async def watched(conversation: Conversation, op: str, args: dict[str, Any], seconds: float) -> Any:
        asking = asyncio.ensure_future(ask(conversation, op, args, seconds))
        try:
            await asyncio.sleep(0)  # as far as it gets: the question is in the pipe
            watch.pass_by(f"worker: {op}" if op in ACTS else None, "told")
            return await asking
        finally:
            asking.cancel()

    Conversation.ask = watched  # type: ignore[method-assign, assignment]


def _with_stand_in(launcher: Callable[..., LocalLauncher]) -> Callable[..., LocalLauncher]:
    return lambda settings, extra_path=None: launcher(settings, WHEEL)


def _often(start: Callable[..., None]) -> Callable[..., None]:
    """The loops as they are, but terminals are asked for deals more often than the configuration allows."""
    def started(desk: Desk, *, syncs: Rules, **given: Any) -> None:
        start(desk, syncs=replace(syncs, every=timedelta(seconds=0.2)), **given)

    return started


def main() -> None:
    watch = Watch(place_of)
    watch.lay_round_transactions()
    for name in CALLS:
        watch.lay_round_calls(TerminalGateway, name)
    watch_workers(watch)
    # The sandbox's package stands in for MetaQuotes' one, and the loops look more often.
    terminals.local_launcher = _with_stand_in(terminals.local_launcher)
    background.LOOK_SECONDS, background.start = 0.1, _often(background.start)
    points.run()


if __name__ == "__main__":
    main()
