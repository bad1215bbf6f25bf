"""Acts on positions: written before the terminal hears, done once however often they are asked for or interrupted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from models.account import Account
from models.approval import Door
from models.database import Database
from models.message import OutboxItem, OutboxKind
from models.position import ActKind, ActStatus, PositionAct
from services import accounts, acting, acts, recovery
from services.acting import GIVE_UP, LEASE, LOOK_AGAIN, RETRY, Actor
from services.desk import Desk
from services.errors import DomainError, NotFound, OrderRefused, PositionBusy, PositionClosed, TryLater
from terminal.paper.gateway import PaperGateway
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import GatewayError, OrderRequest, OrderType, Position, Side
from tests.services import stage
from tests.services.gateways import AWAY, BROKEN, NO_ANSWER, TroubledLine

D = Decimal
STOP, TARGET = D("1.06500"), D("1.08000")


@dataclass
class Trader:
    """A user with a position of 0.10 lots of euros on their paper account."""

    desk: Desk
    line: TroubledLine
    user_id: int
    account: Account
    ticket: int
    now: datetime

    async def close(self, volume: str | None = None) -> PositionAct:
        return self._caught_up(await acts.close(self.desk, self.user_id, self.account.id, self.ticket,
                                                None if volume is None else D(volume), Door.APP, self.now))

    async def modify(self, **levels: Decimal | None) -> PositionAct:
        return self._caught_up(await acts.modify(self.desk, self.user_id, self.account.id, self.ticket, levels,
                                                 Door.APP, self.now))

    def _caught_up(self, act: PositionAct) -> PositionAct:
        """The act, which took time on its own clock: what is counted from its end is counted from there."""
        self.now = max(self.now, act.updated_at)
        return act

    async def position(self) -> Position | None:
        held = await PaperGateway.positions(self.line, accounts.ref(self.account))
        return next((position for position in held if position.ticket == self.ticket), None)

    async def volume(self) -> Decimal:
        found = await self.position()
        return D(0) if found is None else found.volume

    async def loop(self, after: timedelta = timedelta(), owner: str = "heir") -> int:
        """What the loop does when it looks."""
        actor, moment = Actor(self.desk.database, self.desk.gateways, owner), self.now + after
        leased = await actor.take(moment, 50)
        for item in leased:
            await actor.go_on(item, moment)
        return len(leased)

    async def act(self) -> PositionAct:
        """The only act there is."""
        async with self.desk.database.reading() as session:
            return (await session.scalars(select(PositionAct))).one()

    async def told(self) -> list[dict[str, Any]]:
        async with self.desk.database.reading() as session:
            return [payload for payload in await session.scalars(
                select(OutboxItem.payload).where(OutboxItem.kind == OutboxKind.TEXT)) if payload is not None]


@pytest.fixture
async def trader(desk: Desk, quotes: QuoteFeed, now: datetime) -> Trader:
    quotes.set_price("EURUSD", *stage.EURUSD)
    line = TroubledLine(desk.database, quotes)
    desk = replace(desk, gateways={"paper": line})
    user_id = await stage.join(desk, now)
    async with desk.database.reading() as session:
        account = await accounts.primary(session, user_id)
    result = await line.send(accounts.ref(account), OrderRequest(
        7, "EURUSD", Side.BUY, OrderType.MARKET, D("0.10"), None, STOP, (TARGET,), "test", None))
    assert result.ticket is not None
    line.calls.clear()
    return Trader(desk, line, user_id, account, result.ticket, now)


async def test_a_position_is_closed_whole(trader: Trader) -> None:
    act = await trader.close()
    assert (act.status, act.kind, act.volume, act.price, act.retcode) == (
        "done", "close", D("0.10"), D("1.07000"), 10009)
    assert (act.lease_owner, act.lease_until, act.door, act.attempts) == (None, None, "app", 1)
    assert await trader.position() is None and trader.line.calls["close"] == 1
    assert await trader.told() == [], "whoever has waited has seen it"
    assert (await trader.close()).id == act.id, "a second tap on the heels of the first"
    trader.now += timedelta(seconds=3)
    with pytest.raises(PositionClosed):
        await trader.close()


async def test_a_part_is_closed_and_the_rest_stays(trader: Trader) -> None:
    act = await trader.close("0.04")
    assert (act.status, act.volume, act.position_volume) == ("done", D("0.04"), D("0.10"))
    assert await trader.volume() == D("0.06")
    assert (await trader.close("0.06")).status == "done" and await trader.volume() == 0


@pytest.mark.parametrize(("volume", "reason"), [
    ("0.11", "volume_above_open"), ("0", "volume_below_minimum"), ("-0.01", "volume_below_minimum"),
    ("0.015", "volume_not_in_steps"), ("0.06", "remainder_below_minimum")])
async def test_volumes_that_cannot_be_closed(trader: Trader, quotes: QuoteFeed, volume: str, reason: str) -> None:
    listing = quotes.listing("EURUSD")
    assert listing is not None
    quotes.relist(replace(listing, spec=replace(listing.spec, volume_min=D("0.05"))))
    with pytest.raises(OrderRefused) as caught:
        await trader.close(volume)
    assert caught.value.reason == reason and "Nothing was changed" in caught.value.detail
    assert trader.line.calls["close"] == 0 and await stage.count(trader.desk.database, PositionAct) == 0
    assert (await trader.close("0.05")).status == "done"


async def test_levels_are_moved_kept_and_taken_away(trader: Trader) -> None:
    moved = await trader.modify(stop_loss=D("1.066"))
    assert (moved.status, moved.stop_loss, moved.take_profit) == ("done", D("1.06600"), TARGET)
    await trader.modify(take_profit=None)
    position = await trader.position()
    assert position is not None and (position.stop_loss, position.take_profit) == (D("1.06600"), None)
    trader.now += timedelta(seconds=3)
    again = await trader.modify(take_profit=None)
    assert (again.status, again.retcode) == ("done", 10025), "asking for what is so already is no error"
    await trader.modify(stop_loss=D("1.066123"))
    position = await trader.position()
    assert position is not None and position.stop_loss == D("1.06612"), "to the broker's ticks"


async def test_levels_on_the_wrong_side_are_refused_by_the_broker(trader: Trader) -> None:
    act = await trader.modify(stop_loss=D("1.09000"))
    assert (act.status, act.reason, act.retcode) == ("refused", "rejected_by_terminal", 10016) and act.error
    position = await trader.position()
    assert position is not None and position.stop_loss == STOP
    assert (await trader.modify(stop_loss=D("1.06600"))).status == "done", "a refusal leaves nothing behind"


async def test_only_the_owner_acts_and_only_where_it_may_be(trader: Trader) -> None:
    stranger = await stage.join(trader.desk, trader.now)

    async def refusal(**changes: Any) -> DomainError:
        async with trader.desk.database.writing() as session:
            await session.execute(update(Account).where(Account.id == trader.account.id).values(**changes))
        with pytest.raises(DomainError) as caught:
            await trader.close()
        return caught.value

    with pytest.raises(NotFound):
        await acts.close(trader.desk, stranger, trader.account.id, trader.ticket, None, Door.APP, trader.now)
    with pytest.raises(PositionClosed):
        await acts.close(trader.desk, trader.user_id, trader.account.id, 999, None, Door.APP, trader.now)
    with pytest.raises(OrderRefused):
        await trader.modify()
    for changes, reason in [({"can_trade": False}, "view_only"), ({"status": "broken"}, "account_broken"),
                            ({"route": "device"}, "only_in_its_terminal")]:
        error = await refusal(**changes)
        assert isinstance(error, OrderRefused) and error.reason == reason
    assert isinstance(await refusal(unlinked_at=trader.now), NotFound)
    assert await trader.volume() == D("0.10")


async def test_whoever_has_no_plan_any_more_may_still_close(trader: Trader) -> None:
    async with trader.desk.database.writing() as session:
        await session.execute(update(Account).values(route="terminal"))
    desk = replace(trader.desk, gateways={"terminal": trader.line})
    later = replace(trader, desk=desk, now=trader.now + timedelta(days=400))
    assert (await later.close()).status == "done"


# -- taps at once ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("volume", [None, "0.04"])
async def test_taps_at_once_are_one_act(trader: Trader, volume: str | None) -> None:
    found = await asyncio.gather(*(trader.close(volume) for _ in range(12)), return_exceptions=True)
    assert {act.id for act in found if isinstance(act, PositionAct)} == {(await trader.act()).id}
    assert all(isinstance(act, PositionAct) for act in found)
    assert trader.line.calls["close"] == 1 and await trader.volume() == (D("0.06") if volume else 0)


async def test_a_tap_that_looked_before_the_first_was_done_does_nothing_more(trader: Trader) -> None:
    """It has seen 0.10 lots and no act; when it comes to write, the first tap has closed 0.04 of them and is over."""
    async def overtake() -> None:
        trader.line.then.clear()
        assert (await trader.close("0.04")).status == "done"

    trader.line.then["positions"] = overtake
    second = await trader.close("0.04")
    assert second.id == (await trader.act()).id and await trader.volume() == D("0.06")


async def test_a_tap_that_finds_the_position_closed_by_the_first_is_the_same_tap(trader: Trader) -> None:
    async def overtake() -> None:
        trader.line.first.clear()
        assert (await trader.close()).status == "done"

    trader.line.first["positions"] = overtake
    assert (await trader.close()).id == (await trader.act()).id and trader.line.calls["close"] == 1


async def test_another_act_on_a_busy_position_waits_its_turn(trader: Trader) -> None:
    busy = asyncio.Event()

    async def meanwhile() -> None:
        trader.line.first.clear()
        with pytest.raises(PositionBusy):
            await trader.modify(stop_loss=D("1.066"))
        with pytest.raises(PositionBusy):
            await trader.close("0.03")
        busy.set()

    trader.line.first["close"] = meanwhile
    assert (await trader.close("0.04")).status == "done" and busy.is_set()
    assert (await trader.modify(stop_loss=D("1.066"))).status == "done"


# -- when the terminal does not tell -----------------------------------------------------------------------------------


@pytest.mark.parametrize("was_done", [True, False])
@pytest.mark.parametrize("volume", [None, "0.04"])
async def test_a_close_without_an_answer_is_looked_up_and_never_repeated(trader: Trader, was_done: bool,
                                                                        volume: str | None) -> None:
    (trader.line.after if was_done else trader.line.before)["close"] = NO_ANSWER
    act = await trader.close(volume)
    assert (act.status, act.error) == ("unknown", "no_answer")
    assert (await trader.close(volume)).id == act.id, "the same tap again finds it"
    trader.line.after.clear()
    trader.line.before.clear()
    assert await trader.loop(RETRY - timedelta(seconds=1)) == 0
    await trader.loop(RETRY)
    assert (await trader.act()).status == ("done" if was_done else "unknown")
    await trader.loop(GIVE_UP + RETRY)
    ended = await trader.act()
    assert (ended.status, ended.reason) == (("done", None) if was_done else ("refused", "not_executed"))
    left = D("0.10") - (D(volume or "0.10") if was_done else 0)
    assert trader.line.calls["close"] == 1 and await trader.volume() == left
    (word,) = await trader.told()
    assert (word["template"], word["status"], word["kind"]) == ("act", ended.status, "close")
    assert await trader.loop(timedelta(hours=1)) == 0


@pytest.mark.parametrize("was_done", [True, False])
async def test_levels_without_an_answer_are_looked_up(trader: Trader, was_done: bool) -> None:
    (trader.line.after if was_done else trader.line.before)["modify"] = NO_ANSWER
    assert (await trader.modify(stop_loss=D("1.066"))).status == "unknown"
    await trader.loop(RETRY)
    await trader.loop(GIVE_UP + RETRY)
    ended = await trader.act()
    assert (ended.status, ended.reason) == (("done", None) if was_done else ("refused", "not_executed"))
    assert trader.line.calls["modify"] == 1


async def test_levels_of_a_position_that_was_stopped_out_meanwhile(trader: Trader, quotes: QuoteFeed) -> None:
    trader.line.before["modify"] = NO_ANSWER
    await trader.modify(stop_loss=D("1.066"))
    quotes.set_price("EURUSD", D("1.06400"), D("1.06408"))
    await trader.line.evaluate({"EURUSD"}, trader.now)
    await trader.loop(RETRY)
    ended = await trader.act()
    assert (ended.status, ended.reason) == ("refused", "position_closed")


@pytest.mark.parametrize("trouble", [AWAY, BROKEN, NO_ANSWER], ids=lambda error: error.code)
async def test_what_may_have_been_done_stays_open_until_the_terminal_tells(trader: Trader,
                                                                          trouble: GatewayError) -> None:
    trader.line.after["close"] = NO_ANSWER
    await trader.close()
    trader.line.before["positions"] = trouble
    for minutes in (1, 2, 3):
        await trader.loop(timedelta(minutes=minutes))
        assert (await trader.act()).status == "unknown" and await trader.told() == []
    trader.line.before.clear()
    await trader.loop(timedelta(minutes=3) + LOOK_AGAIN)
    assert (await trader.act()).status == "done" and trader.line.calls["close"] == 1


async def test_a_terminal_that_has_not_taken_it_is_asked_again(trader: Trader) -> None:
    trader.line.before["close"] = AWAY
    act = await trader.close()
    assert (act.status, act.error) == ("queued", "terminal_away")
    trader.line.before.clear()
    await trader.loop(RETRY)
    assert (await trader.act()).status == "done" and await trader.volume() == 0
    assert [word["status"] for word in await trader.told()] == ["done"]


async def test_a_terminal_that_stays_away_refuses_in_the_end(trader: Trader) -> None:
    trader.line.before["close"] = AWAY
    await trader.close()
    for seconds in range(2, 34, 2):
        await trader.loop(timedelta(seconds=seconds))
    ended = await trader.act()
    assert ended.status == "refused" and ended.reason in ("terminal_away", "not_executed_in_time")
    assert await trader.volume() == D("0.10")


async def test_a_terminal_that_cannot_be_asked_first_changes_nothing(trader: Trader) -> None:
    trader.line.before["positions"] = AWAY
    with pytest.raises(TryLater):
        await trader.close()
    assert await stage.count(trader.desk.database, PositionAct) == 0


async def test_a_link_that_is_broken_for_good_is_marked(trader: Trader) -> None:
    trader.line.before["positions"] = GatewayError("wrong_password", "No.", permanent=True)
    with pytest.raises(TryLater):
        await trader.close()
    async with trader.desk.database.reading() as session:
        account = await session.get_one(Account, trader.account.id)
    assert (account.status, account.trouble) == ("broken", "wrong_password")


async def test_a_door_does_not_wait_for_a_terminal_that_hangs(trader: Trader,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acts, "PATIENCE", timedelta(seconds=0.2))
    hangs = asyncio.Event()

    async def hang() -> None:
        await hangs.wait()

    trader.line.first["close"] = hang
    async with asyncio.timeout(5):
        act = await trader.close("0.04")
    assert act.status == "sent" and await trader.loop(LEASE - timedelta(seconds=1)) == 0
    hangs.set()
    async with asyncio.timeout(5):
        while (await trader.act()).status != "done":
            await asyncio.sleep(0.02)
    assert [word["status"] for word in await trader.told()] == ["done"], "the chat tells whom the door could not"
    assert trader.line.calls["close"] == 1 and await trader.volume() == D("0.06")


async def test_an_act_is_as_old_as_it_is_when_its_terminal_has_started(trader: Trader) -> None:
    """Its lease, and the time in which it may still show, begin when the terminal hears of it."""
    trader.line.first["positions"] = lambda: asyncio.sleep(1.1)
    seen: list[PositionAct] = []

    async def note() -> None:
        seen.append(await trader.act())
        await asyncio.sleep(1)

    trader.line.first["close"] = note
    asked_at = trader.now
    act = await trader.close("0.04")
    [begun] = seen
    assert begun.sent_at is not None and begun.created_at == begun.sent_at >= asked_at + timedelta(seconds=1)
    assert begun.lease_until == begun.sent_at + LEASE
    assert act.status == "done"
    assert act.updated_at >= begun.sent_at + timedelta(seconds=1), "a tap from then on is another one"


async def test_an_act_on_a_link_that_breaks_meanwhile_is_not_sent(trader: Trader) -> None:
    async def breaks() -> None:
        async with trader.desk.database.writing() as session:
            await session.execute(update(Account).values(status="broken"))

    trader.line.then["positions"] = breaks
    act = await trader.close()
    assert (act.status, act.sent_at) == ("queued", None) and trader.line.calls["close"] == 0


# -- where a process can die -------------------------------------------------------------------------------------------


async def _die_after_intent(trader: Trader, act_id: int) -> None:
    """Nothing but the intent was written."""


async def _die_before_asking(trader: Trader, act_id: int) -> None:
    async with trader.desk.database.writing() as session:
        assert await acting.mark_sent(session, act_id, "dead", D("0.10"), D("0.04"), trader.now)


async def _die_after_asking(trader: Trader, act_id: int) -> None:
    await _die_before_asking(trader, act_id)
    await trader.line.close(accounts.ref(trader.account), trader.ticket, D("0.04"))


Death = Callable[[Trader, int], Awaitable[None]]


@pytest.mark.parametrize(("die", "outcome"), [
    (_die_after_intent, "done"), (_die_before_asking, "refused"), (_die_after_asking, "done")])
@pytest.mark.parametrize("restarts", [True, False])
async def test_a_death_anywhere_closes_the_part_at_most_once(trader: Trader, die: Death, outcome: str,
                                                            restarts: bool) -> None:
    async with trader.desk.database.writing() as session:
        act_id = await session.scalar(insert(PositionAct).values(
            user_id=trader.user_id, account_id=trader.account.id, ticket=trader.ticket, symbol="EURUSD",
            kind=ActKind.CLOSE, door="app", status=ActStatus.QUEUED, position_volume=D("0.10"), volume=D("0.04"),
            attempts=0, lease_owner="dead", lease_until=trader.now + LEASE, next_try_at=trader.now,
            created_at=trader.now, updated_at=trader.now).returning(PositionAct.id))
    assert act_id is not None
    await die(trader, act_id)
    assert await trader.loop() == 0, "its lease is respected"
    ready = LEASE - timedelta(seconds=1) if not restarts else timedelta(seconds=1)
    if restarts:
        async with trader.desk.database.writing() as session:
            await recovery.release_leases(session, trader.now)
    else:
        assert await trader.loop(ready) == 0
        ready = LEASE
    # A lease that has run out by itself leaves no time to send what was never sent.
    expected = "refused" if die is _die_after_intent and not restarts else outcome
    await trader.loop(ready)
    for seconds in (35, 70):
        await trader.loop(timedelta(seconds=seconds))
    ended = await trader.act()
    assert ended.status == expected
    assert await trader.volume() == (D("0.06") if expected == "done" else D("0.10"))
    assert [word["status"] for word in await trader.told()] == [expected]


async def test_many_heirs_bring_an_act_to_one_end(trader: Trader) -> None:
    trader.line.before["close"] = AWAY
    await trader.close("0.04")
    trader.line.before.clear()
    await asyncio.gather(*(trader.loop(RETRY, owner=f"h{number}") for number in range(6)))
    assert (await trader.act()).status == "done" and await trader.volume() == D("0.06")
    assert trader.line.calls["close"] == 2 and len(await trader.told()) == 1


class Killed(BaseException):
    """Where it strikes nothing goes on."""


class Points:
    """Round every transaction: dies before it, inside it with everything done but the commit, or after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, moment: str) -> None:
        self.left, self.moment, self.has_struck = number, moment, False
        writing = Database.writing

        @asynccontextmanager
        async def watched(database: Database) -> AsyncIterator[Any]:
            self.left -= 1
            here = self.left == 0
            self._strike(here and moment == "before")
            async with writing(database) as session:
                yield session
                self._strike(here and moment == "inside")
            self._strike(here and moment == "after")

        monkeypatch.setattr(Database, "writing", watched)

    def _strike(self, now: bool) -> None:
        if now or self.has_struck:
            self.has_struck = True
            raise Killed


@pytest.mark.parametrize("moment", ["before", "inside", "after"])
@pytest.mark.parametrize("asked", ["part", "levels"])
async def test_killed_round_any_transaction_it_comes_to_one_end(trader: Trader, moment: str, asked: str) -> None:
    """The broker's own transaction is one of them, so its answer is lost before and after it was carried out too."""
    number, ends = 0, []
    while True:
        number += 1
        before, stop = await trader.volume(), D("1.06") + D(number).scaleb(-4)
        with pytest.MonkeyPatch.context() as patch:
            points = Points(patch, number, moment)
            work = trader.close("0.01") if asked == "part" else trader.modify(stop_loss=stop)
            task = asyncio.create_task(work)
            async with asyncio.timeout(5):
                while not task.done() and not points.has_struck:
                    await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.sleep(0.05)
        if not points.has_struck:
            break
        async with trader.desk.database.writing() as session:
            await recovery.release_leases(session, trader.now)
        for second in (1, 4, 35, 70):
            await trader.loop(timedelta(seconds=second))
        async with trader.desk.database.reading() as session:
            act = (await session.scalars(select(PositionAct).order_by(PositionAct.id.desc()).limit(1))).one_or_none()
        position = await trader.position()
        assert position is not None
        was_done = position.volume < before if asked == "part" else position.stop_loss == stop
        assert before - position.volume in (0, D("0.01"))
        if act is None or act.created_at != trader.now:
            assert not was_done, "nothing is done that was not written"
        else:
            assert (act.status == "done") == was_done and act.status in ("done", "refused")
            ends.append(act.status)
        trader.now += timedelta(minutes=5)
    assert number >= 5 and "done" in ends, (number, ends)
