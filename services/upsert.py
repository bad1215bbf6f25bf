"""INSERT … ON CONFLICT for both databases."""

from typing import Any

from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncSession

# The two dialects' inserts take the same ON CONFLICT calls but share no type.
Insert = PostgresInsert | SqliteInsert


def insert(session: AsyncSession, table: Any) -> Insert:
    """An INSERT that knows ON CONFLICT in the session's own dialect."""
    if session.get_bind().dialect.name == "sqlite":
        return sqlite_insert(table)
    return postgres_insert(table)
