"""What is asked at every look at a position is found by an index made for it, however long the history has grown."""

from datetime import datetime
from decimal import Decimal

import pytest

from models.order import Order
from models.position import DealRecord
from services import accounts, acts, settling, shares, targets
from services.desk import Desk
from tests.services import stage
from tests.services.replicas import position
from tests.services.test_backlog import heard

D = Decimal
MAGIC, TICKET = shares.FIRST | 7, 9


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Plans are of one kind of database."""
    return sqlite_url


async def test_a_position_and_its_acts_are_found_by_their_own_index(desk: Desk, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    async with desk.database.writing() as session:
        account = await accounts.primary(session, user_id)
        session.add(DealRecord(
            account_id=account.id, deal_id=1, position_id=TICKET, magic=MAGIC, symbol="EURUSD", side="buy", entry="in",
            reason="signal", volume=D(1), price=D(1), profit=D(0), swap=D(0), commission=D(0), fee=D(0), at=now))
        await session.flush()
        with heard() as asked:
            order = Order(id=5, account_id=account.id, ticket=TICKET, magic=MAGIC)
            assert await targets._record(session, order, position(TICKET)) is not None
            await acts._last(session, account.id, TICKET)
            await settling._deals(session, account.id, [TICKET])
    async with desk.database.reading() as session:
        connection = await session.connection()
        steps = [row[3] for search, given in asked
                 for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {search}", given)]
    found = [step.partition(" USING ")[2] for step in steps]
    by_position = "INDEX ix_deals_account_id_position_id (account_id=? AND position_id=?)"
    assert [step for step in found if step] == [
        by_position, "INDEX ix_position_acts_order_id (order_id=?)",
        "INDEX ix_position_acts_account_id_ticket (account_id=? AND ticket=?)", by_position], steps
