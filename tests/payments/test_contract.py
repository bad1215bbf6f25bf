"""What the product relies on in a payment provider, asked of each server through the product's own provider."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from models.billing import LedgerKind
from services import stripe_events
from services.errors import InvalidSignature
from services.payments.protocol import Money, OutcomeUnknown, PaymentError
from services.payments.stripe_provider import StripePayments
from tests.payments.backends import KEY, LOOKUP, PRICES, SECRET, USER, Backend
from tests.running import free_port

HOUR = timedelta(hours=1)


def ago(span: timedelta) -> datetime:
    return datetime.now(UTC) - span


async def test_a_customer_carries_our_ids(backend: Backend) -> None:
    customer_id = await backend.customer()
    told = await backend.done("GET", f"/v1/customers/{customer_id}")
    assert told["metadata"] == {"user_id": str(USER), "telegram_id": str(9000 + USER)}


async def test_one_key_is_one_customer(backend: Backend) -> None:
    backend.needs("idempotency")
    assert await backend.customer() == await backend.customer()


async def test_a_subscription_is_read_in_full(backend: Backend) -> None:
    customer_id, subscription_id = await backend.subscribed("premium")
    state = await backend.payments.subscription(subscription_id)
    assert (state.id, state.customer_id, state.user_id) == (subscription_id, customer_id, USER)
    assert (state.status, state.tier, state.price) == ("active", "premium", PRICES["premium"])
    assert state.current_period_start is not None and state.current_period_end is not None
    assert abs(state.current_period_start - datetime.now(UTC)) < HOUR
    assert timedelta(days=27) < state.current_period_end - state.current_period_start < timedelta(days=32)
    assert (state.cancel_at_period_end, state.cancel_at, state.trial_end, state.ended_at) == (False, None, None, None)
    assert state.is_paid and state.invoice_id is not None


async def test_all_of_a_customers_subscriptions_are_read(backend: Backend) -> None:
    customer_id, first = await backend.subscribed("premium")
    second = (await backend.done("POST", "/v1/subscriptions", {
        "customer": customer_id, **await backend.item("vip")}))["id"]
    await backend.payments.cancel_now(first, key="c")
    found = {state.id: state for state in await backend.payments.subscriptions_of(customer_id)}
    assert {id_: (state.status, state.tier) for id_, state in found.items()} == {
        first: ("canceled", "premium"), second: ("active", "vip")}
    assert found[second].is_paid and found[second].user_id is None


async def test_a_card_that_is_declined_leaves_nothing_paid(backend: Backend) -> None:
    _, subscription_id = await backend.subscribed(works=False)
    state = await backend.payments.subscription(subscription_id)
    assert (state.status, state.is_paid) == ("incomplete", False)
    assert state.invoice_id is not None and await backend.payments.charge_of(state.invoice_id) is None


async def test_a_trial_is_told_with_its_end(backend: Backend) -> None:
    backend.needs("trials")
    _, subscription_id = await backend.subscribed(trial_period_days="7")
    state = await backend.payments.subscription(subscription_id)
    assert state.status == "trialing" and state.trial_end is not None
    assert abs(state.trial_end - datetime.now(UTC) - timedelta(days=7)) < HOUR


async def test_it_ends_with_its_period_or_goes_on_after_all(backend: Backend) -> None:
    _, subscription_id = await backend.subscribed()
    for cancel in (True, False):
        told = await backend.payments.cancel_at_period_end(subscription_id, cancel, key=f"cancel {cancel}")
        assert told.cancel_at_period_end is cancel
        assert (await backend.payments.subscription(subscription_id)) == told
        assert (told.status, told.is_paid) == ("active", True)


async def test_ended_now_it_stays_ended_and_ending_it_again_is_fine(backend: Backend) -> None:
    _, subscription_id = await backend.subscribed()
    for attempt in ("first", "second"):
        await backend.payments.cancel_now(subscription_id, key=attempt)
        state = await backend.payments.subscription(subscription_id)
        assert state.status == "canceled" and state.ended_at is not None
        assert abs(state.ended_at - datetime.now(UTC)) < HOUR


async def test_what_an_invoice_has_brought_is_a_movement(backend: Backend) -> None:
    customer_id, subscription_id = await backend.subscribed("vip")
    invoice_id = (await backend.payments.subscription(subscription_id)).invoice_id
    assert invoice_id is not None
    paid = await backend.payments.charge_of(invoice_id)
    assert paid is not None and abs(paid.occurred_at - datetime.now(UTC)) < HOUR
    assert (paid.transaction_id, paid.kind, paid.money) == (invoice_id, LedgerKind.CHARGE, PRICES["vip"])
    assert (paid.customer_id, paid.subscription_id, paid.invoice_id) == (customer_id, subscription_id, invoice_id)


async def test_invoices_are_listed_newest_first_up_to_the_limit(backend: Backend) -> None:
    customer_id, _ = await backend.subscribed("premium")
    await backend.done("POST", "/v1/subscriptions", {"customer": customer_id, **await backend.item("vip")})
    found = await backend.payments.invoices(customer_id, 10)
    assert {(one.money, one.status) for one in found} == {(money, "paid") for money in PRICES.values()}
    assert [one.created_at for one in found] == sorted((one.created_at for one in found), reverse=True)
    assert len(await backend.payments.invoices(customer_id, 1)) == 1


async def test_a_refund_in_part_and_of_the_rest(backend: Backend) -> None:
    _, subscription_id = await backend.subscribed("premium")
    charge_id = await backend.charge_for(subscription_id)
    for amount in (1000, 1999):
        refund_id = await backend.payments.refund(charge_id, amount, key=f"refund {amount}")
        told = await backend.done("GET", f"/v1/refunds/{refund_id}")
        assert (told["amount"], told["currency"], told["charge"]) == (amount, "usd", charge_id)
    assert (await backend.done("GET", f"/v1/charges/{charge_id}"))["refunded"] is True


async def test_a_refund_without_an_amount_is_the_whole(backend: Backend) -> None:
    _, subscription_id = await backend.subscribed("vip")
    refund_id = await backend.payments.refund(await backend.charge_for(subscription_id), None, key="refund")
    assert (await backend.done("GET", f"/v1/refunds/{refund_id}"))["amount"] == PRICES["vip"].amount_minor


async def test_one_key_is_one_refund(backend: Backend) -> None:
    backend.needs("idempotency")
    _, subscription_id = await backend.subscribed()
    charge_id = await backend.charge_for(subscription_id)
    assert len({await backend.payments.refund(charge_id, 500, key="refund") for _ in range(3)}) == 1
    assert (await backend.done("GET", f"/v1/charges/{charge_id}"))["amount_refunded"] == 500


async def test_no_more_is_paid_back_than_was_paid(backend: Backend) -> None:
    backend.needs("refund limits")
    _, subscription_id = await backend.subscribed()
    charge_id = await backend.charge_for(subscription_id)
    with pytest.raises(PaymentError):
        await backend.payments.refund(charge_id, 3000, key="too much")
    await backend.payments.refund(charge_id, None, key="all")
    with pytest.raises(PaymentError) as refused:
        await backend.payments.refund(charge_id, None, key="again")
    assert refused.value.code == "charge_already_refunded"


async def test_a_refund_knows_its_invoice(backend: Backend) -> None:
    backend.needs("invoice payments")
    customer_id, subscription_id = await backend.subscribed()
    refund_id = await backend.payments.refund(await backend.charge_for(subscription_id), None, key="refund")
    moved, = await backend.payments.movements_of({"object": "refund", "id": refund_id})
    assert (moved.transaction_id, moved.kind, moved.money) == (refund_id, LedgerKind.REFUND, PRICES["premium"])
    assert moved.customer_id == customer_id
    assert moved.invoice_id == (await backend.payments.subscription(subscription_id)).invoice_id


async def test_what_happened_can_be_listed_and_read(backend: Backend) -> None:
    _, subscription_id = await backend.subscribed()
    found = await backend.payments.events_since(ago(HOUR))
    told = [stripe_events.parse(json.dumps(event, default=str).encode()) for event in found]
    created = [event for event in told if event.type == "customer.subscription.created"]
    assert [event.subject for event in created] == [subscription_id]
    assert all(not event.livemode and abs(event.created_at - datetime.now(UTC)) < HOUR for event in told)
    assert await backend.payments.events_since(datetime.now(UTC) + HOUR) == []


async def test_events_are_listed_newest_first(backend: Backend) -> None:
    backend.needs("newest first")
    await backend.subscribed()
    types = [event["type"] for event in await backend.payments.events_since(ago(HOUR))]
    assert types.index("customer.subscription.created") < types.index("customer.created")


async def test_a_delivery_is_signed_for_us_and_nobody_else(backend: Backend) -> None:
    _, subscription_id = await backend.subscribed()
    raw, signature = await backend.receiver.told("customer.subscription.created", subscription_id)
    now = datetime.now(UTC)
    stripe_events.verify(raw, signature, [SECRET], now)
    stripe_events.verify(raw, signature, ["whsec_of_next_month", SECRET], now)
    event = stripe_events.parse(raw)
    assert (event.subject, event.object["status"] in ("incomplete", "active")) == (subscription_id, True)
    for bytes_, header, secrets, at in (
            (raw + b" ", signature, [SECRET], now), (raw, signature, ["whsec_of_another"], now),
            (raw, signature[:-1] + ("0" if signature[-1] != "0" else "1"), [SECRET], now),
            (raw, signature, [SECRET], now + timedelta(minutes=6)), (raw, signature, [], now)):
        with pytest.raises(InvalidSignature):
            stripe_events.verify(bytes_, header, secrets, at)


async def test_events_of_an_invoice_name_their_subscription(backend: Backend) -> None:
    _, subscription_id = await backend.subscribed()
    invoice_id = (await backend.payments.subscription(subscription_id)).invoice_id
    assert invoice_id is not None
    raw, _ = await backend.receiver.told("invoice.payment_succeeded", invoice_id)
    assert stripe_events.parse(raw).subject == subscription_id


async def test_a_paid_invoice_is_told_of(backend: Backend) -> None:
    backend.needs("paid events")
    _, subscription_id = await backend.subscribed()
    invoice_id = (await backend.payments.subscription(subscription_id)).invoice_id
    assert invoice_id is not None and await backend.receiver.told("invoice.paid", invoice_id)


async def test_changes_are_told_of(backend: Backend) -> None:
    backend.needs("update events")
    _, subscription_id = await backend.subscribed()
    await backend.payments.cancel_at_period_end(subscription_id, True, key="cancel")
    charge_id = await backend.charge_for(subscription_id)
    await backend.payments.refund(charge_id, None, key="refund")
    assert await backend.receiver.told("customer.subscription.updated", subscription_id)
    assert await backend.receiver.told("charge.refunded", charge_id)


async def test_the_end_is_told_of(backend: Backend) -> None:
    _, subscription_id = await backend.subscribed()
    await backend.payments.cancel_now(subscription_id, key="cancel")
    raw, signature = await backend.receiver.told("customer.subscription.deleted", subscription_id)
    stripe_events.verify(raw, signature, [SECRET], datetime.now(UTC))


async def test_what_is_not_there_is_refused_for_good(backend: Backend) -> None:
    with pytest.raises(PaymentError):
        await backend.payments.subscription("sub_missing")
    with pytest.raises(PaymentError):
        await backend.payments.charge_of("in_missing")
    with pytest.raises(PaymentError):
        await backend.payments.refund("ch_missing", None, key="refund")


async def test_a_refusal_names_its_reason(backend: Backend) -> None:
    backend.needs("error codes")
    with pytest.raises(PaymentError) as refused:
        await backend.payments.subscription("sub_missing")
    assert refused.value.code == "resource_missing"


async def test_a_key_that_is_none_says_nothing_of_what_was_asked(backend: Backend) -> None:
    """It may have been rolled while an answer was awaited: that is no refusal of the act."""
    stranger = backend.reached_with("pk_test_published0123456789")
    with pytest.raises(OutcomeUnknown):
        await stranger.ensure_customer(1, 2, key="stranger")
    await stranger.close()


async def test_nobody_there_is_an_unknown_outcome() -> None:
    lost = StripePayments(KEY, LOOKUP, api_base=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(OutcomeUnknown):
        await lost.refund("ch_1", None, key="refund")
    await lost.close()


async def test_prices_are_made_once_and_replaced(backend: Backend) -> None:
    backend.needs("prices")
    assert not await backend.payments.ensure_price("premium", PRICES["premium"])
    assert await backend.payments.ensure_price("premium", Money(3499, "usd"))
    assert not await backend.payments.ensure_price("premium", Money(3499, "usd"))


async def test_who_subscribed_before_the_price_changed_keeps_plan_and_price(backend: Backend) -> None:
    backend.needs("prices")
    _, before = await backend.subscribed("premium")
    await backend.payments.ensure_price("premium", Money(3499, "usd"))
    _, after = await backend.subscribed("premium")
    states = [await backend.payments.subscription(one) for one in (before, after)]
    assert [(one.tier, one.price.amount_minor) for one in states] == [("premium", 2999), ("premium", 3499)]


async def test_a_dearer_plan_is_priced_first_and_then_paid(backend: Backend) -> None:
    backend.needs("prices")
    _, subscription_id = await backend.subscribed("premium")
    at = datetime.now(UTC).replace(microsecond=0)
    shown = await backend.payments.preview(subscription_id, "vip", at)
    told = await backend.payments.upgrade(subscription_id, "vip", at, key="up")
    assert (told.tier, told.is_paid) == ("vip", True) and told.invoice_id is not None
    paid = await backend.payments.charge_of(told.invoice_id)
    assert paid is not None and paid.money == shown.money
    assert (await backend.payments.upgrade(subscription_id, "vip", at, key="up")).invoice_id == told.invoice_id


async def test_a_cheaper_plan_costs_nothing_now(backend: Backend) -> None:
    backend.needs("prices")
    customer_id, subscription_id = await backend.subscribed("vip")
    await backend.payments.set_tier_next_period(subscription_id, "premium", key="down")
    state = await backend.payments.subscription(subscription_id)
    assert (state.tier, state.price) == ("premium", PRICES["premium"])
    assert len(await backend.payments.invoices(customer_id, 10)) == 1


async def test_one_key_is_one_checkout_page_and_it_can_be_closed(backend: Backend) -> None:
    backend.needs("checkout")
    customer_id = await backend.customer()
    pages = {await backend.payments.checkout(
        customer_id, USER, "premium", trial_days=0, success_url="http://127.0.0.1/ok",
        cancel_url="http://127.0.0.1/no", key="page") for _ in range(2)}
    (session_id, url), = pages
    assert url.startswith("http")
    for _ in range(2):
        await backend.payments.expire_checkout(session_id)
    assert (await backend.done("GET", f"/v1/checkout/sessions/{session_id}"))["status"] == "expired"


async def test_the_portal_is_a_page(backend: Backend) -> None:
    backend.needs("portal")
    url = await backend.payments.portal(await backend.customer(), "http://127.0.0.1/back", key="portal")
    assert url.startswith("http")
