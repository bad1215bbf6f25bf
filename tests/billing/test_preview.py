"""What a change of plan would cost, and that this is what it does cost."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from config import Settings
from models.billing import LedgerKind
from services import billing, operations, previews, receipts
from services.payments.protocol import Money
from services.payments.stripe_provider import StripePayments
from tests.billing.conftest import KEY, Till
from tests.pages.stage import served
from tests.running import free_port
from webapp import application, openapi


@pytest.fixture(autouse=True)
async def prices(till: Till) -> None:
    for tier in till.desk.catalogue:
        if tier.rank:
            await till.payments.ensure_price(tier.name, Money(tier.amount_minor, "usd"))


async def bought(till: Till, tier: str = "premium") -> tuple[int, str]:
    user, token = await till.person()
    await till.buy(token, tier)
    await till.becomes(user, tier)
    await till.booked(1)
    return user, token


async def preview(till: Till, token: str, tier: str) -> dict[str, Any]:
    status, told, _ = await till.call("GET", f"/preview?tier={tier}", token)
    assert status == 200, told
    document = openapi.document()
    schema = {"$ref": "#/components/schemas/Preview", "components": document["components"]}
    Draft202012Validator(schema).validate(told)
    return dict(told)


async def charged(till: Till, user: int) -> list[int]:
    """Every charge of the user, oldest first."""
    async with till.desk.database.reading() as session:
        found, _ = await receipts.listed(session, user, 10, kind=LedgerKind.CHARGE)
    return [one.money.amount_minor for one in reversed(found)]


async def test_an_upgrade_costs_what_was_shown(till: Till) -> None:
    user, token = await bought(till)
    shown = await preview(till, token, "vip")
    assert shown["takes_effect"] == "now" and 6990 <= shown["amount_minor"] <= 7000 and shown["currency"] == "usd"
    status, changed, _ = await till.call("POST", "/change-plan", token, {"tier": "vip", "as_of": shown["as_of"]}, "k1")
    assert (status, changed) == (200, {"tier": "vip", "takes_effect": "now"})
    await till.becomes(user, "vip")
    await till.booked(2)
    assert await charged(till, user) == [2999, shown["amount_minor"]]


async def test_the_amount_stands_while_somebody_thinks_about_it(till: Till) -> None:
    """In nine minutes the difference falls by more than a cent; what is charged is what was shown."""
    user, _ = await bought(till)
    told = await till.control("/advance", {"days": 10, "hours": 0})
    moment = datetime.fromtimestamp(told["now"], UTC)
    shown = await previews.of(till.cashier, user, "vip", moment)
    later = moment + timedelta(minutes=9)
    assert (await previews.of(till.cashier, user, "vip", later)).money.amount_minor < shown.money.amount_minor
    arguments = {"tier": "vip", "as_of": shown.as_of.isoformat()}
    async with till.desk.database.writing() as session:
        operation = await operations.start(session, "op1", user, "change_plan", arguments, later)
    await billing.carry_out(till.cashier, operation, later)
    await till.booked(2)
    assert await charged(till, user) == [2999, shown.money.amount_minor]


async def test_during_a_trial_nothing_is_due(till: Till) -> None:
    user, token = await till.person()
    now = datetime.now(UTC)
    async with till.desk.database.writing() as session:
        operation = await operations.start(session, "op1", user, "checkout", {"tier": "premium"}, now)
    page = await billing.carry_out(replace(till.cashier, trial_days=7), operation, now)
    await till.control(f"/checkout/{page.body['url'].rstrip('/').rsplit('/', 1)[-1].split('?')[0]}/pay")
    await till.becomes(user, "premium")
    shown = await preview(till, token, "vip")
    assert (shown["takes_effect"], shown["amount_minor"], shown["currency"]) == ("now", 0, "usd")


async def test_a_step_down_costs_nothing_now_and_the_plan_one_has_neither(till: Till) -> None:
    _, token = await bought(till, "vip")
    down = await preview(till, token, "premium")
    assert (down["takes_effect"], down["amount_minor"], down["currency"]) == ("period_end", 0, "usd")
    same = await preview(till, token, "vip")
    assert (same["takes_effect"], same["amount_minor"]) == ("now", 0)
    status, changed, _ = await till.call("POST", "/change-plan", token, {"tier": "premium", "as_of": down["as_of"]},
                                         "k1")
    assert (status, changed["takes_effect"]) == (200, "period_end")


@pytest.mark.parametrize("away", [timedelta(minutes=11), -timedelta(minutes=2)], ids=["too old", "of the future"])
async def test_an_amount_of_another_time_is_not_charged(till: Till, away: timedelta) -> None:
    user, token = await bought(till)
    body = {"tier": "vip", "as_of": (datetime.now(UTC) - away).isoformat()}
    status, problem, _ = await till.call("POST", "/change-plan", token, body, "k1")
    assert (status, problem["code"]) == (409, "preview_outdated")
    await till.settle()
    assert await till.tier(user) == "premium" and await charged(till, user) == [2999]
    body["as_of"] = (await preview(till, token, "vip"))["as_of"]
    assert (await till.call("POST", "/change-plan", token, body, "k2"))[0] == 200


@pytest.mark.parametrize("as_of", [1, "now", "2026-11-24T02:00:00", "0001-01-01T00:00:00+14:00", "9" * 50, {}])
async def test_what_is_no_instant_is_refused(till: Till, as_of: Any) -> None:
    _, token = await till.person()
    status, problem, _ = await till.call("POST", "/change-plan", token, {"tier": "vip", "as_of": as_of}, "k1")
    assert (status, problem["code"]) == (422, "invalid_request")


async def test_without_a_subscription_there_is_nothing_to_change(till: Till) -> None:
    _, token = await till.person()
    status, problem, _ = await till.call("GET", "/preview?tier=vip", token)
    assert (status, problem["code"]) == (409, "no_subscription")
    for query in ("", "?tier=free", "?tier=gold", "?tier=vip&tier=premium"):
        status, problem, _ = await till.call("GET", f"/preview{query}", token)
        assert (status, problem["code"]) == (422, "invalid_request"), query


async def test_a_provider_that_is_away_says_so(till: Till, settings: Settings) -> None:
    _, token = await bought(till)
    nobody = StripePayments(KEY, {}, api_base=f"http://127.0.0.1:{free_port()}")

    async def ready() -> bool:
        return True

    door = application.build(till.desk, settings, ready, cashier=replace(till.cashier, payments=nobody))
    async with served(door) as base, till.client.get(f"{base}/api/v1/billing/preview?tier=vip",
                                                     headers={"Authorization": f"Bearer {token}"}) as answer:
        problem = await answer.json(content_type=None)
    await nobody.close()
    assert (answer.status, problem["code"], answer.headers["Retry-After"]) == (503, "outcome_unknown", "1")
