"""Receipts: paid, heard of, and the tier it opened, for the one who paid and nobody else."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from models.billing import LedgerKind
from services import ledger, receipts
from services.errors import InvalidRequest
from services.payments.protocol import Money, Movement
from tests.billing.conftest import DAY, Till
from tests.billing.test_life import booked, charge_of, tier_is
from webapp import openapi


@pytest.fixture(autouse=True)
async def prices(till: Till) -> None:
    for tier in till.desk.catalogue:
        if tier.rank:
            await till.payments.ensure_price(tier.name, Money(tier.amount_minor, "usd"))


async def shown(till: Till, token: str, query: str = "") -> dict[str, Any]:
    status, told, _ = await till.call("GET", f"/receipts{query}", token)
    assert status == 200, told
    schema = {"$ref": "#/components/schemas/Receipts", "components": openapi.document()["components"]}
    Draft202012Validator(schema).validate(told)
    return dict(told)


def at(told: str) -> datetime:
    return datetime.fromisoformat(told)


async def test_a_payment_names_its_event_and_what_it_opened(till: Till) -> None:
    user, token = await till.person()
    _, stranger = await till.person(9002)
    assert await shown(till, token) == {"items": [], "next_cursor": None}
    await till.buy(token, "vip")
    await till.becomes(user, "vip")
    await till.booked(1)
    [one] = (await shown(till, token))["items"]
    assert (one["kind"], one["provider"], one["amount_minor"], one["currency"]) == ("charge", "stripe", 9999, "usd")
    told = {e["id"]: e for e in await till.payments.events_since(datetime.now(UTC) - DAY)}[one["event_id"]]
    assert told["type"] == "invoice.paid" and told["data"]["object"]["id"] == one["invoice_id"]
    [grant] = await till.grants()
    assert one["tier"] == "vip" and abs(at(one["until"]) - grant.ends_at) < timedelta(seconds=1)
    assert at(one["paid_at"]) <= at(one["heard_at"]) and one["revoked_at"] is one["reason"] is None
    assert (await shown(till, stranger))["items"] == []


async def test_money_paid_back_shows_what_was_taken_with_it(till: Till) -> None:
    user, token = await till.person()
    await till.buy(token)
    await till.becomes(user, "premium")
    await till.booked(1)
    now = datetime.now(UTC)
    refund = await till.payments.refund(await charge_of(till), None, key="refund-1")
    await tier_is(till, user, "free", now)
    await booked(till, LedgerKind.REFUND, 1, now)
    back, paid = (await shown(till, token))["items"]
    assert (back["kind"], back["amount_minor"], back["tier"], back["reason"]) == ("refund", 2999, "premium", "refund")
    assert back["revoked_at"] is not None and paid["revoked_at"] == back["revoked_at"]
    assert back["event_id"] != paid["event_id"] and back["event_id"].startswith("evt_")
    await till.control(f"/refunds/{refund}/fail")
    await tier_is(till, user, "premium", now)
    await till.settle()
    items = (await shown(till, token))["items"]
    assert {one["kind"] for one in items} == {"charge", "refund", "refund_reversal"}
    assert all(one["revoked_at"] is None and one["amount_minor"] == 2999 for one in items)


async def test_an_upgrade_is_told_by_the_plan_it_opened(till: Till) -> None:
    user, token = await till.person()
    await till.buy(token)
    await till.becomes(user, "premium")
    await till.booked(1)
    status, _, _ = await till.call("POST", "/change-plan", token, {"tier": "vip"}, "k1")
    assert status == 200
    await till.booked(2)
    await till.becomes(user, "vip")
    # Both were paid within a second or so, which is as fine as the provider's clock goes.
    assert {one["tier"] for one in (await shown(till, token))["items"]} == {"premium", "vip"}


async def write(till: Till, user: int | None, number: int, when: datetime, currency: str = "usd") -> None:
    movement = Movement(f"in_{number}", LedgerKind.CHARGE, Money(100 + number, currency), when, None, None, None)
    async with till.desk.database.writing() as session:
        assert await ledger.record(session, "stripe", movement, user, when)
        assert not await ledger.record(session, "stripe", movement, user, when, event_id="evt_again")


async def test_pages_follow_each_other_without_gap_or_repetition(till: Till) -> None:
    user, token = await till.person()
    other, stranger = await till.person(9002)
    now = datetime.now(UTC)
    # Heard of in another order than paid, several in one second, and one whose payer nobody knows.
    for number, minutes in enumerate((5, 1, 3, 3, 3, 9, 7)):
        await write(till, user, number, now - timedelta(minutes=minutes))
    await write(till, other, 50, now)
    await write(till, None, 51, now)
    whole = (await shown(till, token))["items"]
    assert [one["amount_minor"] for one in whole] == [101, 104, 103, 102, 100, 106, 105]
    assert all(one["event_id"] is one["tier"] is one["until"] is None for one in whole)
    found: list[Any] = []
    cursor = ""
    while True:
        page = await shown(till, token, f"?limit=2{cursor}")
        found += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == whole
    status, problem, _ = await till.call("GET", f"/receipts?cursor={whole[0]['id']}", stranger)
    assert (status, problem["code"]) == (422, "invalid_request")
    for query in ("?cursor=x", "?cursor=999999999999999999", "?limit=0", "?limit=101"):
        assert (await till.call("GET", f"/receipts{query}", token))[0] == 422, query


@pytest.mark.parametrize("currency", ["jpy", "kwd", "isk", "xtr"])
async def test_amounts_stay_in_their_own_currency(till: Till, currency: str) -> None:
    user, token = await till.person()
    await write(till, user, 1, datetime.now(UTC), currency)
    [one] = (await shown(till, token))["items"]
    assert (one["amount_minor"], one["currency"]) == (101, currency)


async def test_the_last_payment_is_a_payment_and_of_this_user(till: Till) -> None:
    user, _ = await till.person()
    async with till.desk.database.reading() as session:
        assert await receipts.last_payment(session, user) is None
        with pytest.raises(InvalidRequest):
            await receipts.listed(session, user, 5, 1)
    await write(till, user, 1, datetime.now(UTC) - DAY)
    back = Movement("re_1", LedgerKind.REFUND, Money(101, "usd"), datetime.now(UTC), None, None, None)
    async with till.desk.database.writing() as session:
        await ledger.record(session, "stripe", back, user, datetime.now(UTC), event_id="evt_1")
    async with till.desk.database.reading() as session:
        last = await receipts.last_payment(session, user)
    assert last is not None and (last.kind, last.money) == (LedgerKind.CHARGE, Money(101, "usd"))
