"""The curve of equity: thinned as it ages, keeping the last of each span, and read from where the line comes in."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from models.account import Account
from models.database import Database
from models.position import EquityPoint
from services import accounts, equity
from services.desk import Desk
from tests.services import stage

NOW = datetime(2026, 6, 15, 12, 0, 30, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
async def account(desk: Desk, now: datetime) -> Account:
    user_id = await stage.join(desk, now)
    async with desk.database.reading() as session:
        return await accounts.primary(session, user_id)


async def draw(database: Database, account_id: int, moments: list[datetime]) -> None:
    async with database.writing() as session:
        session.add_all(EquityPoint(account_id=account_id, at=at, equity=Decimal(number), balance=Decimal(1))
                        for number, at in enumerate(moments))


async def left(database: Database, account_id: int) -> list[datetime]:
    async with database.reading() as session:
        return list(await session.scalars(
            select(EquityPoint.at).where(EquityPoint.account_id == account_id).order_by(EquityPoint.at)))


def thinned(moments: list[datetime], now: datetime) -> list[datetime]:
    """What should be left: the last point of each span, however young; spans grow with the age of a point."""
    last: dict[tuple[int, int], datetime] = {}
    for at in sorted(moments):
        for width in (900, 3600, 86_400):
            last[width, int(at.timestamp()) // width] = at
    return [at for at in sorted(moments) if now - at <= DAY or last[_span(at, now)] == at]


def _span(at: datetime, now: datetime) -> tuple[int, int]:
    age = now - at
    width = 900 if age <= 7 * DAY else 3600 if age <= 90 * DAY else 86_400
    return width, int(at.timestamp()) // width


async def thin(database: Database, now: datetime) -> None:
    thinner = equity.Thinner(database)
    for _ in range(50):
        if not await thinner.step(now, 300):
            return
    raise AssertionError("thinning does not end")


async def test_points_grow_sparse_with_age(desk: Desk, account: Account) -> None:
    chance = random.Random(7)
    moments = sorted({NOW - timedelta(seconds=chance.randint(0, 200 * 86_400)) for _ in range(900)}
                     | {NOW - timedelta(minutes=n) for n in range(0, 3000, 2)})
    await draw(desk.database, account.id, moments)
    await thin(desk.database, NOW)
    assert await left(desk.database, account.id) == thinned(moments, NOW)
    await thin(desk.database, NOW)
    assert await left(desk.database, account.id) == thinned(moments, NOW), "thin already"


async def test_thinning_day_by_day_ends_where_thinning_at_once_does(desk: Desk, account: Account) -> None:
    moments = [NOW - timedelta(minutes=15 * n + 3) for n in range(12 * 96)]
    await draw(desk.database, account.id, moments)
    for days in (11, 8, 4, 1, 0):
        await thin(desk.database, NOW - days * DAY)
    assert await left(desk.database, account.id) == thinned(moments, NOW)


async def test_accounts_are_thinned_for_themselves(desk: Desk, account: Account, now: datetime) -> None:
    other_user = await stage.join(desk, now)
    async with desk.database.reading() as session:
        other = await accounts.primary(session, other_user)
    old = NOW - 2 * DAY
    await draw(desk.database, account.id, [old, old + timedelta(minutes=1)])
    await draw(desk.database, other.id, [old + timedelta(seconds=90)])
    await thin(desk.database, NOW)
    assert len(await left(desk.database, account.id)) == len(await left(desk.database, other.id)) == 1


async def test_a_series_begins_with_the_point_before_it(desk: Desk, account: Account) -> None:
    await draw(desk.database, account.id, [NOW - 9 * DAY, NOW - 3 * DAY, NOW - timedelta(hours=2), NOW])
    for since, numbers in ((NOW - DAY, [1, 2, 3]), (NOW - 3 * DAY, [0, 1, 2, 3]), (NOW - 30 * DAY, [0, 1, 2, 3]),
                           (NOW + DAY, [3])):
        async with desk.database.reading() as session:
            assert [int(p.equity) for p in await equity.series(session, account.id, since)] == numbers


async def test_what_is_spaced_ends_with_the_last_point(desk: Desk, account: Account) -> None:
    await draw(desk.database, account.id, [NOW - timedelta(minutes=n) for n in range(120)])
    async with desk.database.reading() as session:
        points = await equity.series(session, account.id, NOW - DAY)
    spaced = equity.spaced(points, timedelta(minutes=15))
    assert len(spaced) == 9 and spaced[-1].at == NOW
