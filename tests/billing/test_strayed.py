"""Nothing Stripe says reaches us, not even its list of events: its subscriptions alone must be enough."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete

from models.message import InboxItem
from services import inbox, reconciliation
from services.payments import stripe_provider
from services.payments.protocol import Money
from services.stripe_inbox import SOURCE
from tests.billing.conftest import DAY, Till


@pytest.fixture(autouse=True)
async def deaf(till: Till) -> None:
    await till.payments.ensure_price("premium", Money(2999, "usd"))
    await till.hold()
    await till.settle()


async def look(till: Till) -> int:
    found = await reconciliation.strayed(till.payments, till.cashier, datetime.now(UTC))
    await till.settle()
    return found


async def test_a_purchase_is_found_and_booked_and_found_once(till: Till) -> None:
    user, token = await till.person()
    await till.buy(token)
    assert await look(till) == 2, "the subscription, and its invoice"
    assert await till.tier(user) == "premium" and await till.entries() == 1
    assert await look(till) == 0
    assert len(await till.grants()) == 1


async def test_an_end_is_found(till: Till) -> None:
    user, token = await till.person()
    await till.buy(token)
    await look(till)
    [grant] = await till.grants()
    await till.payments.cancel_now(str(grant.subscription_id), key="by hand")
    assert await till.tier(user) == "premium", "nobody has told us"
    assert await look(till) == 1
    assert await till.tier(user) == "free"
    assert await look(till) == 0


async def test_a_renewal_is_found(till: Till) -> None:
    user, token = await till.person()
    await till.buy(token)
    await look(till)
    await till.control("/advance", {"days": 32})
    assert await look(till) == 2
    assert await till.entries() == 2
    assert await till.tier(user, datetime.now(UTC) + 40 * DAY) == "premium"


async def test_more_than_a_page_of_subscriptions(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe_provider, "PAGE", 2)
    people = [await till.person(telegram_id) for telegram_id in range(9000, 9005)]
    for _, token in people:
        await till.buy(token)
    assert await look(till) == 2 * len(people)
    assert await till.entries() == len(people)


async def test_how_far_back_the_first_look_goes(till: Till) -> None:
    now = datetime.now(UTC)

    async def since() -> datetime:
        async with till.desk.database.reading() as session:
            return await reconciliation.first_look(session, now)

    async def hear(name: str, at: datetime) -> None:
        async with till.desk.database.writing() as session:
            await inbox.store(session, SOURCE, [inbox.Delivery(name, name, b"{}")], at)

    async with till.desk.database.writing() as session:
        await session.execute(delete(InboxItem))  # what came of the prices being made
    await hear("evt_old", now - 90 * DAY)
    assert await since() == now - 29 * DAY, "no further than Stripe keeps them"
    await hear("evt_newer", now - 20 * DAY)
    assert await since() == now - 20 * DAY - timedelta(hours=3)
    await hear("evt_new", now)
    assert await since() == now - 7 * DAY, "those that came may not have been all"
