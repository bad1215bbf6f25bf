"""A close whose answer is lost while other orders change the same position: told by its deal, not by what is left."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select, update

import config
import terminals
from models.account import Account, AccountStatus, Route
from models.approval import Door
from models.position import ActStatus, PositionAct, PositionRecord
from sandbox.mt5 import WHEEL
from sandbox.mt5.broker import Broker
from services import acts
from services.acting import GIVE_UP, OPEN, Actor
from services.desk import Desk
from services.syncing import Rules, Syncer
from terminal.protocol import AccountRef
from tests.services import stage as desk_stage
from tests.terminal_mt5.stage import LOGIN, PASSWORD, SERVER
from tests.terminal_mt5.test_worker_flows import on_calls

D = Decimal


@dataclass
class Net:
    """A netting account with 1.00 lots of euros."""

    desk: Desk
    broker: Broker
    account: Account
    ticket: int

    async def close(self, volume: Decimal | None, now: datetime) -> PositionAct:
        return await acts.close(self.desk, self.account.user_id, self.account.id, self.ticket, volume, Door.APP, now)

    async def look(self, now: datetime) -> PositionAct:
        """What the loop does; the only act, as it stands then."""
        actor = Actor(self.desk.database, self.desk.gateways, "loop")
        for leased in await actor.take(now, 10):
            await actor.go_on(leased, now)
        async with self.desk.database.reading() as session:
            return (await session.scalars(select(PositionAct))).one()

    async def in_the_end(self, now: datetime) -> PositionAct:
        """The act when half a minute has passed."""
        act = await self.look(now + timedelta(seconds=3))
        return act if act.status not in OPEN else await self.look(now + GIVE_UP + timedelta(seconds=3))

    @property
    def left(self) -> Decimal:
        return sum((position.volume for position in self.broker.book.positions_of(int(LOGIN))), D(0))


@pytest.fixture
async def net(desk: Desk, now: datetime, tmp_path: Path) -> AsyncIterator[Net]:
    broker = Broker(tmp_path / "broker.db")
    await broker.start()
    broker.write_terminal_folder(tmp_path / "terminal")
    broker.add_account(LOGIN, PASSWORD, server=SERVER, balance=D(1_000_000), mode="netting")

    async def password_of(_: AccountRef) -> str:
        return PASSWORD

    gateway = terminals.terminal_of(config.load({"DATA": str(tmp_path / "data")}, {"terminal": {
        "folder": str(tmp_path / "terminal"), "start_every_seconds": 0}}), password_of, WHEEL)
    assert gateway is not None
    user_id = await desk_stage.join(desk, now)
    async with desk.database.writing() as session:
        await session.execute(update(Account).where(Account.user_id == user_id).values(is_primary=False))
        session.add(account := Account(
            user_id=user_id, route=Route.TERMINAL, label="Live", login=LOGIN, server=SERVER, broker="Sandbox",
            currency="USD", sizing={}, status=AccountStatus.VERIFIED, is_primary=True, can_trade=True,
            margin_mode="netting", verified_at=now, created_at=now))
    ticket = broker.by_hand(LOGIN, "EURUSD", "buy", D("1.00"))
    try:
        yield Net(replace(desk, gateways={"terminal": gateway}), broker, account, ticket)
    finally:
        await gateway.close_all()
        await broker.stop()


@pytest.mark.parametrize(("volume", "other", "left"), [
    ("0.30", "buy", "1.20"), ("0.30", "sell", "0.20"), ("1.00", "buy", "0.50")])
async def test_a_close_that_was_done_is_done_whatever_else_has_traded(net: Net, now: datetime, volume: str,
                                                                      other: str, left: str) -> None:
    net.broker.faults.add(LOGIN, "timeout_after_fill")
    act = await net.close(D(volume), now)
    assert act.status == ActStatus.UNKNOWN
    net.broker.by_hand(LOGIN, "EURUSD", other, D("0.50"))
    act = await net.in_the_end(now)
    assert (act.status, act.reason) == ("done", None) and act.volume == D(volume) and act.price is not None
    assert net.left == D(left)


@pytest.mark.parametrize(("other", "left"), [("buy", "1.50"), ("sell", "0.50")])
async def test_a_close_that_was_not_done_is_not_done_whatever_else_has_traded(net: Net, now: datetime, other: str,
                                                                              left: str) -> None:
    net.broker.faults.add(LOGIN, "lost_order")
    assert (await net.close(D("0.30"), now)).status == ActStatus.UNKNOWN
    net.broker.by_hand(LOGIN, "EURUSD", other, D("0.50"))
    act = await net.look(now + timedelta(seconds=3))
    assert (act.status, act.error) == ("unknown", "not_seen_yet")
    act = await net.in_the_end(now)
    assert (act.status, act.reason) == ("refused", "not_executed") and net.left == D(left)


async def test_a_part_that_the_broker_gave_is_what_was_closed(net: Net, now: datetime) -> None:
    net.broker.faults.add(LOGIN, "timeout_after_fill")
    assert (await net.close(D("0.30"), now)).status == ActStatus.UNKNOWN
    net.broker.by_hand(LOGIN, "EURUSD", "sell", D("0.70"))
    assert net.left == 0
    act = await net.in_the_end(now)
    assert (act.status, act.volume) == ("done", D("0.30")), "though there is no position any more"


async def test_a_position_that_somebody_else_has_closed_was_not_closed_in_part(net: Net, now: datetime) -> None:
    net.broker.faults.add(LOGIN, "lost_order")
    assert (await net.close(D("0.30"), now)).status == ActStatus.UNKNOWN
    net.broker.by_hand(LOGIN, "EURUSD", "sell", D("1.00"))
    act = await net.in_the_end(now)
    assert (act.status, act.reason) == ("refused", "position_closed")


async def test_what_was_closed_under_a_number_is_on_record_as_its_owners(net: Net, now: datetime) -> None:
    assert (await net.close(D("0.30"), now)).status == ActStatus.DONE
    syncer = Syncer(net.desk.database, net.desk.gateways, Rules(timedelta(seconds=5), timedelta(minutes=5)))
    await syncer.sync(net.account.id, datetime.now(UTC))
    async with net.desk.database.reading() as session:
        record = (await session.scalars(select(PositionRecord))).one()
    assert (record.status, record.closed_volume, record.position_id) == ("open", D("0.30"), net.ticket)


async def test_a_position_that_changes_while_its_price_moves_is_closed_as_was_asked(net: Net, now: datetime) -> None:
    """Nothing was sent to the end: that is no close, and a moment later it is one."""
    net.broker.faults.add(LOGIN, "requote")
    on_calls(net.broker, "order_send", lambda: net.broker.by_hand(LOGIN, "EURUSD", "buy", D("0.50")), {1})
    act = await net.close(D("0.30"), now)
    assert act.status == ActStatus.QUEUED and net.left == D("1.50")
    act = await net.look(now + timedelta(seconds=5))
    assert (act.status, act.volume) == ("done", D("0.30")) and net.left == D("1.20")
