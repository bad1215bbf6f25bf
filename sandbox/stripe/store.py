"""The stand-in's memory on disk: one SQLite file, written by one thread; what belongs together is one commit."""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, place INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS objects_place ON objects (place);
"""
WRITE = ("INSERT INTO objects (id, kind, place, body) VALUES (?, ?, ?, ?) "
         "ON CONFLICT (id) DO UPDATE SET body = excluded.body")
Row = tuple[str, str, int, str]
_Waiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]
_Work = tuple[Sequence[Row], Sequence[str], _Waiter] | None


class Store:
    """Rows of JSON by id, in the order of their creation.

    WAL with synchronous=NORMAL outlives the process however it ends; a power cut may take the last moments.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA busy_timeout=3000")
        # One stand-in a file: the index in memory would not see another's rows.
        self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(SCHEMA)
        self._work: queue.SimpleQueue[_Work] = queue.SimpleQueue()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="stripe-store", daemon=True)

    def rows(self) -> Iterator[Row]:
        """Every row, oldest first. Only before ``start``."""
        yield from self._connection.execute("SELECT id, kind, place, body FROM objects ORDER BY place")

    def start(self) -> None:
        self._thread.start()

    async def write(self, rows: Sequence[Row], gone: Sequence[str] = ()) -> None:
        """Commit all of it or nothing, after everything written before; sqlite3.Error when it could not be."""
        if self._failure is not None:
            raise self._failure
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._work.put((rows, gone, (loop, done)))
        # The write is queued for good: whoever hung up must not keep others from hearing of it.
        await asyncio.shield(done)

    async def close(self) -> None:
        self._work.put(None)
        await asyncio.to_thread(self._thread.join)
        self._connection.close()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            batch = [work]
            last = False
            while not self._work.empty() and not last:
                following = self._work.get()
                last = following is None
                batch += [following] if following is not None else []
            self._commit(batch)
            if last:
                return

    def _commit(self, batch: list[tuple[Sequence[Row], Sequence[str], _Waiter]]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for rows, gone, _ in batch:
                self._connection.executemany(WRITE, rows)
                self._connection.executemany("DELETE FROM objects WHERE id = ?", [(one,) for one in gone])
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._failure = error
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        for _, _, (loop, done) in batch:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, done, self._failure)


def _settle(done: "asyncio.Future[None]", failure: Exception | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)
