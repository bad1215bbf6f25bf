"""Accounts and positions in the chat: looked at, switched, closed after a second yes, whatever is tapped."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, update

from bot import positions
from bot.callbacks import AskClose, Close, Look, MakePrimary, ShowPositions
from bot.handlers import positions as positions_handler
from bot.keyboards import Links
from models.account import Account, AccountStatus, Route
from models.device import Device, DeviceSnapshot
from models.position import ActKind, ActStatus, PositionAct
from models.user import User
from services import accounts, outbox
from services.positions import Portfolio
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import AccountRef, OrderRequest, OrderType, Position, Side
from tests.bot.conftest import APP, Chat
from tests.running import buttons, until
from tests.webapp.devices_stage import position, report

GAP, MINUS = "\N{NO-BREAK SPACE}", "\N{MINUS SIGN}"
HOSTILE = "<b>x</b>&\u202e</a>" * 4


@pytest.fixture(autouse=True)
async def opened(chat: Chat) -> None:
    chat.open()


async def account_of(chat: Chat, user: int) -> Account:
    """The primary account of a person."""
    async with chat.desk.database.reading() as session:
        user_id = (await session.scalars(select(User.id).where(User.telegram_id == user))).one()
        return await accounts.primary(session, user_id)


async def another(chat: Chat, user: int, login: str = "88418841", **changes: Any) -> Account:
    """A second account of a person, at the practice broker too."""
    assert chat.desk.paper is not None
    now, mine = datetime.now(UTC), await account_of(chat, user)
    ref = await chat.desk.paper.open_account(login, currency="USD", deposit=Decimal(25_000), now=now)
    values = {"user_id": mine.user_id, "route": Route.PAPER, "label": "Second", "login": ref.login,
              "server": ref.server, "broker": "Harbour", "currency": "USD", "sizing": {}, "is_primary": False,
              "status": AccountStatus.VERIFIED, "verified_at": now, "created_at": now, **changes}
    async with chat.desk.database.writing() as session:
        row = Account(**values)
        session.add(row)
    return row


async def hold(chat: Chat, account: Account, magic: int = 1, volume: str = "0.10") -> int:
    """Open a position of gold; returns its ticket."""
    assert chat.desk.paper is not None
    result = await chat.desk.paper.send(AccountRef(account.login, account.server), OrderRequest(
        magic, "XAUUSD", Side.BUY, OrderType.MARKET, Decimal(volume), None, Decimal("2300.00"), (), "test", None))
    assert result.ticket is not None, result
    await chat.desk.positions.forget(account.id)
    return result.ticket


async def portfolio_of(chat: Chat, account: Account) -> Portfolio:
    """What is open, once it is shown: on a machine that stands still for seconds that may be what was before."""
    async def there() -> Portfolio | None:
        found = await chat.desk.positions.live(account, datetime.now(UTC), force=True)
        return found if found.positions else None

    found: Portfolio = await until("the position is shown", there)
    return found


async def said(chat: Chat, user: int, command: str, words: str) -> dict[str, Any]:
    """Send a command and wait for the message that answers it."""
    await chat.console.write(user, command)
    return await chat.shows(user, words)


def named(message: dict[str, Any], start: str) -> str:
    """The data of the button whose text begins so."""
    return next(data for text, data in buttons(message).items() if text.startswith(start))


async def test_accounts_are_listed_and_another_becomes_the_primary(chat: Chat) -> None:
    user = await chat.person()
    await another(chat, user, label=HOSTILE[:64])
    await another(chat, user, "71", label="Prop", route="terminal", status=AccountStatus.BROKEN,
                  trouble="wrong_password")
    shown = await said(chat, user, "/accounts", "Your accounts")
    for words in ("★ Paper", "✓ verified", f"10{GAP}000.00{GAP}USD", HOSTILE[:64], f"25{GAP}000.00{GAP}USD",
                  "⚠️ the broker does not accept the password", "no figures yet"):
        assert words in shown["text"], words
    [(text, data)] = buttons(shown).items()
    assert text.startswith("Make primary: <b>x</b>") and len(data.encode()) <= 64
    assert "Approved signals go to" in await chat.console.tap(user, shown["message_id"], data)
    changed = await chat.shows(user, f"★ {HOSTILE[:64]}")
    assert changed["message_id"] == shown["message_id"] and list(buttons(changed)) == ["Make primary: Paper"]
    assert "is your primary account already" in await chat.console.tap(user, shown["message_id"], data)
    assert (await account_of(chat, user)).label == HOSTILE[:64]


async def test_positions_are_looked_at_again_in_place(chat: Chat, quotes: QuoteFeed,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    user = await chat.person()
    await hold(chat, await account_of(chat, user))
    shown = await said(chat, user, "/positions", "As of")
    assert "▲ XAUUSD 0.10" in shown["text"] and f"{GAP}USD open" in shown["text"]
    assert list(buttons(shown)) == ["↻ Refresh", "Close…"]
    refresh = buttons(shown)["↻ Refresh"]
    monkeypatch.setattr(positions_handler, "REFRESH_SECONDS", 600.0)
    assert await chat.console.tap(user, shown["message_id"], refresh) == "These figures are new already."
    await chat.desk.positions.forget((await account_of(chat, user)).id)
    quotes.nudge("XAUUSD", 50)
    monkeypatch.setattr(positions_handler, "REFRESH_SECONDS", 0.0)
    assert await chat.console.tap(user, shown["message_id"], refresh) == "Updated."
    monkeypatch.setattr(positions_handler, "REFRESH_SECONDS", 600.0)
    answers = [await chat.console.tap(user, shown["message_id"], refresh) for _ in range(2)]
    assert answers == ["These figures are new already."] * 2
    mine = [m for m in await chat.console.messages(user) if "XAUUSD" in m["text"]]
    assert len(mine) == 1 and mine[0]["edits"] == 1


async def test_another_account_is_a_tap_away(chat: Chat) -> None:
    user = await chat.person()
    second = await another(chat, user)
    await hold(chat, second)
    shown = await said(chat, user, "/positions", "No open positions.")
    assert await chat.console.tap(user, shown["message_id"], named(shown, "Second")) == "Second"
    switched = await chat.shows(user, "XAUUSD 0.10")
    assert switched["message_id"] == shown["message_id"] and "★ Paper" in buttons(switched)


async def test_a_position_is_closed_after_a_second_yes_and_only_once(chat: Chat) -> None:
    user = await chat.person()
    account = await account_of(chat, user)
    ticket = await hold(chat, account)
    shown = await said(chat, user, "/close", "Which position do you want to close?")
    number = shown["message_id"]
    assert await chat.console.tap(user, number, named(shown, "XAUUSD ▲ 0.10")) == "XAUUSD"
    asked = await chat.shows(user, "Close this position?")
    assert asked["message_id"] == number and "cannot be undone" in asked["text"]
    assert list(buttons(asked)) == ["Close 0.10 lots", "Keep it"]
    assert {b.get("style") for row in asked["buttons"] for b in row} == {"danger", None}
    yes = buttons(asked)["Close 0.10 lots"]
    answers = await asyncio.gather(*(chat.console.tap(user, number, yes) for _ in range(4)))
    assert sorted(answers) == ["Closing…"] + ["This position is no longer open."] * 3
    done = await chat.shows(user, "Closed 0.10 lots @")
    assert done["message_id"] == number and list(buttons(done)) == ["‹ Positions"]
    async with chat.desk.database.reading() as session:
        [act] = await session.scalars(select(PositionAct))
    assert (act.ticket, act.door, act.status) == (ticket, "chat", "done")
    assert "Nothing is open here." in (await said(chat, user, "/close", "Nothing is open"))["text"]


async def test_keeping_it_closes_nothing(chat: Chat) -> None:
    user = await chat.person()
    await hold(chat, await account_of(chat, user))
    shown = await said(chat, user, "/close", "Which position")
    await chat.console.tap(user, shown["message_id"], named(shown, "XAUUSD"))
    asked = await chat.shows(user, "Close this position?")
    await chat.console.tap(user, shown["message_id"], buttons(asked)["Keep it"])
    await chat.shows(user, "Which position")
    async with chat.desk.database.reading() as session:
        assert (await session.scalars(select(PositionAct))).all() == []


async def test_a_volume_that_has_changed_is_asked_about_again(chat: Chat) -> None:
    user = await chat.person()
    account = await account_of(chat, user)
    ticket = await hold(chat, account)
    shown = await said(chat, user, "/close", "Which position")
    data = Close(telegram_id=user, account_id=account.id, ticket=ticket, volume="0.2").pack()
    assert await chat.console.tap(user, shown["message_id"], data) == "The position has changed. Look at it again."
    asked = await chat.shows(user, "Close this position?")
    assert "Close 0.10 lots" in buttons(asked)
    async with chat.desk.database.reading() as session:
        assert (await session.scalars(select(PositionAct))).all() == []


async def test_what_stands_in_the_way_is_said_in_the_message(chat: Chat) -> None:
    user = await chat.person()
    account = await account_of(chat, user)
    ticket, now = await hold(chat, account), datetime.now(UTC)
    shown = await said(chat, user, "/close", "Which position")
    await chat.console.tap(user, shown["message_id"], named(shown, "XAUUSD"))
    asked = await chat.shows(user, "Close this position?")
    async with chat.desk.database.writing() as session:
        session.add(PositionAct(
            user_id=account.user_id, account_id=account.id, ticket=ticket, symbol="XAUUSD", kind=ActKind.MODIFY,
            door="app", status=ActStatus.UNKNOWN, position_volume=Decimal("0.10"), attempts=1,
            next_try_at=now + timedelta(hours=1), created_at=now, updated_at=now))
    assert await chat.console.tap(user, shown["message_id"], buttons(asked)["Close 0.10 lots"]) == "Closing…"
    told = await chat.shows(user, "XAUUSD was not closed.")
    assert "Something else is being done with this position." in told["text"]
    assert list(buttons(told)) == ["‹ Positions"]


async def test_buttons_of_another_are_nobodys(chat: Chat) -> None:
    ada, eve = await chat.person("Ada"), await chat.person("Eve")
    mine = await account_of(chat, ada)
    ticket = await hold(chat, mine)
    hers = await said(chat, eve, "/positions", "No open positions.")
    for owner in (ada, eve):  # as it was made for Ada, and forged to look as if it were Eve's
        for data in (Close(telegram_id=owner, account_id=mine.id, ticket=ticket, volume="0.1"),
                     AskClose(telegram_id=owner, account_id=mine.id, ticket=ticket),
                     ShowPositions(telegram_id=owner, account_id=mine.id, look=Look.SWITCH),
                     MakePrimary(telegram_id=owner, account_id=mine.id)):
            assert "not yours" in await chat.console.tap(eve, hers["message_id"], data.pack()), data
    own = await account_of(chat, eve)
    data = ShowPositions(telegram_id=ada, account_id=own.id, look=Look.SWITCH)
    assert "not yours" in await chat.console.tap(eve, hers["message_id"], data.pack())
    for junk in ("cl:1:1:1", "cl:1:1:1:x", "cl:1:1:1:0.1:2", "ac:1:1:-1", "sp:1:1:z", "mp:0:0", "cl:1:1:1:1e9"):
        assert await chat.console.tap(eve, hers["message_id"], junk) == "This button is out of date."
    async with chat.desk.database.reading() as session:
        assert (await session.scalars(select(PositionAct))).all() == []
    assert "XAUUSD" in await chat.reply(ada, "/positions")


async def test_a_position_that_is_gone_is_said_to_be(chat: Chat) -> None:
    user = await chat.person()
    account = await account_of(chat, user)
    shown = await said(chat, user, "/positions", "No open positions.")
    data = AskClose(telegram_id=user, account_id=account.id, ticket=123456789).pack()
    assert await chat.console.tap(user, shown["message_id"], data) == "This position is no longer open."


@pytest.mark.parametrize("volume", ["0.00000001", "99999.1234567", "1234567890123"])
async def test_a_volume_of_any_broker_is_asked_about(chat: Chat, volume: str) -> None:
    user = await chat.person()
    account = await account_of(chat, user)
    await hold(chat, account)
    found = await portfolio_of(chat, account)
    held = replace(found.positions[0], ticket=2**64 - 1, volume=Decimal(volume))
    account.id = 999_999_999_999
    data = positions.question_keyboard(9_999_999_999_999, account, held).inline_keyboard[0][0].callback_data
    assert data is not None and len(data.encode()) <= 64 and Close.unpack(data).volume == volume


async def test_what_only_its_own_terminal_closes_has_no_button(chat: Chat) -> None:
    user, now = await chat.person(), datetime.now(UTC)
    mine = await account_of(chat, user)
    told = report(credit="0", can_trade=True)["account"]
    async with chat.desk.database.writing() as session:
        session.add(Device(id="dv_1", user_id=mine.user_id, name="VPS", sealed_secret=b"", created_at=now))
        await session.flush()
        session.add(DeviceSnapshot(
            device_id="dv_1", login=told["login"], server=told["server"], account=told, taken_at=now, received_at=now,
            positions=[position(11, volume="999999999999999.99999999")]))
    await another(chat, user, told["login"], label="EA", route=Route.DEVICE, server=told["server"], device_id="dv_1")
    async with chat.desk.database.reading() as session:
        served = await session.scalar(select(Account.id).where(Account.route == Route.DEVICE))
    shown = await said(chat, user, "/close", "Nothing is open here.")
    await chat.console.tap(user, shown["message_id"], named(shown, "EA"))
    asked = await chat.shows(user, "Close its positions in your terminal.")
    assert list(buttons(asked)) == ["★ Paper", "‹ Positions"]
    await chat.console.tap(user, shown["message_id"], named(asked, "‹ Positions"))
    assert list(buttons(await chat.shows(user, "EURUSD.r"))) == ["↻ Refresh", "★ Paper"]
    old = AskClose(telegram_id=user, account_id=served, ticket=11).pack()
    answer = await chat.console.tap(user, shown["message_id"], old)
    assert answer == "Positions of this account are changed in its own terminal. Nothing was changed."


async def test_a_terminal_that_is_silent_is_said_to_be(chat: Chat) -> None:
    user = await chat.person()
    await another(chat, user, "71", label="Away", route="terminal")
    shown = await said(chat, user, "/positions", "No open positions.")
    await chat.console.tap(user, shown["message_id"], named(shown, "Away"))
    silent = await chat.shows(user, "Its terminal does not answer.")
    assert list(buttons(silent)) == ["↻ Refresh", "★ Paper"]


async def test_who_has_no_account_is_told_how_to_get_one(chat: Chat) -> None:
    user = await chat.person()
    async with chat.desk.database.writing() as session:
        await session.execute(update(Account).values(unlinked_at=datetime.now(UTC)))
    for command in ("/positions", "/close", "/accounts"):
        assert "/start opens a paper account" in await chat.reply(user, command)


async def test_a_link_that_breaks_and_an_act_that_ends_late_are_told(chat: Chat) -> None:
    user = await chat.person()
    now = datetime.now(UTC)
    act = {"template": "act", "kind": "close", "status": "done", "symbol": "XAU<USD", "account": HOSTILE[:64],
           "volume": "0.1", "price": "2350.1", "reason": None, "error": None}
    async with chat.desk.database.writing() as session:
        await accounts.mark_broken(session, (await account_of(chat, user)).id, "wrong_password", now)
        await outbox.say(session, user, "a1", act, now)
        await outbox.say(session, user, "a2", {**act, "status": "refused", "reason": "rejected_by_terminal",
                                               "error": "Market <closed>"}, now)
        await outbox.say(session, user, "a3", {**act, "kind": "modify"}, now)
    chat.desk.wakes.outbox.set()
    for words in ("Paper is no longer connected: the broker does not accept the password", "Closed 0.10 lots @ 2",
                  "Not closed: the broker refused it (Market <closed>).", "Stop and target are set."):
        await chat.shows(user, words)


async def test_lists_fit_into_a_message_whatever_they_hold(chat: Chat) -> None:
    user = await chat.person()
    account = replace_label(await account_of(chat, user), "&" * 64)
    many = [account] * 21
    assert len(positions.accounts(many, [None] * 21)) < 4096 and "more in the app" in positions.accounts(
        many, [None] * 21)
    await hold(chat, await account_of(chat, user))
    found = await portfolio_of(chat, await account_of(chat, user))
    held: Position = replace(found.positions[0], symbol="&" * 32, ticket=2**64 - 1)
    crowded = replace(found, positions=(held,) * 30)
    assert len(positions.written(account, crowded, datetime.now(UTC))) < 4096
    keyboard = positions.to_close_keyboard(Links(APP), 9_999_999_999_999, account, many, crowded)
    assert len(keyboard.inline_keyboard) <= 30
    assert all(len(b.callback_data.encode()) <= 64 for row in keyboard.inline_keyboard for b in row if b.callback_data)


def replace_label(account: Account, label: str) -> Account:
    account.label = label
    account.broker = label
    return account
