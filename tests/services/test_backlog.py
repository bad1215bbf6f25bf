"""A long backlog costs the loops nothing: what they ask is found by an index made for it, not by walking."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncSession

from models.database import Database
from services import outbox

LEASE = timedelta(seconds=30)
Ask = Callable[[AsyncSession, datetime], Awaitable[Any]]


@contextmanager
def heard() -> Iterator[list[tuple[str, Any]]]:
    """The statements that are executed in the block, with their parameters."""
    asked: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", keep)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", keep)


async def claim_outbox(session: AsyncSession, now: datetime) -> None:
    await outbox.claim(session, "w", now, LEASE, 8, [1, 2])


async def next_due(session: AsyncSession, now: datetime) -> None:
    await outbox.next_due(session)


@pytest.mark.parametrize("ask", [claim_outbox, next_due])
async def test_what_waits_is_found_by_its_own_index(sqlite_database: Database, now: datetime, ask: Ask) -> None:
    async with sqlite_database.writing() as session:
        for number in range(50):
            await outbox.say(session, number, f"k{number}", {"text": "x"}, now)
        with heard() as asked:
            await ask(session, now)
    search, given = next(pair for pair in asked if pair[0].startswith("SELECT"))
    async with sqlite_database.reading() as session:
        plan = (await (await session.connection()).exec_driver_sql(f"EXPLAIN QUERY PLAN {search}", given)).all()
    steps = [row[3] for row in plan]
    assert any("ix_outbox_due" in step for step in steps), steps
    assert not any("TEMP B-TREE" in step or "settled" in step for step in steps), steps
