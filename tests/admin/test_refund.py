"""/refund: asked first, done once, on record."""

import asyncio
from datetime import UTC, datetime

import pytest

from models.billing import LedgerKind
from sandbox.stripe.faults import Fault
from services import billing, refunds
from services.errors import RefundOutdated
from services.refunds import Asked
from tests.admin.conftest import LATER, Office
from tests.running import buttons

CREATE = "POST /v1/refunds"
GAP = "\u00a0"


async def booked(office: Office, number: int) -> None:
    async def are_there() -> bool:
        return await office.till.entries(LedgerKind.REFUND) == number

    await office.becomes(f"{number} refunds are in the books", are_there)


async def test_a_full_refund_is_asked_done_booked_and_on_record(office: Office) -> None:
    admin = await office.admin()
    customer, invoice = await office.customer()
    card = await office.card(admin, f"/refund {invoice}")
    assert f"Refund 29.99{GAP}USD to Ada <b> ({customer})?" in card["text"]
    assert await office.refunds() == []
    assert await office.chat.tap(admin, card, "Confirm refund") == f"✅ Refunded 29.99{GAP}USD to Ada <b>."
    await office.chat.shows(admin, "✅ Refunded")
    assert [r["amount"] for r in await office.refunds()] == [2999]
    user, boss = await office.id_of(customer), await office.id_of(admin)
    await office.till.becomes(user, "free")
    await booked(office, 1)
    confirmed, = await office.audit("refund_confirmed")
    assert (confirmed.user_id, confirmed.door, confirmed.detail["admin_id"], confirmed.detail["amount_minor"]) == (
        user, "chat", boss, 2999)
    assert len(await office.audit("refund_asked")) == len(await office.audit("refund_done")) == 1
    assert await office.chat.reply(admin, f"/refund {invoice}") == "Nothing is left of this payment to refund."


async def test_a_part_keeps_the_tier_and_the_rest_can_follow(office: Office) -> None:
    admin = await office.admin()
    customer, invoice = await office.customer()
    charge = (await office.till.payments._client.v1.charges.list_async({})).data[0].id
    card = await office.card(admin, f"/refund {charge} 10.50")
    await office.chat.tap(admin, card, "Confirm refund")
    # The books have not heard of it, and what is left is known all the same.
    assert "more than is left" in await office.chat.reply(admin, f"/refund {invoice} 19.50")
    await booked(office, 1)
    assert await office.till.tier(await office.id_of(customer)) == "premium"
    card = await office.card(admin, f"/refund {invoice}")
    assert f"19.49{GAP}USD left" in card["text"]
    await office.chat.tap(admin, card, "Confirm refund")
    await booked(office, 2)
    await office.till.becomes(await office.id_of(customer), "free")
    assert sorted(r["amount"] for r in await office.refunds()) == [1050, 1949]


@pytest.mark.parametrize("fault", ["cut_after_commit", "500_after_commit"])
async def test_a_lost_answer_is_one_refund(office: Office, fault: str) -> None:
    admin = await office.admin()
    customer, invoice = await office.customer()
    card = await office.card(admin, f"/refund {invoice}")
    office.till.standin.faults.add(Fault(fault, 1, CREATE))
    told = await office.chat.tap(admin, card, "Confirm refund")
    assert "Refunded" in told if fault == "cut_after_commit" else "not answered yet" in told
    await billing.finish_abandoned(office.till.cashier, datetime.now(UTC) + LATER)
    operation, = await office.operations("refund")
    assert operation.state == "done" and len(await office.refunds()) == 1
    assert operation.provider_object_id == (await office.refunds())[0]["id"]
    await office.till.becomes(await office.id_of(customer), "free")
    await booked(office, 1)


async def test_an_intent_of_a_process_that_died_is_carried_out_once(office: Office) -> None:
    admin = await office.admin()
    _, invoice = await office.customer()
    async with office.till.desk.database.writing() as session:
        found = await refunds.named(session, invoice)
        assert found is not None
        asked = Asked(found.entry_id, 500, found.number, await office.id_of(admin), "chat")
        await refunds.ask(session, office.till.payments, asked, datetime.now(UTC))
    for _ in range(2):
        await billing.finish_abandoned(office.till.cashier, datetime.now(UTC) + LATER)
    assert [r["amount"] for r in await office.refunds()] == [500]
    assert [o.state for o in await office.operations("refund")] == ["done"]


async def test_taps_at_once_and_two_admins_refund_once(office: Office) -> None:
    first, second = await office.admin("Grace"), await office.admin("Joan")
    _, invoice = await office.customer()
    cards = [(who, await office.card(who, f"/refund {invoice} 10")) for who in (first, second)]
    await asyncio.gather(*(office.chat.tap(who, card, "Confirm refund") for who, card in cards * 3))
    await booked(office, 1)
    assert [r["amount"] for r in await office.refunds()] == [1000]
    assert len(await office.operations("refund")) == len(await office.audit("refund_confirmed")) == 1


async def test_who_looked_before_another_refund_looks_again(office: Office) -> None:
    first, second = await office.admin("Grace"), await office.admin("Joan")
    _, invoice = await office.customer()
    mine = await office.card(first, f"/refund {invoice} 10")
    theirs = await office.card(second, f"/refund {invoice} 5")
    await office.chat.tap(first, mine, "Confirm refund")
    assert "Please look again" in await office.chat.tap(second, theirs, "Confirm refund")
    assert [r["amount"] for r in await office.refunds()] == [1000]
    refused, = await office.audit("refund_refused")
    assert (refused.detail["code"], refused.detail["admin_id"]) == (RefundOutdated.code, await office.id_of(second))


async def test_a_refusal_of_the_provider_is_told_and_on_record(office: Office) -> None:
    admin = await office.admin()
    _, invoice = await office.customer()
    card = await office.card(admin, f"/refund {invoice}")
    await office.till.payments.refund(invoice, None, key="by-hand")
    assert "refused" in await office.chat.tap(admin, card, "Confirm refund")
    assert [e.detail["code"] for e in await office.audit("refund_refused")] == ["payment_refused"]
    assert [o.state for o in await office.operations("refund")] == ["failed"]


async def test_cancel_moves_nothing(office: Office) -> None:
    admin = await office.admin()
    _, invoice = await office.customer()
    card = await office.card(admin, f"/refund {invoice}")
    assert await office.chat.tap(admin, card, "Cancel") == "Nothing was refunded."
    await office.chat.shows(admin, "Nothing was refunded.")
    assert await office.refunds() == [] and await office.operations("refund") == []


async def test_to_others_there_is_no_such_command_and_no_such_button(office: Office) -> None:
    admin = await office.admin()
    customer, invoice = await office.customer()
    unknown = await office.chat.reply(customer, "/nonsense")
    for command in (f"/refund {invoice}", f"/payments {customer}", f"/grant {customer} vip 30"):
        assert await office.chat.reply(customer, command) == unknown
    card = await office.card(admin, f"/refund {invoice}")
    data = buttons(card)["Confirm refund"]
    *_, own = [m for m in await office.chat.console.messages(customer) if m["from"] == "bot"]
    told = await _forged(office, customer, own["message_id"], data)
    assert told in ("", "This button is out of date.")
    assert await office.refunds() == [] and await office.till.tier(await office.id_of(customer)) == "premium"


async def _forged(office: Office, user: int, message_id: int, data: str) -> str:
    """A tap whose data the user has made up, where the stand-in lets them."""
    try:
        return await office.chat.console.tap(user, message_id, data)
    except AssertionError:
        return ""


@pytest.mark.parametrize("words", ["", "in_nobody", "{invoice} 0", "{invoice} -5", "{invoice} 1e3", "{invoice} 30.00",
                                   "{invoice} 1.001", "{invoice} 5 more", "{invoice} ٥", "' OR 1=1 --", "%",
                                   "{invoice} 999999999999999999999999"])
async def test_hostile_words_ask_nothing(office: Office, words: str) -> None:
    admin = await office.admin()
    _, invoice = await office.customer()
    told = await office.chat.reply(admin, f"/refund {words.format(invoice=invoice)}".strip())
    *_, last = await office.chat.console.messages(admin)
    assert not buttons(last) and told and await office.operations("refund") == []


async def test_payments_shows_what_there_is(office: Office) -> None:
    admin = await office.admin()
    customer, invoice = await office.customer()
    told = await office.chat.reply(admin, f"/payments {customer}")
    for words in ("Ada <b>", "Premium", invoice, f"29.99{GAP}USD", "active", "stripe"):
        assert words in told, words
    for words in ("", "abc", "1", "9" * 40, "-1"):
        assert "Nobody" in await office.chat.reply(admin, f"/payments {words}".strip())
