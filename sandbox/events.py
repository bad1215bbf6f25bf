"""News for whoever watches: the console's stream of what happens in the chats."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

LONGEST_BACKLOG = 1000


class Hub:
    """Hands every piece of news to every watcher; a watcher that does not keep up is let go."""

    def __init__(self) -> None:
        self._watchers: set[asyncio.Queue[dict[str, Any] | None]] = set()

    def publish(self, kind: str, **facts: Any) -> None:
        for watcher in list(self._watchers):
            if watcher.qsize() >= LONGEST_BACKLOG:
                self._watchers.discard(watcher)
                watcher.put_nowait(None)
            else:
                watcher.put_nowait({"type": kind, **facts})

    async def watch(self, heartbeat: float) -> AsyncIterator[dict[str, Any] | None]:
        """News as it comes; None after ``heartbeat`` seconds without any. Ends when the hub closes."""
        watcher: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._watchers.add(watcher)
        try:
            while True:
                try:
                    news = await asyncio.wait_for(watcher.get(), heartbeat)
                except TimeoutError:
                    yield None
                    continue
                if news is None:
                    return
                yield news
        finally:
            self._watchers.discard(watcher)

    def close(self) -> None:
        """Let every watcher go."""
        for watcher in self._watchers:
            watcher.put_nowait(None)
