"""Linking, choosing and unlinking at the same moment: the invariants hold, on both databases."""

import asyncio
from collections import Counter
from datetime import datetime
from itertools import cycle, islice

import pytest
from sqlalchemy import func, select

from models.account import Account
from models.approval import Door
from models.database import Database
from models.order import Order, OrderStatus
from services import accounts, approvals, linking, providers
from services.desk import Desk
from services.errors import AlreadyLinked, DomainError, LastAccount, LimitReached
from services.linking import LinkRequest
from terminal.paper.quotes import QuoteFeed
from tests.services import stage
from tests.services.password_line import PasswordLine
from tests.services.test_linking import link, mine


@pytest.fixture
def line(desk: Desk, database: Database, quotes: QuoteFeed) -> PasswordLine:
    made = PasswordLine(database, quotes)
    desk.gateways["terminal"] = made  # type: ignore[index]
    return made


async def primaries(desk: Desk, user_id: int) -> int:
    async with desk.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(Account).where(
            Account.user_id == user_id, Account.is_primary, Account.unlinked_at.is_(None))) or 0


async def test_fifty_switches_at_once_leave_one_primary_and_none_is_lost(desk: Desk, line: PasswordLine,
                                                                        now: datetime) -> None:
    user_id = await stage.join(desk, now, "vip")
    ids = [(await link(desk, user_id, await line.enlist(f"800{n}", now), now)).id for n in range(3)]
    seen: Counter[int] = Counter()
    is_over = asyncio.Event()

    async def watch() -> None:
        while not is_over.is_set():
            seen[await primaries(desk, user_id)] += 1
            await asyncio.sleep(0)

    async def switch(account_id: int) -> None:
        async with desk.database.writing() as session:
            assert (await linking.make_primary(session, user_id, account_id, now)).is_primary

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(switch(account_id) for account_id in islice(cycle(ids), 50)))
    is_over.set()
    await watching
    assert set(seen) == {1}, "at no moment are there two, or none"
    assert sum(row.is_primary for row in await mine(desk, user_id)) == 1


async def test_twenty_users_link_one_broker_account_and_one_has_it(desk: Desk, line: PasswordLine,
                                                                   now: datetime) -> None:
    users = [await stage.join(desk, now) for _ in range(20)]
    await line.enlist("8001", now)
    outcomes = await asyncio.gather(*(link(desk, user_id, "8001", now) for user_id in users), return_exceptions=True)
    [row] = [outcome for outcome in outcomes if isinstance(outcome, Account)]
    assert sum(isinstance(outcome, AlreadyLinked) for outcome in outcomes) == 19
    assert await stage.count(desk.database, Account, Account.login == "8001") == 1
    for user_id in users:
        held = await mine(desk, user_id)
        assert [r.is_primary for r in held] == ([True, False] if user_id == row.user_id else [True])


async def test_one_user_links_one_account_twenty_times(desk: Desk, line: PasswordLine, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    await line.enlist("8001", now)
    outcomes = await asyncio.gather(*(link(desk, user_id, "8001", now) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(outcome, Account) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, AlreadyLinked) for outcome in outcomes) == 19
    assert len(await mine(desk, user_id)) == 2


async def test_a_plan_has_room_for_three_however_many_are_linked_at_once(desk: Desk, line: PasswordLine,
                                                                         now: datetime) -> None:
    user_id = await stage.join(desk, now, "vip")
    logins = [await line.enlist(f"80{number:02}", now) for number in range(20)]
    outcomes = await asyncio.gather(*(link(desk, user_id, login, now) for login in logins), return_exceptions=True)
    assert sum(isinstance(outcome, Account) for outcome in outcomes) == 3
    assert sum(isinstance(outcome, LimitReached) for outcome in outcomes) == 17
    held = await mine(desk, user_id)
    assert len(held) == 4 and sum(row.is_primary for row in held) == 1


async def test_the_paper_account_opened_twenty_times_is_one(desk: Desk, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    async with desk.database.writing() as session:
        [paper] = await accounts.listed(session, user_id)
        paper.unlinked_at, paper.is_primary = now, False
    outcomes = await asyncio.gather(*(linking.link(desk, user_id, LinkRequest("paper"), now) for _ in range(20)),
                                    return_exceptions=True)
    assert sum(isinstance(outcome, Account) for outcome in outcomes) == 1
    [row] = await mine(desk, user_id)
    assert (row.id, row.is_primary) == (paper.id, True)


async def test_everything_unlinked_at_once_leaves_the_last(desk: Desk, line: PasswordLine, now: datetime) -> None:
    user_id = await stage.join(desk, now, "enterprise")
    for number in range(7):
        await link(desk, user_id, await line.enlist(f"800{number}", now), now)
    ids = [row.id for row in await mine(desk, user_id)]
    outcomes = await asyncio.gather(*(linking.unlink(desk, user_id, account_id, now) for account_id in ids),
                                    return_exceptions=True)
    assert sum(isinstance(outcome, LastAccount) for outcome in outcomes) == 1
    [left] = await mine(desk, user_id)
    assert left.is_primary


async def test_what_is_approved_while_the_primary_is_let_go_goes_to_one_that_stays(desk: Desk, line: PasswordLine,
                                                                                  now: datetime) -> None:
    provider_id = await stage.found(desk, now)
    users = [await stage.join(desk, now) for _ in range(12)]
    live = {}
    for number, user_id in enumerate(users):
        async with desk.database.writing() as session:
            await providers.follow(session, user_id, provider_id, now)
        live[user_id] = await link(desk, user_id, await line.enlist(f"80{number:02}", now), now)
    view = await stage.ask(desk, provider_id, now)
    waiting = {user_id: await stage.approval_of(desk.database, user_id, view.id) for user_id in users}

    async def approve(user_id: int) -> None:
        async with desk.database.writing() as session:
            await approvals.approve(session, desk.approval_rules, user_id, waiting[user_id], view.terms_hash,
                                    Door.APP, now)

    await asyncio.gather(*(act for user_id in users for act in (
        approve(user_id), linking.unlink(desk, user_id, live[user_id].id, now))))
    async with desk.database.reading() as session:
        stranded = (await session.scalars(
            select(Order.id).join(Account, Account.id == Order.account_id)
            .where(Account.unlinked_at.is_not(None), Order.status == OrderStatus.QUEUED))).all()
        written = await session.scalar(select(func.count()).select_from(Order))
    assert stranded == [] and written == 12


async def test_any_mixture_leaves_one_primary_and_no_account_twice(desk: Desk, line: PasswordLine,
                                                                   now: datetime) -> None:
    users = [await stage.join(desk, now, "vip") for _ in range(4)]
    logins = [await line.enlist(f"800{number}", now) for number in range(6)]

    async def live_a_little(user_id: int, number: int) -> None:
        try:
            held = await mine(desk, user_id)
            match number % 4:
                case 0 | 1:
                    await link(desk, user_id, logins[(user_id + number) % 6], now)
                case 2:
                    async with desk.database.writing() as session:
                        await linking.make_primary(session, user_id, held[-1].id, now)
                case 3:
                    await linking.unlink(desk, user_id, held[0].id, now)
        except DomainError:
            pass  # what is refused changes nothing; that is what is looked at below

    for begin in range(0, 24, 8):
        await asyncio.gather(*(live_a_little(user_id, number) for number in range(begin, begin + 8)
                               for user_id in users))
        for user_id in users:
            held = await mine(desk, user_id)
            assert sum(row.is_primary for row in held) == 1
            assert sum(row.route != "paper" for row in held) <= 3
    async with desk.database.reading() as session:
        names = (await session.execute(select(Account.login, Account.server).where(
            Account.unlinked_at.is_(None)))).all()
    assert len(names) == len(set(names))
