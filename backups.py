"""``countersign backup`` and ``countersign restore``, for the desk on SQLite."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.engine import make_url

import migrations
from config import Settings
from models.database import Database
from runtime import sqlite_copy
from runtime.lock import DirectoryLock, InUse
from runtime.sqlite_copy import NotACopy
from services import canary
from services.vault import Vault


class BackupFailed(Exception):
    """Nothing was changed; the message says why."""


async def backup(settings: Settings, target: Path) -> Path:
    """Copy the database while the desk runs; BackupFailed when the file exists or there is nothing to copy."""
    source = _file(settings)
    if target.exists():
        raise BackupFailed(f"{target} exists already.")
    if not source.exists():
        raise BackupFailed("There is no database yet.")
    try:
        await asyncio.to_thread(sqlite_copy.take, source, target)
    except (OSError, NotACopy) as error:
        raise BackupFailed(f"The copy could not be made: {error}.") from error
    return target


async def restore(settings: Settings, vault: Vault, copy: Path) -> Path | None:
    """Put a copy in the place of the database; returns where the former one is kept.

    Refused while the desk runs, and for a file that is damaged, of a newer schema, or sealed with another key.
    """
    database = _file(settings)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = DirectoryLock(settings.data)
    try:
        lock.take()
    except InUse as error:
        raise BackupFailed("The desk is running. Stop it first.") from error
    try:
        await _check(copy, vault)
        kept = database.with_name(f"{database.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S}")
        had_one = database.exists()
        await asyncio.to_thread(sqlite_copy.put_back, copy, database, kept)
        return kept if had_one else None
    except (OSError, NotACopy) as error:
        raise BackupFailed(f"{copy} cannot be restored: {error}.") from error
    finally:
        lock.release()


async def _check(copy: Path, vault: Vault) -> None:
    if not copy.is_file():
        raise BackupFailed(f"There is no file {copy}.")
    await asyncio.to_thread(sqlite_copy.check, copy)
    url = f"sqlite+aiosqlite:///{copy}"
    revision = await migrations.current(url)
    if revision is None or not migrations.knows(revision):
        raise BackupFailed(f"{copy} is no database of this version of Countersign or an older one.")
    database = Database.open(url)
    try:
        async with database.reading() as session:
            if not await canary.sings(session, vault):
                raise BackupFailed("MASTER_KEY is not the key this copy was sealed with.")
    finally:
        await database.close()


def _file(settings: Settings) -> Path:
    url = make_url(settings.database_url.get_secret_value())
    if url.get_backend_name() != "sqlite" or not url.database:
        raise BackupFailed("This is for SQLite. For PostgreSQL use pg_dump and pg_restore.")
    return Path(url.database)
