"""A paper broker on each database, with one account and a market that moves when the test moves it."""

import pytest

from models.database import Database
from terminal.paper.gateway import PaperGateway
from terminal.paper.quotes import QuoteFeed
from tests.terminal.stage import Stage


@pytest.fixture
async def stage(database: Database, quotes: QuoteFeed) -> Stage:
    """Euros stand at 1.10000 to 1.10008; the account has 10,000 dollars at 1:100."""
    return await Stage.open(PaperGateway(database, quotes, leverage=100, step_seconds=1.0), quotes)


@pytest.fixture
async def sqlite_stage(sqlite_database: Database, quotes: QuoteFeed) -> Stage:
    """For what does not depend on the kind of database."""
    return await Stage.open(PaperGateway(sqlite_database, quotes, leverage=100, step_seconds=1.0), quotes)
