"""What becomes of orders after they were sent: nothing is over before it surely is."""

from collections.abc import Iterator

import pytest

from tests.ea.conftest import executable
from tests.ea.program import Program

LOOKING, WAITING, OPEN, OVER = 1, 2, 3, 4
PLACED, FILLED, CLOSED, REJECTED, FAILED = range(1, 6)
MARKET, LIMIT = 0, 1
CANCELED_BY, REJECTED_BY = 2, 5
AS_BEFORE = "as before"
HOUR = 3_600_000


@pytest.fixture(scope="module")
def follow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with Program(executable(tmp_path_factory, "asks_follow")) as running:
        yield running


def begun(follow: Program, state: int, *, kind: int = MARKET, volume: str = "0.2", at: int = 1000) -> None:
    assert follow.ask("begun", state, kind, volume, at, at + HOUR)


def followed(follow: Program, tick: int, *, opened: str = "0", closed: str = "0", positions: int = 0,
             waiting: str = "0", on_its_way: bool = False, ended: int = -1) -> str:
    """What a look at these traces makes of the order: its state, what is told, and the error; or nothing new."""
    answer = follow.ask("followed", tick, opened, closed, positions, waiting, int(on_its_way), ended)
    assert answer is not None
    return answer.decode()


def test_an_order_of_the_first_try_that_ended_says_nothing_of_the_second(follow: Program) -> None:
    begun(follow, LOOKING)
    assert followed(follow, 2000, ended=REJECTED_BY) == AS_BEFORE
    assert followed(follow, 20_000, ended=REJECTED_BY) == AS_BEFORE
    assert followed(follow, 21_000, ended=REJECTED_BY, opened="0.2", positions=1) == f"{OPEN} {FILLED} "


@pytest.mark.parametrize(("ended", "told"), [
    (REJECTED_BY, f"{OVER} {REJECTED} "), (CANCELED_BY, f"{OVER} {FAILED} cancelled"),
    (-1, f"{OVER} {FAILED} not_executed")])
def test_after_half_a_minute_without_any_other_trace_it_is_over(follow: Program, ended: int, told: str) -> None:
    begun(follow, LOOKING)
    assert followed(follow, 2000, ended=ended) == AS_BEFORE
    assert followed(follow, 31_999, ended=ended) == AS_BEFORE
    assert followed(follow, 32_000, ended=ended) == told


def test_what_waits_and_was_just_sent_may_not_be_shown_yet(follow: Program) -> None:
    begun(follow, WAITING, kind=LIMIT)
    assert followed(follow, 2000, ended=REJECTED_BY) == AS_BEFORE
    assert followed(follow, 31_000, ended=CANCELED_BY) == f"{OVER} {FAILED} cancelled"


@pytest.mark.parametrize(("state", "seconds", "told"), [
    (LOOKING, 30, f"{OVER} {FAILED} not_executed"), (WAITING, 60, f"{OVER} {FAILED} cancelled"),
    (OPEN, 60, f"{OVER} {CLOSED} ")])
def test_time_without_a_connection_is_no_time_without_a_trace(follow: Program, state: int, seconds: int,
                                                              told: str) -> None:
    begun(follow, state)
    assert followed(follow, 100_000) == AS_BEFORE
    assert follow.ask("cut")
    assert followed(follow, 300_000) == AS_BEFORE
    assert followed(follow, 300_000 + seconds * 1000 - 1) == AS_BEFORE
    assert followed(follow, 300_000 + seconds * 1000) == told


@pytest.mark.parametrize(("state", "there"), [
    (LOOKING, {"on_its_way": True}), (WAITING, {"waiting": "0.2"}), (OPEN, {"opened": "0.2", "positions": 1})])
def test_what_was_found_again_is_missing_anew(follow: Program, state: int, there: dict[str, object]) -> None:
    begun(follow, state)
    assert followed(follow, 100_000) == AS_BEFORE
    assert followed(follow, 110_000, **there) == AS_BEFORE  # type: ignore[arg-type]
    assert followed(follow, 200_000) == AS_BEFORE


def test_a_part_that_is_there_gives_the_others_some_seconds(follow: Program) -> None:
    """However long the order had been out of sight before."""
    begun(follow, WAITING, kind=LIMIT)
    assert followed(follow, 100_000) == AS_BEFORE
    assert followed(follow, 150_000, opened="0.1", positions=1, waiting="0.1") == AS_BEFORE
    assert followed(follow, 159_999, opened="0.1", positions=1, waiting="0.1") == AS_BEFORE
    assert followed(follow, 160_000, opened="0.1", positions=1, waiting="0.1").startswith(f"{OPEN} {FILLED} Only 0.1")


@pytest.mark.parametrize("more", [{"waiting": "0.1"}, {"on_its_way": True}])
def test_it_is_not_over_while_a_part_of_it_may_still_be_filled(follow: Program, more: dict[str, object]) -> None:
    begun(follow, OPEN, kind=LIMIT)
    out = {"opened": "0.1", "closed": "0.1"}
    assert followed(follow, 100_000, **out, **more) == AS_BEFORE  # type: ignore[arg-type]
    assert followed(follow, 300_000, **out, **more) == AS_BEFORE  # type: ignore[arg-type]
    assert followed(follow, 301_000, **out) == f"{OVER} {CLOSED} "


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_deals_are_found_after_the_servers_clock_was_changed(follow: Program, hours: int) -> None:
    """Deals bear the time that the server's clock showed then."""
    issued, offset = 1_711_800_000, 7200
    since = follow.ask("history-since", issued * 1000, offset + hours * 3600)
    assert since is not None and int(since) <= issued + offset - 60


def test_without_the_history_nobody_knows_the_days_loss(follow: Program) -> None:
    """What was paid in meanwhile would hide a loss."""
    assert follow.ask("day-loss") is None
