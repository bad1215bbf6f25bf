"""Events on their way to the shop, and those the shop asks for."""

import json

import pytest
import stripe

from tests import running
from tests.sandbox_stripe.conftest import Open, Stage, until


async def _customer(stage: Stage, name: str = "Ada") -> str:
    return (await stage.client.v1.customers.create_async({"name": name}, {"idempotency_key": f"key_{name}"})).id


async def test_an_event_says_who_made_it(stage: Stage) -> None:
    made = await _customer(stage)
    await stage.delivered("customer.created")
    event = stage.shop.events[0]
    assert (event.data.object.id, event.request.idempotency_key) == (made, "key_Ada")
    assert event.request.id.startswith("req_") and event.api_version == stripe.api_version
    assert (await stage.client.v1.events.retrieve_async(event.id)).data.object.id == made


async def test_a_refused_event_comes_again_until_it_is_taken(stage: Stage) -> None:
    stage.shop.answers = [500, 503, 302]
    await _customer(stage)
    await _customer(stage, "Boris")
    await until("both taken", lambda: len(stage.shop.events) == 2)
    attempts = {event["type"] + event["object"]: event["attempts"] for event in await stage.get("/stripe/events")}
    assert sum(attempts.values()) == 5


async def test_several_secrets_sign_while_rotating(open_stage: Open) -> None:
    first = await open_stage()
    await first.sandbox.stop()
    old = first.settings.webhook_secret
    stage = await open_stage(webhook_secret=f"whsec_{'n' * 32},{old}")
    await _customer(stage)
    await stage.delivered("customer.created")
    assert stage.shop.refused == []


@pytest.mark.parametrize(("kind", "taken"), [("duplicate", ["a", "a", "b"]), ("reorder", ["b", "a"]),
                                             ("delay", ["b", "a"]), ("drop", ["b"]), ("tamper", ["b", "a"])])
async def test_faults_on_the_way(stage: Stage, kind: str, taken: list[str]) -> None:
    await stage.fault(kind, on="customer.created", seconds=0.2)
    await _customer(stage, "a")
    await _customer(stage, "b")
    await until(f"{kind}: {taken}", lambda: len(stage.shop.events) >= len(taken))
    names = [event.data.object.name for event in stage.shop.events]
    assert sorted(names) == sorted(taken)
    if kind != "tamper":
        assert names == taken
    else:
        assert len(stage.shop.refused) == 1
    if kind == "drop":
        lost = next(event for event in await stage.get("/stripe/events") if event["state"] == "dropped")
        assert (await stage.post(f"/stripe/events/{lost['id']}/redeliver"))["status"] == 200
        assert stage.shop.events[-1].id == lost["id"]


async def test_held_events_go_in_the_order_asked_for(stage: Stage) -> None:
    await stage.post("/stripe/hold")
    for name in "abc":
        await _customer(stage, name)
    held = [event["id"] for event in await stage.get("/stripe/events?state=held")]
    await stage.post("/stripe/release", {"order": [held[2], held[0]]})
    assert [event.data.object.name for event in stage.shop.events] == ["c", "a"]
    assert (await stage.try_post("/stripe/release", {"order": ["invoice.paid"]}))[0] == 404
    await stage.post("/stripe/release")
    assert [event.data.object.name for event in stage.shop.events] == ["c", "a", "b"]
    await _customer(stage, "d")
    await until("d", lambda: len(stage.shop.events) == 4)


async def test_the_shop_reads_what_it_missed(stage: Stage) -> None:
    await stage.fault("drop", times=100)
    price = await stage.price("premium", 2999)
    await stage.subscribe(price)
    await stage.post("/stripe/advance", {"days": 4})
    known = await stage.get("/stripe/events")
    assert stage.shop.events == []
    listed = await stage.client.v1.events.list_async({"created": {"gte": known[0]["created"]}, "limit": 3})
    assert [one.id async for one in listed.auto_paging_iter()] == [one["id"] for one in known[::-1]]
    paid = await stage.client.v1.events.list_async({"type": "invoice.paid"})
    assert len(paid.data) == 1
    some = await stage.client.v1.events.list_async({"types": ["invoice.paid", "price.created"]})
    assert len(some.data) == 2
    assert (await stage.client.v1.events.list_async({"created": {"gt": known[-1]["created"] + 1}})).data == []


async def test_events_are_gone_after_thirty_days(stage: Stage) -> None:
    await _customer(stage)
    event = (await stage.get("/stripe/events"))[0]["id"]
    await stage.post("/stripe/advance", {"days": 31})
    assert (await stage.client.v1.events.list_async()).data == []
    with pytest.raises(stripe.InvalidRequestError):
        await stage.client.v1.events.retrieve_async(event)


async def test_nothing_is_lost_while_the_shop_is_away(open_stage: Open) -> None:
    stage = await open_stage()
    stage.shop.answers = [500] * 3
    await stage.fault("drop", on="customer.created", times=1)
    await _customer(stage)
    await stage.fault("delay", on="customer.created", seconds=60)
    await _customer(stage, "Boris")

    async def are_tried() -> bool:
        return not (await stage.get("/state"))["faults"]

    await running.until("both were tried", are_tried)
    await stage.sandbox.stop()
    stage.shop.answers = []
    again = await open_stage()
    await until("the delayed one", lambda: [e.data.object.name for e in again.shop.events] == ["Boris"])


async def test_bodies_are_the_same_bytes_at_every_try(stage: Stage) -> None:
    await stage.fault("duplicate", on="customer.created")
    await _customer(stage)
    await until("twice", lambda: len(stage.shop.events) == 2)
    first, second = (json.dumps(event.to_dict(), sort_keys=True, default=str) for event in stage.shop.events)
    assert first == second
