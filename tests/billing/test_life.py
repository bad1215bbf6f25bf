"""What happens to a plan that was bought: renewals, failures, refunds, disputes; told by Stripe's stand-in."""

from datetime import UTC, datetime
from typing import Any

import pytest

from models.billing import LedgerKind
from services.payments.protocol import Money
from tests.billing.conftest import DAY, Till
from tests.running import until


@pytest.fixture(autouse=True)
async def prices(till: Till) -> None:
    await till.payments.ensure_price("premium", Money(2999, "usd"))


async def bought(till: Till) -> tuple[int, str]:
    """A user with a paid month of premium, and the subscription's id."""
    user, token = await till.person()
    await till.buy(token)
    await till.becomes(user, "premium")
    await till.booked(1)
    return user, str((await till.grants())[0].subscription_id)


async def charge_of(till: Till) -> str:
    found = await till.payments.events_since(datetime.now(UTC) - DAY)
    return str(next(e["data"]["object"]["id"] for e in found if e["type"] == "charge.succeeded"))


async def advance(till: Till, days: float) -> datetime:
    """Let Stripe's clock run, and handle what follows as of then."""
    told: dict[str, Any] = await till.control("/advance", {"days": int(days), "hours": round((days % 1) * 24)})
    return datetime.fromtimestamp(told["now"], UTC)


async def tier_is(till: Till, user: int, tier: str, at: datetime) -> None:
    """Handle what arrives, as of that moment, until the user has this tier then."""

    async def has_it() -> bool:
        await till.inbox.drain(max(at, datetime.now(UTC)))
        return await till.tier(user, at) == tier

    await until(f"the tier is {tier} at {at}", has_it)


async def booked(till: Till, kind: LedgerKind, number: int, at: datetime) -> None:
    async def are_there() -> bool:
        await till.inbox.drain(max(at, datetime.now(UTC)))
        return await till.entries(kind) == number

    await until(f"{number} of {kind} are in the books", are_there)


async def test_a_renewal_is_one_more_charge_and_one_more_month(till: Till) -> None:
    user, _ = await bought(till)
    now = await advance(till, 31.5)
    await booked(till, LedgerKind.CHARGE, 2, now)
    await tier_is(till, user, "premium", now + 20 * DAY)
    assert [g.source for g in await till.grants()] == ["stripe", "stripe"]


async def test_a_card_that_fails_leaves_a_grace_and_paying_ends_it(till: Till) -> None:
    user, subscription = await bought(till)
    await till.control(f"/subscriptions/{subscription}/card", {"behaviour": "decline"})
    failed = await advance(till, 31.5)

    async def is_overdue() -> bool:
        await till.inbox.drain(failed)
        return any(g.source == "grace" for g in await till.grants())

    await until("the grace is there", is_overdue)
    assert await till.tier(user, failed + 6 * DAY) == "premium"
    assert await till.tier(user, failed + 8 * DAY) == "free"
    assert await till.entries() == 1
    await till.control(f"/subscriptions/{subscription}/card", {"behaviour": "ok"})
    later = await advance(till, 4)
    await booked(till, LedgerKind.CHARGE, 2, later)
    await tier_is(till, user, "premium", later + 8 * DAY)


async def test_a_full_refund_takes_the_tier_back_and_a_failed_one_gives_it_back(till: Till) -> None:
    user, _ = await bought(till)
    now = datetime.now(UTC)
    refund = await till.payments.refund(await charge_of(till), None, key="refund-1")
    assert await till.payments.refund(await charge_of(till), None, key="refund-1") == refund
    await tier_is(till, user, "free", now)
    await booked(till, LedgerKind.REFUND, 1, now)
    assert (await till.balances())[("stripe:balance", "USD")] == 0
    await till.control(f"/refunds/{refund}/fail")
    await tier_is(till, user, "premium", now)
    assert (await till.balances())[("stripe:balance", "USD")] == 2999


async def test_a_part_of_it_back_leaves_the_tier(till: Till) -> None:
    user, _ = await bought(till)
    await till.payments.refund(await charge_of(till), 1000, key="refund-1")
    await booked(till, LedgerKind.REFUND, 1, datetime.now(UTC))
    await till.settle()
    assert await till.tier(user) == "premium"
    assert (await till.balances())[("stripe:balance", "USD")] == 1999


@pytest.mark.parametrize(("how", "tier", "balance"), [("win", "premium", 2999), ("lose", "free", 0)])
async def test_a_dispute_freezes_and_its_end_decides(till: Till, how: str, tier: str, balance: int) -> None:
    user, _ = await bought(till)
    opened: dict[str, Any] = await till.control(f"/charges/{await charge_of(till)}/dispute", {"kind": "fraudulent"})
    now = datetime.now(UTC)
    await tier_is(till, user, "free", now)
    dispute = opened.get("id") or opened["dispute"]["id"]
    await till.control(f"/disputes/{dispute}/{how}")
    await tier_is(till, user, tier, now)
    await till.settle()
    assert await till.tier(user) == tier
    assert (await till.balances())[("stripe:balance", "USD")] == balance


async def test_an_inquiry_moves_nothing(till: Till) -> None:
    user, _ = await bought(till)
    await till.control(f"/charges/{await charge_of(till)}/dispute", {"kind": "inquiry"})
    await till.settle()
    assert await till.tier(user) == "premium" and await till.entries(LedgerKind.DISPUTE) == 0


async def test_cancelled_it_ends_with_its_month(till: Till) -> None:
    user, token = await till.person()
    await till.buy(token)
    await till.becomes(user, "premium")
    await till.booked(1)
    assert (await till.call("POST", "/cancel", token, None, "c"))[0] == 200
    now = await advance(till, 32)
    await tier_is(till, user, "free", now)
    await till.inbox.drain(now)
    assert await till.entries() == 1
    status, made, _ = await till.call("POST", "/checkout", token, {"tier": "premium"}, "again")
    assert status == 201, made


async def test_the_books_agree_with_the_report_to_the_cent(till: Till) -> None:
    await bought(till)
    await till.payments.refund(await charge_of(till), 500, key="refund-1")
    now = await advance(till, 31.5)
    await booked(till, LedgerKind.CHARGE, 2, now)
    await booked(till, LedgerKind.REFUND, 1, now)
    sums = (await till.look("/report"))["sums"]["usd"]
    found = await till.balances()
    assert -found[("sales", "USD")] == sums["charge"]
    assert found[("refunds", "USD")] == abs(sums["refund"])
    assert found[("stripe:balance", "USD")] == sums["charge"] - abs(sums["refund"])


