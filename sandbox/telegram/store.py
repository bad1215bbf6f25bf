"""The stand-in's memory on disk: one SQLite file, written by one thread, committed before anyone is answered."""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS messages (message_id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS updates (update_id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS callback_queries (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS invoices (slug TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS star_transactions (number INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS star_subscriptions (charge_id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, body TEXT NOT NULL);
"""
KEYS = {"users": "id", "messages": "message_id", "updates": "update_id", "callback_queries": "id", "settings": "name",
        "invoices": "slug", "star_transactions": "number", "star_subscriptions": "charge_id"}
_Waiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]
_Work = tuple[str, tuple[Any, ...]] | _Waiter | None


class Store:
    """Rows of JSON by key. Writes are queued in order; ``committed`` says when all so far are on disk.

    WAL with synchronous=NORMAL outlives the process however it ends; a power cut may take the last moments.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA busy_timeout=3000")
        # One sandbox a file: the index in memory would not see another's rows.
        self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(SCHEMA)
        self._work: queue.SimpleQueue[_Work] = queue.SimpleQueue()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="sandbox-store", daemon=True)

    def rows(self, table: str) -> Iterator[tuple[Any, str]]:
        """Key and body of every row, in order of the key. Only before ``start``."""
        yield from self._connection.execute(f"SELECT {KEYS[table]}, body FROM {table} ORDER BY 1")  # noqa: S608

    def start(self) -> None:
        self._thread.start()

    def put(self, table: str, key: int | str, body: str) -> None:
        sql = f"INSERT OR REPLACE INTO {table} ({KEYS[table]}, body) VALUES (?, ?)"  # noqa: S608
        self._work.put((sql, (key, body)))

    def delete(self, table: str, key: int | str) -> None:
        self._work.put((f"DELETE FROM {table} WHERE {KEYS[table]} = ?", (key,)))  # noqa: S608

    async def committed(self) -> None:
        """Return once everything put so far is committed; sqlite3.Error when it could not be."""
        if self._failure is not None:
            raise self._failure
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._work.put((loop, done))
        await done

    async def close(self) -> None:
        self._work.put(None)
        await asyncio.to_thread(self._thread.join)
        self._connection.close()

    def _run(self) -> None:
        while True:
            batch = [self._work.get()]
            while not self._work.empty():
                batch.append(self._work.get())
            self._commit([work for work in batch if work is not None])
            if None in batch:
                return

    def _commit(self, batch: list[Any]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for first, second in batch:
                if isinstance(first, str):
                    self._connection.execute(first, second)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._failure = error
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        for first, second in batch:
            if not isinstance(first, str):
                first.call_soon_threadsafe(_settle, second, self._failure)


def _settle(done: "asyncio.Future[None]", failure: Exception | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)
