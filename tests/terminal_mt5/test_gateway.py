"""The gateway over its pool: signing in, giving up, making room, remembering."""

import asyncio
import gc
import os
import signal
import sys
from datetime import UTC, datetime
from decimal import Decimal
from types import FrameType

import pytest

from terminal.mt5.directory import name_of
from terminal.mt5.gateway import Shelf
from terminal.protocol import AccountRef, Gateway, PasswordGateway, Side
from tests.terminal_mt5.desk_side import PASSWORD, Clock, DeskSide, eventually, workers_of, workers_told_of
from tests.terminal_mt5.test_supervisor import OTHER, REF, failure

WRONG = {"error": {"code": "wrong_password", "detail": "The broker refuses the password.", "permanent": True}}


async def test_it_is_the_gateway_the_services_know(side: DeskSide) -> None:
    gateway = side.gateway()
    assert isinstance(gateway, PasswordGateway)
    known: Gateway = gateway
    assert (known.route, known.resends_safely, known.executes) == ("terminal", False, True)
    assert await gateway.deals(REF, datetime.now(UTC)) == () and await gateway.orders(REF) == ()
    assert await gateway.find(REF, 5, datetime.now(UTC)) is None
    assert await gateway.loss_at(REF, "EURUSD", Side.BUY, Decimal(1), Decimal(1), Decimal(2)) == Decimal("-12.50")


@pytest.mark.parametrize("answer", ["NaN", "1e5", "-", "", 12.5, "١", {}])
async def test_an_amount_that_is_none_is_a_bad_answer(side: DeskSide, answer: object) -> None:
    side.tell("11", loss={"answer": answer})
    error = await failure(side.gateway().loss_at(REF, "EURUSD", Side.BUY, Decimal(1), Decimal(1), Decimal(2)))
    assert error.code == "bad_answer"


async def test_a_verified_terminal_is_kept_for_the_account(side: DeskSide) -> None:
    gateway = side.gateway()
    snapshot = await gateway.verify(REF, "new-password")
    assert (snapshot.login, snapshot.server) == ("11", "Broker-Live")
    (worker,) = workers_of(side)
    assert (await gateway.account(REF)).login == "11"
    assert workers_of(side) == [worker] and side.asked_for_passwords == 0 and side.done("11", "open") == ["open"]


async def test_a_wrong_password_at_verifying_leaves_a_running_terminal_alone(side: DeskSide) -> None:
    gateway = side.gateway()
    await gateway.account(REF)
    (worker,) = workers_of(side)
    side.tell("11", open=WRONG)
    for _ in range(3):
        error = await failure(gateway.verify(REF, "guessed"))
        assert (error.code, error.permanent) == ("wrong_password", True)
    assert workers_of(side) == [worker] and (await gateway.account(REF)).login == "11"
    assert [path.name for path in side.base.iterdir()] == [name_of(REF)]


async def test_verifying_anew_replaces_the_running_terminal(side: DeskSide) -> None:
    gateway = side.gateway()
    await gateway.account(REF)
    (former,) = workers_of(side)
    await gateway.verify(REF, "changed")
    await eventually(lambda: former not in workers_of(side))
    (kept,) = workers_of(side)
    assert (await gateway.account(REF)).login == "11" and workers_of(side) == [kept]
    # What verified terminals ran in goes with them; the next one runs in the account's own directory again.
    os.kill(kept, signal.SIGKILL)
    await eventually(lambda: [path.name for path in side.base.iterdir()] == [name_of(REF)])
    side.clock.now += 100
    assert (await gateway.account(REF)).login == "11"


async def test_verifying_may_leave_the_running_terminal_as_it_is(side: DeskSide) -> None:
    gateway = side.gateway()
    await gateway.account(REF)
    running = workers_of(side)
    assert (await gateway.verify(REF, "an investor's", keep=False)).login == "11"
    assert workers_of(side) == running and [path.name for path in side.base.iterdir()] == [name_of(REF)]


async def test_a_verified_terminal_goes_by_the_names_its_account_is_linked_under(side: DeskSide) -> None:
    gateway = side.gateway()
    side.tell("11", named=REF.server)
    await gateway.verify(AccountRef("11", "BROKER-live"), "right")
    (worker,) = workers_of(side)
    os.kill(worker, signal.SIGKILL)
    await eventually(lambda: not list(side.base.iterdir()))
    side.clock.now += 100
    await gateway.account(REF)
    assert side.asked_about == [REF]


async def test_an_answer_for_another_account_is_told_and_not_kept(side: DeskSide) -> None:
    gateway = side.gateway()
    side.tell("11", open="stranger")
    assert (await gateway.verify(REF, "right")).login == "999"
    assert workers_of(side) == []


async def test_a_password_that_has_become_wrong_is_not_tried_again(side: DeskSide) -> None:
    gateway = side.gateway()
    side.tell("11", open=WRONG)
    for _ in range(4):
        error = await failure(gateway.account(REF))
        assert (error.code, error.permanent, error.retryable) == ("wrong_password", True, False)
        side.clock.now += 1_000
    assert side.done("11", "open") == ["open"]  # the broker was asked once
    del error
    gc.collect()
    assert not [kept for kept in gc.get_objects() if type(kept) is FrameType and PASSWORD in kept.f_locals.values()]
    side.tell("11")
    await gateway.verify(REF, "corrected")
    assert (await gateway.account(REF)).login == "11"


async def test_forgetting_stops_the_terminal_and_its_breaker_and_its_directory(side: DeskSide) -> None:
    gateway = side.gateway()
    side.tell("11", open=WRONG)
    await failure(gateway.account(REF))
    await gateway.account(OTHER)
    await gateway.forget(REF)
    await gateway.forget(OTHER)
    assert workers_of(side) == [] and list(side.base.iterdir()) == [] and side.done("22")[-1] == "shutdown"
    side.tell("11")
    assert (await gateway.account(REF)).login == "11"


async def test_the_breaker_opens_probes_and_closes(side: DeskSide) -> None:
    gateway = side.gateway()
    side.tell("11", positions="die")
    for _ in range(5):
        assert (await failure(gateway.positions(REF))).code == "terminal_lost"
        assert (await failure(gateway.positions(REF))).code == "terminal_away"
        side.clock.now += 11 if side.clock.now < 1_040 else 0
    asked = len(side.done("11"))
    side.clock.now += 59
    assert (await failure(gateway.positions(REF))).code == "terminal_away" and len(side.done("11")) == asked
    side.clock.now += 20
    side.tell("11", account="die")
    assert (await failure(gateway.positions(REF))).code == "terminal_lost"
    assert side.done("11")[asked:] == ["open", "account"]  # the probe failed, the question was not put
    side.clock.now += 59
    assert (await failure(gateway.positions(REF))).code == "terminal_away"
    side.clock.now += 20
    side.tell("11")
    assert await gateway.positions(REF) == ()
    assert side.done("11")[asked + 2:] == ["open", "account", "positions"]
    side.tell("11", positions="die")
    await failure(gateway.positions(REF))
    side.clock.now += 2  # after a success the pauses begin at a second again
    side.tell("11")
    assert await gateway.positions(REF) == ()


async def test_a_terminal_that_is_not_installed_may_be_installed(side: DeskSide) -> None:
    gateway = side.gateway()
    program = next(side.template.iterdir())
    program.rename(side.template / "elsewhere")
    assert (await failure(gateway.account(REF))).code == "terminal_missing"
    (side.template / "elsewhere").rename(program)
    side.clock.now += 2
    assert (await gateway.account(REF)).login == "11"


async def test_terminals_start_one_after_the_other(side: DeskSide) -> None:
    gateway = side.gateway(start_every_seconds=2.0)
    refs = [AccountRef(str(login), "Broker-Live") for login in (1, 2, 3)]
    await asyncio.gather(*(gateway.account(ref) for ref in refs), gateway.verify(OTHER, "x"))
    assert sorted(side.clock.slept) == [2.0, 4.0, 6.0]


async def test_one_that_is_idle_makes_room_for_another(side: DeskSide) -> None:
    gateway = side.gateway(terminals=2)
    third = AccountRef("33", "Broker-Live")
    await gateway.account(REF)
    side.clock.now += 5
    await gateway.account(OTHER)
    error = await failure(gateway.account(third))
    assert (error.code, error.retryable) == ("terminal_busy", True)  # neither has been idle for long
    assert (await failure(gateway.verify(third, "x"))).code == "terminal_busy"
    side.clock.now += 60
    assert (await gateway.account(third)).login == "33"
    assert side.done("11")[-1] == "shutdown" and side.done("22")[-1] == "account" and len(workers_of(side)) == 2
    side.clock.now += 60
    assert (await gateway.account(REF)).login == "11" and side.done("22")[-1] == "shutdown"
    for _ in range(10):  # places are given back whatever happens in them
        side.tell("44", open="die")
        await failure(gateway.verify(AccountRef("44", "Broker-Live"), "x"))
        side.clock.now += 60
    assert (await gateway.account(OTHER)).login == "22" and len(workers_of(side)) <= 2


async def test_one_that_works_gives_way_to_nobody(side: DeskSide) -> None:
    gateway = side.gateway(terminals=1)
    side.tell("11", account={"sleep": 0.5})
    working = asyncio.create_task(gateway.account(REF))
    await side.until("11", "account")
    side.clock.now += 1_000
    assert (await failure(gateway.account(OTHER))).code == "terminal_busy"
    assert (await working).login == "11"


async def test_an_old_terminal_is_started_anew_when_it_is_idle(side: DeskSide) -> None:
    gateway = side.gateway(recycle_seconds=100)
    await gateway.account(REF)
    (former,) = workers_of(side)
    side.clock.now += 99
    await gateway.account(REF)
    assert workers_of(side) == [former]
    side.clock.now += 2
    await gateway.account(REF)  # this one is still served by it
    await eventually(lambda: former not in workers_of(side))
    assert (await gateway.account(REF)).login == "11" and side.done("11", "shutdown") == ["shutdown"]


async def test_too_many_signings_in_at_once_are_refused(side: DeskSide) -> None:
    gateway = side.gateway(verifications=2)
    side.tell("11", open={"sleep": 0.4})
    trying = [asyncio.create_task(gateway.verify(REF, "x")) for _ in range(2)]
    await asyncio.sleep(0)
    assert (await failure(gateway.verify(OTHER, "x"))).code == "terminal_busy"
    await asyncio.gather(*trying)
    assert (await gateway.verify(OTHER, "x")).login == "22"
    await eventually(lambda: len(workers_of(side)) == 2)


async def test_a_signing_in_that_is_given_up_leaves_nothing(side: DeskSide) -> None:
    gateway = side.gateway()
    side.tell("11", open="hang")
    trying = asyncio.create_task(gateway.verify(REF, "x"))
    await side.until("11", "open")
    trying.cancel()
    await asyncio.gather(trying, return_exceptions=True)
    assert trying.cancelled() and workers_of(side) == [] and list(side.base.iterdir()) == []


async def test_signings_in_end_with_the_desk(side: DeskSide) -> None:
    gateway = side.gateway()
    side.tell("11", open="hang")
    trying = asyncio.create_task(failure(gateway.verify(REF, "x")))
    await side.until("11", "open")
    await gateway.close_all()
    assert (await trying).code == "terminal_away" and workers_of(side) == []


async def test_symbols_are_remembered_and_prices_are_not(side: DeskSide) -> None:
    gateway = side.gateway()
    for _ in range(3):
        assert (await gateway.symbol(REF, "EURUSD")) is not None
        assert len(await gateway.symbols(REF)) == 300
        await gateway.tick(REF, "EURUSD")
        assert await gateway.symbol(REF, "NONE") is None
    assert len(side.done("11", "symbol")) == 1 + 3 and len(side.done("11", "symbols")) == 1
    assert len(side.done("11", "tick")) == 3
    await gateway.symbol(OTHER, "EURUSD")
    assert len(side.done("22", "symbol")) == 1
    side.clock.now += 601
    await gateway.symbol(REF, "EURUSD")
    await gateway.symbols(REF)
    assert len(side.done("11", "symbol")) == 5 and len(side.done("11", "symbols")) == 1
    side.clock.now += 3_601
    await gateway.symbols(REF)
    assert len(side.done("11", "symbols")) == 2
    await gateway.verify(REF, "x")
    await gateway.symbol(REF, "EURUSD")
    assert len(side.done("11", "symbol")) == 6


def test_a_shelf_is_never_fuller_than_it_may_be() -> None:
    shelf: Shelf[int] = Shelf(3, 10.0, Clock())
    for number in range(100):
        shelf.put(number, REF, number)
    assert [number for number in range(100) if shelf.get(number) is not None] == [97, 98, 99]
    shelf.clear(REF)
    assert shelf.get(99) is None


async def test_desks_that_are_killed_leave_no_workers(side: DeskSide) -> None:
    code = ("import asyncio, sys; from pathlib import Path\n"
            "from tests.terminal_mt5.desk_side import DeskSide; from terminal.protocol import AccountRef\n"
            "async def main():\n"
            "    side = DeskSide(Path(sys.argv[1])); side.tell('1', positions='hang')\n"
            "    gateway = side.gateway(call_seconds=60.0); await gateway.account(AccountRef('2', 'B'))\n"
            "    await gateway.positions(AccountRef('1', 'B'))\n"
            "asyncio.run(main())\n")
    told = side.folder / "other" / "stand-in"
    desk = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(told.parent))
    try:
        await eventually(lambda: (told / "1.log").exists() and "positions" in (told / "1.log").read_text())
        assert len(workers_told_of(told)) == 2
    finally:
        desk.kill()
        await desk.wait()
    await eventually(lambda: not workers_told_of(told))
