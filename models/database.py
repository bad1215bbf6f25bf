"""The database: one place to open it, two ways to use it.

SQLite runs in WAL mode with a single writer, whose transactions all start with BEGIN IMMEDIATE (a
deferred one that upgrades meets "database is locked" no matter the busy timeout), and several readers
that may not write. PostgreSQL uses one ordinary pool for both.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

READERS = 4


class DatabaseUnavailable(Exception):
    """The database did not answer; nothing was changed."""


class Database:
    """Sessions for writing and for reading. The block that opened a session ends its transaction."""

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine) -> None:
        self._writer = writer
        self._reader = reader
        self._writing = async_sessionmaker(writer, expire_on_commit=False)
        self._reading = async_sessionmaker(reader, expire_on_commit=False)
        self._told: list[Callable[[AsyncSession], None]] = []
        self._awaited: list[Callable[[AsyncSession], Awaitable[None]]] = []
        # Fair turns for the one SQLite writer: waiting here costs nothing and never times out.
        self._turn: asyncio.Lock | None = asyncio.Lock() if self.is_sqlite else None

    @classmethod
    def open(cls, url: str, *, pool_size: int = 10) -> "Database":
        """Open a database by its SQLAlchemy URL (sqlite+aiosqlite or postgresql+asyncpg)."""
        if make_url(url).get_backend_name() == "sqlite":
            return cls(_sqlite_writer(url), _sqlite_reader(url))
        engine = create_async_engine(url, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True,
                                     hide_parameters=True)
        return cls(engine, engine)

    @property
    def dialect(self) -> str:
        return self._writer.dialect.name

    @property
    def is_sqlite(self) -> bool:
        return self._writer.dialect.name == "sqlite"

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """One transaction that commits at the end of the block and rolls back on any exception."""
        async with self._turn or nullcontext(), self._writing() as session:
            async with session.begin():
                yield session
            for tell in self._told:
                tell(session)
        for tell_others in self._awaited:
            await tell_others(session)

    def on_commit(self, tell: Callable[[AsyncSession], None]) -> None:
        """Call this with every session of this process that has committed; what it has to know is in ``info``."""
        self._told.append(tell)

    def after_commit(self, tell: Callable[[AsyncSession], Awaitable[None]]) -> None:
        """The same, awaited before the block ends: the next one may write meanwhile. It must not raise."""
        self._awaited.append(tell)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A snapshot for reading; whatever is changed in it is refused or rolled back."""
        async with self._reading() as session:
            try:
                yield session
            finally:
                session.expunge_all()  # what was read stays readable: the rollback would empty it
                await session.rollback()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """A writing connection in a transaction, for migrations and schema checks."""
        async with self._writer.begin() as connection:
            yield connection

    async def check(self) -> None:
        """Raise DatabaseUnavailable unless both engines answer."""
        try:
            async with self.reading() as session:
                await session.execute(text("SELECT 1"))
        except (OperationalError, DBAPIError, OSError) as error:
            raise DatabaseUnavailable(str(error)) from error

    async def close(self) -> None:
        await self._reader.dispose()
        if self._writer is not self._reader:
            await self._writer.dispose()


def _sqlite_writer(url: str) -> AsyncEngine:
    engine = create_async_engine(url, poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0,
                                 hide_parameters=True)
    _prepare(engine, query_only=False)
    event.listen(engine.sync_engine, "begin", _begin_immediate)
    return engine


def _sqlite_reader(url: str) -> AsyncEngine:
    engine = create_async_engine(url, poolclass=AsyncAdaptedQueuePool, pool_size=READERS, max_overflow=0,
                                 hide_parameters=True)
    _prepare(engine, query_only=True)
    event.listen(engine.sync_engine, "begin", _begin_deferred)
    return engine


def _prepare(engine: AsyncEngine, *, query_only: bool) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions by itself: the "begin" listeners do.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=5000")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        if query_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")
