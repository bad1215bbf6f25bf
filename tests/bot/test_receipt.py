"""/receipt: the last payment in three lines."""

from datetime import datetime, timedelta

import pytest

from models.billing import LedgerKind
from services import grants, ledger
from services.payments.protocol import Money, Movement
from tests.bot.conftest import APP, Chat
from tests.bot.test_plan import DAY, MONTH, day, our_id, tell

PRICE = Money(2999, "usd")
GAP, THIN = "\u00a0", "\u202f"


@pytest.fixture(autouse=True)
async def opened(chat: Chat) -> None:
    chat.open()


def instant(at: datetime) -> str:
    return f"{day(at)}, {at:%H:%M}{GAP}UTC"


async def paid(chat: Chat, user_id: int, at: datetime, amount: Money = PRICE, number: int = 1,
               provider: str = "stripe", heard: timedelta = timedelta()) -> None:
    movement = Movement(f"in_{number}", LedgerKind.CHARGE, amount, at, "cus_1", "sub_1", f"in_{number}")
    async with chat.desk.database.writing() as session:
        await ledger.record(session, provider, movement, user_id, at + heard, event_id=f"evt_{number}")


async def test_who_has_paid_nothing_is_told_so(chat: Chat) -> None:
    user = await chat.person()
    assert await chat.reply(user, "/receipt") == "No payments yet. /plan shows your plan."
    assert "/receipt" in await chat.reply(user, "/help")


async def test_paid_confirmed_and_until_when(chat: Chat, now: datetime) -> None:
    user, other = await chat.person(), await chat.person("Bob")
    ours = await our_id(chat, user)
    await tell(chat, ours, now - MONTH)
    await paid(chat, ours, now - MONTH)
    await tell(chat, ours, now, invoice_id="in_2")
    await paid(chat, ours, now, number=2, heard=timedelta(minutes=3))
    until = day(now + MONTH + DAY)
    assert await chat.reply(user, "/receipt") == (
        f"Paid 29.99{GAP}USD · {instant(now)}\nConfirmed by Stripe · {instant(now + timedelta(minutes=3))}\n"
        f"Premium until {until}")
    *_, answer = await chat.console.messages(user)
    assert answer["buttons"][0][0]["web_app_url"] == f"{APP}/app/billing"
    assert "No payments yet" in await chat.reply(other, "/receipt")


@pytest.mark.parametrize(("reason", "words"), [("refund", "Refunded {day}, Premium has ended"),
                                               ("dispute", "Disputed {day}, Premium is closed meanwhile"),
                                               ("fraud", "Premium was taken back {day}")])
async def test_what_was_taken_back_is_said(chat: Chat, now: datetime, reason: str, words: str) -> None:
    user = await chat.person()
    ours = await our_id(chat, user)
    await tell(chat, ours, now)
    await paid(chat, ours, now)
    async with chat.desk.database.writing() as session:
        assert await grants.revoke(session, "in_1", reason, now)
    assert (await chat.reply(user, "/receipt")).splitlines()[2] == words.format(day=day(now))


async def test_a_payment_whose_plan_is_not_there_yet_and_one_that_is_over(chat: Chat, now: datetime) -> None:
    user = await chat.person()
    ours = await our_id(chat, user)
    start = now - 3 * MONTH
    await tell(chat, ours, start)
    await paid(chat, ours, start)
    assert (await chat.reply(user, "/receipt")).endswith(f"Premium was open until {day(start + MONTH + DAY)}")
    await paid(chat, ours, now, Money(1500, "xtr"), number=2, provider="telegram")
    told = await chat.reply(user, "/receipt")
    assert told.startswith(f"Paid 1{THIN}500{GAP}⭐ · ") and "Confirmed by Telegram" in told
    assert told.endswith("Your plan is being updated. /plan shows it.")
