"""Somebody between the Expert and the desk: old answers, forged ones, none at all, and a desk that is busy or away."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from models.device import DeviceAck
from tests.ea.desk.between import Cut, Passing, problem
from tests.ea.desk.stage import Room, room, signal, trading
from tests.ea.terminal import opened
from tests.webapp.conftest import Door

PLAIN = {"InpEncrypt": False}
NOT_THE_DESKS = "An answer was not the desk's and was ignored."


async def polls_more(made: Room, times: int = 2) -> None:
    """Wait for so many more polls."""
    before = made.line.count("poll")

    async def has() -> bool:
        return made.line.count("poll") >= before + times

    await made.until("it polls on", has)


def has_order(passing: Passing) -> bool:
    return passing.name == "poll" and passing.status == 200


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "signed"])
async def test_an_old_answer_is_no_answer_to_a_new_question(door: Door, expert: Path, tmp_path: Path,
                                                            sealed: bool) -> None:
    """An offer that was held back and comes later, to each poll, is the desk's own words and executed by nobody."""
    async with trading(door, expert, tmp_path, inputs={"InpEncrypt": sealed}) as made:
        held: list[Passing] = []

        async def hold(passing: Passing) -> Passing:
            if has_order(passing) and not held:
                held.append(passing)
                raise Cut
            return passing

        async def repeat(passing: Passing) -> Passing | None:
            return replace(held[0], path=passing.path) if held and passing.name == "poll" else None

        made.line.after, made.line.before = hold, repeat
        order_id = await made.approve(**signal(made.broker))
        await made.shows(NOT_THE_DESKS)
        await polls_more(made)
        assert not opened(made.broker) and made.line.count("begin") == 0
        # Without that somebody everything goes its way.
        made.line.after = made.line.before = None
        await made.lapse(order_id)
        order = await made.becomes(order_id, "filled")
        assert opened(made.broker) == {order.magic: 1}


def changed(how: str, passing: Passing) -> Passing:
    headers = dict(passing.answered)
    if how == "another signature":
        headers["X-Signature"] = headers["X-Signature"][:-1] + ("0" if headers["X-Signature"][-1] != "0" else "1")
    elif how == "no signature":
        del headers["X-Signature"]
    elif how == "upper case":
        headers["X-Signature"] = headers["X-Signature"].upper()
    elif how == "more lots":
        return replace(passing, answer=passing.answer.replace(b'"volume":"0.10"', b'"volume":"9.10"'))
    elif how == "another status":
        return replace(passing, status=203)
    elif how == "one byte more":
        return replace(passing, answer=passing.answer + b" ")
    return replace(passing, answered=headers)


@pytest.mark.parametrize("how", ["another signature", "no signature", "upper case", "more lots", "another status",
                                 "one byte more"])
async def test_what_is_not_the_desks_is_not_acted_on(door: Door, expert: Path, tmp_path: Path, how: str) -> None:
    async with trading(door, expert, tmp_path, inputs=PLAIN) as made:
        async def forge(passing: Passing) -> Passing:
            return changed(how, passing) if has_order(passing) else passing

        made.line.after = forge
        order_id = await made.approve(**signal(made.broker))
        await made.shows(NOT_THE_DESKS)
        assert not opened(made.broker) and made.line.count("begin") == 0
        made.line.after = None
        await made.lapse(order_id)
        await made.becomes(order_id, "filled")


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "signed"])
async def test_a_forged_yes_to_begin_sends_nothing(door: Door, expert: Path, tmp_path: Path, sealed: bool) -> None:
    """The desk says no, somebody says yes."""
    async with trading(door, expert, tmp_path, inputs={"InpEncrypt": sealed}) as made:
        async def yes(passing: Passing) -> Passing | None:
            if passing.name != "begin":
                return None
            body = json.dumps({"order_id": str(order_id), "expires_at": "2999-01-01T00:00:00Z"}).encode()
            return replace(passing, status=200, answered={"Content-Type": "application/json"}, answer=body)

        made.line.before = yes
        order_id = await made.approve(**signal(made.broker))
        await made.shows("the desk did not answer, not sent")
        await polls_more(made)
        assert not opened(made.broker)
        made.line.before = None
        await made.terminal.tell("advance 12000")  # it looks at the broker's before it asks again
        await made.lapse(order_id)
        order = await made.becomes(order_id, "filled")
        assert opened(made.broker) == {order.magic: 1}


async def test_a_begin_that_does_not_arrive_costs_no_order(door: Door, expert: Path, tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path) as made:
        async def cut(passing: Passing) -> Passing | None:
            if passing.name == "begin" and made.line.count("begin") == 0:
                made.line.seen.append(passing)
                raise Cut
            return None

        made.line.before = cut
        order_id = await made.approve(**signal(made.broker))
        await made.shows("the desk did not answer, not sent")
        assert (await made.order(order_id)).status == "leased"
        await made.terminal.tell("advance 12000")
        await made.lapse(order_id)
        order = await made.becomes(order_id, "filled")
        assert opened(made.broker) == {order.magic: 1}


async def test_a_begin_whose_answer_is_lost_is_never_sent(door: Door, expert: Path, tmp_path: Path) -> None:
    """Nobody knows whether the desk was heard; it was, so the order is looked for, and not found."""
    async with trading(door, expert, tmp_path) as made:
        async def cut(passing: Passing) -> Passing:
            if passing.name == "begin":
                raise Cut
            return passing

        made.line.after = cut
        order_id = await made.approve(**signal(made.broker))
        await made.shows("the desk did not answer, not sent")
        await made.becomes(order_id, "sent", "unknown")
        await made.lapse(order_id)
        await polls_more(made)  # the desk offers it once more, to be looked for
        await made.terminal.tell("advance 40000")
        order = await made.becomes(order_id, "failed")
        assert order.reason == "not_executed" and not opened(made.broker)
        assert made.line.count("begin") == 1


@pytest.mark.parametrize("where", ["before", "after"])
async def test_what_became_of_it_is_told_until_it_is_heard(door: Door, expert: Path, tmp_path: Path,
                                                           where: str) -> None:
    async with trading(door, expert, tmp_path) as made:
        left = [3]

        async def cut(passing: Passing) -> Passing:
            if passing.name == "ack" and left[0] > 0:
                left[0] -= 1
                raise Cut
            return passing

        async def cut_before(passing: Passing) -> Passing | None:
            await cut(passing)
            return None

        if where == "before":
            made.line.before = cut_before
        else:
            made.line.after = cut
        order_id = await made.approve(**signal(made.broker))
        order = await made.becomes(order_id, "filled")

        async def heard() -> bool:
            await made.terminal.tell("advance 2000")
            return left[0] == 0 and made.line.count("ack") == (1 if where == "before" else 4)

        await made.until("it was told as often as it took", heard)
        assert opened(made.broker) == {order.magic: 1}
        async with door.desk.database.reading() as session:
            [ack] = await session.scalars(select(DeviceAck))
        assert (ack.status, ack.is_late) == ("filled", False)


@pytest.mark.parametrize(("status", "seconds"), [(429, 30), (503, 30)])
async def test_a_busy_desk_is_left_alone(door: Door, expert: Path, tmp_path: Path, status: int, seconds: int) -> None:
    async with trading(door, expert, tmp_path) as made:
        answer = problem(status, Retry_After=str(seconds))

        async def busy(passing: Passing) -> Passing | None:
            return answer(passing)

        made.line.before = busy
        before = len(made.line.seen)

        async def asked() -> bool:
            return len(made.line.seen) > before

        await made.until("it asks once", asked)
        made.line.before = None
        order_id = await made.approve(**signal(made.broker))
        await asyncio.sleep(3)
        assert len(made.line.seen) == before + 1
        await made.terminal.tell(f"advance {seconds * 1000}")
        await made.becomes(order_id, "filled")


async def test_a_desk_that_is_away_is_asked_more_and_more_seldom(door: Door, expert: Path, tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path) as made:
        async def away(passing: Passing) -> Passing | None:
            made.line.seen.append(passing)
            raise Cut

        made.line.before = away
        await made.shows("PROBLEM: The desk cannot be reached.")
        before = len(made.line.seen)
        for _ in range(60):
            await made.terminal.tell("advance 1000")
            await asyncio.sleep(0.05)
        # Up to a minute apart, and at least half of what it would be: some five or ten times in that minute.
        assert 1 <= len(made.line.seen) - before <= 12
        made.line.before = None
        await made.terminal.tell("advance 60000")
        await made.shows("OK: the desk answers")


async def test_a_device_the_desk_does_not_know_slows_down_and_says_so(door: Door, expert: Path,
                                                                      tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path) as made:
        [device] = (await made.call("GET", "/devices"))[1]["items"]
        status, _ = await made.call("POST", f"/devices/{device['id']}/revoke")
        assert status in (200, 204)
        await made.shows("PROBLEM: The desk does not know this device or secret (401).")
        synced = made.line.count("time")
        await asyncio.sleep(3)
        refused = [one for one in made.line.seen if one.status == 401]
        assert len(refused) == 2 and made.line.count("time") <= synced + 1
        await made.terminal.tell("advance 61000")

        async def asked_again() -> bool:
            return sum(one.status == 401 for one in made.line.seen) == 3

        await made.until("a minute later it asks again", asked_again)


@pytest.mark.parametrize("skew", [7200, -7200])
async def test_a_wrong_clock_of_the_computer_changes_nothing(door: Door, expert: Path, tmp_path: Path,
                                                             skew: int) -> None:
    async with trading(door, expert, tmp_path, skew_seconds=skew) as made:
        first = await made.becomes(await made.approve(**signal(made.broker)), "filled")
        await made.terminal.tell(f"skew {-skew}")  # and somebody sets it, to something as wrong
        second = await made.becomes(await made.approve(**signal(made.broker)), "filled")
        assert opened(made.broker) == {first.magic: 1, second.magic: 1}
        assert not [one for one in made.line.seen if one.status == 401]
        assert "s ahead of the desk" in await made.shown()


async def test_a_clock_that_runs_wrong_is_set_again(door: Door, expert: Path, tmp_path: Path) -> None:
    """The computer slept: its ticks stood still, or jumped. The desk does not take the time, and is asked for it."""
    async with trading(door, expert, tmp_path) as made:
        synced = made.line.count("time")
        await made.terminal.tell("jump 500000")
        order_id = await made.approve(**signal(made.broker))
        await made.becomes(order_id, "filled")
        assert made.line.count("time") > synced


async def test_an_address_that_the_terminal_does_not_allow(door: Door, expert: Path, tmp_path: Path) -> None:
    async with room(door, expert, tmp_path, allowed_urls="https://another.example") as made:
        await made.register()
        await made.terminal.start()
        await made.shows("PROBLEM: the terminal may not ask the desk yet, see below")
        shown = await made.shown()
        assert "Tools > Options > Expert Advisors > Allow WebRequest" in shown and "add https://desk.example" in shown
        assert not made.line.seen


async def test_headers_in_lower_case(door: Door, expert: Path, tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path, settings={"EA_LOWER_HEADERS": "1"}) as made:
        await made.becomes(await made.approve(**signal(made.broker)), "filled")


# -- sealed ------------------------------------------------------------------------------------------------------


async def test_nothing_of_an_order_can_be_read_on_the_way(door: Door, expert: Path, tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path) as made:
        await made.becomes(await made.approve(**signal(made.broker)), "filled")
        passed = [one for one in made.line.seen if one.name != "time"]
        assert passed and all("envelope=v1&counter=" in one.path for one in passed)
        carried = b"".join(one.body + one.answer for one in passed)
        assert b"EURUSD" not in carried and b"order_id" not in carried and b"5000001" not in carried


async def test_a_plain_answer_to_a_sealed_request_is_refused(door: Door, expert: Path, tmp_path: Path) -> None:
    """Also one that is signed: whoever has taken the envelope away may have put something else in."""
    async with trading(door, expert, tmp_path) as made:
        async def unsealed(passing: Passing) -> Passing | None:
            """The desk itself answers a request that was never sealed, to the same nonce."""
            if passing.name != "poll":
                return None
            status, raw, headers = await door.call("GET", "/api/v1/ea/time")
            return replace(passing, status=status, answered=dict(headers), answer=json.dumps(raw).encode())

        made.line.before = unsealed
        await made.shows(NOT_THE_DESKS)
        made.line.before = None
        await made.shows("OK: the desk answers")


async def test_a_counter_that_was_used_already(door: Door, expert: Path, tmp_path: Path) -> None:
    """A copy of these files has counted further. The desk says how far, and it goes on from there."""
    async with trading(door, expert, tmp_path) as made:
        ahead = max(int(one.path.rpartition("=")[2]) for one in made.line.seen if "counter=" in one.path) + 500_000
        status, _, _ = await door.signed("GET", f"/api/v1/ea/poll?envelope=v1&counter={ahead}", made.device)
        assert status in (200, 204)
        order = await made.becomes(await made.approve(**signal(made.broker)), "filled")
        assert opened(made.broker) == {order.magic: 1}
        assert [one.status for one in made.line.seen].count(409) == 1


async def test_a_desk_that_wants_envelopes_says_so(door: Door, expert: Path, tmp_path: Path) -> None:
    async with trading(door, expert, tmp_path, inputs=PLAIN) as made:
        status, told = await made.call("PATCH", f"/devices/{made.device[0]}", {"requires_envelope": True})
        assert status == 200, told
        await made.shows("PROBLEM: The desk wants sealed requests: set Encrypt to true.")
        await made.terminal.stop()
        made.terminal.inputs = {**made.terminal.inputs, "InpEncrypt": True}
        await made.terminal.start()
        await made.shows("OK: the desk answers")
