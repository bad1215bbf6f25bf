"""Column types keep what they are given, or refuse it: instants to the microsecond, decimals to the last digit."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.exc import StatementError

from models.columns import DecimalText, UtcInstant
from models.database import Database
from tests.models.notes import notes

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SQLITE = sqlite_dialect.dialect()
instants = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.sampled_from(
    [UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=11, minutes=30))]))
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-10**15, max_value=10**15)


async def test_instants_come_back_as_they_went_in(database: Database) -> None:
    east = timezone(timedelta(hours=5, minutes=45))
    given_ = [NOON, NOON.replace(microsecond=1), NOON.replace(microsecond=999_999), NOON.astimezone(east)]
    async with database.writing() as session:
        await session.execute(insert(notes), [{"at": at} for at in given_])
    async with database.reading() as session:
        found = list(await session.scalars(select(notes.c.at).order_by(notes.c.id)))
    assert found == given_
    assert all(at.utcoffset() == timedelta(0) for at in found)


async def test_instants_compare_in_sql_as_they_do_in_python(database: Database) -> None:
    given_ = [NOON, NOON + timedelta(microseconds=1), NOON - timedelta(days=400), NOON + timedelta(seconds=1),
              (NOON + timedelta(hours=1)).astimezone(timezone(-timedelta(hours=9)))]
    async with database.writing() as session:
        await session.execute(insert(notes), [{"at": at} for at in given_])
    async with database.reading() as session:
        ordered = list(await session.scalars(select(notes.c.at).order_by(notes.c.at)))
        later = list(await session.scalars(select(notes.c.at).where(notes.c.at > NOON).order_by(notes.c.at)))
    assert ordered == sorted(given_)
    assert later == sorted(at for at in given_ if at > NOON)


@pytest.mark.parametrize("column", ["value", "condition"])
async def test_naive_instants_are_refused(database: Database, column: str) -> None:
    naive = NOON.replace(tzinfo=None)
    statement = insert(notes).values(at=naive) if column == "value" else select(notes).where(notes.c.at < naive)
    with pytest.raises(StatementError, match="timezone-aware"):
        async with database.writing() as session:
            await session.execute(statement)


async def test_decimals_are_exact(database: Database) -> None:
    given_ = [Decimal(text) for text in (
        "0", "0.1", "-0.10", "1.08345", "0.00000001", "123456789012345.123456789012345", "1E+3", "-9.9E-12",
        "99999999999999999999.99")]
    async with database.writing() as session:
        await session.execute(insert(notes), [{"amount": value} for value in given_])
    async with database.reading() as session:
        found = list(await session.scalars(select(notes.c.amount).order_by(notes.c.id)))
    assert found == given_ and all(isinstance(value, Decimal) for value in found)


async def test_what_is_no_finite_decimal_is_refused(database: Database) -> None:
    for value in (0.1, 1, "1.5", Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity")):
        with pytest.raises(StatementError, match=r"expected Decimal|must be finite"):
            async with database.writing() as session:
                await session.execute(insert(notes).values(amount=value))


async def test_nothing_stays_nothing(database: Database) -> None:
    async with database.writing() as session:
        await session.execute(insert(notes).values(at=None, amount=None))
    async with database.reading() as session:
        assert (await session.execute(select(notes.c.at, notes.c.amount))).one() == (None, None)


async def test_keys_grow_and_hold_more_than_32_bits(database: Database) -> None:
    async with database.writing() as session:
        first = (await session.execute(insert(notes).values(number=1).returning(notes.c.id))).scalar_one()
        second = (await session.execute(insert(notes).values(number=2).returning(notes.c.id))).scalar_one()
        big = (await session.execute(insert(notes).values(id=2**62).returning(notes.c.id))).scalar_one()
    assert second > first and big == 2**62


@given(instants, instants)
def test_sqlites_text_keeps_instants_and_their_order(one: datetime, other: datetime) -> None:
    column = UtcInstant()
    left, right = column.process_bind_param(one, SQLITE), column.process_bind_param(other, SQLITE)
    assert column.process_result_value(left, SQLITE) == one
    assert len(left) == 27 and (left < right) == (one < other)


@given(decimals)
def test_sqlites_text_keeps_decimals_without_exponents(value: Decimal) -> None:
    column = DecimalText()
    text = column.process_bind_param(value, SQLITE)
    assert "E" not in text and column.process_result_value(text, SQLITE) == value
