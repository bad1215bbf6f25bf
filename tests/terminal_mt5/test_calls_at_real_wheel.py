"""Every call the worker makes while it trades at the stand-in is one that the real wheel would pass on."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from terminal.protocol import GatewayError, OrderType, ResultStatus, Side
from tests.terminal_mt5 import stage, wine
from tests.terminal_mt5.stage import MAGIC, Pipe, Stage, order, staged

pytestmark = wine.NEEDED

NOTING = Path(__file__).parent / "noting"
NOT_CONNECTED = {-10004, -10003, -5}
# What the worker has no use for.
UNUSED = {"login", "last_error", "shutdown", "version"}


async def everything(on: Stage, worker: Pipe) -> None:
    """One of each operation, with whatever changes what it asks of the terminal."""
    since, soon = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=2)
    for op in ("ping", "account", "positions", "orders", "symbols"):
        await worker.ask(op)
    await worker.ask("symbol", name="EURUSD")
    await worker.ask("tick", symbol="EURUSD")
    await worker.ask("loss", symbol="EURUSD", side=Side.BUY, volume="0.1", open_price="1.1", close_price="1")
    opened = await worker.send(order(1, stop_loss="1.07", take_profits=["1.10", "1.11", "1.12"], volume="0.3",
                                     comment="C" * 29))
    assert opened.status == ResultStatus.FILLED and opened.ticket
    for fault in ("requote", "invalid_fill", "partial_fill", "placed_then_fill"):
        on.broker.faults.add(stage.LOGIN, fault)
        await worker.send(order(10 + len(fault), volume="1", side=Side.SELL))
    waiting = [await worker.send(order(2, order_type=OrderType.LIMIT, price="1.05", expires_at=soon.isoformat())),
               await worker.send(order(3, order_type=OrderType.STOP, price="1.2", side=Side.BUY))]
    assert {result.status for result in waiting} == {ResultStatus.PLACED}
    await worker.find(MAGIC | 1, since)
    await worker.find(MAGIC | 9)
    await worker.act("modify", ticket=opened.ticket, stop_loss="1.08", take_profit=None)
    await worker.act("close", ticket=opened.ticket, volume="0.05")
    await worker.act("close", ticket=opened.ticket, volume=None)
    for result in waiting:
        await worker.act("cancel", ticket=result.ticket)
        await worker.act("cancel", ticket=result.ticket)
    await worker.ask("deals", since=since)


async def refused(worker: Pipe) -> None:
    """Orders that nobody in his right mind sends end before the wheel sees them, or are such as it takes."""
    for changes in ({"volume": "1"}, {"volume": "0.001"}, {"symbol": "X" * 40}, {"symbol": ""},
                    {"comment": "é" * 60}, {"comment": ""}, {"magic": (1 << 63) + 5}, {"stop_loss": "1", "volume": "2"},
                    {"order_type": OrderType.LIMIT, "price": "1"}, {"take_profits": ["2"]}):
        await worker.send(order(50 + len(str(changes)), **changes))
    for ticket in (0, 1, (1 << 64) - 1):
        await worker.act("close", ticket=ticket, volume=None)
        await worker.act("modify", ticket=ticket, stop_loss="1", take_profit="2")
        await worker.act("cancel", ticket=ticket)


async def test_the_real_wheel_takes_every_call_of_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = tmp_path / "noted"
    monkeypatch.setenv("NOTED", str(noted))
    monkeypatch.setattr(stage, "WHEEL", NOTING)
    async with staged(tmp_path) as on:
        worker = await on.worker()
        await everything(on, worker)
        await refused(worker)
        with pytest.raises(GatewayError):
            await on.worker(password="wrong")
    calls = list(dict.fromkeys(noted.read_text("utf-8").splitlines()))
    made = wine.told_by("tests.terminal_mt5.under_wine.replay", given="\n".join(calls))
    assert [call["call"] for call in made] == calls
    failures = {call["call"]: call["failure"] for call in made if call["call"].split("'")[1] not in UNUSED}
    assert {call: failure for call, failure in failures.items() if failure[0] not in NOT_CONNECTED} == {}
    assert {call.split("'")[1] for call in failures} >= {
        "initialize", "order_check", "order_send", "order_calc_margin", "order_calc_profit", "history_deals_get",
        "history_orders_get", "orders_get", "positions_get", "symbols_get", "symbol_info", "symbol_info_tick"}
