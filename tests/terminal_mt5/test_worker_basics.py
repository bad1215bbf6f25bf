"""Through the worker's pipes: signing in and the first trades."""

from decimal import Decimal
from pathlib import Path

from terminal.mt5 import wire
from terminal.protocol import AccountSnapshot, Position, ResultStatus, SymbolSpec, Tick
from tests.terminal_mt5.stage import LOGIN, MAGIC, order, staged


async def test_an_account_is_opened_traded_and_closed(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        worker = await stage.worker()
        assert worker.hello["protocol"] == 2 and worker.hello["library"] == "5.0.6231"
        snapshot = wire.revive(AccountSnapshot, await worker.ask("account"))
        assert (snapshot.login, snapshot.currency, snapshot.balance) == (LOGIN, "USD", Decimal("10000.00"))
        assert wire.revive(SymbolSpec, await worker.ask("symbol", name="EURUSD")).digits == 5
        assert wire.revive(Tick, await worker.ask("tick", symbol="EURUSD")).bid == Decimal("1.08500")
        opened = await worker.send(order())
        assert opened.status == ResultStatus.FILLED and opened.price == Decimal("1.08510")
        (row,) = await worker.ask("positions")
        position = wire.revive(Position, row)
        assert (position.ticket, position.magic, position.volume) == (opened.ticket, MAGIC | 1, Decimal("0.1"))
        closed = await worker.act("close", ticket=opened.ticket, volume=None)
        assert closed.status == ResultStatus.FILLED and closed.price == Decimal("1.08500")
        assert await worker.ask("positions") == []
