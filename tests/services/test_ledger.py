"""The ledger: each movement once, two sides that cancel out."""

import asyncio
from datetime import datetime

import pytest

from models.billing import LedgerEntry, LedgerKind, LedgerPosting
from services import ledger
from services.desk import Desk
from services.payments.protocol import Money, Movement
from tests.services import stage


def moved(kind: LedgerKind, amount: int, now: datetime, *, id_: str = "in_1", currency: str = "usd",
          invoice: str = "in_1") -> Movement:
    return Movement(id_, kind, Money(amount, currency), now, "cus_1", "sub_1", invoice)


async def record(desk: Desk, movement: Movement, now: datetime, user_id: int | None = None) -> bool:
    async with desk.database.writing() as session:
        return await ledger.record(session, "stripe", movement, user_id, now)


async def test_a_movement_is_written_once_however_often_it_is_told(desk: Desk, now: datetime) -> None:
    user = await stage.join(desk, now)
    charge = moved(LedgerKind.CHARGE, 2999, now)
    told = await asyncio.gather(*(record(desk, charge, now, user) for _ in range(20)))
    assert sorted(told) == [False] * 19 + [True]
    assert await stage.count(desk.database, LedgerEntry) == 1
    assert await stage.count(desk.database, LedgerPosting) == 2


async def test_balances_cancel_out_in_every_currency(desk: Desk, now: datetime) -> None:
    for movement in (
            moved(LedgerKind.CHARGE, 2999, now), moved(LedgerKind.REFUND, 1000, now, id_="re_1"),
            moved(LedgerKind.REFUND_REVERSAL, 1000, now, id_="re_1"),
            moved(LedgerKind.DISPUTE, 2999, now, id_="du_1"), moved(LedgerKind.DISPUTE_REVERSAL, 2999, now, id_="du_1"),
            moved(LedgerKind.CHARGE, 4500, now, id_="in_2", currency="jpy"),
            moved(LedgerKind.CHARGE, 9220, now, id_="in_3", currency="kwd"),
            moved(LedgerKind.CHARGE, 500, now, id_="in_4", currency="XTR")):
        assert await record(desk, movement, now)
    async with desk.database.reading() as session:
        found = await ledger.balances(session)
    assert found[("stripe:balance", "USD")] == 2999 and found[("sales", "USD")] == -2999
    assert found[("refunds", "USD")] == found[("disputes", "USD")] == 0
    assert found[("stripe:balance", "JPY")] == 4500
    for currency in ("USD", "JPY", "KWD", "XTR"):
        assert sum(amount for (_, of), amount in found.items() if of == currency) == 0


async def test_nothing_moves_for_nothing(desk: Desk, now: datetime) -> None:
    assert not await record(desk, moved(LedgerKind.CHARGE, 0, now), now)
    assert await stage.count(desk.database, LedgerEntry) == 0


@pytest.mark.parametrize(("refunds", "expected"), [((), (2999, 0)), ((1000,), (2999, 1000)), ((1000, 1999),
                                                                                              (2999, 2999))])
async def test_what_an_invoice_brought_and_gave_back(desk: Desk, now: datetime, refunds: tuple[int, ...],
                                                     expected: tuple[int, int]) -> None:
    await record(desk, moved(LedgerKind.CHARGE, 2999, now), now)
    await record(desk, moved(LedgerKind.CHARGE, 777, now, id_="in_2", invoice="in_2"), now)
    for number, amount in enumerate(refunds):
        await record(desk, moved(LedgerKind.REFUND, amount, now, id_=f"re_{number}"), now)
    async with desk.database.reading() as session:
        assert await ledger.totals_of(session, "stripe", "in_1") == expected
