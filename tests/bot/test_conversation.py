"""What a person says and hears."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, update

from models.approval import Approval
from models.audit import AuditEvent
from models.order import Order, OrderStatus
from models.provider import Provider
from models.signal import SignalStatus
from models.user import User
from services import signals
from tests.bot.conftest import Chat
from tests.running import buttons, until


@pytest.fixture(autouse=True)
async def opened(chat: Chat) -> None:
    chat.open()


async def test_start_makes_a_user_with_a_practice_account(chat: Chat) -> None:
    user = await chat.person("Ada <script> & Söhne")
    [greeting] = await chat.said(user)
    assert "Ada <script> & Söhne" in greeting
    assert "10\N{NO-BREAK SPACE}000.00\N{NO-BREAK SPACE}USD" in greeting
    assert "You are signed in" in await chat.reply(user, "/start")
    assert "You are signed in" in await chat.reply(user, "/start sig_7")
    async with chat.desk.database.reading() as session:
        assert [u.telegram_id for u in await session.scalars(select(User))] == [user]


async def test_every_command_has_an_answer(chat: Chat) -> None:
    user = await chat.person()
    for command, words in (("/help", "How it works"), ("/signals", "No signals wait"), ("/positions", "No open"),
                           ("/accounts", "Paper"), ("/settings", "Plan: Free"), ("/why", "Which signal?"),
                           ("/why 12", "no signal of that number"), ("/why 1; DROP TABLE", "Which signal?"),
                           ("/privacy", "What we keep"), ("/terms", "risk"), ("/nonsense", "/help"),
                           ("hello", "/help"), ("💥" * 500, "/help")):
        assert words in await chat.reply(user, command), command


async def test_a_stranger_is_asked_to_start(chat: Chat) -> None:
    user = await chat.console.user("Stranger")
    assert "/start" in await chat.reply(user, "/positions")
    async with chat.desk.database.reading() as session:
        assert (await session.scalars(select(User))).all() == []


async def test_a_card_shows_what_will_happen(chat: Chat) -> None:
    user = await chat.person()
    signal = await chat.publish(note="<i>because</i>")
    card = await chat.card(user)
    text = card["text"].replace("\N{NO-BREAK SPACE}", " ")
    for words in ("XAUUSD  ▲ BUY", "market", "15 min", "2 300.00", "2 450.00", "lots on Paper", "USD at the stop",
                  "Desk <b>Alpha</b>"):
        assert words in text, words
    assert len(text.splitlines()) <= 6
    styles = {b["text"]: b.get("style") for row in card["buttons"] for b in row}
    assert styles == {"Approve": "success", "Reject": "danger", "Open app": None}
    assert all(len(data.encode()) <= 64 for data in buttons(card).values())
    reasoning = await chat.reply(user, f"/why {signal.id}")
    assert "<i>because</i>" in reasoning
    assert "Targets: 2 450.00 · 2 500.00" in reasoning.replace("\N{NO-BREAK SPACE}", " ")
    assert "waiting for you" in await chat.reply(user, "/signals")


async def test_an_approved_card_is_edited_in_place_and_the_position_shows(chat: Chat) -> None:
    user = await chat.person()
    await chat.publish()
    card = await chat.card(user)
    assert await chat.tap(user, card, "Approve") == "Approved. Sending the order."
    done = await chat.shows(user, "Approved by you")
    assert done["message_id"] == card["message_id"] and "filled" in done["text"] and not buttons(done)
    assert "in the chat" in done["text"]
    assert "XAUUSD" in await chat.reply(user, "/positions")
    async with chat.desk.database.reading() as session:
        [event] = await session.scalars(select(AuditEvent).where(AuditEvent.action == "approved"))
    assert event.door == "chat" and event.detail["terms_hash"]


async def test_a_rejected_card_says_so(chat: Chat) -> None:
    user = await chat.person()
    await chat.publish()
    card = await chat.card(user)
    assert await chat.tap(user, card, "Reject") == "Rejected."
    assert not buttons(await chat.shows(user, "Rejected by you"))
    assert "rejected" in await chat.reply(user, "/signals")


async def test_five_taps_are_one_decision_and_five_answers(chat: Chat) -> None:
    user = await chat.person()
    await chat.publish()
    card = await chat.card(user)
    answers = await asyncio.gather(*(chat.tap(user, card, "Approve") for _ in range(5)))
    assert sorted(answers) == ["Approved. Sending the order."] + ["You have approved this already."] * 4
    done = await chat.shows(user, "filled")
    assert done["edits"] == 1
    async with chat.desk.database.reading() as session:
        assert [o.status for o in await session.scalars(select(Order))] == [OrderStatus.FILLED]


async def test_a_contrary_tap_changes_nothing(chat: Chat) -> None:
    user = await chat.person()
    await chat.publish()
    card = await chat.card(user)
    await chat.tap(user, card, "Reject")
    assert "already answered" in await chat.console.tap(user, card["message_id"], buttons(card)["Approve"])


async def test_anothers_button_is_nobodys(chat: Chat) -> None:
    ada, eve = await chat.person("Ada"), await chat.person("Eve")
    await chat.publish()
    mine, hers = await chat.card(ada), await chat.card(eve)
    answer = await chat.console.tap(eve, hers["message_id"], buttons(mine)["Approve"])
    assert "not yours" in answer
    for data in ("d:a:1:zzzzzzzzzzzz", "d:a:99999999999999999999:000000000000", "d:x:1:0", "nonsense", "d:a:1:%"):
        assert await chat.console.tap(eve, hers["message_id"], data)
    async with chat.desk.database.reading() as session:
        assert {a.status for a in await session.scalars(select(Approval))} == {"pending"}


async def test_a_revision_brings_a_new_card_and_closes_the_old(chat: Chat) -> None:
    user = await chat.person()
    view = await chat.publish()
    old = await chat.card(user)
    async with chat.desk.database.writing() as session:
        await signals.revise(session, chat.provider_id, view.id, {"stop_loss": Decimal("2310.00")},
                             datetime.now(UTC))
    assert "terms have changed" in await chat.console.tap(user, old["message_id"], buttons(old)["Approve"])
    chat.desk.wakes.fan_out.set()
    new = await chat.shows(user, "2\N{NO-BREAK SPACE}310.00")
    assert new["message_id"] != old["message_id"]
    left = await chat.shows(user, "The new card is below")
    assert left["message_id"] == old["message_id"] and not buttons(left)
    assert await chat.tap(user, new, "Approve") == "Approved. Sending the order."


async def test_a_cancelled_signal_takes_its_card_back(chat: Chat) -> None:
    user = await chat.person()
    view = await chat.publish()
    card = await chat.card(user)
    async with chat.desk.database.writing() as session:
        await signals.end(session, chat.provider_id, view.id, SignalStatus.CANCELLED, datetime.now(UTC))
    assert "withdrawn" in await chat.console.tap(user, card["message_id"], buttons(card)["Approve"])
    chat.desk.wakes.fan_out.set()
    assert not buttons(await chat.shows(user, "Withdrawn by the provider"))


async def test_an_expired_card_loses_its_buttons(chat: Chat) -> None:
    user = await chat.person()
    await chat.publish()
    card = await chat.card(user)
    async with chat.desk.database.writing() as session:
        await session.execute(update(Approval).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert "Too late" in await chat.console.tap(user, card["message_id"], buttons(card)["Approve"])
    assert not buttons(await chat.shows(user, "Expired without an answer"))


async def test_an_order_that_cannot_be_sent_says_why(chat: Chat) -> None:
    user = await chat.person()
    await chat.publish(symbol="DOGEUSD", stop_loss=None, take_profits=())
    card = await chat.card(user)
    assert "does not have this symbol" in card["text"]
    await chat.tap(user, card, "Approve")
    assert "not traded: your broker does not have this symbol" in (await chat.shows(user, "Approved by you"))["text"]


async def test_hostile_names_and_notes_are_only_words(chat: Chat) -> None:
    async with chat.desk.database.writing() as session:
        await session.execute(update(Provider).values(name="</pre><a href='x'>\u202e&amp;"))
    user = await chat.person("<b>*_`[x](y)")
    view = await chat.publish(note="</blockquote><script>", symbol="EUR/USD")
    card = await chat.card(user)
    assert "</pre><a href='x'>\u202e&amp;" in card["text"]
    assert "</blockquote><script>" in await chat.reply(user, f"/why {view.id}")


async def test_the_sound_of_cards_is_a_setting(chat: Chat) -> None:
    user = await chat.person()
    await chat.console.write(user, "/settings")
    shown = await chat.shows(user, "Plan: Free")
    assert buttons(shown) == {"🔕 Silent": "n:silent"}
    assert await chat.console.tap(user, shown["message_id"], "n:silent") == "New cards arrive silently."
    silent = await chat.shows(user, "New cards: silent")
    assert silent["message_id"] == shown["message_id"] and buttons(silent) == {"🔔 With sound": "n:on"}
    assert await chat.console.tap(user, shown["message_id"], "n:loud") == "This button is out of date."
    async with chat.desk.database.reading() as session:
        [person] = await session.scalars(select(User))
    assert person.card_notice == "silent"


async def test_someone_who_blocks_the_bot_is_left_alone_until_they_return(chat: Chat) -> None:
    user = await chat.person()
    await chat.console.post(f"/users/{user}/block")

    async def is_blocked() -> bool:
        async with chat.desk.database.reading() as session:
            return (await session.scalars(select(User.blocked_at))).one() is not None

    await until("the user is marked", is_blocked)
    await chat.publish()
    await chat.console.post(f"/users/{user}/unblock")
    await until("the user is back", lambda: _not(is_blocked))
    await chat.publish(stop_loss=Decimal("2222.00"))
    assert buttons(await chat.shows(user, "2\N{NO-BREAK SPACE}222.00"))


async def _not(check) -> bool:  # type: ignore[no-untyped-def]
    return not await check()
