"""An account that is linked while its market is closed: its deals are timed anew when the server's clock is known."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

import config
import terminals
from models.account import Account, AccountStatus, Route
from models.position import DealRecord, PositionEvent, PositionRecord
from sandbox.mt5 import WHEEL
from sandbox.mt5.broker import Broker
from sandbox.mt5.market import START
from services import syncing
from services.desk import Desk
from services.syncing import Rules, Syncer
from terminal.mt5.gateway import TerminalGateway
from terminal.protocol import AccountRef, ClockedGateway
from tests.services import stage as desk_stage
from tests.terminal_mt5.stage import LOGIN, PASSWORD, SERVER

D = Decimal
AHEAD = timedelta(hours=2)  # of UTC, at this server
CLOSED_FOR = 20 * 3_600
RULES = Rules(timedelta(seconds=5), timedelta(minutes=5))


@dataclass
class Weekend:
    """A broker whose market is closed, an account with a position there, and what the desk has on record of it."""

    desk: Desk
    broker: Broker
    gateway: TerminalGateway
    account_id: int
    syncer: Syncer

    def close_market(self) -> None:
        for symbol in START:
            self.broker.market.stop(symbol, CLOSED_FOR)

    def open_market(self) -> None:
        for symbol in START:
            quote = self.broker.market.quote(symbol)
            assert quote is not None
            self.broker.set_price(symbol, quote.bid, quote.ask)

    async def sync(self) -> bool:
        return await self.syncer.sync(self.account_id, datetime.now(UTC))

    async def account(self) -> Account:
        async with self.desk.database.reading() as session:
            return await session.get_one(Account, self.account_id)

    async def times(self) -> dict[int, datetime]:
        """When each deal was made, by what is on record."""
        async with self.desk.database.reading() as session:
            rows = await session.execute(select(DealRecord.deal_id, DealRecord.at))
            return {row.deal_id: row.at for row in rows}

    def true_times(self, *, wrong_by: timedelta = timedelta()) -> dict[int, datetime]:
        return {deal.ticket: datetime.fromtimestamp(deal.at_msc / 1000, UTC) + wrong_by
                for deal in self.broker.book.deals.values() if deal.type in (0, 1)}


@pytest.fixture
async def weekend(desk: Desk, now: datetime, tmp_path: Path) -> AsyncIterator[Weekend]:
    broker = Broker(tmp_path / "broker.db")
    await broker.start()
    broker.write_terminal_folder(tmp_path / "terminal")
    broker.add_account(LOGIN, PASSWORD, server=SERVER)

    async def password_of(_: AccountRef) -> str:
        return PASSWORD

    gateway = terminals.terminal_of(config.load({"DATA": str(tmp_path / "data")}, {"terminal": {
        "folder": str(tmp_path / "terminal"), "start_every_seconds": 0}}), password_of, WHEEL)
    assert isinstance(gateway, ClockedGateway)
    user_id = await desk_stage.join(desk, now)
    async with desk.database.writing() as session:
        session.add(account := Account(
            user_id=user_id, route=Route.TERMINAL, label="Live", login=LOGIN, server=SERVER, broker="Sandbox",
            currency="USD", sizing={}, status=AccountStatus.VERIFIED, is_primary=False, can_trade=True,
            verified_at=now, created_at=now))
    syncer = Syncer(desk.database, {"terminal": gateway}, RULES)
    try:
        yield Weekend(desk, broker, gateway, account.id, syncer)
    finally:
        await gateway.close_all()
        await broker.stop()


async def test_deals_of_a_closed_market_are_timed_anew_when_it_opens(weekend: Weekend,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syncing, "DEALS_AT_ONCE", 2)  # they are written, and corrected, bit by bit
    ticket = weekend.broker.by_hand(LOGIN, "EURUSD", "buy", D("0.30"))
    for volume in ("0.10", "0.10", "0.10"):
        weekend.broker.by_hand(LOGIN, "EURUSD", "sell", D(volume), ticket=ticket)
    weekend.broker.by_hand(LOGIN, "EURUSD", "buy", D("0.20"))
    weekend.close_market()
    assert await weekend.sync()
    assert await weekend.times() == weekend.true_times(wrong_by=AHEAD), "nothing tells how far its clock is ahead"
    since = (await weekend.account()).deals_untimed_since
    assert since is not None
    assert not await weekend.sync()
    assert (await weekend.account()).deals_untimed_since == since
    weekend.open_market()
    await weekend.sync()
    assert await weekend.times() == weekend.true_times()
    assert (await weekend.account()).deals_untimed_since is None
    async with weekend.desk.database.reading() as session:
        records = list(await session.scalars(select(PositionRecord).order_by(PositionRecord.position_id)))
        events = list(await session.scalars(select(PositionEvent)))
    true = weekend.true_times()
    assert {event.deal_id: event.at for event in events} == true
    assert [(record.status, record.opened_at, record.closed_at) for record in records] == [
        ("closed", min(true.values()), sorted(true.values())[3]), ("open", max(true.values()), None)]


async def test_a_desk_that_has_died_meanwhile_still_knows_what_to_time_anew(weekend: Weekend) -> None:
    weekend.broker.by_hand(LOGIN, "EURUSD", "buy", D("0.30"))
    weekend.close_market()
    monday = datetime.now(UTC) + timedelta(days=3)
    await weekend.sync()
    await weekend.syncer.sync(weekend.account_id, monday)
    weekend.open_market()
    heir = Syncer(weekend.desk.database, {"terminal": weekend.gateway}, RULES)
    await heir.sync(weekend.account_id, monday + timedelta(minutes=1))
    assert await weekend.times() == weekend.true_times()


async def test_a_deal_that_is_told_as_of_hours_ago_is_not_missed(weekend: Weekend) -> None:
    """A server whose clock is behind UTC, and a terminal that does not know it."""
    servers = weekend.broker.servers
    servers[SERVER] = replace(servers[SERVER], offset_minutes=-300)
    weekend.close_market()
    await weekend.sync()
    weekend.broker.by_hand(LOGIN, "EURUSD", "buy", D("0.30"))
    assert await weekend.sync()
    assert await weekend.times() == weekend.true_times(wrong_by=timedelta(hours=-5))
    weekend.open_market()
    await weekend.sync()
    assert await weekend.times() == weekend.true_times()


async def test_nothing_is_to_be_timed_anew_where_the_market_moves(weekend: Weekend) -> None:
    weekend.broker.by_hand(LOGIN, "EURUSD", "buy", D("0.30"))
    assert await weekend.sync()
    assert (await weekend.account()).deals_untimed_since is None
    assert await weekend.times() == weekend.true_times()
    weekend.close_market()
    assert not await weekend.sync()
    assert (await weekend.account()).deals_untimed_since is None, "its terminal has learnt the time before"
