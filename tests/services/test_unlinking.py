"""Letting accounts go: what is erased, who is primary next, and what becomes of orders under way."""

import itertools
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, update

from models.account import Account
from models.approval import Door
from models.database import Database
from models.device import Device
from models.order import Order, OrderStatus
from models.position import ActKind, ActStatus, PositionAct
from services import accounts, approvals, devices, entry, linking, providers
from services.desk import Desk
from services.errors import LastAccount, NotFound
from services.execution import Executor
from services.linking import LinkRequest
from services.users import Person
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import AccountRef, GatewayError
from tests.services import stage
from tests.services.password_line import SERVER, PasswordLine
from tests.services.test_linking import link, mine


@pytest.fixture
def line(desk: Desk, database: Database, quotes: QuoteFeed) -> PasswordLine:
    made = PasswordLine(database, quotes)
    desk.gateways["terminal"] = made  # type: ignore[index]
    return made


async def test_the_password_is_erased_at_once_and_the_terminal_closed(desk: Desk, line: PasswordLine,
                                                                      now: datetime) -> None:
    user_id = await stage.join(desk, now)
    row = await link(desk, user_id, await line.enlist("8001", now), now)
    await linking.unlink(desk, user_id, row.id, now)
    async with desk.database.reading() as session:
        kept = await session.get_one(Account, row.id)
    assert (kept.sealed_password, kept.unlinked_at, kept.is_primary) == (None, now, False)
    assert line.forgotten == [AccountRef("8001", SERVER)]
    with pytest.raises(GatewayError):
        await accounts.password_of(desk.database, desk.vault, AccountRef("8001", SERVER))
    with pytest.raises(NotFound):
        await linking.unlink(desk, user_id, row.id, now)


async def test_the_only_account_stays(desk: Desk, line: PasswordLine, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    [paper] = await mine(desk, user_id)
    with pytest.raises(LastAccount):
        await linking.unlink(desk, user_id, paper.id, now)
    row = await link(desk, user_id, await line.enlist("8001", now), now)
    await linking.unlink(desk, user_id, paper.id, now)
    with pytest.raises(LastAccount):
        await linking.unlink(desk, user_id, row.id, now)


async def test_the_next_primary_is_the_oldest_live_account_that_works(desk: Desk, line: PasswordLine,
                                                                      now: datetime) -> None:
    user_id = await stage.join(desk, now, "enterprise")
    [paper] = await mine(desk, user_id)
    made = [await link(desk, user_id, await line.enlist(f"800{number}", now), now + timedelta(minutes=number))
            for number in range(4)]
    async with desk.database.writing() as session:
        await accounts.mark_broken(session, made[1].id, "wrong_password", now + timedelta(hours=1))
    order = [made[0], made[2], made[3], paper, made[1]]
    for leaving, heir in itertools.pairwise(order):
        [primary] = [row for row in await mine(desk, user_id) if row.is_primary]
        assert primary.id == leaving.id
        await linking.unlink(desk, user_id, leaving.id, now)
        [primary] = [row for row in await mine(desk, user_id) if row.is_primary]
        assert primary.id == heir.id


async def test_an_account_linked_again_is_the_same_account(desk: Desk, line: PasswordLine, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    row = await link(desk, user_id, await line.enlist("8001", now), now)
    async with desk.database.writing() as session:
        await accounts.change(session, user_id, row.id, label="Main", sizing={"mode": "fixed", "volume": "0.1"},
                              now=now)
    await linking.unlink(desk, user_id, row.id, now)
    again = await link(desk, user_id, "8001", now + timedelta(hours=1))
    assert (again.id, again.label, again.is_primary) == (row.id, "Main", True)
    assert await accounts.password_of(desk.database, desk.vault, AccountRef("8001", SERVER)) == "master-1"


async def test_the_paper_account_comes_back_when_it_is_asked_for_and_not_before(desk: Desk, line: PasswordLine,
                                                                                now: datetime) -> None:
    user_id = await stage.join(desk, now)
    [paper] = await mine(desk, user_id)
    live = await link(desk, user_id, await line.enlist("8001", now), now)
    await linking.unlink(desk, user_id, paper.id, now)
    async with desk.database.reading() as session:
        telegram_id = await session.scalar(select(stage.User.telegram_id).where(stage.User.id == user_id))
    await entry.enter(desk, Person(telegram_id or 0, "Ada"), now)
    assert [row.id for row in await mine(desk, user_id)] == [live.id]
    again = await linking.link(desk, user_id, LinkRequest("paper"), now)
    assert (again.id, again.login, again.is_primary) == (paper.id, paper.login, False)


async def _ordered(desk: Desk, user_id: int, now: datetime) -> int:
    """An approved signal; returns the order's id."""
    provider_id = await stage.found(desk, now, f"Provider {user_id}-{now.timestamp()}")
    async with desk.database.writing() as session:
        await providers.follow(session, user_id, provider_id, now)
    view = await stage.ask(desk, provider_id, now)
    approval_id = await stage.approval_of(desk.database, user_id, view.id)
    async with desk.database.writing() as session:
        found, _ = await approvals.approve(session, desk.approval_rules, user_id, approval_id, view.terms_hash,
                                           Door.APP, now)
    assert found.order is not None
    return found.order.id


@pytest.mark.parametrize(("stands", "route", "ends", "reason"), [
    (OrderStatus.QUEUED, "terminal", OrderStatus.REJECTED, "account_unlinked"),
    (OrderStatus.LEASED, "terminal", OrderStatus.REJECTED, "account_unlinked"),
    (OrderStatus.SENT, "terminal", OrderStatus.FAILED, "unlinked_unseen"),
    (OrderStatus.UNKNOWN, "terminal", OrderStatus.FAILED, "unlinked_unseen"),
    (OrderStatus.PLACED, "terminal", OrderStatus.PLACED, None),
    (OrderStatus.FILLED, "terminal", OrderStatus.FILLED, None),
    (OrderStatus.QUEUED, "paper", OrderStatus.REJECTED, "account_unlinked"),
    (OrderStatus.UNKNOWN, "paper", OrderStatus.UNKNOWN, None)])
async def test_what_becomes_of_an_order(desk: Desk, line: PasswordLine, now: datetime, stands: OrderStatus, route: str,
                                        ends: OrderStatus, reason: str | None) -> None:
    user_id = await stage.join(desk, now)
    live = await link(desk, user_id, await line.enlist("8001", now), now)
    [paper] = [row for row in await mine(desk, user_id) if row.route == "paper"]
    going = live if route == "terminal" else paper
    async with desk.database.writing() as session:
        await linking.make_primary(session, user_id, going.id, now)
    order_id = await _ordered(desk, user_id, now)
    async with desk.database.writing() as session:
        await session.execute(update(Order).where(Order.id == order_id).values(status=stands))
    await linking.unlink(desk, user_id, going.id, now)
    async with desk.database.reading() as session:
        order = await session.get_one(Order, order_id)
    assert (order.account_id, order.status, order.reason) == (going.id, ends, reason)


async def test_an_order_on_its_way_to_the_terminal_is_stopped(desk: Desk, line: PasswordLine, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    live = await link(desk, user_id, await line.enlist("8001", now), now)
    order_id = await _ordered(desk, user_id, now)
    executor = Executor(desk.database, {"terminal": line}, desk.execution_rules, "one")
    [lease] = await executor.take(now, 5)
    await linking.unlink(desk, user_id, live.id, now)
    await executor.execute(lease, now)
    assert line.calls["send"] == 0
    async with desk.database.reading() as session:
        assert (await session.get_one(Order, order_id)).reason == "account_unlinked"


@pytest.mark.parametrize(("stands", "reason"), [(ActStatus.QUEUED, "account_unlinked"),
                                                (ActStatus.SENT, "unlinked_unseen"),
                                                (ActStatus.DONE, None)])
async def test_what_becomes_of_an_act_on_a_position(desk: Desk, line: PasswordLine, now: datetime, stands: ActStatus,
                                                    reason: str | None) -> None:
    user_id = await stage.join(desk, now)
    live = await link(desk, user_id, await line.enlist("8001", now), now)
    async with desk.database.writing() as session:
        act = PositionAct(user_id=user_id, account_id=live.id, ticket=7, symbol="EURUSD", kind=ActKind.CLOSE,
                          door=Door.APP, status=stands, position_volume=Decimal("0.1"), next_try_at=now,
                          created_at=now, updated_at=now)
        session.add(act)
    await linking.unlink(desk, user_id, live.id, now)
    async with desk.database.reading() as session:
        kept = await session.get_one(PositionAct, act.id)
    assert (kept.status, kept.reason) == (ActStatus.REFUSED if reason else stands, reason)


async def test_its_device_serves_it_no_longer(desk: Desk, line: PasswordLine, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    live = await link(desk, user_id, await line.enlist("8001", now), now)
    made = await devices.register(desk, user_id, "VPS", live.id, now)
    await linking.unlink(desk, user_id, live.id, now)
    async with desk.database.reading() as session:
        assert (await session.get_one(Device, made.device.id)).account_id is None


async def test_a_terminal_that_somebody_else_needs_stays_open(desk: Desk, line: PasswordLine, now: datetime) -> None:
    one, other = [await stage.join(desk, now) for _ in range(2)]
    former = await link(desk, one, await line.enlist("8001", now), now)
    async with desk.database.writing() as session:
        await accounts.mark_broken(session, former.id, "wrong_password", now)
    await link(desk, other, "8001", now)
    await linking.unlink(desk, one, former.id, now)
    assert line.forgotten == []


