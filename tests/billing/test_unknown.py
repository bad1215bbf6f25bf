"""Stripe did it and the answer was lost, or Stripe keeps a wrong answer under the key: looked up, never done twice."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from models.billing import Operation
from sandbox.stripe.faults import Fault
from services import billing
from services.payments.protocol import Money
from tests.billing.conftest import Till

SESSIONS, CUSTOMERS, SUBSCRIPTIONS = "POST /v1/checkout/sessions", "POST /v1/customers", "POST /v1/subscriptions/"


@pytest.fixture(autouse=True)
async def prices(till: Till) -> None:
    for tier, amount in (("premium", 2999), ("vip", 9999)):
        await till.payments.ensure_price(tier, Money(amount, "usd"))


async def states(till: Till) -> dict[str, str]:
    async with till.desk.database.reading() as session:
        rows = await session.execute(select(Operation.kind, Operation.state).order_by(Operation.created_at))
        return {row.kind: row.state for row in rows}


def fault(till: Till, kind: str, on: str, times: int = 1) -> None:
    till.standin.faults.add(Fault(kind, times, on))


async def ask(till: Till, token: str, path: str, body: Any, key: str) -> tuple[int, Any]:
    status, answer, _ = await till.call("POST", path, token, body, key)
    return status, answer


async def made(till: Till, path: str, *statuses: int) -> int:
    """How often Stripe has really done this, by what it answered."""
    return sum(f"{c['method']} {c['path']}" == path and not c["replayed"] and c["status"] in (statuses or (200,))
               for c in await till.calls())


@pytest.mark.parametrize("on", [SESSIONS, CUSTOMERS])
async def test_a_page_made_behind_a_stored_failure_is_found(till: Till, on: str) -> None:
    user, token = await till.person()
    fault(till, "500_after_commit", on)
    assert (await ask(till, token, "/checkout", {"tier": "premium"}, "k"))[1]["code"] == "outcome_unknown"
    status, answer = await ask(till, token, "/checkout", {"tier": "premium"}, "k")
    assert status == 201 and await made(till, SESSIONS, 200, 500) == 1
    await till.control(f"/checkout/{answer['url'].rstrip('/').rsplit('/', 1)[-1].split('?')[0]}/pay")
    await till.becomes(user, "premium")
    assert await states(till) == {"checkout": "done"}


async def test_a_change_of_plan_behind_a_stored_failure_is_charged_once(till: Till) -> None:
    user, token = await till.person()
    await till.buy(token)
    await till.becomes(user, "premium")
    fault(till, "500_after_commit", SUBSCRIPTIONS)
    assert (await ask(till, token, "/change-plan", {"tier": "vip"}, "k"))[1]["code"] == "outcome_unknown"
    assert await ask(till, token, "/change-plan", {"tier": "vip"}, "k") == (
        200, {"tier": "vip", "takes_effect": "now"})
    await till.becomes(user, "vip")
    await till.booked(2)


async def test_the_loop_finds_it_when_nobody_asks_again(till: Till) -> None:
    user, token = await till.person()
    await till.buy(token)
    await till.becomes(user, "premium")
    fault(till, "500_after_commit", SUBSCRIPTIONS)
    assert (await ask(till, token, "/cancel", None, "k"))[0] == 503
    assert (await states(till))["cancel"] == "unknown"
    later = datetime.now(UTC) + timedelta(minutes=2)
    assert await billing.finish_abandoned(till.cashier, later) == 1
    assert (await states(till))["cancel"] == "done"
    assert (await till.call("GET", "/subscription", token))[1]["cancel_at_period_end"] is True


async def test_what_never_happened_is_given_up_in_time_and_may_be_tried_anew(till: Till) -> None:
    _, token = await till.person()
    fault(till, "500", SESSIONS, times=20)
    assert (await ask(till, token, "/checkout", {"tier": "premium"}, "k"))[0] == 503
    status, problem = await ask(till, token, "/checkout", {"tier": "premium"}, "another")
    assert (status, problem["code"]) == (409, "in_progress"), "while the first may still come about"
    assert await billing.finish_abandoned(till.cashier, datetime.now(UTC) + timedelta(minutes=3)) == 1
    assert await states(till) == {"checkout": "failed"}
    till.standin.faults.clear()
    assert (await ask(till, token, "/checkout", {"tier": "premium"}, "third"))[0] == 201
    assert await made(till, SESSIONS) == 1


async def test_who_has_paid_on_the_page_before_gets_no_second_one(till: Till) -> None:
    """The event is still on its way: the page itself says that it was paid."""
    user, token = await till.person()
    await till.hold()
    await till.settle()
    await till.buy(token)
    status, problem = await ask(till, token, "/checkout", {"tier": "premium"}, "again")
    assert (status, problem["code"]) == (409, "already_subscribed")
    assert await till.tier(user) == "premium"
    assert await made(till, SESSIONS) == 1
