"""Through the worker's pipes: what has been paid in and out, never of another moment than the equity, or not told."""

from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from sandbox.mt5 import views
from sandbox.mt5.book import BONUS, CREDIT, ZERO, Deal
from sandbox.mt5.broker import KEPT_CALLS, Broker
from terminal.mt5 import flows, wire
from terminal.mt5.clock import ServerClock
from terminal.mt5.library import Library
from terminal.protocol import AccountSnapshot
from tests.terminal_mt5.stage import LOGIN, SERVER, Pipe, Stage, order, staged
from tests.terminal_mt5.test_worker_reading import deals, positions

D = Decimal
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as made:
        yield made


async def told(pipe: Pipe) -> tuple[Decimal, Decimal | None]:
    """Equity and what has been paid in."""
    found = wire.revive(AccountSnapshot, await pipe.ask("account"))
    return found.equity, found.net_deposits


class Watched(deque[tuple[int, str]]):
    """The broker's calls; ``then`` is done when one comes in, before it is answered."""

    def __init__(self, then: Callable[[str], None]) -> None:
        super().__init__(maxlen=KEPT_CALLS)
        self._then = then

    def append(self, call: tuple[int, str]) -> None:
        super().append(call)
        self._then(call[1])


def on_calls(broker: Broker, call: str, work: Callable[[], object], numbers: set[int] | None = None) -> None:
    """Do this while the terminal asks, the first time, the second …, or every time."""
    count = 0

    def note(name: str) -> None:
        nonlocal count
        count += name == call
        if name == call and (numbers is None or count in numbers):
            work()

    broker.calls = Watched(note)


async def test_what_is_paid_in_and_out_is_told_with_the_equity(stage: Stage) -> None:
    worker, broker = await stage.worker(), stage.broker
    assert await told(worker) == (D(10000), D(10000))
    broker.pay(LOGIN, D("2500.50"))
    broker.pay(LOGIN, D(-500))
    assert await told(worker) == (D("12000.50"), D("12000.50"))
    broker.pay(LOGIN, D(100), CREDIT)
    broker.pay(LOGIN, D(50), BONUS)
    assert await told(worker) == (D("12150.50"), D("12150.50")), "equity has credit in it"
    broker.pay(LOGIN, D(-100), CREDIT)
    assert await told(worker) == (D("12050.50"), D("12050.50"))


async def test_results_are_no_deposits(stage: Stage) -> None:
    worker, broker = await stage.worker(), stage.broker
    sent = await worker.send(order(1, volume=D(1)))
    broker.set_price("EURUSD", D("1.08610"), D("1.08620"))
    assert await told(worker) == (D("10100.00"), D(10000))
    await worker.act("close", ticket=sent.ticket)
    broker.pay(LOGIN, D(1000))
    assert await told(worker) == (D("11100.00"), D(11000))
    assert len(await deals(worker)) == 2 and await positions(worker) == [], "money paid in is no trade"


async def test_yen_have_no_cents(stage: Stage) -> None:
    stage.broker.add_account("5010", "yen", server=SERVER, currency="JPY", balance=D(1_000_000))
    worker = await stage.worker(login="5010", password="yen")
    stage.broker.pay("5010", D(-1000))
    equity, net = await told(worker)
    assert equity == net == D(999_000) and net.as_tuple().exponent == 0


@pytest.mark.parametrize(("call", "number"), [
    ("history_deals_get", 1), ("account_info", 1), ("history_deals_get", 28), ("account_info", 2)])
async def test_a_deposit_between_two_questions_is_in_both_answers(stage: Stage, call: str, number: int) -> None:
    worker = await stage.worker()
    on_calls(stage.broker, call, lambda: stage.broker.pay(LOGIN, D(700)), {number})
    await told(worker)
    for _ in range(3):
        equity, net = await told(worker)
        assert equity == net


@pytest.mark.parametrize("call", ["account_info", "history_deals_get"])
async def test_money_that_comes_in_at_every_look_is_not_told(stage: Stage, call: str) -> None:
    worker = await stage.worker()
    on_calls(stage.broker, call, lambda: stage.broker.pay(LOGIN, D(1)))
    assert (await told(worker))[1] is None


async def test_a_loss_that_hides_a_deposit_does_not_deceive(stage: Stage) -> None:
    """Between the figures and the history as much is paid in as a position loses: the balance stays the same."""
    worker, broker = await stage.worker(), stage.broker
    broker.by_hand(LOGIN, "EURUSD", "buy", D(1))
    broker.set_price("EURUSD", D("1.08410"), D("1.08420"))
    ((ticket, held),) = broker.book.positions.items()
    await told(worker)

    def both() -> None:
        broker.pay(LOGIN, D(100))
        broker.by_hand(LOGIN, "EURUSD", "sell", D(1), ticket=ticket)

    assert held.price_open == D("1.08510")
    # The next look reads the history once before the figures, and once after them.
    on_calls(broker, "history_deals_get", both, {2})
    for _ in range(2):
        assert await told(worker) == (D("10000.00"), D(10100))


async def test_a_history_that_cannot_be_read_is_no_number(stage: Stage) -> None:
    worker, broker = await stage.worker(), stage.broker
    broker.faults.add(LOGIN, "fail", 1, call="history_deals_get")
    assert await told(worker) == (D(10000), None)
    assert await told(worker) == (D(10000), D(10000))
    broker.pay(LOGIN, D(5))
    broker.faults.add(LOGIN, "fail", 1, call="history_deals_get")
    assert await told(worker) == (D(10005), None)
    assert await told(worker) == (D(10005), D(10005)), "nothing is lost and nothing counts twice"


async def test_a_history_that_is_not_whole_is_no_number(stage: Stage) -> None:
    """As of a terminal that has just signed in and still fetches its deals, or a broker who puts old ones away."""
    worker, broker = await stage.worker(), stage.broker
    (first,) = broker.book.deals
    away = broker.book.deals.pop(first)
    assert await told(worker) == (D(10000), None)
    broker.book.deals[first] = away
    broker.pay(LOGIN, D(5))
    assert await told(worker) == (D(10005), None), "left alone for a while"


def put_past_deals(broker: Broker, count: int) -> None:
    """So many deals of the last years, each of which brought a cent; the balance knows of them."""
    last = int(datetime.now(UTC).timestamp() * 1000) - 86_400_000
    for number in range(count):
        ticket = broker.book.next_ticket()
        broker.book.deals[ticket] = Deal(
            ticket, ticket, int(LOGIN), "EURUSD", number % 2, number % 2, 0, ticket, 0, D("0.1"), D("1.1"), D("0.01"),
            "", last - (count - number) * 8_640_000)
    broker.change_account(LOGIN, balance=broker.book.accounts[int(LOGIN)].balance + D("0.01") * count)


async def test_a_long_history_is_read_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 0

    def counted(*given: object, made: Callable[..., object] = views.deal) -> object:
        nonlocal rows
        rows += 1
        return made(*given)

    monkeypatch.setattr(views, "deal", counted)
    monkeypatch.setattr(flows, "READ_SECONDS", 120.0)  # how long it may take is another matter
    worker = await stage.worker()
    put_past_deals(stage.broker, 10_000)
    assert await told(worker) == (D(10100), D(10000))
    assert rows < 10_050
    rows = 0
    for number in range(1, 21):
        stage.broker.pay(LOGIN, D(1))
        assert await told(worker) == (D(10100 + number), D(10000 + number))
    assert rows < 20 * 2 * 25, "only the newest"


class Wall:
    """A library that knows deals by the server's wall clock alone, and answers as the package does."""

    def __init__(self) -> None:
        self.deals: list[object] = []
        self.asked: list[tuple[datetime, datetime]] = []

    def pay(self, amount: float, at: datetime) -> None:
        class Row:
            ticket, type, time, time_msc = len(self.deals) + 1, 2, int(at.timestamp()), int(at.timestamp() * 1000)
            profit, swap, commission, fee = amount, 0.0, 0.0, 0.0

        self.deals.append(Row)

    def row(self) -> object:
        class Row:
            balance, credit, currency_digits = sum(deal.profit for deal in self.deals), 0.0, 2  # type: ignore[attr-defined]

        return Row

    def history_deals_get(self, since: datetime, until: datetime) -> tuple[object, ...]:
        self.asked.append((since, until))
        return tuple(deal for deal in self.deals
                     if int(since.timestamp()) <= deal.time <= int(until.timestamp()))  # type: ignore[attr-defined]

    def last_error(self) -> tuple[int, str]:
        return 1, "Success"


def test_a_clock_that_is_put_back_hides_no_deposit_and_none_counts_twice() -> None:
    library, now = Wall(), datetime.now(UTC)
    known = flows.Flows(Library(library), ServerClock())
    for hours in (2, 1.5, 3, 2.5, 2.01):
        # The trade server's clock was two and three hours ahead: by its own, later deals are earlier.
        library.pay(100.1, now + timedelta(hours=hours))
        for _ in range(2):
            assert known.with_row(library.row)[1] == D("100.10") * len(library.deals)
    starts = [since for since, _ in library.asked]
    assert starts.count(flows.BEGINNING) == 1, "the whole is read once"
    assert all(since.tzinfo is UTC and until.tzinfo is UTC for since, until in library.asked)


def test_a_deposit_entered_with_an_old_date_is_found() -> None:
    library, now = Wall(), datetime.now(UTC)
    known = flows.Flows(Library(library), ServerClock())
    library.pay(100.0, now)
    assert known.with_row(library.row)[1] == D(100)
    library.pay(50.0, now - timedelta(days=40))
    assert [known.with_row(library.row)[1] for _ in range(2)] == [D(150), D(150)]


def test_a_long_history_that_does_not_add_up_is_left_alone_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes several looks to read, and is not read again at each of them."""
    monkeypatch.setattr(flows, "READ_SECONDS", 0.0)
    monkeypatch.setattr(flows, "WAIT_SECONDS", 0.0)
    library = Wall()
    known = flows.Flows(Library(library), ServerClock())
    library.pay(100.0, datetime.now(UTC) - timedelta(days=4_000))
    gone = library.row()
    library.deals.clear()
    for _ in range(200):
        assert known.with_row(lambda: gone)[1] is None
    assert len(library.asked) < 60, "not much more than once"


def test_the_stand_in_deals_are_of_no_symbol(stage: Stage) -> None:
    ticket = stage.broker.pay(LOGIN, D(5))
    deal = stage.broker.book.deals[ticket]
    assert (deal.type, deal.symbol, deal.position_id, deal.order, deal.entry, deal.volume, deal.profit) == (
        2, "", 0, 0, 0, ZERO, D(5))
    with pytest.raises(ValueError, match="not so much"):
        stage.broker.pay(LOGIN, D("-10005.01"))
