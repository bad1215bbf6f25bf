"""Money paid in and out of an account at the broker, while a whole desk looks at it."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_terminals import Town
from tests.running import until

LIMITS = "[limits]\nauth = 0\nreads = 0\nlinks = 0\n[positions]\ncache_seconds = 1\nforce_refresh_seconds = 1\n"


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    made = Town(tmp_path)
    (tmp_path / "mine.toml").write_text(LIMITS)
    try:
        await made.open()
        yield made
    finally:
        await made.close()


async def lose(town: Town) -> None:
    """Buy gold and let the market run into the stop."""
    card = await town.ask()
    assert (await town.approve(card))[0] == 200
    assert (await town.order(card))["status"] == "filled"
    below = Decimal(card["stop_loss"]) - 10
    await town.console.post("/prices", {"symbol": "XAUUSD", "bid": str(below), "ask": str(below + 1)})


async def looked(town: Town, account_id: str, balance: Decimal | None = None) -> dict[str, Any]:
    """The account as it is shown, once it is flat, has this balance, and yesterday is known."""

    async def shown() -> Any:
        status, found = await town.call("GET", f"/accounts/{account_id}/positions?force_refresh=true")
        assert status == 200, found
        is_flat = found["open_positions_count"] == 0 and found["equity"] == found["balance"]
        is_told = found["day_change"] is not None and not found["stale"]
        return found if is_flat and is_told and balance in (None, Decimal(found["balance"])) else None

    found: dict[str, Any] = await until(f"the account is flat with {balance}", shown)
    return found


def put_point(town: Town, account_id: str, equity: str, net_deposits: str) -> None:
    """What the account had yesterday."""
    at = (datetime.now(UTC) - timedelta(hours=25)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with closing(sqlite3.connect(town.data / "countersign.db", timeout=30)) as desk, desk:
        desk.execute("INSERT INTO equity_points (account_id, at, equity, balance, net_deposits) VALUES (?, ?, ?, ?, ?)",
                     (int(account_id), at, equity, equity, net_deposits))


async def test_deposits_and_withdrawals_are_no_profits_and_losses(town: Town) -> None:
    await town.grant("vip")
    account = await town.link()
    put_point(town, account["id"], "10000", "10000")
    before = await looked(town, account["id"], Decimal(10_000))
    assert (before["drawdown_percent"], before["max_drawdown_percent"], before["day_change"]) == (
        "0.00", "0.00", "0.00")
    await lose(town)
    lost = await until("the loss is seen", lambda: lost_of(town, account["id"]))
    falls = {name: lost[name] for name in ("drawdown_percent", "max_drawdown_percent", "day_change")}
    assert Decimal(falls["drawdown_percent"]) > 0 and Decimal(falls["day_change"]) < 0
    balance = Decimal(lost["balance"])
    for amount in ("5000", f"-{balance / 2:.2f}", "12345.67"):
        paid = await town.console.post("/terminal/payments", {"login": account["login"], "amount": amount})
        balance += Decimal(amount)
        assert Decimal(paid["balance"]) == balance
        found = await looked(town, account["id"], balance)
        assert {name: found[name] for name in falls} == falls, amount
    _, history = await town.call("GET", f"/accounts/{account['id']}/history")
    assert {item["symbol"] for item in history["items"]} == {"XAUUSD"}, "money paid in is no trade"


async def lost_of(town: Town, account_id: str) -> dict[str, Any] | None:
    found = await looked(town, account_id)
    return found if Decimal(found["balance"]) < 10_000 else None
