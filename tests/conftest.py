"""What every test stands on: both databases, a real Valkey, and a desk with the paper broker behind it.

``database`` runs a test on SQLite and on PostgreSQL; ``-m "not postgresql"`` leaves the second out.
"""

import asyncio
import copy
import os
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

import app
import commands
import config
from config import Settings
from models.database import Database
from runtime import valkey as embedded
from runtime.metrics import Metrics
from runtime.supervision import Supervisor
from services.desk import Desk
from terminal.paper.quotes import QuoteFeed
from tests.databases import PostgresServer, SqliteTemplate, postgres_server
from webapp import limits

BOT_TOKEN = "123456789:AAtest_token_of_the_suite_0123456789abc"
MASTER_KEY = "3q2-7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs"
MEASURED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "postgresql: needs the PostgreSQL server of the development dependencies")
    config.addinivalue_line("markers", "wine: needs what `make wine` sets up")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Hostile texts that were logged go to another process as text that can be written."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands its figures to the process that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["measured"] = session.config.stash.get(MEASURED, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash.setdefault(MEASURED, []).extend(getattr(node, "workeroutput", {}).get("measured", []))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for line in config.stash.get(MEASURED, []):
        terminalreporter.write_line(f"measured: {line}")


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Report a figure that no test asserts, below the results."""
    return request.config.stash.setdefault(MEASURED, []).append


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for a moment is no Redis that hangs."""
    monkeypatch.setattr(limits, "PATIENCE_SECONDS", 10.0)
    monkeypatch.setattr(embedded, "PATIENCE", 3.0)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> SqliteTemplate:
    return SqliteTemplate(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """One server a session. Where the suite is a gate its absence is a failure, elsewhere a reason to skip."""
    running = postgres_server()
    try:
        server = running.__enter__()
    except Exception as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"PostgreSQL does not run here: {error}")
    try:
        yield server
    finally:
        running.__exit__(None, None, None)


@pytest.fixture
def sqlite_url(sqlite_template: SqliteTemplate, tmp_path: Path) -> str:
    """A migrated SQLite file of this test alone."""
    return sqlite_template.copy_to(tmp_path / "countersign.db")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database of this test alone, once of each kind."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_url")
        return
    with request.getfixturevalue("postgresql").clone() as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database.open(database_url)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def sqlite_database(sqlite_url: str) -> AsyncIterator[Database]:
    """For what does not depend on the kind of database."""
    opened = Database.open(sqlite_url)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one embedded Valkey for the session."""
    server = embedded.EmbeddedValkey()
    url = asyncio.run(server.start(tmp_path_factory.mktemp("valkey")))
    try:
        yield url
    finally:
        asyncio.run(server.stop())


@pytest.fixture
async def redis(valkey_server: str) -> AsyncIterator[Redis]:
    """A client of the embedded Valkey, which is empty at the start of the test."""
    client = embedded.connect(valkey_server)
    try:
        await client.flushall()
        yield client
    finally:
        await client.aclose()


@pytest.fixture
def valkey(valkey_server: str, redis: Redis) -> str:
    """The URL of the embedded Valkey, emptied for this test."""
    return valkey_server


@pytest.fixture
def now() -> datetime:
    """The moment the test began. The paper broker reads the true clock, so tests count from it too."""
    return datetime.now(UTC)


@pytest.fixture
def overlay() -> dict[str, Any]:
    """What a module's tests lay over config.toml; override it there."""
    return {}


@pytest.fixture
def settings(database_url: str, valkey_server: str, tmp_path: Path, overlay: Mapping[str, Any]) -> Settings:
    """Settings of a real desk at the test's own database and Valkey."""
    return config.load({"BOT_TOKEN": BOT_TOKEN, "MASTER_KEY": MASTER_KEY, "DATA": str(tmp_path / "data"),
                        "DATABASE_URL": database_url, "REDIS_URL": valkey_server}, overlay)


@pytest.fixture(scope="session")
def opened_market() -> QuoteFeed:
    """The paper market as it opens; reading the reference rates takes a while, so once a session."""
    facts = config.load({}).facts.paper
    feed = QuoteFeed(seed=facts.seed, anchors=facts.anchors)
    asyncio.run(feed.load(datetime.now(UTC)))
    return feed


@pytest.fixture
def quotes(opened_market: QuoteFeed) -> QuoteFeed:
    """A paper market of this test's own. It stands still and moves when the test moves it."""
    return copy.deepcopy(opened_market)


@pytest.fixture
async def desk(settings: Settings, database: Database, redis: Redis, quotes: QuoteFeed) -> AsyncIterator[Desk]:
    """A desk without its loops, so that a test decides what happens next."""
    built = build_desk(settings, database, redis, quotes)
    yield built
    await built.supervisor.stop(5.0)


def build_desk(settings: Settings, database: Database, redis: Redis, quotes: QuoteFeed, *,
               replica: str = "test") -> Desk:
    """The desk as the composition root builds it, from real parts."""
    return app.desk_of(settings, database, redis, app.paper_of(settings, database, quotes), commands.vault(settings),
                       Supervisor(), Metrics(), replica=replica)
