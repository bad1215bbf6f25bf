"""What must survive a restart: numbers that are never counted twice, who this terminal is, and what it has executed."""

import re
from pathlib import Path

import pytest

from tests.ea.conftest import executable
from tests.ea.keeping import Question, asked, files
from wire.signing import _NONCE

YES, NO = "\x01", "\x00"
NOW = 1_714_564_801
SECRET = "A" * 43
LOOKING, OPEN, OVER = 1, 3, 4
TOLD_NOTHING, PLACED, FILLED, CLOSED, REJECTED, FAILED = range(6)
RING = 1000


@pytest.fixture(scope="session")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return executable(tmp_path_factory, "asks_store")


# -- what is counted -------------------------------------------------------------------------------------------


def test_no_nonce_comes_again_whenever_it_is_killed(keeper: Path, tmp_path: Path) -> None:
    """Every start is on the disk before its first nonce."""
    seen: list[str] = []
    for kill_at in range(1, 60):
        answers, killed = asked(keeper, tmp_path, ("counters", "c"), ("nonce", NOW), ("nonce", NOW), kill_at=kill_at)
        seen += answers[1:]
        if not killed:
            break
    answers, _ = asked(keeper, tmp_path, ("counters", "c"), *[("nonce", NOW)] * 50)
    seen += answers[1:]
    assert len(set(seen)) == len(seen) >= 52
    assert all(_NONCE.fullmatch(nonce) for nonce in seen)


def test_nonces_differ_even_when_the_file_was_lost(keeper: Path, tmp_path: Path) -> None:
    [_, first], _ = asked(keeper, tmp_path / "one", ("counters", "c"), ("nonce", NOW))
    [_, second], _ = asked(keeper, tmp_path / "two", ("counters", "c"), ("nonce", NOW + 5))
    assert first != second


def test_counters_of_envelopes_only_grow(keeper: Path, tmp_path: Path) -> None:
    """Over restarts and kills, and from the desk's milliseconds on: a lost file gives none a second time."""
    last = 0
    for kill_at in (0, 0, 12, 14, 16, 18, 20, 0):
        questions: list[Question] = [("counters", "c"), *[("counter", NOW * 1000)] * 1100]
        answers, _ = asked(keeper, tmp_path, *questions, kill_at=kill_at)
        numbers = [int(answer) for answer in answers[1:]]
        assert all(number > 0 for number in numbers)
        assert numbers == sorted(set(numbers)) and (not numbers or numbers[0] > last)
        last = numbers[-1] if numbers else last
    assert last >= NOW * 1000


def test_a_counter_can_be_raised_and_never_lowered(keeper: Path, tmp_path: Path) -> None:
    most = 2**53 - 1
    answers, _ = asked(keeper, tmp_path, ("counters", "c"), ("counter", 5), ("raise", 3), ("counter", 5),
                       ("raise", 9000), ("counter", 5), ("raise", most), ("counter", 5), ("raise", most + 1),
                       ("counter", 5))
    assert [answers[i] for i in (1, 3, 5, 7, 9)] == ["5", "6", "9000", "0", "0"]


@pytest.mark.parametrize("disk", ["full", "read-only", "stuck"])
def test_what_cannot_be_kept_is_not_counted(keeper: Path, tmp_path: Path, disk: str) -> None:
    assert asked(keeper, tmp_path, ("counters", "c"), disk=disk)[0][0].split()[0] == "3"


def test_an_older_count_is_left_far_behind(keeper: Path, tmp_path: Path) -> None:
    before = [asked(keeper, tmp_path, ("counters", "c"), ("counter", 5))[0] for _ in range(3)]
    files(tmp_path, "c")[""].write_bytes(b"damaged")
    answers, _ = asked(keeper, tmp_path, ("counters", "c"), ("counter", 5))
    assert answers[0].split()[0] == "2"
    assert int(answers[0].split()[1]) > max(int(a.split()[1]) for a, _ in before)
    assert int(answers[1]) > max(int(number) for _, number in before)


def test_damaged_counters_are_no_beginning(keeper: Path, tmp_path: Path) -> None:
    asked(keeper, tmp_path, ("counters", "c"))
    for path in files(tmp_path, "c").values():
        path.write_bytes(b"damaged")
    assert asked(keeper, tmp_path, ("counters", "c"))[0] == ["3 0"]


# -- who this is ------------------------------------------------------------------------------------------------


def test_credentials_are_kept(keeper: Path, tmp_path: Path) -> None:
    assert asked(keeper, tmp_path, ("credentials", "d"))[0] == ["0  "]
    answers, _ = asked(keeper, tmp_path, ("credentials", "d"), ("keep", "dv_1", SECRET, "digest"))
    assert answers[1] == YES
    assert asked(keeper, tmp_path, ("credentials", "d"))[0] == ["1 dv_1 " + "00" * 32]


@pytest.mark.parametrize(("device", "secret"), [
    ("", SECRET), ("dv\r\nX-Evil: 1", SECRET), ("dv 1", SECRET), ("d" * 33, SECRET), ("dv_é", SECRET), ("dv_1", ""),
    ("dv_1", "A" * 42), ("dv_1", "A" * 44), ("dv_1", "A" * 42 + "=")])
def test_what_is_no_device(keeper: Path, tmp_path: Path, device: str, secret: str) -> None:
    """An id goes into a header: it must not be able to end it."""
    answers, _ = asked(keeper, tmp_path, ("credentials", "d"), ("keep", device, secret, "digest"))
    assert answers[1] == NO
    assert asked(keeper, tmp_path, ("credentials", "d"))[0][0].split()[0] in ("0", "3")


@pytest.mark.parametrize(("typed", "code"), [
    ("ABCDE-FGHJK", "ABCDEFGHJK"), ("abcde fghjk", "ABCDEFGHJK"), (" A-B-C D E2 3 4 5 6 ", "ABCDE23456"),
    ("ABCDEFGHJ", ""), ("ABCDEFGHJKM", ""), ("ABCDEFGHI0", ""), ("", ""), ("ABCDE_FGHJK", ""), ("ABCDEFGHJÄ", "")])
def test_codes_as_people_type_them(keeper: Path, tmp_path: Path, typed: str, code: str) -> None:
    assert asked(keeper, tmp_path, ("code", typed))[0] == [code]


# -- what was executed --------------------------------------------------------------------------------------------


def found(keeper: Path, folder: Path, magic: int) -> str:
    return asked(keeper, folder, ("ledger", "o"), ("find", magic))[0][1]


def test_a_record_is_kept_to_the_last_field(keeper: Path, tmp_path: Path) -> None:
    asked(keeper, tmp_path, ("ledger", "o"), ("add", 7, 70, LOOKING, TOLD_NOTHING, "é\n\"x"))
    assert found(keeper, tmp_path, 7) == "7|70|1|0|0|0.25|é\n\"x|0".encode().decode("latin-1")
    assert found(keeper, tmp_path, 8) == "unknown"


def test_what_was_begun_is_known_after_any_kill(keeper: Path, tmp_path: Path) -> None:
    """Confirmed means known; not confirmed means known or not, never half."""
    for kill_at in range(1, 60):
        folder = tmp_path / str(kill_at)
        asked(keeper, folder, ("ledger", "o"), ("add", 6, 60, OVER, REJECTED, "x"))
        answers, killed = asked(keeper, folder, ("ledger", "o"), ("add", 7, 70, LOOKING, TOLD_NOTHING, ""),
                                kill_at=kill_at)
        is_known = found(keeper, folder, 7) != "unknown"
        assert is_known or YES not in answers[1:]
        assert found(keeper, folder, 6).startswith("6|60")
        if not killed:
            return
    raise AssertionError("there are more points than that")


def test_the_desk_hears_of_a_position_before_its_end(keeper: Path, tmp_path: Path) -> None:
    asked(keeper, tmp_path, ("ledger", "o"), ("add", 7, 70, OVER, CLOSED, ""))
    assert found(keeper, tmp_path, 7).endswith(f"|{FILLED}")
    asked(keeper, tmp_path, ("ledger", "o"), ("tell", 7, FILLED))
    assert found(keeper, tmp_path, 7).endswith(f"|{CLOSED}")
    asked(keeper, tmp_path, ("ledger", "o"), ("tell", 7, CLOSED))
    assert found(keeper, tmp_path, 7) == "remembered"


def test_what_is_not_over_stays_after_it_was_told(keeper: Path, tmp_path: Path) -> None:
    asked(keeper, tmp_path, ("ledger", "o"), ("add", 7, 70, OPEN, FILLED, ""), ("tell", 7, FILLED))
    assert found(keeper, tmp_path, 7).endswith(f"|{FILLED}|{FILLED}|0.25||0")


def test_the_ring_remembers_a_thousand_and_a_floor_below_them(keeper: Path, tmp_path: Path) -> None:
    remembered: list[Question] = [("remember", magic, 10_000 + magic * 2) for magic in range(1, RING + 3)]
    answers, _ = asked(keeper, tmp_path, ("ledger", "o"), *remembered, ("keep-ledger",))
    assert answers[-1] == YES
    assert asked(keeper, tmp_path, ("ledger", "o"))[0] == [f"1 0 {RING} 10004"]
    assert [found(keeper, tmp_path, magic) for magic in (1, 2, 3, RING + 2)] == ["unknown"] * 2 + ["remembered"] * 2


def test_the_floor_is_the_highest_that_was_forgotten(keeper: Path, tmp_path: Path) -> None:
    remembered: list[Question] = [("remember", magic, 5000 if magic == 1 else magic) for magic in range(1, RING + 3)]
    asked(keeper, tmp_path, ("ledger", "o"), *remembered, ("keep-ledger",))
    assert asked(keeper, tmp_path, ("ledger", "o"))[0] == [f"1 0 {RING} 5000"]


def test_remembering_twice_takes_one_place(keeper: Path, tmp_path: Path) -> None:
    answers, _ = asked(keeper, tmp_path, ("ledger", "o"), ("remember", 5, 50), ("remember", 5, 50), ("keep-ledger",))
    assert answers[-1] == YES
    assert asked(keeper, tmp_path, ("ledger", "o"))[0] == ["1 0 1 0"]


def test_there_is_room_for_two_hundred_open_ones(keeper: Path, tmp_path: Path) -> None:
    adding: list[Question] = [("add", magic, magic, LOOKING, TOLD_NOTHING, "e" * 250) for magic in range(1, 202)]
    answers, _ = asked(keeper, tmp_path, ("ledger", "o"), *adding)
    assert answers[1:] == [YES] * 200 + [NO]
    assert found(keeper, tmp_path, 200).startswith("200|200|1")


def test_a_damaged_ledger_is_no_empty_one(keeper: Path, tmp_path: Path) -> None:
    asked(keeper, tmp_path, ("ledger", "o"), ("add", 7, 70, LOOKING, TOLD_NOTHING, ""))
    for path in files(tmp_path, "o").values():
        path.write_bytes(path.read_bytes()[:-1])
    assert asked(keeper, tmp_path, ("ledger", "o"))[0][0].startswith("3 ")


# -- headers and the desk's address ---------------------------------------------------------------------------------

HEADERS = ("Content-Type: application/json\r\nX-Signature:  v1=abc \r\nretry-after: 7\r\nX-Empty:\r\nno header\r\n"
           ": nothing\r\nX-Signature: v1=second\r\n\r\n")


@pytest.mark.parametrize(("name", "value"), [
    ("X-Signature", "v1=abc"), ("x-signature", "v1=abc"), ("CONTENT-TYPE", "application/json"), ("X-Empty", ""),
    ("Absent", ""), ("no header", ""), ("Retry-After", "7"), ("ontent-Type", "")])
def test_headers_are_found_in_any_case(keeper: Path, tmp_path: Path, name: str, value: str) -> None:
    for text in (HEADERS, HEADERS.lower().replace("v1=abc", "v1=abc")):
        assert asked(keeper, tmp_path, ("header", text, name))[0] == [value]
    assert asked(keeper, tmp_path, ("header", "", name))[0] == [""]


@pytest.mark.parametrize(("value", "seconds"), [("7", 7), ("0", 0), ("600", 60), ("99999999999", 0), ("-1", 0), ("", 0),
                                                ("1.5", 0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("7 ", 7)])
def test_how_long_to_wait(keeper: Path, tmp_path: Path, value: str, seconds: int) -> None:
    assert asked(keeper, tmp_path, ("retry-after", f"Retry-After: {value}\r\n", 60))[0] == [str(seconds)]


@pytest.mark.parametrize(("typed", "address"), [
    ("https://desk.example", "https://desk.example"), (" https://desk.example/ ", "https://desk.example"),
    ("https://desk.example:8443", "https://desk.example:8443"), ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ("http://localhost", "http://localhost"), ("http://localhost:8080/", "http://localhost:8080"),
    ("http://desk.example", ""), ("http://127.0.0.1.evil.example", ""), ("http://localhost.evil.example", ""),
    ("https://desk.example/app", ""), ("https://desk.example?x=1", ""), ("https://", ""), ("", ""),
    ("desk.example", ""),
    ("https://user@desk.example", ""), ("https://desk.example\r\nX: 1", ""), ("https://" + "d" * 200, ""),
    ("ftp://desk.example", ""), ("https://desk example", ""), ("http://127.0.0.1", "http://127.0.0.1")])
def test_the_desks_address(keeper: Path, tmp_path: Path, typed: str, address: str) -> None:
    """No path, which would not be signed as it is sent, and TLS, unless the desk is on the same computer."""
    assert asked(keeper, tmp_path, ("address", typed))[0] == [address]
    assert not address or re.fullmatch(r"https?://[\w.:-]+", address)
