"""Subscriptions and what they entitle to: the same end state, whatever order and however often it is told."""

import itertools
import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from models.billing import Subscription
from models.grant import Grant
from services import grants, subscriptions, tiers
from services.desk import Desk
from services.payments.protocol import Money, SubscriptionState
from services.subscriptions import OwnerUnknown, Rules
from tests.services import stage

DAY = timedelta(days=1)
MONTH = 30 * DAY


@pytest.fixture
def rules(desk: Desk) -> Rules:
    return Rules(desk.catalogue, renewal_lag=DAY, grace=7 * DAY)


def state(user_id: int | None, start: datetime, **changes: Any) -> SubscriptionState:
    """An active, paid month of premium from ``start``."""
    told = SubscriptionState(
        id="sub_1", customer_id="cus_1", user_id=user_id, status="active", tier="premium", price=Money(2999, "usd"),
        current_period_start=start, current_period_end=start + MONTH, cancel_at_period_end=False, cancel_at=None,
        trial_end=None, ended_at=None, is_paid=True, invoice_id="in_1")
    return replace(told, **changes)


async def tell(desk: Desk, rules: Rules, told: SubscriptionState, now: datetime) -> None:
    async with desk.database.writing() as session:
        await subscriptions.sync(session, rules, "stripe", told, now)


async def tier_at(desk: Desk, user_id: int, at: datetime) -> str:
    async with desk.database.reading() as session:
        return (await tiers.tier_of(session, desk.catalogue, user_id, at)).name


async def test_a_paid_month_is_good_for_a_month_and_the_lag(desk: Desk, rules: Rules, now: datetime) -> None:
    user = await stage.join(desk, now, "free")
    await tell(desk, rules, state(user, now), now)
    assert await tier_at(desk, user, now) == "premium"
    assert await tier_at(desk, user, now + MONTH + DAY / 2) == "premium"
    assert await tier_at(desk, user, now + MONTH + DAY) == "free", "by the clock, without any event"


async def test_told_again_nothing_is_added(desk: Desk, rules: Rules, now: datetime) -> None:
    user = await stage.join(desk, now, "free")
    for _ in range(5):
        await tell(desk, rules, state(user, now), now)
    assert await stage.count(desk.database, Grant) == 1
    assert await stage.count(desk.database, Subscription) == 1


async def test_unpaid_is_not_entitled(desk: Desk, rules: Rules, now: datetime) -> None:
    user = await stage.join(desk, now, "free")
    await tell(desk, rules, state(user, now, status="incomplete", is_paid=False), now)
    assert await tier_at(desk, user, now) == "free"
    await tell(desk, rules, state(user, now, is_paid=False), now)
    assert await tier_at(desk, user, now) == "free", "active, but its invoice is still being charged"


async def test_a_failed_renewal_leaves_the_tier_for_the_grace_counted_from_the_first_failure(
        desk: Desk, rules: Rules, now: datetime) -> None:
    user = await stage.join(desk, now, "free")
    await tell(desk, rules, state(user, now), now)
    second = now + MONTH
    overdue = state(user, second, status="past_due", is_paid=False, invoice_id="in_2")
    await tell(desk, rules, overdue, second)
    await tell(desk, rules, overdue, second + 3 * DAY)
    assert await tier_at(desk, user, second + 6 * DAY) == "premium"
    assert await tier_at(desk, user, second + 8 * DAY) == "free"
    await tell(desk, rules, state(user, second, invoice_id="in_2"), second + 8 * DAY)
    assert await tier_at(desk, user, second + 8 * DAY) == "premium", "paid in the end"
    third = second + MONTH
    await tell(desk, rules, state(user, third, status="past_due", is_paid=False), third)
    assert await tier_at(desk, user, third + 6 * DAY) == "premium", "a new failure has a grace of its own"


async def test_cancelled_at_the_end_it_ends_at_the_end_and_resumed_it_goes_on(desk: Desk, rules: Rules,
                                                                              now: datetime) -> None:
    user = await stage.join(desk, now, "free")
    await tell(desk, rules, state(user, now), now)
    await tell(desk, rules, state(user, now, cancel_at_period_end=True), now)
    assert await tier_at(desk, user, now + MONTH - DAY) == "premium"
    assert await tier_at(desk, user, now + MONTH) == "free"
    await tell(desk, rules, state(user, now), now + DAY)
    assert await tier_at(desk, user, now + MONTH + DAY / 2) == "premium"


async def test_what_is_over_is_over_even_when_older_news_come_late(desk: Desk, rules: Rules, now: datetime) -> None:
    user = await stage.join(desk, now, "free")
    await tell(desk, rules, state(user, now), now)
    ended = now + 3 * DAY
    await tell(desk, rules, state(user, now, status="canceled", ended_at=ended), ended)
    assert await tier_at(desk, user, ended) == "free"
    async with desk.database.reading() as session:
        assert (await session.scalars(select(Subscription.status))).one() == "canceled"


async def test_an_upgrade_counts_at_once_and_a_downgrade_when_its_month_begins(desk: Desk, rules: Rules,
                                                                               now: datetime) -> None:
    user = await stage.join(desk, now, "free")
    await tell(desk, rules, state(user, now), now)
    await tell(desk, rules, state(user, now, tier="vip", price=Money(9999, "usd"), invoice_id="in_2"), now + DAY)
    assert await tier_at(desk, user, now + DAY) == "vip"
    await tell(desk, rules, state(user, now), now + 2 * DAY)
    assert await tier_at(desk, user, now + 2 * DAY) == "vip", "what is paid stays"
    await tell(desk, rules, state(user, now + MONTH, invoice_id="in_3"), now + MONTH)
    assert await tier_at(desk, user, now + MONTH + 2 * DAY) == "premium"


async def test_a_trial_is_a_grant_until_its_end(desk: Desk, rules: Rules, now: datetime) -> None:
    user = await stage.join(desk, now, "free")
    trial = state(user, now, status="trialing", trial_end=now + 7 * DAY, current_period_end=now + 7 * DAY,
                  is_paid=True, invoice_id="in_0")
    await tell(desk, rules, trial, now)
    assert await tier_at(desk, user, now + 6 * DAY) == "premium"
    assert await tier_at(desk, user, now + 7 * DAY) == "free"
    async with desk.database.reading() as session:
        assert await subscriptions.had_trial(session, user)


async def test_a_second_trial_ends_with_the_first(desk: Desk, rules: Rules, now: datetime) -> None:
    """Two pages may have been paid on at the same moment, each with its trial."""
    user = await stage.join(desk, now, "free")
    for name, began in (("sub_1", now), ("sub_2", now + 5 * DAY)):
        end = began + 7 * DAY
        await tell(desk, rules, state(user, began, id=name, status="trialing", trial_end=end, current_period_end=end,
                                      invoice_id=name), began)
    assert await tier_at(desk, user, now + 6 * DAY) == "premium"
    assert await tier_at(desk, user, now + 7 * DAY) == "free"


async def test_the_hour_in_which_the_first_invoice_after_a_trial_is_a_draft(desk: Desk, rules: Rules,
                                                                           now: datetime) -> None:
    user, end = await stage.join(desk, now, "free"), now + 7 * DAY
    await tell(desk, rules, state(user, now, status="trialing", trial_end=end, current_period_end=end), now)
    begun = state(user, end, is_paid=False, invoice_id="in_draft")
    await tell(desk, rules, begun, end)
    assert await tier_at(desk, user, end + DAY / 2) == "premium"
    assert await tier_at(desk, user, end + DAY) == "free", "a draft is not paid for ever"
    await tell(desk, rules, replace(begun, tier="vip"), end)
    assert await tier_at(desk, user, end + DAY / 2) == "premium", "nothing has ever been paid for that"


async def test_an_older_state_told_late_opens_nothing_again(desk: Desk, rules: Rules, now: datetime) -> None:
    user = await stage.join(desk, now, "free")
    await tell(desk, rules, state(user, now), now)
    await tell(desk, rules, state(user, now, status="canceled", ended_at=now + DAY), now + DAY)
    await tell(desk, rules, state(user, now), now + DAY)
    assert await tier_at(desk, user, now + 2 * DAY) == "free"


async def test_an_end_far_ahead_is_not_paid_for(desk: Desk, rules: Rules, now: datetime) -> None:
    user = await stage.join(desk, now, "free")
    await tell(desk, rules, state(user, now, cancel_at=now + 400 * DAY), now)
    assert await tier_at(desk, user, now + MONTH) == "premium"
    assert await tier_at(desk, user, now + MONTH + DAY) == "free"


async def test_a_refund_takes_back_what_its_invoice_bought_and_a_failed_refund_gives_it_back(
        desk: Desk, rules: Rules, now: datetime) -> None:
    user = await stage.join(desk, now, "free")
    await tell(desk, rules, state(user, now), now)
    async with desk.database.writing() as session:
        assert await grants.revoke(session, "in_1", "refund", now) == 1
        assert await grants.revoke(session, "in_1", "refund", now) == 0
    await tell(desk, rules, state(user, now), now)
    assert await tier_at(desk, user, now) == "free", "news of the subscription do not undo a refund"
    async with desk.database.writing() as session:
        assert await grants.restore(session, "in_1", "dispute", now) == 0, "another reason gives nothing back"
        assert await grants.restore(session, "in_1", "refund", now) == 1
    assert await tier_at(desk, user, now) == "premium"


async def test_the_owner_is_found_by_the_customer_or_asked_for_later(desk: Desk, rules: Rules, now: datetime) -> None:
    user = await stage.join(desk, now, "free")
    with pytest.raises(OwnerUnknown):
        await tell(desk, rules, state(None, now), now)
    async with desk.database.writing() as session:
        await subscriptions.remember_customer(session, user, "stripe", "cus_1", now)
    await tell(desk, rules, state(None, now), now)
    assert await tier_at(desk, user, now) == "premium"


async def test_two_providers_never_fight(desk: Desk, rules: Rules, now: datetime) -> None:
    user = await stage.join(desk, now, "vip")
    await tell(desk, rules, state(user, now), now)
    assert await tier_at(desk, user, now) == "vip", "the highest counts"
    await tell(desk, rules, state(user, now, status="canceled", ended_at=now + DAY), now + DAY)
    assert await tier_at(desk, user, now + 2 * DAY) == "vip"


async def test_the_present_state_told_in_any_order_ends_the_same(desk: Desk, rules: Rules, now: datetime) -> None:
    """Each event makes us fetch the same present state; whichever comes first, and however often."""
    ends = set()
    for number, order in enumerate(itertools.permutations(range(4))):
        user = await stage.join(desk, now, "free")
        told = replace(state(user, now), id=f"sub_{number}", customer_id=f"cus_{number}", invoice_id=f"in_{number}")
        for at in order + tuple(random.Random(number).choices(range(4), k=3)):
            await tell(desk, rules, told, now + timedelta(seconds=at))
        async with desk.database.reading() as session:
            rows = await session.execute(select(Grant.tier, Grant.source, Grant.starts_at, Grant.ends_at).where(
                Grant.user_id == user))
            ends.add(tuple(map(tuple, rows)))
    assert len(ends) == 1
