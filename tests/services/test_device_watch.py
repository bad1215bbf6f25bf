"""Devices that fall silent: told once while something is open, once more when they are back, by whoever looks first."""

import asyncio
import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import select, update

from models.account import Account, AccountStatus, Route
from models.approval import Door
from models.device import Device, DeviceSnapshot
from models.message import OutboxItem
from models.order import Order, OrderStatus
from models.user import User
from services import approvals, devices, providers
from services.desk import Desk
from services.device_watch import OPEN, QUIET_AFTER, Watch
from tests.running import free_port
from tests.services import stage
from tests.webapp.devices_stage import position, report

LONG_AGO, LATELY = timedelta(minutes=6), timedelta(seconds=20)
_numbers = itertools.count(1)


@dataclass
class Home:
    """A user with an account that devices serve, and the desk that watches them."""

    desk: Desk
    user_id: int
    account_id: int
    now: datetime
    watch: Watch
    devices: list[str] = field(default_factory=list)

    async def device(self, name: str, ago: timedelta | None = LONG_AGO, positions: int = 1, **changes: Any) -> str:
        """A device that was last seen so long ago, None for never, and what it reported then."""
        device_id, at = f"dv_{next(_numbers):024}", self.now - (ago or timedelta(0))
        told = report(**{key: changes.pop(key) for key in ("login", "server") if key in changes})["account"]
        async with self.desk.database.writing() as session:
            session.add(Device(**{
                "id": device_id, "user_id": self.user_id, "account_id": self.account_id, "name": name,
                "sealed_secret": b"", "created_at": self.now - timedelta(days=1),
                "last_seen_at": at if ago is not None else None, **changes}))
            await session.flush()
            session.add(DeviceSnapshot(
                device_id=device_id, login=told["login"], server=told["server"], account=told, taken_at=at,
                positions=[position(11 + number) for number in range(positions)], received_at=at))
        return device_id

    async def order(self, status: OrderStatus) -> None:
        """An order of the account that stands so."""
        provider_id = await stage.found(self.desk, self.now, f"P{next(_numbers)}")
        async with self.desk.database.writing() as session:
            await providers.follow(session, self.user_id, provider_id, self.now)
        signal = await stage.ask(self.desk, provider_id, self.now)
        approval_id = await stage.approval_of(self.desk.database, self.user_id, signal.id)
        async with self.desk.database.writing() as session:
            await approvals.approve(session, self.desk.approval_rules, self.user_id, approval_id, signal.terms_hash,
                                    Door.APP, self.now)
        async with self.desk.database.writing() as session:
            await session.execute(update(Order).values(account_id=self.account_id, status=status))

    async def seen(self, device_id: str, at: datetime) -> None:
        async with self.desk.database.writing() as session:
            await session.execute(update(Device).where(Device.id == device_id).values(last_seen_at=at))

    async def told(self) -> list[dict[str, Any]]:
        """What the chat is owed, in order."""
        async with self.desk.database.reading() as session:
            rows = await session.scalars(select(OutboxItem).where(
                OutboxItem.dedupe_key.like("quiet:%") | OutboxItem.dedupe_key.like("back:%")).order_by(OutboxItem.id))
            return [row.payload or {} for row in rows]


async def listening(desk: Desk, now: datetime, redis: Redis | None = None) -> Watch:
    """A watch that has looked for long enough, and lately."""
    watch, began = Watch(desk.database, redis or desk.redis, now - QUIET_AFTER), now - QUIET_AFTER
    for seconds in range(0, int(QUIET_AFTER.total_seconds()) + 1, 30):
        await watch.step(began + timedelta(seconds=seconds))
    return watch


@pytest.fixture
async def home(desk: Desk, now: datetime) -> Home:
    user_id = await stage.join(desk, now)
    told = report()["account"]
    watch = await listening(desk, now)
    async with desk.database.writing() as session:
        account = Account(
            user_id=user_id, route=Route.DEVICE, label="Harbour ·2345", login=told["login"], server=told["server"],
            broker="Harbour", currency="EUR", sizing={}, status=AccountStatus.VERIFIED, is_primary=False,
            verified_at=now, created_at=now)
        session.add(account)
    return Home(desk, user_id, account.id, now, watch)


async def test_an_open_position_without_its_device_is_told_once(home: Home) -> None:
    device_id = await home.device("MT5-home", positions=2)
    assert await home.watch.step(home.now)
    assert await home.told() == [{
        "template": "devices_quiet", "devices": ["MT5-home"], "account": "Harbour ·2345",
        "since": (home.now - LONG_AGO).isoformat(), "orders": 0, "positions": 2}]
    for seconds in (15, 30, 45):
        assert not await home.watch.step(home.now + timedelta(seconds=seconds))
    assert len(await home.told()) == 1
    async with home.desk.database.reading() as session:
        assert (await session.get_one(Device, device_id)).quiet_told_at == home.now


async def test_replicas_tell_it_once_and_that_it_is_back_once(home: Home) -> None:
    watches = [home.watch, *[await listening(home.desk, home.now) for _ in range(3)]]
    one, other = await home.device("A"), await home.device("B")
    said = await asyncio.gather(*(watch.step(home.now) for watch in watches))
    assert said.count(True) == 1 and [told["devices"] for told in await home.told()] == [["A", "B"]]
    later = home.now + timedelta(seconds=30)
    for device_id in (one, other):
        await home.seen(device_id, later)
    said = await asyncio.gather(*(watch.step(later) for watch in watches))
    assert said.count(True) == 1
    assert (await home.told())[1:] == [{"template": "devices_back", "devices": ["A", "B"],
                                        "account": "Harbour ·2345"}]


@pytest.mark.parametrize("status", list(OrderStatus))
async def test_orders_under_way_count_and_those_that_ended_do_not(home: Home, status: OrderStatus) -> None:
    await home.device("MT5-home", positions=0)
    assert not await home.watch.step(home.now)
    await home.order(status)
    assert await home.watch.step(home.now + LATELY) == (status in OPEN)
    assert [told["orders"] for told in await home.told()] == ([1] if status in OPEN else [])


@pytest.mark.parametrize("changes", [
    {"ago": timedelta(minutes=5, seconds=20)}, {"positions": 0}, {"login": "999"}, {"server": "Other-Live"},
    {"account_id": None}])
async def test_what_is_no_reason_is_not_told(home: Home, changes: dict[str, Any]) -> None:
    await home.device("MT5-home", **changes)
    assert not await home.watch.step(home.now)
    assert await home.told() == []


async def test_while_one_of_several_is_there_nothing_is_said(home: Home) -> None:
    await home.device("A")
    other = await home.device("B", LATELY)
    assert not await home.watch.step(home.now)
    async with home.desk.database.writing() as session:
        await devices.revoke(session, home.user_id, other, home.now)
    assert await home.watch.step(home.now + LATELY)
    assert [told["devices"] for told in await home.told()] == [["A"]], "who was revoked is not spoken of"


async def test_a_revoked_device_is_never_told_of(home: Home) -> None:
    device_id = await home.device("MT5-home")
    assert await home.watch.step(home.now)
    async with home.desk.database.writing() as session:
        await devices.revoke(session, home.user_id, device_id, home.now)
        await session.execute(update(Device).values(last_seen_at=home.now + LATELY))
    assert not await home.watch.step(home.now + LATELY)
    assert len(await home.told()) == 1


@pytest.mark.parametrize("change", [{"status": AccountStatus.BROKEN}, {"route": Route.TERMINAL},
                                    {"unlinked_at": "now"}])
async def test_accounts_that_devices_do_not_trade_on_are_left_alone(home: Home, change: dict[str, Any]) -> None:
    await home.device("MT5-home")
    values = {key: home.now if value == "now" else value for key, value in change.items()}
    async with home.desk.database.writing() as session:
        await session.execute(update(Account).where(Account.id == home.account_id).values(**values))
    assert not await home.watch.step(home.now)


async def test_coming_back_is_told_and_the_next_silence_too(home: Home) -> None:
    device_id = await home.device("MT5-home")
    await home.watch.step(home.now)
    assert not await home.watch.step(home.now + LATELY)
    back_at = home.now + timedelta(seconds=40)
    await home.seen(device_id, back_at)
    assert await home.watch.step(back_at) and not await home.watch.step(back_at + LATELY)
    later = back_at
    while later < back_at + QUIET_AFTER:
        later += timedelta(seconds=30)
        await home.watch.step(later)
    assert [told["template"] for told in await home.told()] == ["devices_quiet", "devices_back", "devices_quiet"]


async def test_another_device_that_takes_over_is_its_return(home: Home) -> None:
    await home.device("MT5-home")
    await home.watch.step(home.now)
    await home.device("VPS", None, last_seen_at=home.now + LATELY, positions=0)
    assert await home.watch.step(home.now + LATELY)
    assert [told["devices"] for told in await home.told()] == [["MT5-home"], ["VPS"]]
    async with home.desk.database.reading() as session:
        assert set(await session.scalars(select(Device.quiet_told_at))) == {None}


async def test_one_that_has_never_been_seen_counts_from_its_beginning(home: Home) -> None:
    await home.device("MT5-home", None)
    assert await home.watch.step(home.now)
    assert (await home.told())[0]["since"] is None


async def test_who_has_left_the_chat_is_told_nothing(home: Home) -> None:
    device_id = await home.device("MT5-home")
    async with home.desk.database.writing() as session:
        await session.execute(update(User).values(blocked_at=home.now))
    await home.watch.step(home.now)
    async with home.desk.database.reading() as session:
        assert (await session.get_one(Device, device_id)).quiet_told_at == home.now
    assert await home.told() == []


async def test_a_desk_that_has_just_begun_to_listen_accuses_nobody(home: Home) -> None:
    await home.device("MT5-home")
    watch, begins = Watch(home.desk.database, home.desk.redis, home.now), home.now
    for seconds in range(0, int(QUIET_AFTER.total_seconds()), 30):
        assert not await watch.step(begins + timedelta(seconds=seconds))
    assert await watch.step(begins + QUIET_AFTER)


@pytest.mark.parametrize("leap", [timedelta(minutes=2), timedelta(seconds=-5)])
async def test_after_a_break_or_a_clock_set_anew_it_listens_from_the_beginning(home: Home, leap: timedelta) -> None:
    await home.device("MT5-home")
    assert not await home.watch.step(home.now + leap)
    assert not await home.watch.step(home.now + leap + QUIET_AFTER - timedelta(seconds=1))


async def test_without_redis_nobody_is_heard_and_nobody_accused(home: Home) -> None:
    away = Redis(port=free_port(), retry=None)
    watch = await listening(home.desk, home.now, away)
    await home.device("MT5-home")
    assert not await watch.step(home.now)
    await away.aclose()
