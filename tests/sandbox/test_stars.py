"""Telegram Stars through aiogram's own client: invoices, payments, subscriptions, refunds and the bot's books."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiogram.exceptions import TelegramBadRequest, TelegramNetworkError, TelegramServerError
from aiogram.types import LabeledPrice, PreCheckoutQuery, StarTransaction, TransactionPartnerUser

from sandbox import Limits, new_token
from sandbox.stripe.standin import StripeSettings, new_secret_key, new_webhook_secret
from tests.sandbox.conftest import ADA, BORIS, Open, Stage, until
from tests.sandbox.test_updates import Receiver, receiver

__all__ = ["receiver"]
MONTH = 2_592_000
LIMITS = Limits(messages_per_second=None, chat_per_second=None, pre_checkout_seconds=30, webhook_retry_seconds=0.02)
ASKED: dict[str, Any] = {"title": "Pro", "description": "Thirty days of Pro", "payload": "order-1", "currency": "XTR",
                         "prices": [{"label": "Pro", "amount": 1500}]}


@pytest.fixture
async def stage(open_stage: Open) -> Stage:
    """A sandbox whose payers are patient."""
    return await open_stage(limits=LIMITS)


async def link(stage: Stage, payload: str = "order-1", amount: int = 1500, period: int | None = MONTH) -> str:
    """The slug of a new invoice link."""
    made = await stage.bot.create_invoice_link(
        title="Pro", description="Thirty days of Pro", payload=payload, currency="XTR", provider_token="",
        prices=[LabeledPrice(label="Pro", amount=amount)], subscription_period=period)
    assert made.startswith("https://t.me/$")
    return made.removeprefix("https://t.me/$")


@asynccontextmanager
async def paying(stage: Stage, slug: str, user_id: int = ADA, **more: Any) -> AsyncIterator[tuple[Any, Any]]:
    """Someone who pays, and the question the bot is asked about it. Updates stay unacknowledged."""
    known = {update.update_id for update in await stage.bot.get_updates()}

    async def question() -> PreCheckoutQuery | None:
        return next((update.pre_checkout_query for update in await stage.bot.get_updates()
                     if update.update_id not in known and update.pre_checkout_query), None)

    payer = asyncio.create_task(stage.post(f"/stars/invoices/{slug}/pay", {"user_id": user_id, **more}))
    try:
        yield await until("the bot is asked", question), payer
    finally:
        payer.cancel()


async def buy(stage: Stage, slug: str, user_id: int = ADA, **more: Any) -> str:
    """Pay with the bot's blessing; the charge id."""
    async with paying(stage, slug, user_id, **more) as (query, payer):
        await query.answer(ok=True)
        return str((await payer)["charge_id"])


async def steer(stage: Stage, charge_id: str, action: str) -> Any:
    return await stage.post(f"/stars/subscriptions/{charge_id}/{action}")


async def payments(stage: Stage) -> list[Any]:
    return [u.message.successful_payment for u in await stage.bot.get_updates()
            if u.message and u.message.successful_payment]


async def test_a_subscription_is_bought_after_the_bot_agrees(stage: Stage) -> None:
    slug = await link(stage)
    assert await stage.get(f"/stars/invoices/{slug}") == {
        "slug": slug, "title": "Pro", "description": "Thirty days of Pro", "amount": 1500,
        "subscription_period": MONTH}
    async with paying(stage, slug) as (query, payer):
        assert (query.from_user.id, query.currency, query.total_amount, query.invoice_payload) == (
            ADA, "XTR", 1500, "order-1")
        assert (await stage.bot.get_my_star_balance()).amount == 0
        await query.answer(ok=True)
        done = await payer
    _, update = await stage.bot.get_updates()
    assert update.message and update.message.successful_payment and update.message.chat.id == ADA
    paid = update.message.successful_payment
    assert done == {"paid": True, "charge_id": paid.telegram_payment_charge_id}
    assert (paid.currency, paid.total_amount, paid.invoice_payload, paid.provider_payment_charge_id) == (
        "XTR", 1500, "order-1", "")
    assert (paid.is_recurring, paid.is_first_recurring) == (True, True)
    assert update.message.from_user and update.message.from_user.id == ADA and update.message.text is None
    (booked,) = (await stage.bot.get_star_transactions()).transactions
    assert (booked.id, booked.amount, booked.receiver) == (paid.telegram_payment_charge_id, 1500, None)
    assert paid.subscription_expiration_date == int(booked.date.timestamp()) + MONTH
    source = booked.source
    assert isinstance(source, TransactionPartnerUser)
    assert (source.transaction_type, source.user.id, source.invoice_payload, source.subscription_period) == (
        "invoice_payment", ADA, "order-1", MONTH)
    assert (await stage.bot.get_my_star_balance()).amount == 1500


async def test_the_bots_refusal_reaches_the_payer(stage: Stage) -> None:
    slug = await link(stage)
    async with paying(stage, slug, BORIS) as (query, payer):
        with pytest.raises(TelegramBadRequest, match='parameter "error_message" is required'):
            await query.answer(ok=False)
        await query.answer(ok=False, error_message="This order is not yours.")
        assert await payer == {"paid": False, "error": "This order is not yours."}
        with pytest.raises(TelegramBadRequest, match="query is too old and response timeout expired"):
            await query.answer(ok=True)
    assert (await stage.get("/stars"))["transactions"] == [] and await payments(stage) == []


async def test_silence_ends_the_payment(open_stage: Open) -> None:
    stage = await open_stage(limits=Limits(pre_checkout_seconds=0.2))
    refused = {"paid": False, "error": "The bot did not answer in time."}
    assert await stage.post(f"/stars/invoices/{await link(stage)}/pay", {"user_id": ADA}) == refused
    with pytest.raises(TelegramBadRequest, match="query is too old and response timeout expired or query ID is"):
        await (await stage.bot.get_updates())[-1].pre_checkout_query.answer(ok=True)  # type: ignore[union-attr]
    assert (await stage.get("/stars"))["balance"] == 0


async def test_only_the_updates_asked_for_come(stage: Stage) -> None:
    charge_id = await buy(stage, await link(stage))
    await stage.bot.get_updates(offset=-1, allowed_updates=["message"])
    before = len(await stage.bot.get_updates())
    refused = await stage.post(f"/stars/invoices/{await link(stage)}/pay", {"user_id": ADA})
    assert refused == {"paid": False, "error": "The bot did not answer in time."}
    await steer(stage, charge_id, "cancel")
    assert len(await stage.bot.get_updates()) == before
    await stage.bot.get_updates(allowed_updates=["subscription"])
    await steer(stage, charge_id, "resume")
    changed = (await stage.bot.get_updates())[-1].subscription
    assert changed and (changed.user.id, changed.invoice_payload, changed.state) == (ADA, "order-1", "active")


async def test_renewals_are_payments_of_their_own(stage: Stage) -> None:
    first = await buy(stage, await link(stage))
    renewed = await steer(stage, first, "renew")
    one, two = await payments(stage)
    assert two.telegram_payment_charge_id == renewed["charge_id"] != first
    assert (two.is_recurring, two.is_first_recurring, two.invoice_payload) == (True, None, "order-1")
    assert two.subscription_expiration_date == one.subscription_expiration_date + MONTH
    assert [t.id for t in (await stage.bot.get_star_transactions()).transactions] == [first, renewed["charge_id"]]


async def test_a_failed_renewal_is_told_and_can_be_made_good(stage: Stage) -> None:
    charge_id = await buy(stage, await link(stage))
    assert (await steer(stage, charge_id, "fail"))["subscription"]["state"] == "failed"
    assert (await steer(stage, charge_id, "renew"))["subscription"]["state"] == "active"
    states = [u.subscription.state for u in await stage.bot.get_updates() if u.subscription]
    assert states == ["failed"] and len(await payments(stage)) == 2


async def test_what_the_bot_cancels_only_its_user_can_resume(stage: Stage) -> None:
    charge_id = await buy(stage, await link(stage))
    await stage.bot.edit_user_star_subscription(ADA, charge_id, is_canceled=True)
    for action in ("renew", "resume", "cancel", "fail"):
        status, answer = await stage.try_post(f"/stars/subscriptions/{charge_id}/{action}")
        assert (status, list(answer)) == (409, ["error"])
    await stage.bot.edit_user_star_subscription(ADA, charge_id, is_canceled=False)
    (kept,) = (await stage.get("/stars"))["subscriptions"]
    assert (kept["state"], kept["bot_canceled"]) == ("canceled", False)
    await steer(stage, charge_id, "resume")
    assert [u.subscription.state for u in await stage.bot.get_updates() if u.subscription] == ["active"]
    for user_id, named in ((BORIS, charge_id), (ADA, "stxnone"), (ADA, (await steer(stage, charge_id, "renew"))
                                                                  ["charge_id"])):
        with pytest.raises(TelegramBadRequest, match="CHARGE_ID_INVALID"):
            await stage.bot.edit_user_star_subscription(user_id, named, is_canceled=True)


async def test_a_refund_happens_once(stage: Stage) -> None:
    charge_id = await buy(stage, await link(stage))
    for user_id, named, says in ((BORIS, charge_id, "CHARGE_ID_INVALID"), (ADA, "stxnone", "CHARGE_ID_INVALID"),
                                 (1, charge_id, "USER_ID_INVALID")):
        with pytest.raises(TelegramBadRequest, match=says):
            await stage.bot.refund_star_payment(user_id, named)
    assert await stage.bot.refund_star_payment(ADA, charge_id)
    with pytest.raises(TelegramBadRequest, match="CHARGE_ALREADY_REFUNDED"):
        await stage.bot.refund_star_payment(ADA, charge_id)
    message = (await stage.bot.get_updates())[-1].message
    assert message and message.refunded_payment
    back = message.refunded_payment
    assert (back.telegram_payment_charge_id, back.total_amount, back.invoice_payload) == (charge_id, 1500, "order-1")
    paid, returned = (await stage.bot.get_star_transactions()).transactions
    assert paid.id == returned.id == charge_id and returned.source is None
    assert isinstance(returned.receiver, TransactionPartnerUser) and returned.receiver.user.id == ADA
    assert (await stage.bot.get_my_star_balance()).amount == 0
    assert (await stage.try_post(f"/stars/charges/{charge_id}/refund"))[0] == 400


@pytest.mark.parametrize(("fault", "error"), [
    ("500_after_commit", TelegramServerError), ("drop", TelegramNetworkError)])
async def test_a_refund_may_happen_unheard(stage: Stage, fault: str, error: type[Exception]) -> None:
    charge_id = await buy(stage, await link(stage))
    await stage.post("/faults", {"target": "telegram", "fault": fault, "method": "refundStarPayment"})
    with pytest.raises(error):
        await stage.bot.refund_star_payment(ADA, charge_id)
    assert [t.receiver is not None for t in (await stage.bot.get_star_transactions()).transactions] == [False, True]


async def test_the_books_are_read_in_pages(stage: Stage) -> None:
    charge_id = await buy(stage, await link(stage))
    charges = [charge_id] + [(await steer(stage, charge_id, "renew"))["charge_id"] for _ in range(4)]

    async def page(**asked: int) -> list[str]:
        found: list[StarTransaction] = (await stage.bot.get_star_transactions(**asked)).transactions
        return [transaction.id for transaction in found]

    assert await page(limit=2) == charges[:2]
    assert await page(offset=2, limit=2) == charges[2:4]
    assert await page(offset=4) == charges[4:]
    assert await page(offset=5) == []


async def test_an_invoice_in_the_chat_is_paid_once(stage: Stage) -> None:
    await stage.write(ADA)
    sent = await stage.bot.send_invoice(ADA, title="Day pass", description="One day", payload="day-1", currency="XTR",
                                        prices=[LabeledPrice(label="Day", amount=50)])
    assert sent.invoice and (sent.invoice.total_amount, sent.invoice.currency, sent.text) == (50, "XTR", None)
    shown = (await stage.get(f"/chats/{ADA}/messages"))[-1]
    assert shown["service"]["invoice"]["title"] == "Day pass" and not shown["paid"]
    assert shown["buttons"] == [[{"text": "Pay ⭐️50", "pay": True}]]
    await buy(stage, shown["slug"])
    (paid,) = await payments(stage)
    assert (paid.total_amount, paid.is_recurring, paid.subscription_expiration_date) == (50, None, None)
    again = await stage.post(f"/stars/invoices/{shown['slug']}/pay", {"user_id": ADA})
    assert again == {"paid": False, "error": "This invoice is paid already."}
    assert [m["paid"] for m in await stage.get(f"/chats/{ADA}/messages") if "slug" in m] == [True]


async def test_an_update_can_be_lost(stage: Stage) -> None:
    charge_id = await buy(stage, await link(stage), unheard=True)
    assert await payments(stage) == []
    assert [t.id for t in (await stage.bot.get_star_transactions()).transactions] == [charge_id]


@pytest.mark.parametrize(("asked", "says"), [
    ({"title": " "}, 'parameter "title" is required'), ({"payload": ""}, 'parameter "payload" is required'),
    ({"title": "x" * 33}, "STARS_INVOICE_INVALID"), ({"description": "x" * 256}, "STARS_INVOICE_INVALID"),
    ({"payload": "ä" * 65}, "INVOICE_PAYLOAD_INVALID"), ({"currency": "USD"}, "PAYMENT_PROVIDER_INVALID"),
    ({"prices": []}, "there must be at least one price"), ({"provider_token": "1:TEST:x"}, "STARS_INVOICE_INVALID"),
    ({"prices": [{"label": "a", "amount": 1}, {"label": "b", "amount": 1}]}, "STARS_INVOICE_INVALID"),
    ({"prices": [{"label": "a", "amount": 0}]}, "CURRENCY_TOTAL_AMOUNT_INVALID"),
    ({"prices": [{"label": "a", "amount": 100_001}]}, "CURRENCY_TOTAL_AMOUNT_INVALID"),
    ({"prices": [{"label": "a", "amount": 10_001}], "subscription_period": MONTH}, "SUBSCRIPTION_AMOUNT_INVALID"),
    ({"subscription_period": 86_400}, "SUBSCRIPTION_PERIOD_INVALID"),
])
async def test_bad_invoices_are_refused(stage: Stage, asked: dict[str, Any], says: str) -> None:
    status, answer = await stage.call("createInvoiceLink", **ASKED | asked)
    assert (status, answer["description"]) == (400, f"Bad Request: {says}")


@pytest.mark.parametrize(("path", "body", "status"), [
    ("/invoices/none/pay", {"user_id": ADA}, 404), ("/invoices/{slug}/pay", {"user_id": 1}, 404),
    ("/invoices/{slug}/pay", {"user_id": str(ADA)}, 404), ("/invoices/{slug}/pay", [], 400),
    ("/subscriptions/none/renew", None, 404), ("/charges/none/refund", None, 404)])
async def test_what_cannot_be_steered_is_told(stage: Stage, path: str, body: Any, status: int) -> None:
    found, answer = await stage.try_post("/stars" + path.format(slug=await link(stage)), body)
    assert (found, list(answer)) == (status, ["error"])


async def test_a_payer_does_not_wait_behind_a_message(stage: Stage, receiver: Receiver) -> None:
    """By webhook the chat's own updates keep their order while the question passes them by."""
    slug = await link(stage)
    receiver.failures = 10**6
    await stage.bot.set_webhook(receiver.url)
    await stage.write(ADA, "stuck")
    payer = asyncio.create_task(stage.post(f"/stars/invoices/{slug}/pay", {"user_id": ADA}))

    async def both_tried() -> bool:
        telegram = stage.sandbox._telegram
        return telegram is not None and len(telegram.courier._lanes) == 2

    await until("message and question are under way side by side", both_tried)
    receiver.failures = 0
    asked = await until("the bot is asked", lambda: _question(receiver))
    await stage.bot.answer_pre_checkout_query(asked["id"], ok=True)
    assert (await payer)["paid"]


async def test_the_books_survive(open_stage: Open, tmp_path: Path) -> None:
    token, path = new_token(), tmp_path / "stars.db"
    first = await open_stage(token=token, path=path, limits=LIMITS)
    slug = await link(first)
    charge_id = await buy(first, slug)
    await steer(first, charge_id, "cancel")
    await first.bot.refund_star_payment(ADA, charge_id)
    before = await first.get("/stars")
    await first.sandbox.stop()

    second = await open_stage(token=token, path=path, limits=LIMITS)
    after = await second.get("/stars")
    assert {**after, "now": 0} == {**before, "now": 0} and len(after["transactions"]) == 2
    assert (await second.get(f"/stars/invoices/{slug}"))["amount"] == 1500


async def test_advancing_the_clock_charges_what_falls_due(tmp_path: Path, open_stage: Open) -> None:
    stage = await open_stage(limits=LIMITS, stripe=StripeSettings(
        new_secret_key(), tmp_path / "stripe.db", "http://127.0.0.1:9/hook", new_webhook_secret()))
    kept = await buy(stage, await link(stage))
    dropped = await buy(stage, await link(stage, "order-2"), BORIS)
    await steer(stage, dropped, "cancel")
    (bought, _) = await payments(stage)
    await stage.post("/stripe/advance", {"days": 65})
    booked = (await stage.bot.get_star_transactions()).transactions
    assert [t.source.user.id for t in booked if isinstance(t.source, TransactionPartnerUser)] == [ADA, BORIS, ADA, ADA]
    ends = [p.subscription_expiration_date for p in await payments(stage) if p.invoice_payload == "order-1"]
    assert ends == [bought.subscription_expiration_date + months * MONTH for months in range(3)]
    assert [int(t.date.timestamp()) for t in booked][2:] == ends[:2] and kept == booked[0].id


async def _question(receiver: Receiver) -> Any:
    return next((u["pre_checkout_query"] for u in receiver.taken if "pre_checkout_query" in u), None)
