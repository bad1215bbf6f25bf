"""Parts of positions closed through the true worker in weather that leaves open what was done: once or not at all."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import update

import config
import terminals
from models.account import Account, AccountStatus, Route
from models.approval import Door
from models.position import ActStatus, PositionAct
from sandbox.mt5 import WHEEL
from sandbox.mt5.broker import Broker
from services import acting, acts, background
from services.acting import OPEN
from services.desk import Desk
from services.errors import TryLater
from terminal.protocol import AccountRef
from tests.services import stage as desk_stage
from tests.terminal_mt5.stage import SERVER

D = Decimal
CUSTOMERS, ROUNDS = 9, 4
KINDS = ("timeout_after_fill", "no_answer", "requote", "price_off", "partial_fill", "reject", "late_fill",
         "lost_order", "hang", "disconnect", "fine")
HANG_SECONDS, LATE_SECONDS, DEADLINE = 2.0, 0.15, 1.5


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What happens here does not depend on the kind of database."""
    return sqlite_url


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop looks more often, and gives up what does not show after seconds instead of half a minute."""
    for name, seconds in {"RETRY": 0.3, "LOOK_AGAIN": 0.3, "GIVE_UP": 3.5}.items():
        monkeypatch.setattr(acting, name, timedelta(seconds=seconds))
    monkeypatch.setattr(background, "LOOK_SECONDS", 0.1)


async def test_parts_are_closed_once_or_not_at_all(desk: Desk, tmp_path: Path, now: datetime,
                                                   measured: Callable[[str], None]) -> None:
    broker = Broker(tmp_path / "broker.db")
    await broker.start()
    broker.write_terminal_folder(tmp_path / "terminal")

    async def password_of(ref: AccountRef) -> str:
        return ref.login

    gateway = terminals.terminal_of(config.load({"DATA": str(tmp_path / "data")}, {"terminal": {
        "folder": str(tmp_path / "terminal"), "start_every_seconds": 0, "call_seconds": 3, "send_seconds": DEADLINE,
        "start_seconds": 30}}), password_of, WHEEL)
    assert gateway is not None
    desk = replace(desk, gateways={"terminal": gateway})
    desk.supervisor.start("acts", lambda: background.run_acts(desk, 4))
    try:
        ends = await asyncio.gather(*(
            _customer(desk, broker, str(7_000 + number), now, random.Random(number)) for number in range(CUSTOMERS)))
        counted = sum(ends, Counter[str]())
        measured(f"{CUSTOMERS * ROUNDS} closings in bad weather ended {dict(counted)}")
        assert counted["done"] > 10 and counted["refused"] > 3
    finally:
        await desk.supervisor.stop(5.0)
        await gateway.close_all()
        await broker.stop()


async def _customer(desk: Desk, broker: Broker, login: str, now: datetime, dice: random.Random) -> Counter[str]:
    """Opens a position and closes it part by part; every act has to agree with what is left at the broker."""
    broker.add_account(login, login, server=SERVER, balance=D(1_000_000))
    user_id = await desk_stage.join(desk, now)
    async with desk.database.writing() as session:
        await session.execute(update(Account).where(Account.user_id == user_id).values(is_primary=False))
        session.add(account := Account(
            user_id=user_id, route=Route.TERMINAL, label="Live", login=login, server=SERVER, broker="Sandbox",
            currency="USD", sizing={}, status=AccountStatus.VERIFIED, is_primary=True, can_trade=True,
            verified_at=now, created_at=now))
    ticket = broker.by_hand(login, "EURUSD", "buy", D("1.00"))
    ends = Counter[str]()
    for turn in range(ROUNDS):
        before = _open(broker, login)
        weather = dice.choice(KINDS)
        if weather != "fine":
            seconds = HANG_SECONDS if weather == "hang" else LATE_SECONDS
            broker.faults.add(login, weather, seconds=seconds, call="order_send")
        # Another volume each time, or it would be taken for a second tap.
        act = await _closed(desk, account, ticket, D(10 + turn).scaleb(-2))
        after = _open(broker, login)
        told = act.volume if act.status == ActStatus.DONE else D(0)
        assert before - after == told, (weather, act.status, act.reason, act.volume, before, after)
        ends[act.status] += 1
        broker.faults.clear_for(login)
        broker.away_until.pop(int(login), None)
    return ends


async def _closed(desk: Desk, account: Account, ticket: int, volume: Decimal) -> PositionAct:
    """Tap twice, and wait until there is an answer."""
    async with asyncio.timeout(90):
        while True:
            try:
                first, second = await asyncio.gather(*(acts.close(
                    desk, account.user_id, account.id, ticket, volume, Door.APP, datetime.now(UTC))
                    for _ in range(2)))
                break
            except TryLater:
                await asyncio.sleep(0.2)
        assert first.id == second.id
        while True:
            async with desk.database.reading() as session:
                act = await session.get_one(PositionAct, first.id)
            if act.status not in OPEN:
                return act
            await asyncio.sleep(0.1)


def _open(broker: Broker, login: str) -> Decimal:
    return sum((position.volume for position in broker.book.positions_of(int(login))), D(0))
