"""The schema's history: Alembic, driven from code, forwards and backwards on SQLite and PostgreSQL."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from asyncpg import InterfaceError, PostgresError
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from models.database import DatabaseUnavailable

LOCK = 0x636F756E  # "coun"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


async def _with_connection(url: str, work: Any) -> Any:
    engine = create_async_engine(url)
    try:
        try:
            connection = await engine.connect()
        except (SQLAlchemyError, OSError, PostgresError, InterfaceError) as error:
            reason = str(getattr(error, "orig", error))
            raise DatabaseUnavailable(f"the database does not open ({reason}).") from error
        try:
            return await connection.run_sync(work)
        finally:
            await connection.close()
    finally:
        await engine.dispose()


async def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database to a revision. Two processes at once take turns."""
    await _with_connection(url, lambda connection: _run(connection, command.upgrade, revision))


async def downgrade(url: str, revision: str) -> None:
    """Take the database back to a revision; ``base`` empties it."""
    await _with_connection(url, lambda connection: _run(connection, command.downgrade, revision))


async def current(url: str) -> str | None:
    """The revision the database is at; None when it is empty."""
    revision: str | None = await _with_connection(
        url, lambda connection: MigrationContext.configure(connection).get_current_revision())
    return revision


def head() -> str:
    """The newest revision there is."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    assert newest is not None
    return newest


def knows(revision: str) -> bool:
    """Whether this version's history has that revision, so that it can be brought up to date."""
    return any(script.revision == revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def _run(connection: Connection, act: Any, revision: str) -> None:
    if connection.dialect.name == "sqlite":
        connection.connection.driver_connection.isolation_level = None  # type: ignore[union-attr]
        connection.exec_driver_sql("PRAGMA busy_timeout=30000")
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
    act(_config(connection), revision)
    connection.commit()
