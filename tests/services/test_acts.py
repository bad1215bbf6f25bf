"""Acts on positions: written before the terminal hears, done once however often they are asked for or interrupted."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import update

from models.account import Account
from models.approval import Door
from models.position import PositionAct
from services import acts
from services.acting import GIVE_UP, LEASE, LOOK_AGAIN, RETRY
from services.desk import Desk
from services.errors import DomainError, NotFound, OrderRefused, PositionBusy, PositionClosed, TryLater
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import GatewayError
from tests.services import stage
from tests.services.acts_stage import STOP, TARGET, Trader, opened
from tests.services.gateways import AWAY, BROKEN, NO_ANSWER

D = Decimal


@pytest.fixture
async def trader(desk: Desk, quotes: QuoteFeed, now: datetime) -> Trader:
    return await opened(desk, quotes, now)


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
    async with asyncio.timeout(60):
        act = await trader.close("0.04")
    assert act.status == "sent" and await trader.loop(LEASE - timedelta(seconds=1)) == 0
    hangs.set()
    async with asyncio.timeout(60):
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
