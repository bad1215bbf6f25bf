"""Copies of a SQLite database: taken while it is in use, checked before they replace anything."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

PAGES_AT_ONCE = 2_000


class NotACopy(Exception):
    """The file is no intact SQLite database."""


def take(source: Path, target: Path) -> None:
    """Copy a database that others may be writing to; the copy appears whole or not at all (SQLite's backup API)."""
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as original, \
            closing(sqlite3.connect(part)) as copy:
        original.backup(copy, pages=PAGES_AT_ONCE, sleep=0.01)
        copy.execute("PRAGMA journal_mode=DELETE")
    check(part)
    _sync(part)
    part.rename(target)


def check(path: Path) -> None:
    """NotACopy unless the file is a database whose every page is in order."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("PRAGMA integrity_check").fetchall()
    except sqlite3.DatabaseError as error:
        raise NotACopy(str(error)) from error
    if found != [("ok",)]:
        raise NotACopy("the database is damaged")


def put_back(copy: Path, database: Path, kept: Path) -> None:
    """Put a checked copy in the database's place; what stood there is kept at ``kept``. Nobody may be using it."""
    part = database.with_name(database.name + ".part")
    take(copy, part)
    if database.exists():
        take(database, kept)  # with what its write-ahead log still held
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    part.rename(database)
    _sync(database.parent)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
