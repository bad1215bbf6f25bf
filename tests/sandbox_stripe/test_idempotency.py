"""One key, one answer: as Stripe keeps them."""

import asyncio
from typing import Any

import pytest
import stripe

from tests.sandbox_stripe.conftest import Open, Stage, client_at

KEY: Any = {"idempotency_key": "op_1"}


async def _customers(stage: Stage) -> int:
    return len((await stage.client.v1.customers.list_async({"limit": 100})).data)


async def test_the_same_call_gets_the_same_answer(stage: Stage) -> None:
    first = await stage.client.v1.customers.create_async({"name": "Ada"}, KEY)
    await stage.client.v1.customers.update_async(first.id, {"name": "Boris"})
    status, again, headers = await stage.call("POST", "/v1/customers", {"name": "Ada"},
                                              {"Idempotency-Key": "op_1"})
    assert (status, again["id"], again["name"]) == (200, first.id, "Ada")
    assert headers["Idempotent-Replayed"] == "true" and headers["Idempotency-Key"] == "op_1"
    assert headers["Original-Request"] == first.last_response.request_id != headers["Request-Id"]
    assert await _customers(stage) == 1


async def test_other_parameters_are_an_error(stage: Stage) -> None:
    await stage.client.v1.customers.create_async({"name": "Ada"}, KEY)
    with pytest.raises(stripe.IdempotencyError):
        await stage.client.v1.customers.create_async({"name": "Boris"}, KEY)
    with pytest.raises(stripe.IdempotencyError):
        await stage.client.v1.products.create_async({"name": "Ada"}, KEY)
    assert await _customers(stage) == 1


async def test_of_many_at_once_one_is_carried_out(stage: Stage) -> None:
    await stage.fault("slow", seconds=0.2)

    async def call() -> int:
        return (await stage.call("POST", "/v1/customers", {"name": "Ada"}, {"Idempotency-Key": "op_1"}))[0]

    codes = await asyncio.gather(*(call() for _ in range(20)))
    assert sorted(codes) == [200] + [409] * 19
    status, body, _ = await stage.call("POST", "/v1/customers", {"name": "Ada"}, {"Idempotency-Key": "op_1"})
    assert status == 200 and await _customers(stage) == 1 and body["name"] == "Ada"


async def test_refusals_before_the_work_are_not_kept(stage: Stage) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await stage.client.v1.billing_portal.sessions.create_async({"customer": "cus_none"}, KEY)
    with pytest.raises(stripe.InvalidRequestError):
        await stage.client.v1.customers.create_async({"nmae": "Ada"}, KEY)  # type: ignore[typeddict-unknown-key]
    await stage.client.v1.customers.create_async({"name": "Ada"}, KEY)


async def test_a_refusal_by_the_work_is_kept(stage: Stage) -> None:
    subscription = await stage.subscribe(await stage.price("premium", 2999))
    intent = subscription.latest_invoice.payments.data[0].payment.payment_intent
    await stage.client.v1.refunds.create_async({"payment_intent": intent})
    for replayed in (None, "true"):
        status, body, headers = await stage.call("POST", "/v1/refunds", {"payment_intent": intent},
                                                 {"Idempotency-Key": "op_2"})
        assert (status, body["error"]["code"]) == (400, "charge_already_refunded")
        assert headers.get("Idempotent-Replayed") == replayed


async def test_a_500_after_the_work_is_what_is_kept(stage: Stage) -> None:
    await stage.fault("500_after_commit")
    with pytest.raises(stripe.APIError):
        await stage.client.v1.customers.create_async({"name": "Ada"}, KEY)
    with pytest.raises(stripe.APIError):
        await stage.client.v1.customers.create_async({"name": "Ada"}, KEY)
    assert await _customers(stage) == 1
    await stage.client.v1.customers.create_async({"name": "Ada"}, {"idempotency_key": "op_2"})
    assert await _customers(stage) == 2


async def test_a_cut_line_after_the_work_is_healed_by_the_next_try(stage: Stage) -> None:
    await stage.fault("cut_after_commit", times=2)
    with pytest.raises(stripe.APIConnectionError):
        await client_at(stage.base, stage.settings.secret_key, 0).v1.customers.create_async({"name": "Ada"}, KEY)
    await stage.client.v1.customers.create_async({"name": "Ada"}, KEY)
    assert await _customers(stage) == 1
    calls = [call for call in await stage.get("/stripe/calls") if call["idempotency_key"] == "op_1"]
    assert [call["replayed"] for call in calls] == [False, True, True]


async def test_keys_are_forgotten_after_a_day_of_its_clock(stage: Stage) -> None:
    await stage.client.v1.customers.create_async({"name": "Ada"}, KEY)
    await stage.post("/stripe/advance", {"hours": 23.9})
    await stage.client.v1.customers.create_async({"name": "Ada"}, KEY)
    assert await _customers(stage) == 1
    await stage.post("/stripe/advance", {"hours": 0.2})
    await stage.client.v1.customers.create_async({"name": "Boris"}, KEY)
    assert await _customers(stage) == 2


async def test_keys_outlive_a_restart(stage: Stage, open_stage: Open) -> None:
    first = await stage.client.v1.customers.create_async({"name": "Ada"}, KEY)
    await stage.sandbox.stop()
    again = await open_stage()
    assert (await again.client.v1.customers.create_async({"name": "Ada"}, KEY)).id == first.id
