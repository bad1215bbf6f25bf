"""The broker that stands in for a trade server: its formulas, its market, its memory, and the package's waits."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sandbox.mt5.broker import Broker
from sandbox.mt5.rules import CLOSE_BY, PENDING, Request
from sandbox.mt5.servers import ServerSpec
from sandbox.mt5.session import matches
from tests.terminal_mt5.stage import LOGIN, PASSWORD, SERVER, environment

D = Decimal
Z = D(0)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    made = Broker(tmp_path / "broker.db")
    await made.start()
    made.add_account(LOGIN, PASSWORD, server=SERVER)
    try:
        yield made
    finally:
        await made.stop()


def request(action: int = 1, kind: int = 0, volume: str = "0.1", symbol: str = "EURUSD", **changes: Any) -> Request:
    fields = {"price": Z, "sl": Z, "tp": Z, "deviation": 20, "magic": 7, "comment": "", "filling": 0, "type_time": 0,
              "expires_msc": 0, "order": 0, "position": 0, "position_by": 0, **changes}
    return Request(action, symbol, kind, D(volume), **fields)


def done(broker: Broker, asked: Request, login: str = LOGIN) -> int:
    """The number of the order, which must be taken."""
    outcome = broker.engine.execute(broker.book.accounts[int(login)], asked)
    assert outcome.retcode == 10009, outcome
    return outcome.order


def test_margins_are_those_of_the_documentation(broker: Broker) -> None:
    account, reckoning = broker.book.accounts[int(LOGIN)], broker.reckoning
    for name, bid in {"EURUSD": "1.0991", "GBPUSD": "1.2273", "USDJPY": "108.18", "USDCHF": "0.99",
                      "EURJPY": "118.9", "GBPJPY": "132.77"}.items():
        broker.set_price(name, D(bid), D(bid))
    for name, margin in {"EURUSD": "109.91", "GBPUSD": "122.73", "USDJPY": "100.00", "USDCHF": "100.00",
                         "EURJPY": "109.91", "GBPJPY": "122.73"}.items():
        symbol = broker.listed[SERVER][name]
        quote = broker.market.quote(name)
        assert quote is not None
        found = reckoning.margin(account, symbol, D("0.1"), quote.bid)
        assert found is not None and round(found, 2) == D(margin), name


def test_opposite_positions_cover_each_other(broker: Broker) -> None:
    done(broker, request(volume="1"))
    alone = broker.reckoning.figures(broker.book.accounts[int(LOGIN)]).margin
    done(broker, request(kind=1, volume="0.5"))
    assert broker.reckoning.figures(broker.book.accounts[int(LOGIN)]).margin == alone
    figures = broker.reckoning.figures(broker.book.accounts[int(LOGIN)])
    assert (figures.profit, figures.equity, figures.free) == (D(-15), D(9985), D(9985) - alone)


def test_stops_targets_and_waiting_orders_are_triggered(broker: Broker) -> None:
    long = done(broker, request(sl=D("1.08"), tp=D("1.09")))
    short = done(broker, request(kind=1, sl=D("1.09"), tp=D("1.08")))
    waits = {kind: done(broker, request(PENDING, kind, price=D(price)))
             for kind, price in ((2, "1.08"), (3, "1.09"), (4, "1.09"), (5, "1.08"))}
    broker.set_price("EURUSD", D("1.08990"), D("1.09000"))
    reasons = {deal.position_id: deal.reason for deal in broker.book.deals.values() if deal.entry == 1}
    assert reasons == {short: 4} and long in broker.book.positions, "the ask has reached it, the bid has not"
    assert set(broker.book.pending) == {waits[2], waits[3], waits[5]}, "the buy stop went by the ask"
    broker.set_price("EURUSD", D("1.09000"), D("1.09010"))
    assert long not in broker.book.positions and set(broker.book.pending) == {waits[2], waits[5]}
    broker.set_price("EURUSD", D("1.07990"), D("1.08000"))
    assert broker.book.pending == {}
    comments = {deal.comment for deal in broker.book.deals.values() if deal.reason in (4, 5)}
    assert comments == {"[sl 1.09]", "[tp 1.09]"}
    assert {position.type for position in broker.book.positions.values()} == {0, 1}
    of_waiting = {deal.order: deal.type for deal in broker.book.deals.values() if deal.order in waits.values()}
    assert of_waiting == {waits[2]: 0, waits[3]: 1, waits[4]: 0, waits[5]: 1}


def test_two_positions_close_each_other(broker: Broker) -> None:
    first, second = done(broker, request(volume="0.3")), done(broker, request(kind=1, volume="0.1"))
    before = broker.book.accounts[int(LOGIN)].balance
    done(broker, request(CLOSE_BY, position=first, position_by=second))
    assert {p.ticket: p.volume for p in broker.book.positions.values()} == {first: D("0.2")}
    assert broker.book.accounts[int(LOGIN)].balance - before == D("-1.00"), "the spread of a tenth of a lot"
    assert [deal.entry for deal in broker.book.deals.values()][-2:] == [3, 3]


def test_the_worst_position_goes_first_when_margin_is_short(broker: Broker) -> None:
    done(broker, request(volume="6"))
    small = done(broker, request(symbol="GBPUSD", volume="1"))
    broker.set_price("EURUSD", D("1.0740"), D("1.0741"))
    assert set(broker.book.positions) == {small}
    broker.change_account(LOGIN, balance=D(1))
    broker.set_price("GBPUSD", D("1.2"), D("1.2001"))
    assert broker.book.positions == {} and {d.reason for d in broker.book.deals.values() if d.entry == 1} == {6}


async def test_a_restart_goes_on(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "b.db")
    await broker.start()
    broker.add_account(LOGIN, PASSWORD, server=SERVER, balance=D(5000))
    opened = done(broker, request(volume="0.2", sl=D("1.08")))
    waits = done(broker, request(PENDING, 2, price=D("1.07")))
    broker.set_price("EURUSD", D("1.08600"), D("1.08610"))
    done(broker, request(kind=1, volume="0.1", position=opened))
    await broker.stop()
    again = Broker(tmp_path / "b.db")
    await again.start()
    try:
        assert again.book.accounts == broker.book.accounts and again.book.positions == broker.book.positions
        assert again.book.pending == broker.book.pending and set(again.book.pending) == {waits}
        assert again.book.deals == broker.book.deals and again.book.ended == broker.book.ended
        assert again.book.accounts[int(LOGIN)].balance == D("5009.00")
        again.add_account(LOGIN, "new", server=SERVER, balance=D(1))
        assert again.book.accounts[int(LOGIN)].balance == D("5009.00"), "it keeps its money"
        assert done(again, request()) > max(broker.book.deals), "numbers are not given twice"
        again.set_price("EURUSD", D("1.06990"), D("1.07000"))
        assert again.book.pending == {} and opened not in again.book.positions
    finally:
        await again.stop()


def test_prices_that_cannot_be_are_refused(broker: Broker) -> None:
    for bid, ask in (("0", "1"), ("2", "1"), ("NaN", "1"), ("1", "Infinity")):
        with pytest.raises(ValueError, match="must be positive"):
            broker.set_price("EURUSD", D(bid), D(ask))
    with pytest.raises(ValueError, match="unknown symbol"):
        broker.set_price("NOTHING", D(1), D(2))
    with pytest.raises(ValueError, match="unknown fault"):
        broker.faults.add(LOGIN, "earthquake")
    with pytest.raises(ValueError, match="unknown server"):
        broker.add_account("9", "9", server="Elsewhere")


async def test_it_stays_on_this_machine(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="this machine only"):
        await Broker(tmp_path / "b.db").start("0.0.0.0")


def test_a_fault_strikes_whom_it_is_for(broker: Broker) -> None:
    broker.faults.add(LOGIN, "requote", 2)
    broker.faults.add(0, "hang")
    assert broker.faults.take(9, "order_send") is not None, "of nobody in particular"
    assert broker.faults.take(9, "order_send") is None
    assert broker.faults.take(int(LOGIN), "account_info") is None
    assert [broker.faults.take(int(LOGIN), "order_send") is None for _ in range(3)] == [False, False, True]
    broker.faults.add(LOGIN, "hang", call="positions_get")
    assert broker.faults.take(int(LOGIN), "account_info") is None
    broker.faults.clear()
    assert broker.faults.waiting() == []


def test_groups() -> None:
    assert matches("EURUSD", "*USD*") and matches("EURUSD", "") and not matches("EURJPY", "*USD*")
    assert matches("GBPUSD", "*USD*,!EUR*") and not matches("EURUSD", "*USD*,!EUR*")
    assert matches("EURUSD.r", "EURUSD*,GBPUSD*") and not matches("EURUSD", "!*")


async def test_a_terminals_folder_knows_its_servers(broker: Broker, tmp_path: Path) -> None:
    program = broker.write_terminal_folder(tmp_path / "terminal")
    assert program.name == "terminal64.exe" and program.is_file()
    known = json.loads((tmp_path / "terminal" / "config" / "servers.json").read_text())
    assert known == dict.fromkeys(["Sandbox-MT5", "Sandbox-Raw", "Sandbox-Micro"], broker.address)


async def test_every_server_names_things_its_own_way(tmp_path: Path) -> None:
    odd = ServerSpec("Odd-Live", prefix="#", suffix="_x", aliases={"XAUUSD": "GOLD"})
    broker = Broker(tmp_path / "b.db", [odd])
    assert {"#EURUSD_x", "#GOLD_x"} < set(broker.listed["Odd-Live"])
    assert odd.names("XAUUSD") == "#GOLD_x" and odd.names("EURUSD") == "#EURUSD_x"
    broker.drop_symbol("XAUUSD", "Odd-Live")
    assert "#GOLD_x" not in broker.listed["Odd-Live"]


STUCK = """
import sys, threading, time
import MetaTrader5 as mt5
beats = []
def beat():
    while True:
        beats.append(time.monotonic())
        time.sleep(0.01)
threading.Thread(target=beat, daemon=True).start()
assert mt5.initialize(sys.argv[1], login=%s, password="%s", server="%s"), mt5.last_error()
time.sleep(0.3)
free = max(b - a for a, b in zip(beats, beats[1:]))
del beats[:-1]
assert mt5.account_info() is not None
time.sleep(0.05)
print(free, max(b - a for a, b in zip(beats, beats[1:])))
""" % (LOGIN, PASSWORD, SERVER)  # noqa: UP031


async def test_a_blocked_call_stops_the_whole_interpreter(broker: Broker, tmp_path: Path) -> None:
    """As the real one does: no thread of the process runs while the terminal does not answer."""
    program = broker.write_terminal_folder(tmp_path / "terminal")
    broker.faults.add(LOGIN, "hang", 1, seconds=1.2, call="account_info")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", STUCK, str(program), env=environment(),
                                                   stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0
    _, stuck = map(float, output.split())
    assert stuck > 1.1


async def test_a_worker_in_a_blocked_call_can_be_ended(broker: Broker, tmp_path: Path) -> None:
    program = broker.write_terminal_folder(tmp_path / "terminal")
    broker.faults.add(LOGIN, "hang", 1, seconds=30, call="account_info")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", STUCK, str(program), env=environment())
    while (int(LOGIN), "account_info") not in broker.calls:
        await asyncio.sleep(0.02)
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 90) != 0
