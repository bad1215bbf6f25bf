"""A subscription's life by the clock, by the API and by the person."""

from typing import Any

import pytest
import stripe

from tests.sandbox_stripe.conftest import Stage

UPGRADE: Any = {"proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete"}


async def test_it_renews_month_by_month(stage: Stage) -> None:
    subscription = await stage.subscribe(await stage.price("premium", 2999))
    end = subscription.items.data[0].current_period_end
    await stage.post("/stripe/advance", {"days": (end - subscription.start_date) / 86400})
    drafted = await stage.subscription(subscription.id)
    assert (drafted.status, drafted.latest_invoice.status) == ("active", "draft")
    assert drafted.items.data[0].current_period_start == end
    await stage.post("/stripe/advance", {"hours": 1})
    renewed = (await stage.subscription(subscription.id)).latest_invoice
    assert (renewed.status, renewed.billing_reason, renewed.amount_paid) == ("paid", "subscription_cycle", 2999)
    await stage.post("/stripe/advance", {"days": 365})
    assert len((await stage.client.v1.invoices.list_async({"limit": 100})).data) in (13, 14)
    report = await stage.get("/stripe/report")
    assert report["sums"]["usd"]["charge"] == 2999 * len(report["entries"])


async def test_a_card_that_fails_is_tried_three_times_more(stage: Stage) -> None:
    subscription = await stage.subscribe(await stage.price("premium", 2999))
    await stage.post(f"/stripe/subscriptions/{subscription.id}/card", {"behaviour": "decline"})
    await stage.post("/stripe/advance", {"days": 32})
    late = await stage.subscription(subscription.id)
    assert (late.status, late.latest_invoice.status, late.latest_invoice.attempt_count) == ("past_due", "open", 1)
    assert late.latest_invoice.next_payment_attempt is not None
    await stage.post("/stripe/advance", {"days": 16})
    ended = await stage.subscription(subscription.id)
    assert (ended.status, ended.latest_invoice.attempt_count) == ("canceled", 4)
    assert ended.cancellation_details.reason == "payment_failed"
    await stage.delivered("customer.subscription.deleted")
    assert stage.shop.types().count("invoice.payment_failed") == 4


async def test_after_the_retries_it_may_stay_unpaid(stage: Stage) -> None:
    await stage.post("/stripe/settings", {"after_retries": "unpaid"})
    subscription = await stage.subscribe(await stage.price("premium", 2999))
    await stage.post(f"/stripe/subscriptions/{subscription.id}/card", {"behaviour": "insufficient_funds"})
    await stage.post("/stripe/advance", {"days": 50})
    unpaid = await stage.subscription(subscription.id)
    assert unpaid.status == "unpaid"
    await stage.post(f"/stripe/invoices/{unpaid.latest_invoice.id}/pay")
    assert (await stage.subscription(subscription.id)).status == "active"


async def test_a_renewal_that_wants_authentication_is_paid_by_its_link(stage: Stage) -> None:
    subscription = await stage.subscribe(await stage.price("premium", 2999))
    await stage.post(f"/stripe/subscriptions/{subscription.id}/card", {"behaviour": "require_action"})
    await stage.post("/stripe/advance", {"days": 32})
    await stage.delivered("invoice.payment_action_required", "invoice.payment_failed")
    invoice = (await stage.subscription(subscription.id)).latest_invoice
    assert invoice.hosted_invoice_url == f"{stage.base}/stripe/invoice/{invoice.id}"
    assert (await stage.post(f"/stripe/invoices/{invoice.id}/authenticate"))["outcome"] == "paid"
    paid = await stage.subscription(subscription.id)
    assert (paid.status, paid.latest_invoice.status) == ("active", "paid")


async def test_cancel_at_period_end_resume_and_end(stage: Stage) -> None:
    subscription = await stage.subscribe(await stage.price("premium", 2999))
    update = stage.client.v1.subscriptions.update_async
    ending = await update(subscription.id, {"cancel_at_period_end": True})
    assert ending.cancel_at == ending.items.data[0].current_period_end and ending.status == "active"
    resumed = await update(subscription.id, {"cancel_at_period_end": False})
    assert (resumed.cancel_at, resumed.canceled_at) == (None, None)
    await update(subscription.id, {"cancel_at_period_end": True})
    await stage.post("/stripe/advance", {"days": 32})
    ended = await stage.subscription(subscription.id)
    assert (ended.status, ended.ended_at) == ("canceled", ending.cancel_at)
    listed = stage.client.v1.subscriptions.list_async
    customer = str(ended.customer)
    assert (await listed({"customer": customer})).data == []
    assert [one.id for one in (await listed({"customer": customer, "status": "all"})).data] == [ended.id]
    with pytest.raises(stripe.InvalidRequestError) as missing:
        await stage.client.v1.subscriptions.cancel_async(ended.id)
    assert missing.value.code == "resource_missing"


async def test_an_upgrade_charges_what_its_preview_said(stage: Stage) -> None:
    subscription = await stage.subscribe(await stage.price("premium", 3000))
    vip = await stage.price("vip", 9000)
    item = subscription.items.data[0]
    await stage.post("/stripe/advance", {"days": 10})
    at = (await stage.get("/stripe/events"))[-1]["created"] + 10 * 86400
    details: Any = {"items": [{"id": item.id, "price": vip}], "proration_date": at,
                    "proration_behavior": "always_invoice"}
    preview = await stage.client.v1.invoices.create_preview_async(
        {"subscription": subscription.id, "subscription_details": details})
    left = (item.current_period_end - at) / (item.current_period_end - item.current_period_start)
    assert abs(preview.amount_due - 6000 * left) <= 1
    assert all(line.parent.subscription_item_details.proration for line in preview.lines.data)
    upgraded = await stage.client.v1.subscriptions.update_async(subscription.id, {
        "items": [{"id": item.id, "price": vip}], "proration_date": at, "expand": ["latest_invoice"], **UPGRADE})
    assert upgraded.items.data[0].price.id == vip and upgraded.pending_update is None
    assert upgraded.items.data[0].current_period_end == item.current_period_end
    assert upgraded.latest_invoice.amount_paid == preview.amount_due
    again = await stage.client.v1.subscriptions.update_async(
        subscription.id, {"items": [{"id": item.id, "price": vip}], **UPGRADE})
    assert again.latest_invoice == upgraded.latest_invoice.id


async def test_an_upgrade_that_is_declined_waits_and_goes(stage: Stage) -> None:
    premium, vip = await stage.price("premium", 3000), await stage.price("vip", 9000)
    subscription = await stage.subscribe(premium)
    await stage.post(f"/stripe/subscriptions/{subscription.id}/card", {"behaviour": "decline"})
    item = subscription.items.data[0].id
    update = stage.client.v1.subscriptions.update_async
    with pytest.raises(stripe.InvalidRequestError):
        await update(subscription.id, {"items": [{"id": item, "price": vip}], "metadata": {"a": "b"}, **UPGRADE})
    waiting = await update(subscription.id, {"items": [{"id": item, "price": vip}], **UPGRADE})
    assert (waiting.status, waiting.items.data[0].price.id) == ("active", premium)
    assert waiting.pending_update.subscription_items[0].price.id == vip
    await stage.post("/stripe/advance", {"days": 1})
    await stage.delivered("customer.subscription.pending_update_expired", "invoice.voided")
    assert (await stage.subscription(subscription.id)).pending_update is None

    await update(subscription.id, {"items": [{"id": item, "price": vip}], **UPGRADE})
    invoice = (await stage.subscription(subscription.id)).latest_invoice.id
    await stage.post(f"/stripe/invoices/{invoice}/pay")
    await stage.delivered("customer.subscription.pending_update_applied")
    assert (await stage.subscription(subscription.id)).items.data[0].price.id == vip


async def test_an_upgrade_may_insist_on_being_paid(stage: Stage) -> None:
    premium, vip = await stage.price("premium", 3000), await stage.price("vip", 9000)
    subscription = await stage.subscribe(premium)
    await stage.post(f"/stripe/subscriptions/{subscription.id}/card", {"behaviour": "insufficient_funds"})
    with pytest.raises(stripe.CardError) as declined:
        await stage.client.v1.subscriptions.update_async(subscription.id, {
            "items": [{"id": subscription.items.data[0].id, "price": vip}],
            "proration_behavior": "always_invoice", "payment_behavior": "error_if_incomplete"})
    assert (declined.value.code, declined.value.http_status) == ("card_declined", 402)
    assert (await stage.subscription(subscription.id)).items.data[0].price.id == premium


async def test_a_downgrade_without_proration_counts_from_the_next_period(stage: Stage) -> None:
    premium, vip = await stage.price("premium", 3000), await stage.price("vip", 9000)
    subscription = await stage.subscribe(vip)
    await stage.client.v1.subscriptions.update_async(subscription.id, {
        "items": [{"id": subscription.items.data[0].id, "price": premium}], "proration_behavior": "none"})
    await stage.post("/stripe/advance", {"days": 32})
    assert (await stage.subscription(subscription.id)).latest_invoice.amount_paid == 3000


async def test_a_credit_is_used_up_by_the_next_invoices(stage: Stage) -> None:
    premium, vip = await stage.price("premium", 3000), await stage.price("vip", 9000)
    subscription = await stage.subscribe(vip)
    await stage.client.v1.subscriptions.update_async(subscription.id, {
        "items": [{"id": subscription.items.data[0].id, "price": premium}], "proration_behavior": "always_invoice"})
    credited = (await stage.subscription(subscription.id)).latest_invoice
    assert (credited.amount_due, credited.status) == (0, "paid") and abs(credited.total + 6000) <= 1
    await stage.post("/stripe/advance", {"days": 32})
    renewed = (await stage.subscription(subscription.id)).latest_invoice
    assert (renewed.total, renewed.amount_paid, renewed.payments.data) == (3000, 0, [])


async def test_a_first_payment_that_never_comes(stage: Stage) -> None:
    price = await stage.price("premium", 2999)
    customer = await stage.client.v1.customers.create_async({"name": "Ada"})
    await stage.post(f"/stripe/customers/{customer.id}/card", {"behaviour": "decline"})
    subscription = await stage.client.v1.subscriptions.create_async({
        "customer": customer.id, "items": [{"price": price}], "payment_behavior": "default_incomplete",
        "expand": ["latest_invoice.confirmation_secret"]})
    assert subscription.status == "incomplete"
    await stage.post("/stripe/advance", {"days": 1})
    assert (await stage.subscription(subscription.id)).status == "incomplete_expired"


async def test_a_deleted_customer_takes_subscriptions_along(stage: Stage) -> None:
    subscription = await stage.subscribe(await stage.price("premium", 2999))
    customer = str(subscription.customer)
    assert (await stage.client.v1.customers.delete_async(customer)).deleted
    await stage.delivered("customer.deleted", "customer.subscription.deleted")
    assert (await stage.subscription(subscription.id)).status == "canceled"
    assert (await stage.client.v1.customers.retrieve_async(customer)).deleted
    assert (await stage.client.v1.customers.list_async()).data == []
    with pytest.raises(stripe.InvalidRequestError):
        await stage.client.v1.billing_portal.sessions.create_async({"customer": customer})
