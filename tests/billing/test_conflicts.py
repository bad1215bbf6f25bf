"""Two subscriptions of one user, and a dispute that is lost: what ends, what goes back, and that it happens once."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from models.audit import AuditEvent
from models.billing import LedgerKind, Operation, Subscription
from models.message import OutboxItem
from sandbox.stripe.faults import Fault
from services import billing, conflicts
from services.payments.protocol import Money
from tests.billing.conftest import Till
from tests.billing.test_life import bought, charge_of

LATER = timedelta(minutes=3)
DELETE, REFUND = "DELETE /v1/subscriptions/", "POST /v1/refunds"


@pytest.fixture(autouse=True)
async def prices(till: Till) -> None:
    for tier, amount in (("premium", 2999), ("vip", 9999)):
        await till.payments.ensure_price(tier, Money(amount, "usd"))


async def two(till: Till) -> tuple[int, str, str]:
    """A user who has paid in two tabs; the older subscription and the newer."""
    user, token = await till.person()
    await till.buy(token)
    await till.becomes(user, "premium")
    await till.booked(1)
    customer = (await till.payments._client.v1.customers.list_async({})).data[0].id
    older = (await till.grants())[0].subscription_id
    _, url = await till.payments.checkout(customer, user, "vip", trial_days=0, success_url=till.base,
                                          cancel_url=till.base, key="second-tab")
    await till.control(f"/checkout/{url.rstrip('/').rsplit('/', 1)[-1].split('?')[0]}/pay")
    await till.becomes(user, "vip")
    await till.booked(2)
    newer = next(g.subscription_id for g in await till.grants() if g.tier == "vip")
    assert older is not None and newer is not None
    return user, older, newer


async def resolve(till: Till, user: int) -> str | None:
    async with till.desk.database.writing() as session:
        return await conflicts.resolve(session, "stripe", user, datetime.now(UTC))


async def finish(till: Till, number: int = 1) -> int:
    """The loop's turn of this number, some minutes after the one before."""
    return await billing.finish_abandoned(till.cashier, datetime.now(UTC) + number * LATER)


async def rows(till: Till, of: Any) -> list[Any]:
    async with till.desk.database.reading() as session:
        return list(await session.scalars(select(of)))


async def ended(till: Till) -> list[tuple[str, str]]:
    return [(o.arguments["subscription_id"], o.state) for o in await rows(till, Operation)
            if o.kind == "end_subscription"]


async def refunded(till: Till) -> list[int]:
    found = await till.payments._client.v1.refunds.list_async({"limit": 100})
    return [one.amount for one in found.data]


async def said(till: Till) -> list[Any]:
    return [o.payload["template"] for o in await rows(till, OutboxItem)
            if o.payload and "ended" in o.dedupe_key]


async def status(till: Till, subscription: str) -> str:
    return (await till.payments.subscription(subscription)).status


async def test_the_older_of_two_ends_and_its_charge_goes_back_once(till: Till) -> None:
    user, older, newer = await two(till)
    asked = await asyncio.gather(*(resolve(till, user) for _ in range(5)))
    assert len(set(asked)) == 1 and asked[0] is not None
    assert (await status(till, older), await refunded(till)) == ("active", []), "written down, not done yet"
    for number in (1, 2, 3):
        await finish(till, number)
    assert await ended(till) == [(older, "done")]
    assert (await status(till, older), await status(till, newer)) == ("canceled", "active")
    assert await refunded(till) == [2999]
    assert await said(till) == ["second_subscription_refunded"]
    assert await resolve(till, user) is None
    await till.settle()
    assert await till.tier(user) == "vip" and await till.entries(LedgerKind.REFUND) == 1
    told = [e.detail for e in await rows(till, AuditEvent) if e.action == "second_subscription"]
    assert [detail["is_refunded"] for detail in told] == [True]


@pytest.mark.parametrize(("kind", "on"), [("cut_after_commit", DELETE), ("500_after_commit", DELETE),
                                          ("cut_after_commit", REFUND), ("500_after_commit", REFUND)])
async def test_a_lost_answer_ends_in_the_same(till: Till, kind: str, on: str) -> None:
    user, older, _ = await two(till)
    await resolve(till, user)
    till.standin.faults.add(Fault(kind, 1, on))
    for number in (1, 2, 3):
        await finish(till, number)
    assert await ended(till) == [(older, "done")]
    assert await refunded(till) == [2999] and await status(till, older) == "canceled"
    assert await said(till) == ["second_subscription_refunded"]


class Killed(BaseException):
    """The process is gone: nothing after this line is run."""


@pytest.mark.parametrize("step", ["cancel_now", "refund", "remember_object", "say", "close"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_at_any_line_it_is_finished_once(till: Till, monkeypatch: pytest.MonkeyPatch, step: str,
                                                      when: str) -> None:
    user, older, _ = await two(till)
    await resolve(till, user)
    owner = {"cancel_now": till.payments, "refund": till.payments, "remember_object": conflicts.operations,
             "say": conflicts.outbox, "close": billing.operations}[step]
    with monkeypatch.context() as patched:
        patched.setattr(owner, step, _dying(getattr(owner, step), when))
        with pytest.raises(Killed):
            await finish(till)
    await finish(till, 2)
    assert await ended(till) == [(older, "done")]
    assert await refunded(till) == [2999] and await status(till, older) == "canceled"
    assert len(await said(till)) == 1


def _dying(act: Callable[..., Any], when: str) -> Callable[..., Any]:
    async def dies(*given: Any, **named: Any) -> Any:
        if when == "after":
            await act(*given, **named)
        raise Killed

    return dies


async def lose(till: Till) -> tuple[int, str, str, str]:
    """A dispute the desk has heard of; the user, their subscription, the invoice and the dispute."""
    user, subscription = await bought(till)
    invoice = (await till.grants())[0].invoice_id
    opened = await till.control(f"/charges/{await charge_of(till)}/dispute", {"kind": "fraudulent"})
    await till.becomes(user, "free")
    assert invoice is not None
    return user, subscription, invoice, opened.get("id") or opened["dispute"]["id"]


async def heard(till: Till, invoice: str, dispute: str) -> str | None:
    told = await till.payments.dispute_status(dispute)
    async with till.desk.database.writing() as session:
        return await conflicts.dispute_heard(session, "stripe", invoice, told, datetime.now(UTC))


async def test_a_lost_dispute_ends_the_subscription(till: Till) -> None:
    user, subscription, invoice, dispute = await lose(till)
    assert await heard(till, invoice, dispute) is None, "it is not decided yet"
    await till.control(f"/disputes/{dispute}/lose")
    first = await heard(till, invoice, dispute)
    assert first is not None and await heard(till, invoice, dispute) == first
    await finish(till)
    assert await ended(till) == [(subscription, "done")] and await status(till, subscription) == "canceled"
    assert await heard(till, invoice, dispute) is None
    await till.settle()
    assert await till.tier(user) == "free" and await refunded(till) == [] and await said(till) == ["dispute_lost"]
    assert [row.status for row in await rows(till, Subscription)] == ["canceled"]


@pytest.mark.parametrize("how", ["win", "lose"])
async def test_nothing_is_sold_while_a_payment_is_disputed(till: Till, how: str) -> None:
    user, subscription, _, dispute = await lose(till)
    await till.payments.cancel_now(subscription, key="by-hand")
    await till.settle()
    token = till.desk.tokens.issue(user, datetime.now(UTC))
    status, problem, _ = await till.call("POST", "/checkout", token, {"tier": "premium"}, "k1")
    assert (status, problem["code"]) == (409, "payment_disputed"), json.dumps(problem)
    await till.control(f"/disputes/{dispute}/{how}")
    await till.settle()
    assert (await till.call("POST", "/checkout", token, {"tier": "premium"}, "k2"))[0] == 201


async def test_a_second_tab_ends_the_older_by_itself(till: Till) -> None:
    """Nobody asks: the event of the second payment is enough."""
    user, older, newer = await two(till)
    assert await finish(till) == 1
    await till.settle()
    assert await status(till, older) == "canceled" and await status(till, newer) == "active"
    assert await refunded(till) == [2999] and await till.tier(user) == "vip"


async def test_a_lost_dispute_ends_the_subscription_by_itself(till: Till) -> None:
    user, token = await till.person()
    await till.buy(token)
    await till.becomes(user, "premium")
    await till.booked(1)
    [grant] = await till.grants()
    made = await till.control(f"/charges/{await charge_of(till)}/dispute", {"kind": "fraudulent"})
    await till.becomes(user, "free")
    await till.control(f"/disputes/{made.get('id') or made['dispute']['id']}/lose")
    await till.settle()
    assert await finish(till) == 1
    assert await status(till, str(grant.subscription_id)) == "canceled"
    assert await till.tier(user) == "free" and await refunded(till) == []
