"""The database goes away for a while: nothing is acknowledged, nothing is asked of Stripe, and nothing is lost."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from services.payments.protocol import Money
from tests.billing.conftest import Till
from tests.databases import PostgresServer
from tests.running import until


@pytest.fixture(autouse=True)
async def prices(till: Till) -> None:
    await till.payments.ensure_price("premium", Money(2999, "usd"))


@contextmanager
def sqlite_away(file: str) -> Iterator[None]:
    """Somebody holds the file for longer than anyone waits."""
    with sqlite3.connect(file, isolation_level=None, check_same_thread=False) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    connection.close()


@contextmanager
def postgresql_away(server: PostgresServer, name: str) -> Iterator[None]:
    """The server takes no connections to this database."""
    def order(*statements: str) -> None:
        asyncio.run(server._execute(*statements))

    order(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
          f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    yield
    order(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@pytest.fixture
def away(request: pytest.FixtureRequest, database_url: str) -> Callable[[], AbstractContextManager[None]]:
    """The database goes away for a while."""
    name = str(make_url(database_url).database)
    if database_url.startswith("sqlite"):
        return lambda: sqlite_away(name)
    server: PostgresServer = request.getfixturevalue("postgresql")
    return lambda: postgresql_away(server, name)


async def test_what_came_while_the_database_was_away_is_sent_again(
        till: Till, away: Callable[[], AbstractContextManager[None]]) -> None:
    user, token = await till.person()
    await till.settle()
    status, made, _ = await till.call("POST", "/checkout", token, {"tier": "premium"}, "k")
    assert status == 201

    async def tried(*wanted: Any) -> bool:
        """Whether an event has had this answer."""
        seen = await till.look("/events")
        return any((event["state"], event["last_status"]) == wanted for event in seen if event["id"] not in before)

    before = {event["id"] for event in await till.look("/events")}
    gone = away()
    await asyncio.to_thread(gone.__enter__)
    try:
        await till.control(f"/checkout/{made['url'].rstrip('/').rsplit('/', 1)[-1].split('?')[0]}/pay")
        await until("it is refused for now", lambda: tried("pending", 503), 90)
    finally:
        await asyncio.to_thread(gone.__exit__, None, None, None)
    await till.becomes(user, "premium")
    await till.booked(1)


async def test_who_buys_meanwhile_is_told_so_and_stripe_is_not_asked(
        till: Till, away: Callable[[], AbstractContextManager[None]]) -> None:
    _, token = await till.person()
    before = len(await till.calls())
    gone = away()
    await asyncio.to_thread(gone.__enter__)
    try:
        status, problem, _ = await till.call("POST", "/checkout", token, {"tier": "premium"}, "k")
        assert (status, problem["code"]) == (503, "unavailable")
        assert len(await till.calls()) == before
    finally:
        await asyncio.to_thread(gone.__exit__, None, None, None)

    async def can_buy() -> bool:
        return (await till.call("POST", "/checkout", token, {"tier": "premium"}, "k"))[0] == 201

    await until("it can be bought again", can_buy)
