"""The points of a device client: ``python -m tests.sdk.points_of_device`` starts clients that die there.

A point is a moment before or after a change of the client's memory, a call to the desk, or a call to the terminal that
trades or looks; named by what is called. ``told`` is when an order has been written to the worker, which has not
answered yet. ``DEVICE_CONFIG`` names the client's settings. How clients are started and armed: tests/e2e/points.py.
"""

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import device
from sandbox.mt5 import WHEEL
from sdk.desk import Desk
from sdk.state import State
from terminal.mt5.conversation import Conversation
from terminal.mt5.gateway import TerminalGateway
from tests.e2e.points import Watch
from tests.sdk.brisk import BRISK

MEMORY = ("begin", "hand_over", "settle", "paid", "reserve_counters", "forget", "say_again")
CALLS = ("poll", "begin", "acknowledge", "report", "tell_symbols")
TERMINAL = ("send", "find", "deals")


class DeviceWatch(Watch):
    """Points are named by what is called, whoever calls it."""

    def __init__(self) -> None:
        super().__init__(_nowhere)

    def lay_round(self, owner: Any, place: str, name: str) -> None:
        """Round every call of this method from now on."""
        call = getattr(owner, name)

        async def watched(*args: Any, **kwargs: Any) -> Any:
            self.pass_by(f"{place}: {name}", "before")
            answer = await call(*args, **kwargs)
            self.pass_by(f"{place}: {name}", "after")
            return answer

        setattr(owner, name, watched)

    def lay_round_workers(self) -> None:
        """The moment an order has gone to the worker."""
        ask = Conversation.ask

        async def watched(conversation: Conversation, op: str, args: dict[str, Any], seconds: float) -> Any:
            asking = asyncio.ensure_future(ask(conversation, op, args, seconds))
            try:
                await asyncio.sleep(0)  # as far as it gets: the question is in the pipe
                self.pass_by("worker: send" if op == "send" else None, "told")
                return await asking
            finally:
                asking.cancel()

        Conversation.ask = watched  # type: ignore[method-assign, assignment]


def _nowhere(frame: FrameType) -> str | None:
    return None


def serve() -> int:
    """One client, from its settings to its end."""
    chosen = device.load(Path(os.environ["DEVICE_CONFIG"]), os.environ.get("DEVICE_CODE"))
    return device.run(replace(chosen, settings=replace(chosen.settings, rules=BRISK)), extra_path=WHEEL)


def main() -> None:
    watch = DeviceWatch()
    for owner, place, names in ((State, "memory", MEMORY), (Desk, "desk", CALLS),
                                (TerminalGateway, "terminal", TERMINAL)):
        for name in names:
            watch.lay_round(owner, place, name)
    watch.lay_round_workers()
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(serve())
        _say(child)
        _say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _say(number: int) -> None:
    os.write(int(os.environ["POINTS_SAID"]), f"{number}\n".encode())


if __name__ == "__main__":
    main()
