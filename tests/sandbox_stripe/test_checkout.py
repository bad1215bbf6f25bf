"""From a price to a paid subscription, through the hosted page."""

import itertools
from typing import Any

import pytest
import stripe

from tests.sandbox_stripe.conftest import Stage

FOUR = ("checkout.session.completed", "customer.subscription.created", "customer.subscription.updated",
        "invoice.paid")


async def test_a_paid_checkout_makes_everything_a_shop_reads(stage: Stage) -> None:
    price = await stage.price("premium", 2999)
    session = await stage.session(price, subscription_data={"metadata": {"user_id": "7"}}, metadata={"op_id": "a"})
    assert (session.status, session.payment_status, session.livemode) == ("open", "unpaid", False)
    assert session.url == f"{stage.base}/stripe/pay/{session.id}" and session.client_reference_id == "7"
    assert "line_items" not in session.to_dict()

    done = await stage.post(f"/stripe/checkout/{session.id}/pay")
    assert done["return_url"].endswith(f"?session={session.id}")
    session = await stage.client.v1.checkout.sessions.retrieve_async(
        session.id, {"expand": ["line_items", "subscription.latest_invoice.payments"]})
    assert (session.status, session.payment_status, session.amount_total) == ("complete", "paid", 2999)
    assert session.line_items.data[0].price.id == price
    subscription = session.subscription
    assert (subscription.status, subscription.metadata.user_id) == ("active", "7")
    item = subscription.items.data[0]
    assert item.price.unit_amount == 2999
    assert 28 * 86400 <= item.current_period_end - item.current_period_start <= 31 * 86400
    assert "current_period_end" not in subscription.to_dict()
    invoice = subscription.latest_invoice
    assert (invoice.status, invoice.amount_paid, invoice.currency) == ("paid", 2999, "usd")
    assert invoice.billing_reason == "subscription_create"
    details = invoice.parent.subscription_details
    assert (details.subscription, details.metadata.user_id) == (subscription.id, "7")
    line = invoice.lines.data[0]
    assert line.pricing.price_details.price == price
    assert not line.parent.subscription_item_details.proration
    assert (line.period.start, line.period.end) == (item.current_period_start, item.current_period_end)
    paid = invoice.payments.data[0]
    assert (paid.status, paid.payment.type, paid.amount_paid) == ("paid", "payment_intent", 2999)
    found = await stage.client.v1.invoice_payments.list_async({
        "payment": {"type": "payment_intent", "payment_intent": paid.payment.payment_intent}})
    assert [one.invoice for one in found.data] == [invoice.id]
    intent = await stage.client.v1.payment_intents.retrieve_async(
        paid.payment.payment_intent, {"expand": ["latest_charge.balance_transaction"]})
    assert (intent.latest_charge.balance_transaction.amount, intent.status) == (2999, "succeeded")
    for name in ("subscription", "payment_intent", "charge", "paid"):
        assert name not in invoice.to_dict()


async def test_the_events_of_a_checkout_carry_what_is_granted_on(stage: Stage) -> None:
    subscription = await stage.subscribe(await stage.price("premium", 2999))
    await stage.delivered(*FOUR)
    by_type: dict[str, Any] = {event.type: event for event in stage.shop.events}
    assert by_type["customer.subscription.created"].data.object.status == "incomplete"
    updated = by_type["customer.subscription.updated"]
    assert updated.data.object.status == "active" and updated.data.previous_attributes.status == "incomplete"
    assert updated.api_version == stripe.api_version and updated.livemode is False
    assert by_type["checkout.session.completed"].data.object.subscription == subscription.id
    order = stage.shop.types()
    assert [kind for kind in order if kind in FOUR] == [
        "customer.subscription.created", "invoice.paid", "customer.subscription.updated",
        "checkout.session.completed"]


@pytest.mark.parametrize("action", ["decline", "insufficient_funds"])
async def test_a_declined_card_leaves_the_session_open(stage: Stage, action: str) -> None:
    session = await stage.session(await stage.price("premium", 2999))
    assert (await stage.post(f"/stripe/checkout/{session.id}/{action}"))["outcome"] == "failed"
    await stage.delivered("payment_intent.payment_failed", "charge.failed")
    assert (await stage.client.v1.checkout.sessions.retrieve_async(session.id)).status == "open"
    assert (await stage.client.v1.subscriptions.list_async({"status": "all"})).data == []
    assert (await stage.post(f"/stripe/checkout/{session.id}/pay"))["outcome"] == "paid"
    assert (await stage.try_post(f"/stripe/checkout/{session.id}/pay"))[0] == 400
    assert len((await stage.client.v1.charges.list_async()).data) == 2


async def test_three_d_secure_pays_only_when_confirmed(stage: Stage) -> None:
    session = await stage.session(await stage.price("premium", 2999))
    assert (await stage.post(f"/stripe/checkout/{session.id}/require_action"))["outcome"] == "action"
    await stage.delivered("payment_intent.requires_action")
    assert (await stage.get("/stripe/report"))["sums"] == {}
    assert (await stage.post(f"/stripe/checkout/{session.id}/authenticate"))["outcome"] == "paid"
    assert (await stage.get("/stripe/report"))["sums"] == {"usd": {"charge": 2999}}
    await stage.post("/stripe/advance", {"days": 32})
    assert (await stage.get("/stripe/report"))["sums"] == {"usd": {"charge": 5998}}, "later nobody is asked again"


async def test_an_abandoned_session_expires_by_the_clock(stage: Stage) -> None:
    price = await stage.price("premium", 2999)
    left, ended = await stage.session(price), await stage.session(price)
    assert (await stage.post(f"/stripe/checkout/{left.id}/abandon"))["session"]["status"] == "open"
    assert (await stage.client.v1.checkout.sessions.expire_async(ended.id)).status == "expired"
    with pytest.raises(stripe.InvalidRequestError):
        await stage.client.v1.checkout.sessions.expire_async(ended.id)
    await stage.post("/stripe/advance", {"days": 1})
    assert (await stage.client.v1.checkout.sessions.retrieve_async(left.id)).status == "expired"
    await stage.delivered("checkout.session.expired")
    assert (await stage.try_post(f"/stripe/checkout/{left.id}/pay"))[0] == 400


async def test_a_trial_charges_nothing_until_it_ends(stage: Stage) -> None:
    price = await stage.price("premium", 2999)
    subscription = await stage.subscribe(price, subscription_data={
        "trial_period_days": 7, "metadata": {"user_id": "7"}})
    assert (subscription.status, subscription.latest_invoice.amount_paid) == ("trialing", 0)
    assert subscription.latest_invoice.payments.data == []
    assert subscription.items.data[0].current_period_end == subscription.trial_end
    await stage.post("/stripe/advance", {"days": 4})
    await stage.delivered("customer.subscription.trial_will_end")
    await stage.post("/stripe/advance", {"days": 4})
    subscription = await stage.subscription(subscription.id)
    assert (subscription.status, subscription.latest_invoice.amount_paid) == ("active", 2999)


async def test_a_coupon_over_everything_needs_no_payment(stage: Stage) -> None:
    price = await stage.price("premium", 2999)
    coupon = await stage.client.v1.coupons.create_async({"percent_off": 100, "duration": "once"})
    code = await stage.client.v1.promotion_codes.create_async({
        "promotion": {"type": "coupon", "coupon": coupon.id}, "code": "FREEMONTH"})
    assert code.promotion.coupon == coupon.id
    session = await stage.session(price, discounts=[{"promotion_code": code.id}])
    done = (await stage.post(f"/stripe/checkout/{session.id}/pay"))["session"]
    assert (done["payment_status"], done["amount_total"]) == ("no_payment_required", 0)
    subscription = await stage.subscription(done["subscription"])
    invoice = subscription.latest_invoice
    assert (subscription.status, invoice.status, invoice.total) == ("active", "paid", 0)
    assert invoice.payments.data == [] and invoice.total_discount_amounts[0].amount == 2999
    discount = await stage.client.v1.invoices.retrieve_async(invoice.id, {"expand": ["discounts"]})
    assert discount.discounts[0].source.coupon == coupon.id
    await stage.post("/stripe/advance", {"days": 32})
    assert (await stage.subscription(subscription.id)).latest_invoice.amount_paid == 2999


async def test_a_typed_code_is_taken_where_it_is_allowed(stage: Stage) -> None:
    price = await stage.price("premium", 2999)
    coupon = await stage.client.v1.coupons.create_async({"percent_off": 25, "duration": "forever"})
    await stage.client.v1.promotion_codes.create_async({
        "promotion": {"type": "coupon", "coupon": coupon.id}, "code": "QUARTER"})
    closed, allowed = await stage.session(price), await stage.session(price, allow_promotion_codes=True)
    status, _ = await stage.try_post(f"/stripe/checkout/{closed.id}/pay", {"promotion_code": "QUARTER"})
    assert status == 400
    done = await stage.post(f"/stripe/checkout/{allowed.id}/pay", {"promotion_code": "quarter"})
    assert (done["session"]["amount_total"], done["session"]["amount_subtotal"]) == (2249, 2999)
    assert (await stage.get("/stripe/report"))["sums"] == {"usd": {"charge": 2249}}


@pytest.mark.parametrize(("action", "outcome"), [("decline", "failed"), ("require_action", "action")])
async def test_a_trial_wants_a_card_that_works(stage: Stage, action: str, outcome: str) -> None:
    price = await stage.price("premium", 2999)
    session = await stage.session(price, subscription_data={"trial_period_days": 7})
    assert (await stage.post(f"/stripe/checkout/{session.id}/{action}"))["outcome"] == outcome
    assert (await stage.client.v1.subscriptions.list_async({"status": "all"})).data == []
    done = await stage.post(f"/stripe/checkout/{session.id}/pay")
    assert done["session"]["payment_status"] == "no_payment_required"


async def test_a_customer_keeps_to_one_currency(stage: Stage) -> None:
    subscription = await stage.subscribe(await stage.price("premium", 2999))
    yen = await stage.price("premium", 4500, "jpy")
    with pytest.raises(stripe.InvalidRequestError):
        await stage.session(yen, customer=str(subscription.customer))
    await stage.client.v1.subscriptions.cancel_async(subscription.id)
    await stage.session(yen, customer=str(subscription.customer))


@pytest.mark.parametrize(("worked", "event", "status"), [
    ("later_succeeds", "checkout.session.async_payment_succeeded", "active"),
    ("later_fails", "checkout.session.async_payment_failed", "past_due")])
async def test_a_payment_known_later(stage: Stage, worked: str, event: str, status: str) -> None:
    session = await stage.session(await stage.price("premium", 2999))
    done = await stage.post(f"/stripe/checkout/{session.id}/pay_later")
    assert (done["session"]["status"], done["session"]["payment_status"]) == ("complete", "unpaid")
    await stage.post(f"/stripe/checkout/{session.id}/{worked}")
    await stage.delivered(event)
    assert (await stage.subscription(done["session"]["subscription"])).status == status


@pytest.mark.parametrize(("currency", "amount"), [("jpy", 4500), ("kwd", 5120), ("isk", 50000), ("usd", 1)])
async def test_amounts_stay_what_they_are_in_every_currency(stage: Stage, currency: str, amount: int) -> None:
    subscription = await stage.subscribe(await stage.price("premium", amount, currency))
    assert (subscription.currency, subscription.latest_invoice.amount_paid) == (currency, amount)
    assert (await stage.get("/stripe/report"))["totals"] == {currency: amount}


@pytest.mark.parametrize(("currency", "amount"), [("kwd", 5121), ("isk", 50001), ("xtr", 100)])
async def test_amounts_a_currency_does_not_have_are_refused(stage: Stage, currency: str, amount: int) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await stage.price("premium", amount, currency)


async def test_a_test_can_deliver_any_order(stage: Stage) -> None:
    await stage.post("/stripe/hold")
    await stage.subscribe(await stage.price("premium", 2999))
    assert stage.shop.events == []
    for order in itertools.permutations(FOUR):
        stage.shop.events.clear()
        ids = {event["type"]: event["id"] for event in await stage.get("/stripe/events")}
        sent = await stage.post("/stripe/release", {"order": [ids[kind] for kind in order]})
        assert [one["status"] for one in sent] == [200] * 4
        assert stage.shop.types() == list(order)
