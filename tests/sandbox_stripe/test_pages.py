"""The hosted pages as a browser without scripts uses them."""

from typing import Any

import pytest

from tests.sandbox_stripe.conftest import Stage


async def _send(stage: Stage, url: str, origin: str | None = None, **form: str) -> tuple[int, str, str]:
    headers = {"Origin": origin} if origin else {}
    async with stage.http.post(url, data=form, headers=headers, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("Location", ""), await answer.text()


async def _read(stage: Stage, url: str) -> str:
    async with stage.http.get(url) as answer:
        assert answer.status == 200
        assert "form-action" not in answer.headers["Content-Security-Policy"]
        return await answer.text()


async def _session(stage: Stage, **more: Any) -> Any:
    return await stage.session(await stage.price("<b>premium</b>", 2999), **more)


async def test_paying_leads_back_to_the_shop(stage: Stage) -> None:
    session = await _session(stage)
    page = await _read(stage, session.url)
    assert "29.99 USD" in page and "&lt;b&gt;premium" in page and "<b>premium" not in page
    status, _, page = await _send(stage, session.url, action="decline")
    assert status == 200 and 'role="alert"' in page
    status, location, _ = await _send(stage, session.url, stage.base, action="pay", promotion_code="")
    assert (status, location) == (303, f"http://127.0.0.1:9/app/billing?session={session.id}")
    assert "complete" in await _read(stage, f"{stage.base}/stripe/pay/{session.id}")


async def test_leaving_and_coming_back(stage: Stage) -> None:
    session = await _session(stage)
    assert (await _send(stage, session.url, action="abandon"))[:2] == (303, "http://127.0.0.1:9/app/billing")
    status, location, _ = await _send(stage, session.url, action="require_action")
    assert (status, location) == (303, f"/stripe/pay/{session.id}/challenge?promotion_code=")
    assert "29.99 USD" in await _read(stage, stage.base + location)
    assert (await _send(stage, stage.base + location, action="refuse"))[0] == 200
    assert (await _send(stage, stage.base + location, action="authenticate"))[0] == 303
    assert (await stage.get("/stripe/report"))["totals"] == {"usd": 2999}


async def test_a_code_is_typed_on_the_page(stage: Stage) -> None:
    coupon = await stage.client.v1.coupons.create_async({"amount_off": 999, "currency": "usd"})
    await stage.client.v1.promotion_codes.create_async({
        "promotion": {"type": "coupon", "coupon": coupon.id}, "code": "TEN"})
    session = await _session(stage, allow_promotion_codes=True)
    assert "Promotion code" in await _read(stage, session.url)
    status, _, page = await _send(stage, session.url, action="pay", promotion_code="NONE")
    assert status == 200 and "invalid" in page
    _, location, _ = await _send(stage, session.url, action="require_action", promotion_code="TEN")
    assert (await _send(stage, stage.base + location, action="authenticate"))[0] == 303
    assert (await stage.get("/stripe/report"))["totals"] == {"usd": 2000}


async def test_the_portal_cancels_resumes_and_switches(stage: Stage) -> None:
    subscription = await stage.subscribe(await stage.price("premium", 2999))
    vip = await stage.price("vip", 9999)
    portal = await stage.client.v1.billing_portal.sessions.create_async({
        "customer": str(subscription.customer), "return_url": "http://127.0.0.1:9/app/billing"})
    page = await _read(stage, portal.url)
    assert "Switch to vip" in page and "http://127.0.0.1:9/app/billing" in page
    assert "Resume" in (await _send(stage, portal.url, action="cancel", subscription=subscription.id))[2]
    assert (await stage.subscription(subscription.id)).cancel_at_period_end
    await _send(stage, portal.url, action="resume", subscription=subscription.id)
    await _send(stage, portal.url, action="switch", subscription=subscription.id, price=vip)
    found = await stage.subscription(subscription.id)
    assert (found.cancel_at_period_end, found.items.data[0].price.id) == (False, vip)
    other = await stage.client.v1.customers.create_async({"name": "Eve"})
    foreign = await stage.client.v1.billing_portal.sessions.create_async({"customer": other.id})
    await _send(stage, foreign.url, action="cancel", subscription=subscription.id)
    assert not (await stage.subscription(subscription.id)).cancel_at_period_end


async def test_an_invoice_has_a_page_and_a_pdf(stage: Stage) -> None:
    subscription = await stage.subscribe(await stage.price("premium", 2999))
    await stage.post(f"/stripe/subscriptions/{subscription.id}/card", {"behaviour": "decline"})
    await stage.post("/stripe/advance", {"days": 32})
    invoice = (await stage.subscription(subscription.id)).latest_invoice
    assert invoice.number in await _read(stage, invoice.hosted_invoice_url)
    assert 'role="alert"' in (await _send(stage, invoice.hosted_invoice_url, action="decline"))[2]
    assert "paid" in (await _send(stage, invoice.hosted_invoice_url, action="pay"))[2]
    assert (await stage.subscription(subscription.id)).status == "active"
    async with stage.http.get(invoice.invoice_pdf) as answer:
        assert answer.content_type == "application/pdf" and (await answer.read()).startswith(b"%PDF-1.4")


@pytest.mark.parametrize("path", ["pay/cs_test_none", "portal/none", "invoice/in_none", "pay/settings"])
async def test_pages_that_are_not_there(stage: Stage, path: str) -> None:
    async with stage.http.get(f"{stage.base}/stripe/{path}") as answer:
        assert answer.status == 404


async def test_another_site_cannot_press_the_button(stage: Stage) -> None:
    session = await _session(stage)
    assert (await _send(stage, session.url, "http://evil.example", action="pay"))[0] == 403
    assert (await stage.get("/stripe/report"))["sums"] == {}
