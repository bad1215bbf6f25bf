"""Files that survive any moment: killed at every point of every write, cut, damaged, and on disks that do not keep."""

import random
from pathlib import Path

import pytest

from tests.ea.conftest import executable
from tests.ea.keeping import asked, files

EMPTY, GOOD, OLDER, BROKEN = "0", "1", "2", "3"
YES, NO = "\x01", "\x00"
NAME = "things"


@pytest.fixture(scope="session")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return executable(tmp_path_factory, "asks_store")


def read(keeper: Path, folder: Path) -> list[str]:
    """Status, generation and content in hex."""
    [answer], _ = asked(keeper, folder, ("read", NAME))
    return answer.split(" ")


def write(keeper: Path, folder: Path, *contents: bytes, kill_at: int = 0, disk: str = "good") -> tuple[int, bool]:
    """How many of these were confirmed, and whether the process was killed."""
    questions = [("read", NAME), *(("write", content) for content in contents)]
    answers, killed = asked(keeper, folder, *questions, kill_at=kill_at, disk=disk)
    return answers[1:].count(YES), killed


def test_what_is_written_is_read(keeper: Path, tmp_path: Path) -> None:
    assert read(keeper, tmp_path) == [EMPTY, "0", ""]
    assert write(keeper, tmp_path, b"one") == (1, False)
    assert read(keeper, tmp_path) == [GOOD, "1", b"one".hex()]
    assert write(keeper, tmp_path, b"two", b"", bytes(range(256)) * 40) == (3, False)
    assert read(keeper, tmp_path) == [GOOD, "4", (bytes(range(256)) * 40).hex()]
    assert set(files(tmp_path, NAME)) == {"", ".old"}


def test_a_kill_at_any_point_costs_nothing_that_was_confirmed(keeper: Path, tmp_path: Path) -> None:
    """Two writes over an older one; whatever the moment, the next start reads a whole one that is not older than what
    was confirmed, and goes on from there."""
    seen = set()
    for kill_at in range(1, 200):
        folder = tmp_path / str(kill_at)
        assert write(keeper, folder, b"first") == (1, False)
        contents = [b"second" * 50, b"third" * 70]
        confirmed, killed = write(keeper, folder, *contents, kill_at=kill_at)
        status, generation, content = read(keeper, folder)
        assert status == GOOD, kill_at
        known = [b"first", *contents]
        assert int(generation) - 1 in (confirmed, confirmed + 1)
        assert bytes.fromhex(content) == known[int(generation) - 1]
        assert write(keeper, folder, b"fourth") == (1, False)
        assert read(keeper, folder)[2] == b"fourth".hex()
        seen.add(int(generation))
        if not killed:
            break
    else:
        raise AssertionError("there are more points than that")
    assert kill_at > 8 and seen == {1, 2, 3}


def test_a_kill_at_any_point_of_the_very_first_write(keeper: Path, tmp_path: Path) -> None:
    for kill_at in range(1, 100):
        confirmed, killed = write(keeper, tmp_path / str(kill_at), b"first", kill_at=kill_at)
        status, generation, _ = read(keeper, tmp_path / str(kill_at))
        assert (status, generation) in ([(EMPTY, "0"), (GOOD, "1")] if confirmed == 0 else [(GOOD, "1")])
        if not killed:
            return


def test_a_kill_while_a_cut_write_is_ended(keeper: Path, tmp_path: Path) -> None:
    """The start after a crash is killed as well, at each of its own points."""
    for first in range(1, 100):
        for second in range(1, 100):
            folder = tmp_path / f"{first}-{second}"
            write(keeper, folder, b"first")
            confirmed, killed = write(keeper, folder, b"second", kill_at=first)
            _, again = asked(keeper, folder, ("read", NAME), kill_at=second)
            status, generation, _ = read(keeper, folder)
            assert status == GOOD and int(generation) - 1 in (confirmed, confirmed + 1), (first, second)
            if not again:
                break
        if not killed:
            return


def damage(path: Path, how: str, chance: random.Random) -> None:
    raw = bytearray(path.read_bytes())
    if how == "cut":
        raw = raw[:chance.randrange(len(raw))]
    elif how == "zeros":
        raw = bytearray(len(raw))
    elif how == "longer":
        raw += b"\x00"
    else:
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    path.write_bytes(raw)


@pytest.mark.parametrize("how", ["cut", "zeros", "longer", "bit"])
def test_the_copy_before_is_used_where_the_newest_is_damaged(keeper: Path, tmp_path: Path, how: str) -> None:
    chance = random.Random(how)
    for number in range(8):
        folder = tmp_path / str(number)
        write(keeper, folder, b"first" * 20, b"second" * 20)
        damage(files(folder, NAME)[""], how, chance)
        assert read(keeper, folder) == [OLDER, "1", (b"first" * 20).hex()]
        assert write(keeper, folder, b"third") == (1, False)
        assert read(keeper, folder)[2] == b"third".hex()


@pytest.mark.parametrize("how", ["cut", "zeros", "longer", "bit"])
def test_nothing_whole_left_is_never_taken_for_nothing_at_all(keeper: Path, tmp_path: Path, how: str) -> None:
    write(keeper, tmp_path, b"first" * 20, b"second" * 20)
    chance = random.Random(how)
    for path in files(tmp_path, NAME).values():
        damage(path, how, chance)
    assert read(keeper, tmp_path) == [BROKEN, "0", ""]


def test_a_copy_that_is_gone(keeper: Path, tmp_path: Path) -> None:
    write(keeper, tmp_path, b"first", b"second")
    files(tmp_path, NAME)[""].unlink()
    assert read(keeper, tmp_path) == [OLDER, "1", b"first".hex()]


def test_a_file_of_another_name_is_not_taken(keeper: Path, tmp_path: Path) -> None:
    """Generations do not mix: a whole file is the one whose name it bears."""
    write(keeper, tmp_path, b"first")
    [there] = files(tmp_path, NAME).values()
    there.rename(there.with_name("other"))
    assert read(keeper, tmp_path) == [EMPTY, "0", ""]


@pytest.mark.parametrize("disk", ["full", "read-only", "stuck"])
def test_a_disk_that_does_not_keep_says_so(keeper: Path, tmp_path: Path, disk: str) -> None:
    write(keeper, tmp_path, b"first")
    assert write(keeper, tmp_path, b"second", disk=disk) == (0, False)
    status, generation, content = read(keeper, tmp_path)
    # Nothing was confirmed; where only the move failed, the new one may be taken up at the next start.
    assert status == GOOD and (generation, content) in [("1", b"first".hex()), ("2", b"second".hex())]
    assert write(keeper, tmp_path, b"third") == (1, False)


def test_more_than_a_file_may_hold_is_not_read(keeper: Path, tmp_path: Path) -> None:
    write(keeper, tmp_path, b"first")
    files(tmp_path, NAME)[""].write_bytes(bytes(2_000_000))
    assert read(keeper, tmp_path) == [BROKEN, "0", ""]
