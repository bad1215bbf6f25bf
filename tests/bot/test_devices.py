"""Devices in the chat: listed, added by a code, revoked after a second yes; what happens to them is told."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import select, update

from bot import devices as shown
from bot.callbacks import AddDevice, Revoke, Step
from bot.keyboards import Links
from models.account import Account, AccountStatus, Route
from models.base import Base
from models.device import Device, PairingCode
from models.user import User
from services import devices, outbox, pairing, tiers
from services.devices import DeviceView, Registered
from services.errors import LimitReached
from services.pairing import Applicant, PairingOffer
from tests.bot.conftest import APP, Chat
from tests.running import buttons, until
from tests.webapp.devices_stage import report

GAP = "\N{NO-BREAK SPACE}"
HOSTILE = ("<b>x</b>&\u202e</a>" * 4)[:64]


@pytest.fixture(autouse=True)
async def opened(chat: Chat) -> None:
    chat.open()


async def user_of(chat: Chat, user: int) -> int:
    async with chat.desk.database.reading() as session:
        return (await session.scalars(select(User.id).where(User.telegram_id == user))).one()


async def owned(chat: Chat, user: int, name: str = "MT5-home") -> Registered:
    return await devices.register(chat.desk, await user_of(chat, user), name, None, datetime.now(UTC))


async def served(chat: Chat, user: int, device_id: str) -> Account:
    """An account that the device serves."""
    now, told = datetime.now(UTC), report()["account"]
    async with chat.desk.database.writing() as session:
        row = Account(
            user_id=await user_of(chat, user), route=Route.DEVICE, label="Harbour ·2345", login=told["login"],
            server=told["server"], broker="Harbour", currency="EUR", sizing={}, status=AccountStatus.VERIFIED,
            is_primary=False, verified_at=now, created_at=now, device_id=device_id)
        session.add(row)
        await session.flush()
        await session.execute(update(Device).where(Device.id == device_id).values(account_id=row.id,
                                                                                  last_seen_at=now))
    return row


async def said(chat: Chat, user: int, words: str) -> dict[str, Any]:
    await chat.console.write(user, "/devices")
    return await chat.shows(user, words)


def named(message: dict[str, Any], start: str) -> str:
    return next(data for text, data in buttons(message).items() if text.startswith(start))


async def code_in(chat: Chat, user: int) -> tuple[str, dict[str, Any]]:
    """The code of the newest message that has one."""
    message = await chat.shows(user, "Pair a terminal")
    found = re.search(f"[{pairing.ALPHABET}]{{5}}-[{pairing.ALPHABET}]{{5}}", message["text"])
    assert found is not None, message["text"]
    return found.group(), message


async def test_devices_are_listed_with_when_they_last_reported(chat: Chat) -> None:
    user = await chat.person()
    empty = await said(chat, user, "You have no device yet")
    assert list(buttons(empty)) == ["＋ Add a device"]
    made = await owned(chat, user, HOSTILE)
    told = (await said(chat, user, "Your devices"))["text"]
    assert HOSTILE in told and "waiting for its first report" in told and "not linked yet" in told
    assert made.secret not in told
    await served(chat, user, made.device.id)
    async with chat.desk.database.writing() as session:
        await session.execute(update(Device).values(
            last_seen_at=datetime.now(UTC) - timedelta(hours=3),
            terminal={"version": "1.0.0", "trade_allowed": False, "expert_allowed": True, "account_allowed": True}))
    told = (await said(chat, user, "offline"))["text"]
    assert f"⚪ offline · seen 3{GAP}h ago" in told and f"{HOSTILE} · Harbour ·2345" in told
    assert "⚠️ trading is switched off in its terminal" in told


async def test_a_device_is_revoked_after_a_second_yes(chat: Chat) -> None:
    user = await chat.person()
    made = await owned(chat, user)
    await served(chat, user, made.device.id)
    shown_first = await said(chat, user, "🟢 active")
    number = shown_first["message_id"]
    assert await chat.console.tap(user, number, named(shown_first, "Revoke MT5-home…")) == "MT5-home"
    asked = await chat.shows(user, "Revoke MT5-home?")
    assert asked["message_id"] == number and "Harbour ·2345 is no longer reported" in asked["text"]
    assert [b.get("style") for row in asked["buttons"] for b in row] == ["danger", None]
    assert await chat.console.tap(user, number, buttons(asked)["Keep it"]) == "It stays as it is."
    kept = await chat.shows(user, "🟢 active")
    assert kept["message_id"] == number
    for answered in ("MT5-home", "MT5-home is revoked.", "MT5-home is revoked."):
        step = buttons(asked)["Revoke MT5-home"] if "revoked" in answered else named(kept, "Revoke MT5-home…")
        assert await chat.console.tap(user, number, step) == answered
    done = await chat.shows(user, "⛔ revoked")
    assert done["message_id"] == number and list(buttons(done)) == ["＋ Add a device"]
    async with chat.desk.database.reading() as session:
        device = await session.get_one(Device, made.device.id)
        account = (await session.scalars(select(Account).where(Account.route == Route.DEVICE))).one()
    assert device.revoked_at is not None
    assert (account.status, account.trouble, account.device_id) == ("broken", "device_revoked", None)


async def test_a_code_is_shown_with_what_to_do_and_kept_nowhere(chat: Chat) -> None:
    user = await chat.person()
    with structlog.testing.capture_logs() as logs:
        empty = await said(chat, user, "You have no device yet")
        answered = await chat.console.tap(user, empty["message_id"], buttons(empty)["＋ Add a device"])
        assert answered == "Here is your code."
        code, message = await code_in(chat, user)
    for words in (APP, "Allow WebRequest for", "/ea.zip", "onto any chart", "Paste this address and the code"):
        assert words in message["text"], words
    assert [entity["type"] for entity in message["entities"]].count("code") == 3, "each is copied with a tap"
    async with chat.desk.database.reading() as session:
        kept = [repr((await session.execute(select(table))).all()) for table in Base.metadata.sorted_tables]
    for form in (code, code.replace("-", "")):
        assert form not in "".join(kept) and form not in json.dumps(logs, default=repr)
    made = await pairing.pair(chat.desk, Applicant(code, "70012345", "Harbour-<Live>", "1.0.0"), datetime.now(UTC))
    told = await chat.shows(user, "MT5 is paired.")
    assert "It says it stands at 70012345 · Harbour-<Live>." in told["text"] and made.secret not in told["text"]
    assert told["buttons"][0] == [{"text": "Link its account", "web_app_url": f"{APP}/app/accounts"}]
    assert await chat.console.tap(user, told["message_id"], named(told, "Revoke MT5")) == "MT5"
    asked = await chat.shows(user, "Revoke MT5?")
    assert await chat.console.tap(user, told["message_id"], buttons(asked)["Revoke MT5"]) == "MT5 is revoked."


async def test_a_plan_without_room_is_told_with_the_one_that_has_it(chat: Chat) -> None:
    user = await chat.person()
    await owned(chat, user)
    listed = await said(chat, user, "Your devices")
    data = buttons(listed)["＋ Add a device"]
    assert await chat.console.tap(user, listed["message_id"], data) == (
        "Your plan does not allow more. The app shows the plans that do.")
    told = await chat.shows(user, "Your plan allows 1 device. VIP allows more.")
    assert [b["text"] for row in told["buttons"] for b in row] == ["See the plans"]
    async with chat.desk.database.reading() as session:
        assert (await session.scalars(select(PairingCode))).all() == []
    assert shown.limit(LimitReached(None, "Your plan allows 20 devices.")) == "Your plan allows 20 devices."


async def test_the_next_code_gets_a_name_that_is_free(chat: Chat) -> None:
    user = await chat.person()
    async with chat.desk.database.writing() as session:
        tiers.grant(session, chat.desk.catalogue.named("vip"), await user_of(chat, user), 30, "manual",
                    datetime.now(UTC))
    await owned(chat, user, "MT5")
    listed = await said(chat, user, "Your devices")
    await chat.console.tap(user, listed["message_id"], buttons(listed)["＋ Add a device"])
    async with chat.desk.database.reading() as session:
        assert (await session.scalars(select(PairingCode.name))).one() == "MT5 2"


async def test_buttons_of_another_are_nobodys(chat: Chat) -> None:
    ada, eve = await chat.person("Ada"), await chat.person("Eve")
    made = await owned(chat, ada)
    hers = await said(chat, eve, "You have no device yet")
    for owner in (ada, eve):
        for step in Step:
            data = Revoke(telegram_id=owner, device_id=made.device.id, step=step).pack()
            assert "not yours" in await chat.console.tap(eve, hers["message_id"], data)
    assert "not yours" in await chat.console.tap(eve, hers["message_id"], AddDevice(telegram_id=ada).pack())
    for junk in ("rd:1:x:z", "rd:1::a", "ad:0", "rd:1:a-b:a", "ad:x"):
        assert await chat.console.tap(eve, hers["message_id"], junk) == "This button is out of date."
    async with chat.desk.database.reading() as session:
        assert (await session.get_one(Device, made.device.id)).revoked_at is None
        assert (await session.scalars(select(PairingCode))).all() == []


QUIET = {"template": "devices_quiet", "devices": ["<i>MT5</i>"], "account": HOSTILE,
         "since": "2026-01-05T10:00:00+00:00", "orders": 1, "positions": 2}


async def test_silence_and_return_are_told_in_words(chat: Chat) -> None:
    user, now = await chat.person(), datetime.now(UTC)
    async with chat.desk.database.writing() as session:
        await outbox.say(session, user, "q1", QUIET, now)
        await outbox.say(session, user, "q2", {**QUIET, "since": None, "orders": 0, "positions": 1,
                                               "devices": [f"D{n}" for n in range(5)]}, now)
        await outbox.say(session, user, "q3", {"template": "devices_back", "devices": ["A", "B"], "account": HOSTILE},
                         now)
        await outbox.say(session, user, "q4", {"template": "devices_back", "devices": ["C"], "account": None}, now)
    chat.desk.wakes.outbox.set()
    first = await chat.shows(user, f"Nothing is heard of <i>MT5</i> since 10:00{GAP}UTC.")
    assert f"{HOSTILE}: 2 positions are open, 1 order is under way." in first["text"]
    assert "Stops and targets that your broker holds stay in force." in first["text"]
    await chat.shows(user, "Nothing is heard of D0, D1, D2 and 2 more so far.")
    await chat.shows(user, f"A, B report again. {HOSTILE} is served.")
    await chat.shows(user, "C reports again.")


def test_the_longest_list_fits_into_a_message() -> None:
    now = datetime.now(UTC)
    many = [DeviceView(f"{'d' * 31}{n % 10}", "&" * 64, 1, "revoked" if n > 20 else "offline", now, now, True, "1",
                       False, True) for n in range(30)]
    text, keyboard = shown.listed(many, {1: "&" * 64}, now), shown.keyboard(Links(APP), 9_999_999_999_999, many)
    assert len(text) < 4096 and "more in the app" in text
    assert all(len(b.callback_data.encode()) <= 64 for row in keyboard.inline_keyboard for b in row if b.callback_data)
    assert shown.code(Links(None, "http://127.0.0.1:8080"), PairingOffer(1, "x", "A", now)).count("127.0.0.1") == 2


async def test_a_code_that_cannot_be_sent_is_said_to_be_so(chat: Chat) -> None:
    user = await chat.person()
    empty = await said(chat, user, "You have no device yet")
    await chat.console.post("/faults", {"target": "telegram", "fault": "502", "times": 1})
    answered = await chat.console.tap(user, empty["message_id"], buttons(empty)["＋ Add a device"])
    assert answered.startswith("Something went wrong on our side.")
    await until("the tap is over", lambda: _codes(chat))


async def _codes(chat: Chat) -> bool:
    async with chat.desk.database.reading() as session:
        return len((await session.scalars(select(PairingCode))).all()) == 1
