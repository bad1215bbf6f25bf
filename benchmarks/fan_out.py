"""One signal to very many followers: how long does the writer stay held, and does anyone have to wait for it?"""

import asyncio
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from sqlalchemy import func, insert, select

import commands
import config
import migrations
from benchmarks.report import Figure
from models.approval import Approval
from models.database import Database
from models.message import OutboxItem
from models.provider import Follow
from models.user import CardNotice, User
from services import fan_out, providers, signals
from services.fan_out import Pace
from services.terms import Levels
from services.vault import Vault

CHUNK = 10_000
HELD_SECONDS = 0.100


async def run(folder: Path, followers: int) -> list[Figure]:
    """Publish to ``followers`` people on SQLite while somebody else keeps writing."""
    folder.mkdir(parents=True)
    url = f"sqlite+aiosqlite:///{folder / 'desk.db'}"
    await migrations.upgrade(url)
    database = Database.open(url)
    try:
        provider_id = await _populate(database, followers)
        waits: list[float] = []
        over = asyncio.Event()
        writing = asyncio.create_task(_other_writer(database, waits, over))
        held, seconds = await _publish(database, provider_id)
        over.set()
        await writing
        await _check(database, followers)
    finally:
        await database.close()
    return [
        Figure(f"fan-out to {followers}: longest hold of the writer", max(held), HELD_SECONDS, "s"),
        Figure(f"fan-out to {followers}: longest wait of another writer", max(waits), 2 * HELD_SECONDS, "s"),
        Figure(f"fan-out to {followers}: followers a second", followers / seconds, 2_000, "/s", at_least=True),
    ]


async def _populate(database: Database, followers: int) -> int:
    now = datetime.now(UTC)
    async with database.writing() as session:
        made = await providers.add(session, Vault(b"k" * 32), "Desk Alpha", now)
    for start in range(0, followers, CHUNK):
        ids = range(start + 1, min(start + CHUNK, followers) + 1)
        async with database.writing() as session:
            await session.execute(insert(User), [
                {"id": i, "telegram_id": 10**9 + i, "first_name": f"F{i}", "card_notice": CardNotice.ON,
                 "created_at": now} for i in ids])
            await session.execute(insert(Follow), [
                {"provider_id": made.provider_id, "user_id": i, "created_at": now} for i in ids])
    return made.provider_id


async def _publish(database: Database, provider_id: int) -> tuple[list[float], float]:
    """The seconds each chunk held the writer, and of the whole."""
    settings = config.load({})
    catalogue, pace = commands.catalogue(settings), Pace(settings.facts.signals.fan_out_chunk)
    levels = Levels("XAUUSD", "buy", "market", None, None, Decimal(2300), (Decimal(2400),), None)
    held: list[float] = []
    began = time.perf_counter()
    async with database.writing() as session:
        await signals.publish(session, provider_id, "bench", levels, 900, datetime.now(UTC))
    while True:
        async with database.reading() as session:
            undone = await fan_out.undone(session)
        if not undone:
            return held, time.perf_counter() - began
        held.append(await fan_out.advance(database, undone[0], catalogue, pace, datetime.now(UTC)))
        await asyncio.sleep(held[-1])


async def _other_writer(database: Database, waits: list[float], over: asyncio.Event) -> None:
    """Someone who approves meanwhile: how long until their transaction may begin?"""
    while not over.is_set():
        asked = time.perf_counter()
        async with database.writing():
            waits.append(time.perf_counter() - asked)
        await asyncio.sleep(0.01)


async def _check(database: Database, followers: int) -> None:
    async with database.reading() as session:
        for table in (Approval, OutboxItem):
            number = await session.scalar(select(func.count()).select_from(table))
            assert number == followers, (table.__tablename__, number)
