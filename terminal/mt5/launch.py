"""Who can start a worker, and what a started worker is to those who talk to it."""

import asyncio
from typing import Protocol

from terminal.mt5.calls import Veil
from terminal.protocol import AccountRef


class Channel(Protocol):
    """A started worker: frames come from ``reader``, frames go to ``writer``. Whoever launched it must end it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    path: str
    """Where its terminal's program is; a terminal host puts in its own."""
    veil: Veil

    def kill(self) -> None:
        """End the worker and all it has started, now, without waiting. May be called again."""

    async def gone(self) -> None:
        """After ``kill``: return when nothing is left of it, or after a few seconds at the latest."""


class Launcher(Protocol):
    """Starts workers, here or elsewhere."""

    async def launch(self, ref: AccountRef, *, fresh: bool = False) -> Channel:
        """Start a worker in the account's own directory, or in a ``fresh`` one that goes when the worker does.

        It has not said hello yet. GatewayError: ``terminal_missing``, ``terminal_away``, ``terminal_busy``.
        """

    async def forget(self, ref: AccountRef) -> None:
        """Remove the account's directory; its worker has been ended before."""

    async def close(self) -> None:
        """Give back what the launcher itself holds."""
