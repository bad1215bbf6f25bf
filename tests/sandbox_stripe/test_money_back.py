"""Refunds, disputes and the balance they leave."""

from typing import Any

import pytest
import stripe

from tests.sandbox_stripe.conftest import Stage


async def _paid(stage: Stage, amount: int = 3000) -> tuple[str, str]:
    """Payment intent and charge of a first invoice."""
    subscription = await stage.subscribe(await stage.price("premium", amount))
    intent = await stage.client.v1.payment_intents.retrieve_async(
        subscription.latest_invoice.payments.data[0].payment.payment_intent)
    return intent.id, str(intent.latest_charge)


async def _sums(stage: Stage) -> Any:
    return (await stage.get("/stripe/report"))["sums"]["usd"]


async def test_in_part_then_whole_then_no_more(stage: Stage) -> None:
    intent, charge = await _paid(stage)
    create = stage.client.v1.refunds.create_async
    part = await create({"payment_intent": intent, "amount": 1000, "metadata": {"op_id": "x"}})
    assert (part.status, part.charge, part.currency) == ("succeeded", charge, "usd")
    with pytest.raises(stripe.InvalidRequestError):
        await create({"charge": charge, "amount": 2001})
    await create({"charge": charge, "reason": "requested_by_customer"})
    with pytest.raises(stripe.InvalidRequestError) as twice:
        await create({"charge": charge})
    assert twice.value.code == "charge_already_refunded"
    found = await stage.client.v1.charges.retrieve_async(charge, {"expand": ["refunds"]})
    assert (found.refunded, found.amount_refunded, len(found.refunds.data)) == (True, 3000, 2)
    assert await _sums(stage) == {"charge": 3000, "refund": -3000}
    await stage.delivered("refund.created", "charge.refunded", "charge.refunded")
    assert stage.shop.types().count("charge.refunded") == 2


async def test_a_refund_that_fails_puts_the_money_back(stage: Stage) -> None:
    intent, charge = await _paid(stage)
    refund = await stage.client.v1.refunds.create_async({"payment_intent": intent})
    await stage.post(f"/stripe/refunds/{refund.id}/fail")
    await stage.delivered("refund.failed")
    refund = await stage.client.v1.refunds.retrieve_async(refund.id)
    assert (refund.status, refund.failure_reason) == ("failed", "lost_or_stolen_card")
    assert (await stage.client.v1.charges.retrieve_async(charge)).amount_refunded == 0
    assert (await stage.get("/stripe/report"))["totals"] == {"usd": 3000}
    assert (await stage.try_post(f"/stripe/refunds/{refund.id}/fail"))[0] == 400


@pytest.mark.parametrize(("kind", "action", "status", "sums"), [
    ("fraudulent", "win", "won", {"charge": 3000, "dispute": -3000, "dispute_reversal": 3000}),
    ("fraudulent", "lose", "lost", {"charge": 3000, "dispute": -3000}),
    ("inquiry", "win", "warning_closed", {"charge": 3000}),
    ("inquiry", "lose", "lost", {"charge": 3000, "dispute": -3000})])
async def test_disputes(stage: Stage, kind: str, action: str, status: str, sums: Any) -> None:
    _, charge = await _paid(stage)
    dispute = await stage.post(f"/stripe/charges/{charge}/dispute", {"kind": kind})
    assert dispute["status"] == ("warning_needs_response" if kind == "inquiry" else "needs_response")
    await stage.delivered("charge.dispute.created")
    if kind != "inquiry":
        with pytest.raises(stripe.InvalidRequestError) as disputed:
            await stage.client.v1.refunds.create_async({"charge": charge})
        assert disputed.value.code == "charge_disputed"
    await stage.post(f"/stripe/disputes/{dispute['id']}/{action}")
    await stage.delivered("charge.dispute.closed")
    found = await stage.client.v1.disputes.retrieve_async(dispute["id"])
    assert (found.status, found.charge, found.amount) == (status, charge, 3000)
    assert await _sums(stage) == sums
    assert (await stage.try_post(f"/stripe/disputes/{dispute['id']}/{action}"))[0] == 400


async def test_the_report_agrees_with_the_balance_of_the_api(stage: Stage) -> None:
    intent, _ = await _paid(stage)
    await stage.subscribe(await stage.price("premium", 4500, "jpy"))
    await stage.client.v1.refunds.create_async({"payment_intent": intent, "amount": 1})
    report = await stage.get("/stripe/report")
    assert report["totals"] == {"usd": 2999, "jpy": 4500}
    rows = [one async for one in (await stage.client.v1.balance_transactions.list_async()).auto_paging_iter()]
    assert {row.id: row.net for row in rows} == {entry["id"]: entry["amount"] for entry in report["entries"]}
