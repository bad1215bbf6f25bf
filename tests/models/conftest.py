"""The databases of the suite with one small table more."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from models.database import Database
from tests.databases import PostgresServer
from tests.models.notes import metadata


@asynccontextmanager
async def with_notes(url: str) -> AsyncIterator[Database]:
    opened = Database.open(url)
    try:
        async with opened.connection() as connection:
            await connection.run_sync(metadata.create_all)
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with with_notes(database_url) as opened:
        yield opened


@pytest.fixture
async def sqlite(sqlite_url: str) -> AsyncIterator[Database]:
    async with with_notes(sqlite_url) as opened:
        yield opened


@pytest.fixture
def a_postgresql_url(postgresql: PostgresServer) -> Iterator[str]:
    with postgresql.clone() as url:
        yield url


@pytest.fixture
async def on_postgresql(a_postgresql_url: str) -> AsyncIterator[Database]:
    async with with_notes(a_postgresql_url) as opened:
        yield opened
