"""Orders on the terminal route: checked again, by the broker's names, one at a time, and never sent into the dark."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, update

from models.account import Account
from models.message import OutboxItem, OutboxKind
from models.order import Order
from services import background, orders, reasons
from services.desk import Desk
from services.execution import BUSY, LEASE, Executor
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import GatewayError, OrderRequest, ResultStatus, TradeResult
from tests.services.gateways import TroubledLine
from tests.services.test_execution import approved, executor, line, order, run

__all__ = ["executor", "line"]


@pytest.fixture
def live(desk: Desk, line: TroubledLine) -> Callable[[str], Executor]:
    """An executor that reaches the accounts of the terminal route."""
    line.resends_safely = False
    return lambda owner: Executor(desk.database, {"terminal": line}, desk.execution_rules, owner)


async def change_accounts(desk: Desk, **values: Any) -> None:
    async with desk.database.writing() as session:
        await session.execute(update(Account).values(route="terminal", **values))


@pytest.mark.parametrize(("changes", "after", "reason"), [
    ({"can_trade": False}, 0, "view_only"), ({"status": "broken"}, 0, "account_broken"),
    ({"unlinked_at": datetime(2026, 1, 1, tzinfo=UTC)}, 0, "account_unlinked"),
    ({}, 31, "tier_too_low")], ids=lambda value: str(value) if isinstance(value, str) else "")
async def test_what_was_so_when_it_was_approved_is_looked_at_again(
        desk: Desk, line: TroubledLine, live: Any, now: datetime, changes: dict[str, Any], after: int,
        reason: str) -> None:
    (order_id,) = await approved(desk, now)
    await change_accounts(desk, **changes)
    moment = now + timedelta(days=after)
    async with desk.database.writing() as session:
        await session.execute(update(Order).values(expires_at=moment + timedelta(minutes=1)))
    await run(live("w"), moment)
    refused = await order(desk, order_id)
    assert (refused.status, refused.reason, refused.sent_at) == ("rejected", reason, None)
    assert line.calls["send"] == 0 and reason in reasons.WORDS


async def test_a_terminal_that_says_it_may_only_look(desk: Desk, line: TroubledLine, live: Any, now: datetime) -> None:
    (order_id,) = await approved(desk, now)
    await change_accounts(desk)
    original = line.account

    async def only_looking(ref: Any) -> Any:
        return replace(await original(ref), can_trade=False)

    line.account = only_looking  # type: ignore[method-assign]
    await run(live("w"), now)
    assert (await order(desk, order_id)).reason == "view_only" and line.calls["send"] == 0


@pytest.mark.parametrize(("name", "size", "expected"), [
    ("EURUSD.r", "100000", ("filled", None)), ("EURUSD.r", "1000", ("rejected", "symbol_unconfirmed")),
    ("NOTHING", "100000", ("rejected", "unknown_symbol"))])
async def test_the_brokers_own_symbol_is_sent(desk: Desk, line: TroubledLine, quotes: QuoteFeed, live: Any,
                                             now: datetime, name: str, size: str,
                                             expected: tuple[str, str | None]) -> None:
    (order_id,) = await approved(desk, now)
    await change_accounts(desk)
    rename(quotes, "EURUSD", name, Decimal(size))
    sent: list[str] = []

    async def note(request: OrderRequest) -> None:
        sent.append(request.symbol)

    line.on_send = note
    await run(live("w"), now)
    ended = await order(desk, order_id)
    assert (ended.status, ended.reason) == expected and ended.symbol == "EURUSD"
    assert sent == ([name] if expected[0] == "filled" else [])


def rename(quotes: QuoteFeed, old: str, new: str, contract_size: Decimal) -> None:
    """The broker lists it under another name, and maybe with another contract."""
    listing, tick = quotes._listings.pop(old), quotes._ticks.pop(old)
    base = ("XXX", "YYY") if new == "NOTHING" else (listing.spec.currency_base, listing.spec.currency_profit)
    quotes._listings[new] = replace(listing, spec=replace(
        listing.spec, name=new, contract_size=contract_size, currency_base=base[0], currency_profit=base[1]))
    quotes._ticks[new] = replace(tick, symbol=new)


def answering(line: TroubledLine, *answers: TradeResult) -> None:
    """The terminal answers like this, one after the other; then as it is."""
    waiting, original = list(answers), line.send

    async def send(ref: Any, request: OrderRequest) -> TradeResult:
        if waiting:
            line.calls["send"] += 1
            return waiting.pop(0)
        return await original(ref, request)

    line.send = send  # type: ignore[method-assign]


def refusal(retcode: int, reason: str | None = None) -> TradeResult:
    return TradeResult(ResultStatus.REJECTED, retcode, None, None, None, "No.", reason)


@pytest.mark.parametrize("retcode", BUSY)
async def test_a_busy_trade_server_is_asked_again_a_little_later(desk: Desk, line: TroubledLine, live: Any,
                                                                now: datetime, retcode: int) -> None:
    (order_id,) = await approved(desk, now)
    await change_accounts(desk)
    answering(line, refusal(retcode), refusal(retcode))
    for second in (0, 10, 20):
        waiting = await order(desk, order_id)
        assert waiting.status == "queued" and waiting.lease_owner is None
        await run(live("w"), now + timedelta(seconds=second))
    filled = await order(desk, order_id)
    assert (filled.status, filled.attempts) == ("filled", 3) and await line.fills() == 1


async def test_a_trade_server_that_stays_busy_ends_the_order_in_time(desk: Desk, line: TroubledLine, live: Any,
                                                                    now: datetime) -> None:
    (order_id,) = await approved(desk, now)
    await change_accounts(desk)
    answering(line, *[refusal(10024)] * 100)
    for second in range(0, 70, 3):
        await run(live("w"), now + timedelta(seconds=second))
    ended = await order(desk, order_id)
    assert ended.status in ("rejected", "expired") and await line.fills() == 0


@pytest.mark.parametrize("retcode", [10011, 10012, 10031, 10008])
async def test_an_answer_that_leaves_it_open_is_no_answer(desk: Desk, line: TroubledLine, live: Any, now: datetime,
                                                         retcode: int) -> None:
    (order_id,) = await approved(desk, now)
    await change_accounts(desk)
    status = ResultStatus.PLACED if retcode == 10008 else ResultStatus.REJECTED
    answering(line, TradeResult(status, retcode, 5, None, None, None))
    await run(live("w"), now)
    assert (await order(desk, order_id)).status == "unknown"
    await run(live("w"), now + timedelta(minutes=2))
    ended = await order(desk, order_id)
    assert (ended.status, ended.reason) == ("expired", "not_executed") and line.calls["send"] == 1


async def test_the_reason_of_a_check_of_our_own_is_kept(desk: Desk, line: TroubledLine, live: Any,
                                                      now: datetime) -> None:
    (order_id,) = await approved(desk, now)
    await change_accounts(desk)
    answering(line, refusal(10013, "target_too_close"))
    await run(live("w"), now)
    refused = await order(desk, order_id)
    assert (refused.status, refused.reason, refused.retcode, refused.error) == (
        "rejected", "target_too_close", 10013, "No.")


@pytest.mark.parametrize("call", ["account", "send"])
async def test_a_link_that_is_broken_for_good_is_marked(desk: Desk, line: TroubledLine, live: Any, now: datetime,
                                                      call: str) -> None:
    (order_id,) = await approved(desk, now)
    await change_accounts(desk)
    line.before[call] = GatewayError("wrong_password", "No.", permanent=True)
    await run(live("w"), now)
    failed = await order(desk, order_id)
    assert (failed.status, failed.reason) == ("failed", "wrong_password")
    async with desk.database.reading() as session:
        account = await session.get_one(Account, failed.account_id)
    assert (account.status, account.trouble) == ("broken", "wrong_password")


async def test_one_order_at_a_time_for_each_account_whoever_asks(desk: Desk, line: TroubledLine, executor: Any,
                                                               now: datetime) -> None:
    ids = await approved(desk, now, users=6)
    async with desk.database.writing() as session:
        first = await session.get_one(Order, ids[0])
        await session.execute(update(Order).where(Order.id.in_(ids[:4])).values(account_id=first.account_id))
    takes = await asyncio.gather(*(executor(f"w{n}").take(now, 10) for n in range(5)))
    taken = [lease for leases in takes for lease in leases]
    assert sorted(lease.order.id for lease in taken) == [ids[0], ids[4], ids[5]]
    seen = []
    for lease in taken:
        await executor(lease.order.lease_owner or "").execute(lease, now)
    for owner in ("w1", "w2", "w3", "w4"):
        leases = await executor(owner).take(now, 10)
        seen += [lease.order.id for lease in leases]
        for lease in leases:
            await executor(owner).execute(lease, now)
    assert seen == ids[1:4]


async def test_orders_that_nobody_here_executes_end_in_time(desk: Desk, line: TroubledLine, executor: Any,
                                                          now: datetime) -> None:
    (order_id,) = await approved(desk, now)
    async with desk.database.writing() as session:
        await session.execute(update(Account).values(route="device"))
    pushed = Executor(desk.database, desk.gateways, desk.execution_rules, "w")
    assert await pushed.take(now, 10) == []
    for moment, done in ((now + timedelta(seconds=59), 0), (now + timedelta(seconds=60), 1)):
        async with desk.database.writing() as session:
            assert await orders.is_overdue(session, ["paper"], moment) == bool(done)
            assert await orders.expire_unsent(session, ["paper"], moment, 100) == done
            assert await orders.expire_unsent(session, ["paper", "device"], moment, 100) == 0
    ended = await order(desk, order_id)
    assert (ended.status, ended.reason) == ("expired", "not_executed_in_time")
    async with desk.database.reading() as session:
        edit = (await session.scalars(select(OutboxItem).where(OutboxItem.kind == OutboxKind.EDIT))).one()
    assert edit.next_try_at == now + timedelta(seconds=60), "its card says so"


async def test_terminals_that_hang_hold_up_their_own_orders_only(desk: Desk, line: TroubledLine,
                                                                now: datetime) -> None:
    ids = await approved(desk, now, users=6)
    await change_accounts(desk)
    async with desk.database.reading() as session:
        logins = list(await session.scalars(select(Account.login).order_by(Account.id)))
    original, free = line.account, asyncio.Event()

    async def account(ref: Any) -> Any:
        if ref.login != logins[-1]:
            await free.wait()
        return await original(ref)

    line.account = account  # type: ignore[method-assign]
    desk = replace(desk, gateways={"terminal": line})
    loop = asyncio.create_task(background.run_orders(desk, 2))
    try:
        async with asyncio.timeout(20):
            while (await order(desk, ids[-1])).status != "filled":
                await asyncio.sleep(0.05)
            assert {(await order(desk, order_id)).status for order_id in ids[:-1]} == {"leased"}
            free.set()
            while {(await order(desk, order_id)).status for order_id in ids} != {"filled"}:
                await asyncio.sleep(0.05)
    finally:
        free.set()
        desk.supervisor.stopping.set()
        await asyncio.wait_for(loop, 90)
    assert line.calls["send"] == 6


async def test_an_order_whose_time_runs_out_while_its_terminal_starts_is_not_sent(desk: Desk, line: TroubledLine,
                                                                                 live: Any, now: datetime) -> None:
    (order_id,) = await approved(desk, now)
    await change_accounts(desk)
    async with desk.database.writing() as session:
        await session.execute(update(Order).values(expires_at=now + timedelta(seconds=1)))
    line.first["account"] = lambda: asyncio.sleep(1.1)
    await run(live("w"), now)
    ended = await order(desk, order_id)
    assert (ended.status, ended.reason) == ("expired", "not_executed_in_time") and line.calls["send"] == 0


async def test_an_order_is_under_lease_from_when_it_is_sent(desk: Desk, line: TroubledLine, live: Any,
                                                          now: datetime) -> None:
    """However long its terminal took to start: it is looked for as long after it was sent."""
    (order_id,) = await approved(desk, now)
    await change_accounts(desk)
    line.first["account"] = lambda: asyncio.sleep(1.1)
    seen: list[tuple[datetime | None, datetime | None]] = []

    async def note(request: OrderRequest) -> None:
        sent = await order(desk, order_id)
        seen.append((sent.sent_at, sent.lease_until))

    line.on_send = note
    await run(live("w"), now)
    [(sent_at, lease_until)] = seen
    assert sent_at is not None and sent_at >= now + timedelta(seconds=1) and lease_until == sent_at + LEASE


async def test_a_link_that_breaks_while_its_order_is_prepared_sends_nothing(desk: Desk, line: TroubledLine, live: Any,
                                                                          now: datetime) -> None:
    """Somebody else may have linked the same broker account by then."""
    (order_id,) = await approved(desk, now)
    await change_accounts(desk)
    line.first["account"] = lambda: change_accounts(desk, status="broken")
    await run(live("w"), now)
    assert (await order(desk, order_id)).status == "leased" and line.calls["send"] == 0
    await run(live("w"), now + LEASE)
    assert (await order(desk, order_id)).reason == "account_broken" and line.calls["send"] == 0


async def test_a_broken_link_does_not_ask_the_terminal_of_whoever_has_the_account_now(
        desk: Desk, line: TroubledLine, live: Any, now: datetime) -> None:
    (order_id,) = await approved(desk, now)
    await change_accounts(desk, status="broken")
    async with desk.database.writing() as session:
        await session.execute(update(Order).values(status="unknown", sent_at=now, magic=orders.new_magic()))
    await run(live("w"), now)
    lost = await order(desk, order_id)
    assert (lost.status, lost.error) == ("unknown", "account_broken") and line.calls["find"] == 0
