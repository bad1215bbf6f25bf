"""The database: one writer at a time, readers that cannot write, all or nothing."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from models.database import READERS, Database, DatabaseUnavailable
from tests.models.notes import notes

DEADLINE = 30.0


async def count(database: Database) -> int:
    async with database.reading() as session:
        return (await session.execute(select(func.count()).select_from(notes))).scalar_one()


async def pragma(session: object, name: str) -> object:
    return (await session.execute(text(f"PRAGMA {name}"))).scalar_one()  # type: ignore[attr-defined]


async def read_and_add_one(database: Database) -> None:
    """The shape of a transaction that loses updates, or is told "locked", unless writers take turns."""
    async with database.writing() as session:
        number = (await session.execute(select(notes.c.number).where(notes.c.id == 1))).scalar_one()
        await asyncio.sleep(0)
        await session.execute(update(notes).where(notes.c.id == 1).values(number=number + 1))


async def test_a_block_that_ends_well_is_kept(database: Database) -> None:
    async with database.writing() as session:
        await session.execute(insert(notes).values(number=1))
    assert await count(database) == 1


async def test_a_block_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.writing() as session:
            await session.execute(insert(notes).values(number=1))
            raise ZeroDivisionError
    assert await count(database) == 0
    async with database.writing() as session:
        await session.execute(insert(notes).values(number=2))
    assert await count(database) == 1


async def test_an_error_does_not_tell_what_was_written(database: Database) -> None:
    with pytest.raises(IntegrityError) as broken:
        async with database.writing() as session:
            await session.execute(insert(notes).values(number=74_031_887, after_id=99))
    assert "notes" in str(broken.value) and "74031887" not in str(broken.value)


async def test_a_cancelled_block_leaves_nothing_and_holds_nobody_up(database: Database) -> None:
    inside = asyncio.Event()

    async def endless() -> None:
        async with database.writing() as session:
            await session.execute(insert(notes).values(number=1))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(endless())
    await asyncio.wait_for(inside.wait(), DEADLINE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(DEADLINE), database.writing() as session:
        await session.execute(insert(notes).values(number=2))
    assert await count(database) == 1


async def test_a_reader_sees_the_past_while_a_writer_works(database: Database) -> None:
    async with database.writing() as writer:
        await writer.execute(insert(notes).values(number=1))
        assert await asyncio.wait_for(count(database), DEADLINE) == 0
    assert await count(database) == 1


async def test_what_a_reader_changes_is_never_kept(database: Database) -> None:
    try:
        async with database.reading() as session:
            await session.execute(insert(notes).values(number=1))
    except OperationalError:
        assert database.is_sqlite
    assert await count(database) == 0


async def test_foreign_keys_hold(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.writing() as session:
            await session.execute(insert(notes).values(after_id=4711))


async def test_check_is_content_with_a_database_that_answers(database: Database) -> None:
    await database.check()


@pytest.mark.parametrize("url", [
    "sqlite+aiosqlite:///{folder}/desk.db", "postgresql+asyncpg://u:hunter2@127.0.0.1:9/desk",
    "postgresql+asyncpg://postgres@/desk?host=/nowhere"])
async def test_check_says_when_nobody_answers(url: str, tmp_path: Path) -> None:
    (tmp_path / "desk.db").write_bytes(b"this is no database" * 500)
    database = Database.open(url.format(folder=tmp_path))
    with pytest.raises(DatabaseUnavailable) as caught:
        await database.check()
    assert "hunter2" not in str(caught.value)
    await database.close()


async def test_sqlite_refuses_the_writes_of_readers(sqlite: Database) -> None:
    for statement in (insert(notes).values(number=1), update(notes).values(number=2), text("DROP TABLE notes"),
                      text("CREATE TABLE more (id INTEGER)")):
        with pytest.raises(OperationalError, match="readonly"):
            async with sqlite.reading() as session:
                await session.execute(statement)


async def test_every_sqlite_connection_is_durable_and_strict(sqlite: Database) -> None:
    async with sqlite.writing() as writer:
        readers = [sqlite.reading() for _ in range(READERS)]
        sessions = [writer, *[await reader.__aenter__() for reader in readers]]
        for session in sessions:
            assert await pragma(session, "journal_mode") == "wal"
            assert await pragma(session, "synchronous") == 2, "FULL: a commit survives a power cut"
            assert await pragma(session, "foreign_keys") == 1
            assert await pragma(session, "busy_timeout") == 5000
            assert await pragma(session, "query_only") == (0 if session is writer else 1)
        for reader in readers:
            await reader.__aexit__(None, None, None)


async def test_sqlite_writers_take_turns_and_lose_nothing(sqlite: Database) -> None:
    async with sqlite.writing() as session:
        await session.execute(insert(notes).values(id=1, number=0))
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*(read_and_add_one(sqlite) for _ in range(50)))
    async with sqlite.reading() as session:
        assert (await session.execute(select(notes.c.number))).scalar_one() == 50


async def test_sqlite_writers_of_two_processes_take_turns_too(sqlite: Database, sqlite_url: str) -> None:
    """A command line beside the running desk: BEGIN IMMEDIATE waits where a deferred BEGIN is told "locked"."""
    other = Database.open(sqlite_url)
    async with sqlite.writing() as session:
        await session.execute(insert(notes).values(id=1, number=0))
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*(read_and_add_one(one) for one in (sqlite, other) for _ in range(20)))
    async with other.reading() as session:
        assert (await session.execute(select(notes.c.number))).scalar_one() == 40
    await other.close()


async def test_sqlite_turns_are_fair(sqlite: Database) -> None:
    order: list[int] = []

    async def write(number: int) -> None:
        async with sqlite.writing() as session:
            await session.execute(insert(notes).values(number=number))
            order.append(number)

    await asyncio.gather(*(write(number) for number in range(20)))
    assert order == list(range(20))


async def test_a_sqlite_writer_waits_for_its_turn_however_long(sqlite: Database) -> None:
    """The pool alone would also make writers queue, but gives up on them when the one in front takes its time."""
    sqlite._writer.pool._timeout = 0.01  # type: ignore[attr-defined]
    async with asyncio.TaskGroup() as group, sqlite.writing() as session:
        waiting = [group.create_task(count_after_writing(sqlite)) for _ in range(3)]
        await asyncio.sleep(0.1)
        await session.execute(insert(notes).values(number=0))
    assert [task.result() for task in waiting] == [2, 3, 4]


async def count_after_writing(database: Database) -> int:
    async with database.writing() as session:
        await session.execute(insert(notes).values(number=1))
        return (await session.execute(select(func.count()).select_from(notes))).scalar_one()


@pytest.mark.postgresql
async def test_postgresql_writers_do_not_wait_for_each_other(on_postgresql: Database) -> None:
    async with on_postgresql.writing() as one, asyncio.timeout(DEADLINE), on_postgresql.writing() as other:
        await one.execute(insert(notes).values(number=1))
        await other.execute(insert(notes).values(number=2))
    assert await count(on_postgresql) == 2
