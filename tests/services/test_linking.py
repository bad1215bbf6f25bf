"""Linking accounts: what is verified, who gets which account, and how links break and mend."""

from datetime import datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from models.account import Account, AccountStatus
from models.database import Database
from models.message import OutboxItem
from services import accounts, linking, symbols
from services.acting import Actor
from services.desk import Desk
from services.errors import AccountNotVerified, AlreadyLinked, InvalidRequest, LimitReached, NotFound, TryLater
from services.linking import LinkRequest
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import AccountRef, GatewayError
from tests.services import stage
from tests.services.password_line import BROKER, SERVER, PasswordLine


@pytest.fixture
def line(desk: Desk, database: Database, quotes: QuoteFeed) -> PasswordLine:
    made = PasswordLine(database, quotes)
    desk.gateways["terminal"] = made  # type: ignore[index]
    return made


async def link(desk: Desk, user_id: int, login: str, now: datetime, password: str = "master-1",
               server: str = SERVER) -> Account:
    return await linking.link(desk, user_id, LinkRequest("terminal", login, server, SecretStr(password)), now)


async def mine(desk: Desk, user_id: int) -> list[Account]:
    async with desk.database.reading() as session:
        return await accounts.listed(session, user_id)


async def test_the_first_live_account_takes_over_and_the_second_does_not(desk: Desk, line: PasswordLine,
                                                                         now: datetime) -> None:
    user_id = await stage.join(desk, now, "vip")
    [paper] = await mine(desk, user_id)
    assert paper.is_primary
    for login in ("8001", "8002"):
        await link(desk, user_id, await line.enlist(login, now), now)
    assert [(row.login, row.is_primary) for row in await mine(desk, user_id)] == [
        ("8001", True), (paper.login, False), ("8002", False)]


async def test_what_is_kept_are_the_terminals_own_words(desk: Desk, line: PasswordLine, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    await link(desk, user_id, await line.enlist("8001", now), now, server="harbour-LIVE")
    row = (await mine(desk, user_id))[0]
    assert (row.login, row.server, row.broker, row.currency) == ("8001", SERVER, BROKER, "USD")
    assert (row.leverage, row.margin_mode, row.can_trade, row.label) == (100, "hedging", True, f"{BROKER} ·8001")
    assert (row.status, row.trouble, row.verified_at) == ("verified", None, now)
    with pytest.raises(AlreadyLinked):
        await link(desk, user_id, "8001", now)


async def test_an_investors_password_links_an_account_that_cannot_trade(desk: Desk, line: PasswordLine,
                                                                        now: datetime) -> None:
    user_id = await stage.join(desk, now)
    row = await link(desk, user_id, await line.enlist("8001", now), now, "investor-1")
    assert (row.status, row.can_trade) == (AccountStatus.VERIFIED, False)


@pytest.mark.parametrize("reason", ["wrong_password", "otp_required", "broker_unknown", "terminal_missing",
                                    "terminal_hangs", "terminal_busy", "terminal_lost", "terminal_away"])
async def test_an_account_that_cannot_be_verified_is_not_linked(desk: Desk, line: PasswordLine, now: datetime,
                                                                reason: str) -> None:
    user_id = await stage.join(desk, now)
    await line.enlist("8001", now, trouble=reason)
    with pytest.raises(AccountNotVerified) as refused:
        await link(desk, user_id, "8001", now, "a-very-secret-word")
    assert refused.value.reason == reason
    assert "a-very-secret-word" not in refused.value.detail
    assert len(await mine(desk, user_id)) == 1


async def test_another_account_than_the_one_named_is_refused(desk: Desk, line: PasswordLine, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    await line.enlist("8001", now, seen_as="8009")
    with pytest.raises(AccountNotVerified) as refused:
        await link(desk, user_id, "8001", now)
    assert refused.value.reason == "wrong_account"


async def test_trouble_of_an_unknown_kind_still_has_words(desk: Desk, line: PasswordLine, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    await line.enlist("8001", now, trouble="something_new")
    with pytest.raises(AccountNotVerified) as refused:
        await link(desk, user_id, "8001", now)
    assert refused.value.reason == "terminal_trouble"


async def test_a_desk_without_terminals_says_so(desk: Desk, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    desk.gateways.pop("terminal", None)  # type: ignore[attr-defined]
    with pytest.raises(AccountNotVerified) as refused:
        await link(desk, user_id, "8001", now)
    assert refused.value.reason == "terminal_missing"


@pytest.mark.parametrize("wanted", [LinkRequest("terminal"), LinkRequest("terminal", "8001", SERVER),
                                    LinkRequest("device")])
async def test_what_a_route_needs_must_be_said(desk: Desk, line: PasswordLine, now: datetime,
                                               wanted: LinkRequest) -> None:
    user_id = await stage.join(desk, now)
    with pytest.raises(InvalidRequest):
        await linking.link(desk, user_id, wanted, now)


@pytest.mark.parametrize(("tier", "most", "needed"), [("free", 1, "vip"), ("premium", 1, "vip"),
                                                      ("vip", 3, "enterprise")])
async def test_a_plan_has_room_for_so_many_and_the_paper_account_does_not_count(
        desk: Desk, line: PasswordLine, now: datetime, tier: str, most: int, needed: str) -> None:
    user_id = await stage.join(desk, now, tier)
    for number in range(most):
        await link(desk, user_id, await line.enlist(f"80{number:02}", now), now)
    asked = line.calls["verify"]
    with pytest.raises(LimitReached) as refused:
        await link(desk, user_id, await line.enlist("8099", now), now)
    assert refused.value.needed == needed
    assert line.calls["verify"] == asked, "the broker is not troubled for what cannot be linked"


async def test_a_broken_account_is_mended_as_it_was(desk: Desk, line: PasswordLine, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    first = await link(desk, user_id, await line.enlist("8001", now), now)
    later = now + timedelta(days=1)
    async with desk.database.writing() as session:
        await accounts.change(session, user_id, first.id, label="Main", sizing=None, now=later)
        assert await accounts.mark_broken(session, first.id, "wrong_password", later)
    broken = (await mine(desk, user_id))[0]
    assert (broken.status, broken.trouble, broken.is_primary) == ("broken", "wrong_password", True)
    with pytest.raises(GatewayError) as refused:
        await accounts.password_of(desk.database, desk.vault, AccountRef("8001", SERVER))
    assert refused.value.permanent
    line.clients["8001"].password = "master-2"
    again = await link(desk, user_id, "8001", later, "master-2")
    assert (again.id, again.status, again.trouble, again.label, again.is_primary) == (
        first.id, "verified", None, "Main", True)
    assert await accounts.password_of(desk.database, desk.vault, AccountRef("8001", SERVER)) == "master-2"


async def test_a_break_is_told_once(desk: Desk, line: PasswordLine, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    row = await link(desk, user_id, await line.enlist("8001", now), now)
    marks = []
    for second in range(3):
        async with desk.database.writing() as session:
            marks.append(await accounts.mark_broken(session, row.id, "wrong_password",
                                                    now + timedelta(seconds=second)))
    assert marks == [True, False, False]
    async with desk.database.reading() as session:
        told = (await session.scalars(OutboxItem.__table__.select().with_only_columns(OutboxItem.payload))).all()
    assert told == [{"template": "link_broken", "account": row.label, "reason": "wrong_password"}]


async def test_what_failed_with_an_old_password_does_not_break_the_link_with_the_new_one(
        desk: Desk, line: PasswordLine, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    row = await link(desk, user_id, await line.enlist("8001", now), now + timedelta(seconds=1))
    async with desk.database.writing() as session:
        assert not await accounts.mark_broken(session, row.id, "wrong_password", now)
        assert await accounts.mark_broken(session, row.id, "wrong_password", now + timedelta(seconds=2))


async def test_a_link_that_works_again_is_sound_unless_somebody_else_has_it(desk: Desk, line: PasswordLine,
                                                                            now: datetime) -> None:
    one, other = [await stage.join(desk, now) for _ in range(2)]
    row = await link(desk, one, await line.enlist("8001", now), now)
    snapshot = await line.account(AccountRef("8001", SERVER))
    async with desk.database.writing() as session:
        await accounts.mark_broken(session, row.id, "terminal_lost", now)
        assert await accounts.mark_sound(session, row.id, snapshot, now)
    assert (await mine(desk, one))[0].status == "verified"
    async with desk.database.writing() as session:
        await accounts.mark_broken(session, row.id, "terminal_lost", now)
    taken = await link(desk, other, "8001", now)
    async with desk.database.writing() as session:
        assert not await accounts.mark_sound(session, row.id, snapshot, now)
    assert (await mine(desk, one))[0].status == "broken"
    with pytest.raises(AlreadyLinked):
        await link(desk, one, "8001", now)
    assert taken.user_id == other


async def test_the_primary_must_be_one_that_works(desk: Desk, line: PasswordLine, now: datetime) -> None:
    user_id = await stage.join(desk, now, "vip")
    one = await link(desk, user_id, await line.enlist("8001", now), now)
    two = await link(desk, user_id, await line.enlist("8002", now), now)
    async with desk.database.writing() as session:
        assert (await linking.make_primary(session, user_id, two.id, now)).is_primary
    async with desk.database.writing() as session:
        await accounts.mark_broken(session, one.id, "wrong_password", now)
        with pytest.raises(AccountNotVerified) as refused:
            await linking.make_primary(session, user_id, one.id, now)
    assert refused.value.reason == "wrong_password"
    assert [row.id for row in await mine(desk, user_id) if row.is_primary] == [two.id]


async def test_another_users_account_is_not_there(desk: Desk, line: PasswordLine, now: datetime) -> None:
    owner, other = [await stage.join(desk, now) for _ in range(2)]
    row = await link(desk, owner, await line.enlist("8001", now), now)
    with pytest.raises(NotFound):
        async with desk.database.writing() as session:
            await linking.make_primary(session, other, row.id, now)
    with pytest.raises(NotFound):
        await linking.unlink(desk, other, row.id, now)
    with pytest.raises(AlreadyLinked):
        await link(desk, other, "8001", now)
    assert not line.is_kept and line.forgotten == [], "what serves the owner goes on as it is"


async def test_a_terminal_that_served_another_starts_anew_for_who_has_the_account_now(
        desk: Desk, line: PasswordLine, now: datetime) -> None:
    owner, other = [await stage.join(desk, now) for _ in range(2)]
    row = await link(desk, owner, await line.enlist("8001", now), now)

    async def break_it() -> None:
        async with desk.database.writing() as session:
            await accounts.mark_broken(session, row.id, "wrong_password", now)

    line.then["account"] = break_it
    assert (await link(desk, other, "8001", now, server=SERVER.upper())).user_id == other
    assert not line.is_kept and line.forgotten == [AccountRef("8001", SERVER)]


async def test_a_password_opens_in_its_own_place_only(desk: Desk, line: PasswordLine, now: datetime) -> None:
    one, other = [await stage.join(desk, now) for _ in range(2)]
    first = await link(desk, one, await line.enlist("8001", now), now)
    second = await link(desk, other, await line.enlist("8002", now), now)
    async with desk.database.writing() as session:
        await session.execute(update(Account).where(Account.id == second.id)
                              .values(sealed_password=first.sealed_password))
    with pytest.raises(GatewayError) as refused:
        await accounts.password_of(desk.database, desk.vault, AccountRef("8002", SERVER))
    assert (refused.value.code, refused.value.permanent) == ("password_unreadable", False)
    async with desk.database.writing() as session:
        await session.execute(update(Account).where(Account.id == first.id).values(user_id=other, is_primary=False))
    with pytest.raises(GatewayError):
        await accounts.password_of(desk.database, desk.vault, AccountRef("8001", SERVER))


async def test_a_broken_link_shows_and_moves_nothing_of_who_has_the_account_now(desk: Desk, line: PasswordLine,
                                                                                 now: datetime) -> None:
    one, other = [await stage.join(desk, now) for _ in range(2)]
    former = await link(desk, one, await line.enlist("8001", now), now)
    async with desk.database.writing() as session:
        await accounts.mark_broken(session, former.id, "wrong_password", now)
    await link(desk, other, "8001", now)
    asked = line.calls.copy()
    async with desk.database.reading() as session:
        broken = await accounts.owned(session, one, former.id)
    with pytest.raises(TryLater):
        await desk.positions.live(broken, now, force=True)
    with pytest.raises(GatewayError) as refused:
        await Actor(desk.database, desk.gateways, "one").position(broken, 7)
    with pytest.raises(TryLater):
        await symbols.edit(desk, one, former.id, "EURUSD", "EURUSD", now)
    assert refused.value.code == "account_broken"
    assert line.calls == asked
