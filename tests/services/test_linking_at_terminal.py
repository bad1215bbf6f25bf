"""Linking with true workers and a broker that answers them: what the terminal says is what is kept."""

import base64
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr

import app
import commands
import config
import terminals
from models.account import Account
from models.database import Database
from runtime.metrics import Metrics
from runtime.supervision import Supervisor
from sandbox.mt5 import WHEEL
from services import accounts, linking, symbols
from services.desk import Desk
from services.errors import AccountNotVerified, AlreadyLinked, TryLater
from services.linking import LinkRequest
from services.symbols import Resolved
from terminal.protocol import AccountRef
from tests.conftest import BOT_TOKEN, MASTER_KEY
from tests.services import stage
from tests.terminal_mt5.stage import Stage, staged

CANARY = "Zq9-kestrel-Umbrella-4417"
BRISK = {"start_every_seconds": 0, "call_seconds": 5, "send_seconds": 5, "start_seconds": 30}


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[Stage]:
    (tmp_path / "broker").mkdir()
    async with staged(tmp_path / "broker") as made:
        yield made


@pytest.fixture
async def desk(market: Stage, sqlite_database: Database, sqlite_url: str, valkey_server: str, redis: object,
               quotes: object, tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk whose terminals stand on this machine."""
    settings = config.load({"BOT_TOKEN": BOT_TOKEN, "MASTER_KEY": MASTER_KEY, "DATA": str(tmp_path / "data"),
                            "DATABASE_URL": sqlite_url, "REDIS_URL": valkey_server},
                           {"terminal": {**BRISK, "folder": str(market.folder)}})
    vault = commands.vault(settings)
    terminal = terminals.terminal_of(settings, partial(accounts.password_of, sqlite_database, vault), WHEEL)
    assert terminal is not None
    paper = app.paper_of(settings, sqlite_database, quotes)  # type: ignore[arg-type]
    made = app.desk_of(settings, sqlite_database, redis, paper, vault, Supervisor(), Metrics(),  # type: ignore[arg-type]
                       terminal=terminal, replica="test")
    yield made
    await terminal.close_all()
    await made.supervisor.stop(5.0)


async def link(desk: Desk, user_id: int, login: str, server: str, password: str, now: datetime) -> Account:
    return await linking.link(desk, user_id, LinkRequest("terminal", login, server, SecretStr(password)), now)


async def why_not(desk: Desk, user_id: int, login: str, server: str, password: str, now: datetime) -> str:
    with pytest.raises(AccountNotVerified) as refused:
        await link(desk, user_id, login, server, password, now)
    assert password not in str(refused.value)
    return refused.value.reason


async def test_from_the_first_password_to_the_last(desk: Desk, market: Stage, now: datetime, tmp_path: Path) -> None:
    broker, user_id = market.broker, await stage.join(desk, now, "vip")
    broker.add_account(9001, CANARY, server="Sandbox-Raw", investor="only looking")
    broker.add_account(9002, CANARY, server="Sandbox-Raw", otp=True)
    assert await why_not(desk, user_id, "9001", "Sandbox-Raw", "not this one", now) == "wrong_password"
    assert await why_not(desk, user_id, "9002", "Sandbox-Raw", CANARY, now) == "otp_required"
    assert await why_not(desk, user_id, "9001", "Nowhere-Live", CANARY, now) in ("broker_unknown", "wrong_password")
    watched = await link(desk, user_id, "9001", "Sandbox-Raw", "only looking", now)
    assert (watched.server, watched.broker, watched.can_trade) == ("Sandbox-Raw", "Sandbox Raw", False)
    async with desk.database.writing() as session:
        await accounts.mark_broken(session, watched.id, "wrong_password", now)
    mended = await link(desk, user_id, "9001", "Sandbox-Raw", CANARY, now)
    assert (mended.id, mended.can_trade, mended.is_primary) == (watched.id, True, True)
    assert (await desk.positions.live(mended, now)).snapshot.balance == 10_000
    for symbol, name in (("EURUSD", "EURUSD.r"), ("XAUUSD", "GOLD.r"), ("US30", "DJ30.r"), ("US500", "US500.r")):
        assert await symbols.resolve(desk.database, desk.gateways["terminal"], mended, symbol, now) == \
            Resolved(name, None)
    assert _holding(tmp_path / "data", CANARY) == []
    await linking.unlink(desk, user_id, mended.id, now)
    assert _holding(tmp_path / "data", "9001") == [], "what the terminal kept is gone with the link"


async def test_the_password_that_trades_mends_a_link_that_only_watches(desk: Desk, market: Stage,
                                                                       now: datetime) -> None:
    market.broker.add_account(9001, CANARY, server="Sandbox-Raw", investor="only looking")
    user_id = await stage.join(desk, now, "vip")
    watched = await link(desk, user_id, "9001", "Sandbox-Raw", "only looking", now)
    with pytest.raises(AlreadyLinked):
        await link(desk, user_id, "9001", "Sandbox-Raw", "only looking", now)
    assert await why_not(desk, user_id, "9001", "Sandbox-Raw", "neither of them", now) == "wrong_password"
    trading = await link(desk, user_id, "9001", "Sandbox-Raw", CANARY, now)
    assert (trading.id, trading.can_trade, trading.is_primary) == (watched.id, True, watched.is_primary)
    with pytest.raises(AlreadyLinked):
        await link(desk, user_id, "9001", "Sandbox-Raw", CANARY, now)
    assert (await desk.gateways["terminal"].account(accounts.ref(trading))).can_trade


async def test_a_password_that_is_changed_at_the_broker_breaks_the_link(desk: Desk, market: Stage,
                                                                        now: datetime) -> None:
    broker, user_id = market.broker, await stage.join(desk, now)
    broker.add_account(9001, CANARY, server="Sandbox-Micro")
    row = await link(desk, user_id, "9001", "Sandbox-Micro", CANARY, now)
    assert await symbols.resolve(desk.database, desk.gateways["terminal"], row, "EURUSD", now) == \
        Resolved("mEURUSD", None)
    broker.change_account(9001, password="another one")
    await desk.gateways["terminal"].forget(AccountRef("9001", "Sandbox-Micro"))  # type: ignore[attr-defined]
    with pytest.raises(TryLater):
        await desk.positions.live(row, now + timedelta(hours=2), force=True)
    await desk.positions.settled()
    async with desk.database.reading() as session:
        kept = await session.get_one(Account, row.id)
    assert (kept.status, kept.trouble) == ("broken", "wrong_password")
    again = await link(desk, user_id, "9001", "Sandbox-Micro", "another one", now)
    assert (again.id, again.status) == (row.id, "verified")


def _holding(folder: Path, text: str) -> list[str]:
    """The files below a folder that hold a text, plain or in base64."""
    forms = (text.encode(), base64.b64encode(text.encode()), text.encode("utf-16-le"))
    return [str(path) for path in folder.rglob("*") if path.is_file()
            and any(form in path.read_bytes() for form in forms)]
