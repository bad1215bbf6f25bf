"""The schema's history: forwards, backwards, forwards again, and always what the models say."""

import asyncio
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, insert, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

import migrations
import models
from models import Base
from models.message import InboxItem
from terminal.paper import tables as paper

ROOT = Path(__file__).parents[2]
METADATA: list[MetaData] = [Base.metadata, paper.metadata]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AN_ACCOUNT = {"login": "1001", "currency": "USD", "leverage": 100, "deposit": Decimal(1), "balance": Decimal(1),
              "created_at": NOW}
WANTED = {name for metadata in METADATA for name in metadata.tables}


async def ask(url: str, question: Any) -> Any:
    """Put a question to a connection of the database, in a transaction that is kept."""
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(question)
    finally:
        await engine.dispose()


async def tables_of(url: str) -> set[str]:
    return set(await ask(url, lambda connection: inspect(connection).get_table_names()))


async def differences(url: str) -> list[Any]:
    def compare(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return compare_metadata(context, METADATA)  # type: ignore[arg-type]
    return await ask(url, compare)


def shape_of(connection: Connection) -> dict[str, Any]:
    """Every table in full: also what the comparison above does not look at, as conditions of partial indexes."""
    inspector = inspect(connection)

    def shape(name: str) -> dict[str, Any]:
        return {
            "columns": sorted((c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(name)),
            "key": inspector.get_pk_constraint(name)["constrained_columns"],
            "references": sorted((k["constrained_columns"], k["referred_table"], k["referred_columns"])
                                 for k in inspector.get_foreign_keys(name)),
            "unique": sorted(u["column_names"] for u in inspector.get_unique_constraints(name)),
            "indexes": sorted((i["name"], i["column_names"], bool(i["unique"]), condition_of(i))
                              for i in inspector.get_indexes(name))}

    return {name: shape(name) for name in inspector.get_table_names() if name != "alembic_version"}


def condition_of(index: Any) -> str:
    return "".join(str(value) for key, value in index.get("dialect_options", {}).items() if key.endswith("_where"))


async def test_the_history_leads_to_what_the_models_say(url: str) -> None:
    await migrations.upgrade(url)
    assert await differences(url) == []
    assert await tables_of(url) == WANTED | {"alembic_version"}
    assert await migrations.current(url) == migrations.head()


async def test_the_history_makes_the_same_as_the_models_make(url: str) -> None:
    await migrations.upgrade(url)
    by_history = await ask(url, shape_of)
    await migrations.downgrade(url, "base")
    for metadata in METADATA:
        await ask(url, metadata.create_all)
    assert await ask(url, shape_of) == by_history


async def test_up_down_up(url: str) -> None:
    await migrations.upgrade(url)
    await migrations.downgrade(url, "base")
    assert await tables_of(url) == {"alembic_version"} and await migrations.current(url) is None
    await migrations.upgrade(url)
    assert await differences(url) == []


async def test_every_step_leads_back_and_forth(url: str) -> None:
    steps = [revision.revision for revision in migrations.ScriptDirectory.from_config(
        migrations._config()).walk_revisions()][::-1]
    for below, step in zip(["base", *steps], steps, strict=False):
        await migrations.upgrade(url, step)
        before = await ask(url, shape_of)
        await migrations.downgrade(url, below)
        await migrations.upgrade(url, step)
        assert await ask(url, shape_of) == before, step


async def test_nothing_is_at_no_revision(url: str) -> None:
    assert await migrations.current(url) is None


async def test_upgrading_twice_changes_nothing_and_keeps_the_rows(url: str) -> None:
    await migrations.upgrade(url)
    await ask(url, lambda connection: connection.execute(insert(paper.accounts).values(AN_ACCOUNT)))
    await migrations.upgrade(url)
    assert await ask(url, lambda connection: connection.execute(select(paper.accounts.c.login)).scalars().all()) == [
        "1001"]


async def test_processes_that_start_together_take_turns(url: str) -> None:
    """Real processes: each runs its migrations at the same moment, as replicas do that start together."""
    program = f"import asyncio, migrations; asyncio.run(migrations.upgrade({url!r}))"
    started = [await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=ROOT, stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}) for _ in range(3)]
    async with asyncio.timeout(30):
        ends = await asyncio.gather(*(process.communicate() for process in started))
    assert [process.returncode for process in started] == [0, 0, 0], ends
    assert await differences(url) == []


async def test_a_migration_that_fails_leaves_nothing_behind(url: str) -> None:
    """The last table of all is in the way: everything before it must be gone again."""
    first = sorted((ROOT / "migrations" / "versions").glob("0*.py"))[0]
    last = re.findall(r'op\.create_table\(\s*"(\w+)"', first.read_text(encoding="utf-8"))[-1]
    await ask(url, lambda connection: connection.exec_driver_sql(f"CREATE TABLE {last} (x INTEGER)"))
    with pytest.raises(DBAPIError):
        await migrations.upgrade(url)
    assert await tables_of(url) == {last}
    assert await migrations.current(url) is None


async def test_a_database_newer_than_the_program_is_refused(url: str) -> None:
    await migrations.upgrade(url)
    await ask(url, lambda connection: connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CommandError, match="9999"):
        await migrations.upgrade(url)
    assert await tables_of(url) == WANTED | {"alembic_version"}


async def test_the_desks_own_connections_can_work_with_it(url: str) -> None:
    """Booleans, JSON, bytes and partial indexes behave on the migrated schema as the models expect."""
    await migrations.upgrade(url)
    row = {"source": "stripe", "external_id": "evt_1", "lane": "x", "payload": b"\x00\xff", "payload_sha256": "0" * 64,
           "state": "pending", "attempts": 0, "next_try_at": NOW, "received_at": NOW}
    await ask(url, lambda connection: connection.execute(insert(InboxItem).values(row)))
    found = await ask(url, lambda connection: connection.execute(select(InboxItem.__table__)).mappings().one())
    assert found["payload"] == b"\x00\xff" and found["next_try_at"] == NOW
    with pytest.raises(DBAPIError):
        await ask(url, lambda connection: connection.execute(insert(InboxItem).values(row)))


def test_every_module_with_tables_is_imported_with_the_models() -> None:
    """A table whose module nobody imports would have no migration, and no comparison would miss it."""
    with_tables = {path.stem for path in (ROOT / "models").glob("*.py")
                   if "__tablename__ = " in path.read_text(encoding="utf-8")}
    assert with_tables and with_tables <= set(models.__all__)


def test_the_history_is_one_line() -> None:
    script = migrations.ScriptDirectory.from_config(migrations._config())
    assert len(script.get_heads()) == 1 and len(script.get_bases()) == 1
