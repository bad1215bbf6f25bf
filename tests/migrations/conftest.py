"""An empty database of each kind."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from tests.databases import PostgresServer


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'desk.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgresql")
    with server.clone() as address:
        asyncio.run(empty(address))
        yield address


async def empty(address: str) -> None:
    url = make_url(address)
    connection = await asyncpg.connect(user=url.username, database=url.database, host=str(url.query["host"]))
    try:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    finally:
        await connection.close()
