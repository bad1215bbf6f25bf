"""Fragments of accounts and positions: whose they are, and what they say in every state an account can be in."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import ClientSession
from sqlalchemy import update

from models.account import Account, AccountStatus
from models.position import ActKind, ActStatus, PositionAct, PositionRecord
from models.symbol import MapSource, SymbolMap
from services import devices, tiers
from services.desk import Desk
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import Side
from tests.pages import portfolio_stage, stage
from tests.pages.test_fragments import get, sign_in
from tests.pages.test_templates import HOSTILE
from tests.services import stage as desk_stage

THIN, MINUS = "\u202f", "\u2212"
ACCOUNTS, POSITIONS = "/app/fragments/accounts", "/app/fragments/positions"
CLOSED = "/app/fragments/positions/closed"
LATER = timedelta(seconds=20)


@pytest.fixture
def overlay(overlay: dict[str, Any]) -> dict[str, Any]:
    """Figures are kept, so that what a test writes about an account is not read over meanwhile."""
    return {**overlay, "positions": {"cache_seconds": 300, "force_refresh_seconds": 60}}


@pytest.fixture
async def client(origin: str) -> AsyncIterator[ClientSession]:
    async with ClientSession(origin) as session:
        yield session


@pytest.fixture
async def me(client: ClientSession, ada: int) -> dict[str, str]:
    return await sign_in(client, stage.ADA)


@pytest.mark.parametrize("path", [ACCOUNTS, POSITIONS, CLOSED, f"{ACCOUNTS}/1/symbols"])
async def test_nothing_is_told_to_strangers(client: ClientSession, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer x.y.z"}):
        answer, text = await get(client, path, headers)
        assert answer.status == 401 and "unauthenticated" in text


async def test_the_only_account_is_primary_and_stays(client: ClientSession, me: dict[str, str]) -> None:
    answer, text = await get(client, ACCOUNTS, me)
    assert answer.headers["X-Pending-Count"] == "0"
    for shown in ('data-testid="account-row"', "Paper", "Practice money", "Primary", "✓", "Verified",
                  f"10{THIN}000.00\u00a0USD", "1.0 % of equity at the stop", "This is your only account",
                  "0 of 1 live account, 0 of 1 device"):
        assert shown in text, shown
    assert text.count("disabled") == 1 and "None" not in text and 'data-testid="make-primary"' not in text


async def test_without_an_account_the_page_says_what_to_do(client: ClientSession, desk: Desk, ada: int, now: datetime,
                                                           me: dict[str, str]) -> None:
    async with desk.database.writing() as session:
        await session.execute(update(Account).values(unlinked_at=now))
    for path, words in ((ACCOUNTS, "No account yet"), (POSITIONS, "Link an account"), (CLOSED, "Link an account")):
        _, text = await get(client, path, me)
        assert words in text and 'data-testid="empty-state"' in text


async def test_each_account_says_how_it_stands_and_what_can_be_done(client: ClientSession, desk: Desk, ada: int,
                                                                    now: datetime, me: dict[str, str]) -> None:
    broken = await portfolio_stage.another(desk, ada, now, "71110001", route="terminal", label="Prop",
                                           status=AccountStatus.BROKEN, trouble="wrong_password")
    await portfolio_stage.another(desk, ada, now, "71110002", label="Watched", can_trade=False)
    await portfolio_stage.another(desk, ada, now, "71110003", route="device", label="At home")
    _, text = await get(client, ACCOUNTS, me)
    for shown in ("·0001", "Needs attention", "The broker does not accept the password. Link it again with the new",
                  f'data-relink="{broken.id}"', "by your EA", "No figures yet"):
        assert shown in text, shown
    assert text.count('data-testid="make-primary"') == 3
    assert "Its password is erased here." in text and "71110001</" not in text
    _, text = await get(client, f"{POSITIONS}?account={broken.id}", me)
    assert "account-silent" in text and "Link it again with the new password" in text and "choose-account" in text


async def test_a_link_that_can_only_watch_says_so(client: ClientSession, desk: Desk, ada: int, now: datetime,
                                                  me: dict[str, str]) -> None:
    account = await portfolio_stage.paper(desk, ada)
    await portfolio_stage.hold(desk, account)
    await get(client, POSITIONS, me)  # what the account says of itself is known now, and then it says otherwise
    async with desk.database.writing() as session:
        await session.execute(update(Account).values(can_trade=False))
    _, text = await get(client, ACCOUNTS, me)
    assert "View only" in text and "link it once more with its main password" in text
    _, text = await get(client, POSITIONS, me)
    assert "This link can only watch." in text
    assert text.count("data-position-act") == text.count("disabled") == 3


async def test_devices_stand_under_the_account_they_serve(client: ClientSession, desk: Desk, ada: int, now: datetime,
                                                          origin: str, me: dict[str, str]) -> None:
    async with desk.database.writing() as session:
        tiers.grant(session, desk.catalogue.named("vip"), ada, 30, "manual", now)
    made = await devices.register(desk, ada, "MT5-home", None, now)
    _, text = await get(client, ACCOUNTS, me)
    assert "Not linked yet" in text and "Waiting for its first report" in text
    assert "Finish linking" in text and made.secret not in text
    await portfolio_stage.push(origin, made.device.id, made.secret)
    async with client.post("/api/v1/accounts/link", json={"route": "device", "device_id": made.device.id},
                           headers=me) as answer:
        assert answer.status == 201, await answer.text()
    _, text = await get(client, ACCOUNTS, me)
    assert "Not linked yet" not in text and "MT5-home" in text and "Active" in text
    assert text.index("Harbour Markets") < text.index("MT5-home") < text.index("Paper")
    assert "1 of 3 live accounts, 1 of 3 devices" in text and "becomes the primary account" in text
    _, text = await get(client, POSITIONS, me)
    assert "EURUSD.r" in text and "Your EA only reports this account" in text
    assert text.count("data-position-act") == text.count("disabled") == 3


async def test_another_persons_accounts_are_not_there(client: ClientSession, desk: Desk, ada: int, now: datetime,
                                                      me: dict[str, str]) -> None:
    other = await desk_stage.join(desk, now)
    theirs = await portfolio_stage.paper(desk, other)
    for path in (f"{POSITIONS}?account={{}}", f"{CLOSED}?account={{}}", f"{ACCOUNTS}/{{}}/symbols"):
        found = [await get(client, path.format(number), me) for number in (theirs.id, 999_999)]
        assert [answer.status for answer, _ in found] == [404, 404]
        shapes = {text.split('"request_id"')[0] for _, text in found}
        assert len(shapes) == 1
    _, text = await get(client, ACCOUNTS, me)
    assert f'data-account="{theirs.id}"' not in text


@pytest.mark.parametrize("wanted", ["0", "-1", "x", "1e3", "9" * 40, "%00", "1 OR 1=1"])
async def test_an_account_that_cannot_be_is_not_found(client: ClientSession, me: dict[str, str], wanted: str) -> None:
    answer, _ = await get(client, f"{POSITIONS}?account={wanted}", me)
    assert answer.status == 404


async def test_what_can_be_done_with_a_position_says_its_consequence(client: ClientSession, desk: Desk, ada: int,
                                                                     quotes: QuoteFeed, me: dict[str, str]) -> None:
    account = await portfolio_stage.paper(desk, ada)
    await portfolio_stage.hold(desk, account)
    await portfolio_stage.hold(desk, account, 2, side=Side.SELL, volume="0.01", stop=None, target=None)
    quotes.set_price("EURUSD", Decimal("1.07208"), Decimal("1.07216"))
    await desk.positions.forget(account.id)
    _, text = await get(client, POSITIONS, me)
    for shown in ("Bought 0.10 lots are closed at the market now", "+20.00\u00a0USD", "This cannot be undone.",
                  "0.05 of 0.10 lots are closed", "+10.00\u00a0USD", "moves from 1.06508 to 1.07008",
                  "&#34;volume&#34;: &#34;0.05&#34;", "&#34;stop_loss&#34;: &#34;1.07008&#34;",
                  "0.01 lots cannot be halved", "once the position is in profit"):
        assert shown in text, shown
    assert text.count("disabled") == 2
    assert all(len(message) <= 256 for message in
               (part.split('"')[0] for part in text.split('data-message="')[1:]))


async def test_an_act_under_way_is_said_and_bars_another(client: ClientSession, desk: Desk, ada: int, now: datetime,
                                                         me: dict[str, str]) -> None:
    account = await portfolio_stage.paper(desk, ada)
    ticket = await portfolio_stage.hold(desk, account)
    async with desk.database.writing() as session:
        session.add(PositionAct(
            user_id=ada, account_id=account.id, ticket=ticket, symbol="EURUSD", kind=ActKind.CLOSE, door="chat",
            status=ActStatus.UNKNOWN, position_volume=Decimal("0.10"), volume=Decimal("0.10"), attempts=1,
            next_try_at=now + LATER, created_at=now, updated_at=now))
    _, text = await get(client, POSITIONS, me)
    assert "Asking the broker what became of it. Nothing is sent twice." in text
    assert text.count("data-position-act") == text.count("disabled") == 3


async def test_several_accounts_are_chosen_between_and_added_up(client: ClientSession, desk: Desk, ada: int,
                                                                now: datetime, me: dict[str, str]) -> None:
    second = await portfolio_stage.another(desk, ada, now, label=HOSTILE[:64])
    _, text = await get(client, POSITIONS, me)
    assert f"35{THIN}000.00\u00a0USD" in text and "practice money" in text
    assert text.count('data-testid="choose-account"') == 2 and "<script>" not in text
    _, text = await get(client, f"{POSITIONS}?account={second.id}", me)
    assert f'data-account-shown="{second.id}"' in text and f"25{THIN}000.00\u00a0USD" in text


async def test_closed_positions_say_what_they_came_to_and_why(client: ClientSession, desk: Desk, ada: int,
                                                              now: datetime, me: dict[str, str]) -> None:
    _, text = await get(client, CLOSED, me)
    assert "Nothing closed yet" in text
    account = await portfolio_stage.paper(desk, ada)
    async with desk.database.writing() as session:
        for number, reason in enumerate(("take_profit", "stop_loss", "client", "other", "signal"), start=1):
            net = Decimal(10) if reason == "take_profit" else Decimal("-5.5")
            session.add(PositionRecord(
                account_id=account.id, position_id=number, magic=0, symbol="EURUSD", side="buy", status="closed",
                volume=Decimal("0.10"), closed_volume=Decimal("0.10"), entry_price=Decimal("1.07008"),
                exit_price=Decimal("1.071083333333"), profit=net + 1, swap=Decimal("-0.30"),
                commission=Decimal("-0.70"), fee=Decimal(0), net=net, reason=reason,
                opened_at=now - timedelta(hours=3), closed_at=now - timedelta(minutes=number), updated_at=now))
    _, text = await get(client, CLOSED, me)
    for shown in ("Take profit", "Stop loss", "By hand", "At the broker", "By the signal", "+10.00\u00a0USD",
                  f"{MINUS}5.50\u00a0USD", "▲", "▼", "1.07108", "open for 2 h", f"commission {MINUS}0.70"):
        assert shown in text, shown
    assert text.count('data-testid="closed-row"') == 5 and "None" not in text and "has_more" not in text
    _, text = await get(client, f"{CLOSED}?limit=2", me)
    assert text.count('data-testid="closed-row"') == 2 and "Show older" in text


async def test_symbols_with_a_problem_come_first(client: ClientSession, desk: Desk, ada: int, now: datetime,
                                                 me: dict[str, str]) -> None:
    account = await portfolio_stage.paper(desk, ada)
    _, text = await get(client, f"{ACCOUNTS}/{account.id}/symbols", me)
    assert "No symbols yet" in text
    rows = [("AUDUSD", "AUDUSD.r", MapSource.FOUND, None), ("XAUUSD", "GOLD", MapSource.EDITED, None),
            ("US30", None, MapSource.FOUND, "ambiguous"), ("ZZZ", None, MapSource.FOUND, "missing"),
            ("BTCUSD", "BTC<b>", MapSource.FOUND, "unconfirmed")]
    async with desk.database.writing() as session:
        for symbol, name, source, problem in rows:
            session.add(SymbolMap(account_id=account.id, symbol=symbol, broker_symbol=name, source=source,
                                  problem=problem, checked_at=now))
    _, text = await get(client, f"{ACCOUNTS}/{account.id}/symbols", me)
    order = [text.index(f'data-map="{symbol}"') for symbol in ("BTCUSD", "US30", "ZZZ", "AUDUSD", "XAUUSD")]
    assert order == sorted(order) and "BTC&lt;b&gt;" in text and "yours" in text and "Several could be meant" in text
    assert text.count("data-map-reset") == 4
    _, text = await get(client, ACCOUNTS, me)
    assert "3 to look at" in text
