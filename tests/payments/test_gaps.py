"""What a backend is said to lack, it does lack: a test that is skipped for a reason no longer true is found here."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from services.payments.protocol import OutcomeUnknown, PaymentError
from tests.payments import backends
from tests.payments.backends import CAPABILITIES, LOCALSTRIPE_LACKS, PRICES, Backend, Receiver

HOUR = timedelta(hours=1)


@pytest.fixture
async def localstripe(localstripe_url: str, receiver: Receiver) -> Backend:
    async with backends.localstripe(localstripe_url, receiver) as made:
        yield made


async def it_ignores_keys(backend: Backend) -> None:
    assert await backend.customer() != await backend.customer()


async def it_knows_no_prices(backend: Backend) -> None:
    assert (await backend.call("GET", "/v1/prices"))[0] == 404
    with pytest.raises(OutcomeUnknown):
        await backend.payments.ensure_price("premium", PRICES["premium"])
    status, _ = await backend.call("POST", "/v1/subscriptions", {
        "customer": await backend.customer(), "items[0][price]": "price_1"})
    assert status == 400


async def it_has_no_checkout(backend: Backend) -> None:
    assert (await backend.call("POST", "/v1/checkout/sessions", {"mode": "subscription"}))[0] == 404


async def it_has_no_portal(backend: Backend) -> None:
    with pytest.raises(OutcomeUnknown):
        await backend.payments.portal(await backend.customer(), "http://127.0.0.1/back", key="portal")


async def it_cannot_name_the_invoice_of_a_charge(backend: Backend) -> None:
    _, subscription_id = await backend.subscribed()
    refund_id = await backend.payments.refund(await backend.charge_for(subscription_id), None, key="refund")
    with pytest.raises(OutcomeUnknown):
        await backend.payments.movements_of({"object": "refund", "id": refund_id})


async def its_errors_have_no_code(backend: Backend) -> None:
    with pytest.raises(PaymentError) as refused:
        await backend.payments.subscription("sub_missing")
    assert refused.value.code != "resource_missing"


async def it_refunds_without_end(backend: Backend) -> None:
    _, subscription_id = await backend.subscribed()
    charge_id = await backend.charge_for(subscription_id)
    await backend.payments.refund(charge_id, None, key="first")
    await backend.payments.refund(charge_id, None, key="second")


async def its_trials_do_not_begin(backend: Backend) -> None:
    _, subscription_id = await backend.subscribed(trial_period_days="7")
    assert (await backend.payments.subscription(subscription_id)).status == "incomplete"


async def it_does_not_tell_of_payment(backend: Backend) -> None:
    _, subscription_id = await backend.subscribed()
    types = await _types(backend)
    assert "invoice.payment_succeeded" in types and "invoice.paid" not in types
    assert (await backend.payments.subscription(subscription_id)).is_paid


async def it_does_not_tell_of_changes(backend: Backend) -> None:
    _, subscription_id = await backend.subscribed()
    await backend.payments.cancel_at_period_end(subscription_id, True, key="cancel")
    await backend.payments.refund(await backend.charge_for(subscription_id), None, key="refund")
    assert not await _types(backend) & {"customer.subscription.updated", "charge.refunded", "refund.created"}


async def it_lists_the_oldest_first(backend: Backend) -> None:
    await backend.subscribed()
    types = [event["type"] for event in await backend.payments.events_since(datetime.now(UTC) - HOUR)]
    assert types.index("customer.created") < types.index("customer.subscription.created")


async def _types(backend: Backend) -> set[str]:
    return {event["type"] for event in await backend.payments.events_since(datetime.now(UTC) - HOUR)}


SHOWN: dict[str, Callable[[Backend], Awaitable[None]]] = {
    "idempotency": it_ignores_keys, "prices": it_knows_no_prices, "checkout": it_has_no_checkout,
    "portal": it_has_no_portal, "invoice payments": it_cannot_name_the_invoice_of_a_charge,
    "error codes": its_errors_have_no_code, "refund limits": it_refunds_without_end,
    "trials": its_trials_do_not_begin, "paid events": it_does_not_tell_of_payment,
    "update events": it_does_not_tell_of_changes, "newest first": it_lists_the_oldest_first,
}


@pytest.mark.parametrize("capability", sorted(CAPABILITIES))
async def test_the_gap_is_there(localstripe: Backend, capability: str) -> None:
    assert capability in LOCALSTRIPE_LACKS
    await SHOWN[capability](localstripe)
