"""Stripe's manners over HTTP: keys, parameters, errors, lists, expansion."""

import asyncio
import json
from base64 import b64encode
from typing import Any

import pytest
import stripe

from sandbox.errors import RefusedToStart
from tests import running
from tests.sandbox_stripe.conftest import Open, Stage, client_at


async def test_only_its_own_test_key_is_taken(stage: Stage) -> None:
    for key in ("sk_test_other", "sk_live_" + "a" * 24, ""):
        status, body, headers = await stage.call("GET", "/v1/customers", key=key or " ")
        assert status == 401 and body["error"]["type"] == "invalid_request_error"
        assert headers["Request-Id"].startswith("req_")
    with pytest.raises(stripe.AuthenticationError):
        await client_at(stage.base, "sk_live_" + "a" * 24).v1.customers.list_async()
    basic = b64encode(f"{stage.settings.secret_key}:".encode()).decode()
    status, _, headers = await stage.call("GET", "/v1/customers", headers={"Authorization": f"Basic {basic}"})
    assert status == 200 and headers["Stripe-Version"] == stripe.api_version


@pytest.mark.parametrize("change", [
    {"secret_key": "sk_live_" + "a" * 24}, {"secret_key": "rk_test_" + "a" * 24}, {"webhook_secret": "secret"},
    {"webhook_url": "https://example.com/webhook/stripe"}])
async def test_it_does_not_start_with_live_keys_or_foreign_endpoints(open_stage: Open, change: dict[str, str]) -> None:
    with pytest.raises(RefusedToStart):
        await open_stage(**change)


async def test_two_never_share_a_file(stage: Stage, open_stage: Open) -> None:
    with pytest.raises(RefusedToStart):
        await open_stage()


async def test_the_control_api_says_how_to_reach_it(stage: Stage) -> None:
    assert (await stage.get("/state"))["stripe"] == {
        "api_base": stage.base, "secret_key": stage.settings.secret_key,
        "webhook_secret": stage.settings.webhook_secret}


@pytest.mark.parametrize(("form", "code", "param"), [
    ({"nmae": "x"}, "parameter_unknown", "nmae"), ({"address[foo]": "x", "metadata": "x"}, None, "metadata"),
    ({"balance": "12.5"}, "parameter_invalid_integer", "balance"), ({"tax_exempt": "no"}, None, "tax_exempt")])
async def test_what_a_parameter_cannot_be_is_refused(stage: Stage, form: dict[str, str], code: str | None,
                                                     param: str) -> None:
    status, body, _ = await stage.call("POST", "/v1/customers", form)
    assert status == 400 and body["error"]["type"] == "invalid_request_error"
    assert (body["error"].get("code"), body["error"]["param"]) == (code, param)
    assert (await stage.client.v1.customers.list_async()).data == []


async def test_nested_names_are_read_and_refused_in_full(stage: Stage) -> None:
    price = await stage.price("premium", 2999)
    form = {"mode": "subscription", "success_url": "http://127.0.0.1:9/", "line_items[0][price]": price,
            "line_items[0][quantity]": "2", "expand[]": "line_items"}
    status, body, _ = await stage.call("POST", "/v1/checkout/sessions", form)
    assert status == 200 and body["line_items"]["data"][0]["quantity"] == 2 and body["amount_total"] == 5998
    status, body, _ = await stage.call("POST", "/v1/checkout/sessions", form | {"line_items[0][prise]": "x"})
    assert (status, body["error"]["param"]) == (400, "line_items[0][prise]")
    del form["line_items[0][price]"]
    status, body, _ = await stage.call("POST", "/v1/checkout/sessions", form)
    assert (status, body["error"]["code"], body["error"]["param"]) == (
        400, "parameter_missing", "line_items[0][price]")


async def test_what_is_not_there(stage: Stage) -> None:
    status, body, _ = await stage.call("GET", "/v1/customers/cus_none")
    assert (status, body["error"]["code"]) == (404, "resource_missing")
    status, body, _ = await stage.call("POST", "/v1/billing_portal/sessions", {"customer": "cus_none"})
    assert (status, body["error"]["param"]) == (400, "customer")
    status, body, _ = await stage.call("GET", "/v1/nothing")
    assert status == 404 and "Unrecognized request URL" in body["error"]["message"]
    status, body, _ = await stage.call("GET", "/v1/customers", headers={"Stripe-Version": "2020-08-27"})
    assert status == 400
    status, body, _ = await stage.call("POST", "/v1/customers", headers={"Content-Type": "application/json"})
    assert status == 200, "an empty body has no type to be wrong"


async def test_lists_come_in_pages(stage: Stage) -> None:
    made = [(await stage.client.v1.customers.create_async({"name": f"c{number}"})).id for number in range(25)]
    first = await stage.client.v1.customers.list_async({"limit": 10})
    assert [one.id for one in first.data] == made[:14:-1] and first.has_more
    assert [one.id async for one in first.auto_paging_iter()] == made[::-1]
    before = await stage.client.v1.customers.list_async({"ending_before": made[3], "limit": 2})
    assert [one.id for one in before.data] == [made[5], made[4]] and before.has_more
    with pytest.raises(stripe.InvalidRequestError):
        await stage.client.v1.customers.list_async({"limit": 101})


async def test_prices_are_found_by_their_lookup_key(stage: Stage) -> None:
    price = await stage.price("premium", 2999)
    await stage.price("vip", 9999)
    found = await stage.client.v1.prices.list_async({"lookup_keys": ["premium_usd_month", "none"], "active": True,
                                                     "expand": ["data.product"]})
    assert [one.id for one in found.data] == [price] and found.data[0].product.name == "premium"
    product = found.data[0].product.id
    taken: Any = {"product": product, "unit_amount": 3999, "currency": "usd", "recurring": {"interval": "month"},
                  "lookup_key": "premium_usd_month"}
    with pytest.raises(stripe.InvalidRequestError):
        await stage.client.v1.prices.create_async(taken)
    moved = await stage.client.v1.prices.create_async({**taken, "transfer_lookup_key": True})
    assert (await stage.client.v1.prices.retrieve_async(price)).lookup_key is None
    assert moved.lookup_key == "premium_usd_month"


async def test_metadata_is_merged_and_unset(stage: Stage) -> None:
    customer = await stage.client.v1.customers.create_async({"metadata": {"user_id": "7", "_own": "x"}})
    assert customer.metadata.to_dict() == {"user_id": "7", "_own": "x"}
    customer = await stage.client.v1.customers.update_async(customer.id, {"metadata": {"user_id": "", "b": "2"}})
    assert customer.metadata.to_dict() == {"_own": "x", "b": "2"}
    with pytest.raises(stripe.InvalidRequestError):
        await stage.client.v1.customers.update_async(customer.id, {"metadata": {"k" * 41: "v"}})


async def test_what_is_its_own_is_never_shown(stage: Stage) -> None:
    subscription = await stage.subscribe(await stage.price("premium", 2999))
    _, one, _ = await stage.call("GET", f"/v1/subscriptions/{subscription.id}?expand[]=latest_invoice.payments")
    _, events, _ = await stage.call("GET", "/v1/events?limit=100")
    _, sessions, _ = await stage.call("GET", "/v1/checkout/sessions?expand[]=data.subscription")
    for name in ("_card", "_due", "_delivery", "_line_items"):
        assert f'"{name}"' not in json.dumps([one, events, sessions])


async def test_what_cannot_be_expanded(stage: Stage) -> None:
    customer = await stage.client.v1.customers.create_async({"name": "Ada"})
    for path in ("name", "nothing", "id", "a.b.c.d.e"):
        with pytest.raises(stripe.InvalidRequestError):
            await stage.client.v1.customers.retrieve_async(customer.id, {"expand": [path]})


@pytest.mark.parametrize(("kind", "error", "calls"), [
    ("429", stripe.RateLimitError, 1), ("500", stripe.APIError, 3), ("timeout", stripe.APIConnectionError, 1)])
async def test_faults_reach_the_client(stage: Stage, kind: str, error: type[Exception], calls: int) -> None:
    client = stage.client
    if kind == "timeout":
        client = stripe.StripeClient(stage.settings.secret_key, base_addresses={"api": stage.base},
                                     max_network_retries=0, http_client=stripe.HTTPXClient(timeout=0.3))
    await stage.fault(kind, times=calls)
    with pytest.raises(error):
        await client.v1.customers.create_async({"name": "Ada"})
    assert (await stage.client.v1.customers.list_async()).data == []
    assert (await stage.get("/state"))["faults"] == []


async def test_a_fault_can_be_aimed_at_one_call(stage: Stage) -> None:
    await stage.fault("500", times=9, on="GET /v1/prices")
    await stage.client.v1.customers.create_async({"name": "Ada"})
    with pytest.raises(stripe.APIError):
        await client_at(stage.base, stage.settings.secret_key, 0).v1.prices.list_async()
    async with stage.http.delete(f"{stage.base}/control/faults") as answer:
        assert answer.status == 200
    await stage.client.v1.prices.list_async()
    assert (await stage.try_post("/faults", {"target": "stripe", "fault": "flood"}))[0] == 400


async def test_a_slow_call_holds_up_nobody(stage: Stage) -> None:
    await stage.fault("slow", seconds=3)
    slow = asyncio.create_task(stage.client.v1.customers.create_async({"name": "slow"}))

    async def is_struck() -> bool:
        return not (await stage.get("/state"))["faults"]

    await running.until("it is slow", is_struck)
    await stage.client.v1.customers.create_async({"name": "quick"})
    assert not slow.done()
    await slow
