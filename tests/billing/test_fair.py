"""What was paid is what is given: no plan for a cheaper one's price, none for money that never came."""

import secrets
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from models.billing import LedgerKind, Operation, Subscription
from services import billing, operations, previews
from services.payments.protocol import Money
from tests.billing.conftest import DAY, Till
from tests.billing.test_life import advance, booked, tier_is
from tests.running import until

PREMIUM, VIP = 2999, 9999


@pytest.fixture(autouse=True)
async def prices(till: Till) -> None:
    for tier, amount in (("premium", PREMIUM), ("vip", VIP)):
        await till.payments.ensure_price(tier, Money(amount, "usd"))


async def rows(till: Till, of: Any) -> list[Any]:
    async with till.desk.database.reading() as session:
        return list(await session.scalars(select(of)))


async def change(till: Till, user: int, tier: str, at: datetime) -> dict[str, Any]:
    """Ask for a plan at a moment of Stripe's clock."""
    async with till.desk.database.writing() as session:
        operation = await operations.start(session, secrets.token_hex(16), user, "change_plan", {"tier": tier}, at)
    return (await billing.carry_out(till.cashier, operation, at)).body


async def test_who_goes_down_and_up_again_pays_for_up(till: Till) -> None:
    """A period is good for a day longer than was paid for; that day must not buy the next month."""
    user, token = await till.person()
    await till.buy(token, "vip")
    await till.becomes(user, "vip")
    await till.booked(1)
    assert (await change(till, user, "premium", datetime.now(UTC)))["takes_effect"] == "period_end"
    at = await advance(till, 30.5)
    await booked(till, LedgerKind.CHARGE, 2, at)
    assert await till.tier(user, at) == "vip", "the day that is left of it"
    told = await previews.of(till.cashier, user, "vip", at)
    assert told.takes_effect == "now" and told.money.amount_minor > 0
    assert (await change(till, user, "vip", at))["takes_effect"] == "now"
    await booked(till, LedgerKind.CHARGE, 3, at)


async def test_a_change_nobody_paid_for_opens_nothing(till: Till) -> None:
    """Made at Stripe by hand, without reckoning the difference."""
    user, token = await till.person()
    await till.buy(token, "premium")
    await till.becomes(user, "premium")
    await till.booked(1)
    [grant] = await till.grants()
    await till.payments.set_tier_next_period(str(grant.subscription_id), "vip", key="by hand")
    await till.settle()
    assert await till.tier(user) == "premium"
    at = await advance(till, 31)
    await booked(till, LedgerKind.CHARGE, 2, at)
    await tier_is(till, user, "vip", at)


async def test_an_unpaid_plan_is_not_changed(till: Till) -> None:
    user, token = await till.person()
    await till.buy(token, "vip")
    await till.becomes(user, "vip")
    [row] = await rows(till, Subscription)
    await till.control(f"/subscriptions/{row.provider_subscription_id}/card", {"behaviour": "decline"})
    at = await advance(till, 32)

    async def is_overdue() -> bool:
        await till.inbox.drain(at)
        return any(grant.source == "grace" for grant in await till.grants())

    await until("the grace is there", is_overdue)
    for tier in ("premium", "enterprise"):
        for method, path, body in (("GET", f"/preview?tier={tier}", None), ("POST", "/change-plan", {"tier": tier})):
            status, problem, _ = await till.call(method, path, token, body, tier)
            assert (status, problem["code"]) == (402, "payment_refused"), (path, problem)


async def test_what_ended_at_once_can_still_be_read(till: Till) -> None:
    user, token = await till.person()
    await till.buy(token)
    await till.becomes(user, "premium")
    await till.booked(1)
    [grant] = await till.grants()
    await till.payments.cancel_now(str(grant.subscription_id), key="by hand")
    await till.becomes(user, "free")
    status, told, _ = await till.call("GET", "/receipts", token)
    assert status == 200 and len(told["items"]) == 1
    assert (await till.grants())[0].ends_at <= datetime.now(UTC) + DAY


async def test_another_product_at_the_same_stripe_is_left_alone(till: Till) -> None:
    user, token = await till.person()
    await till.buy(token)
    await till.becomes(user, "premium")
    client = till.payments._client.v1
    customer = (await client.customers.list_async({})).data[0].id
    product = await client.products.create_async({"name": "A book"})
    price = await client.prices.create_async({"product": product.id, "currency": "usd", "unit_amount": 500,
                                              "recurring": {"interval": "month"}})
    made = await client.subscriptions.create_async({"customer": customer, "items": [{"price": price.id}]})
    await till.settle()
    assert [row.tier for row in await rows(till, Subscription)] == ["premium"]
    assert [one.kind for one in await rows(till, Operation)] == ["checkout"]
    assert (await client.subscriptions.retrieve_async(made.id)).status in ("active", "incomplete")
    status, told, _ = await till.call("GET", "/subscription", token)
    assert (status, told["tier"], told["plan"]) == (200, "premium", "premium")


async def test_who_was_deleted_at_stripe_can_buy_again(till: Till) -> None:
    user, token = await till.person()
    assert (await till.call("POST", "/checkout", token, {"tier": "premium"}, "first"))[0] == 201
    client = till.payments._client.v1
    await client.customers.delete_async((await client.customers.list_async({})).data[0].id)
    await till.settle()
    await till.buy(token)
    await till.becomes(user, "premium")
    await till.booked(1)
