"""A directory for each account: whoever names the account, it stays below the base and is all there or not at all."""

import asyncio
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.mt5.directory import FRESH, GONE, PART, PROGRAM, Directories, name_of
from terminal.protocol import AccountRef, GatewayError

HOSTILE = ["../../etc", "..", ".", "", "/", "C:\\Windows", "a\0b", "con", "nul.txt", "x" * 5_000, "Брокер-Live",
           "\ud800", ".fresh-1", "a/../b", "name:stream", " trailing. "]


@pytest.fixture
def directories(tmp_path: Path) -> Directories:
    template = tmp_path / "template"
    (template / "MQL5").mkdir(parents=True)
    (template / PROGRAM).write_bytes(b"MZ")
    (template / "MQL5" / "readme.txt").write_text("as installed")
    return Directories(template, tmp_path / "base")


@pytest.mark.parametrize("server", HOSTILE)
@pytest.mark.parametrize("login", ["123", "../..", "a\0", ""])
async def test_hostile_names_stay_below_the_base(directories: Directories, tmp_path: Path, server: str,
                                                 login: str) -> None:
    made = await directories.prepared(AccountRef(login, server))
    assert made.parent == tmp_path / "base" and made.resolve() == made and (made / PROGRAM).is_file()
    assert not made.name.startswith(".") and len(made.name) < 100


@given(st.text(), st.text(), st.text(), st.text())
def test_no_two_accounts_have_the_same(server: str, login: str, other_server: str, other_login: str) -> None:
    are_same = (server.casefold(), login) == (other_server.casefold(), other_login)
    names = name_of(AccountRef(login, server)), name_of(AccountRef(other_login, other_server))
    assert (names[0] == names[1]) == are_same
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in names)


async def test_the_copy_is_whole_private_and_made_once(directories: Directories, tmp_path: Path) -> None:
    ref = AccountRef("1", "Broker")
    places = await asyncio.gather(*(directories.prepared(ref) for _ in range(8)))
    assert len(set(places)) == 1
    place = places[0]
    assert (place / "MQL5" / "readme.txt").read_text() == "as installed"
    assert stat.S_IMODE(place.stat().st_mode) == 0o700 and stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    (place / "MQL5" / "readme.txt").write_text("as used")
    assert (await directories.prepared(ref) / "MQL5" / "readme.txt").read_text() == "as used"
    assert [path.name for path in (tmp_path / "base").iterdir()] == [place.name]


async def test_half_a_directory_is_replaced(directories: Directories, tmp_path: Path) -> None:
    ref = AccountRef("1", "Broker")
    (tmp_path / "base" / name_of(ref)).mkdir(parents=True)
    (tmp_path / "base" / name_of(ref) / "rest.txt").write_text("?")
    place = await directories.prepared(ref)
    assert (place / PROGRAM).is_file() and not (place / "rest.txt").exists()


async def test_a_fresh_one_is_another_each_time(directories: Directories, tmp_path: Path) -> None:
    ref = AccountRef("1", "Broker")
    first, second = [await directories.prepared(ref, fresh=True) for _ in range(2)]
    assert first != second and name_of(ref) not in (first.name, second.name)
    await directories.discard(first)
    await directories.discard(second)
    assert list((tmp_path / "base").iterdir()) == []


async def test_forgetting_leaves_nothing_and_may_be_repeated(directories: Directories, tmp_path: Path) -> None:
    ref, other = AccountRef("1", "Broker"), AccountRef("2", "Broker")
    await directories.prepared(ref)
    kept = await directories.prepared(other)
    await directories.forget(ref)
    await directories.forget(ref)
    assert list((tmp_path / "base").iterdir()) == [kept]


async def test_no_template_is_said(tmp_path: Path) -> None:
    for template in (tmp_path / "none", tmp_path):
        with pytest.raises(GatewayError, match="terminal_missing"):
            await Directories(template, tmp_path / "base").prepared(AccountRef("1", "Broker"))


async def test_a_base_that_cannot_be_is_said(directories: Directories, tmp_path: Path) -> None:
    (tmp_path / "base").write_text("a file")
    with pytest.raises(GatewayError, match="terminal_missing"):
        await directories.prepared(AccountRef("1", "Broker"))


async def test_what_an_earlier_process_left_is_tidied(directories: Directories, tmp_path: Path) -> None:
    kept = await directories.prepared(AccountRef("1", "Broker"))
    for mark in (PART, GONE, FRESH):
        (tmp_path / "base" / f"{mark}left" / "deep").mkdir(parents=True)
    await directories.tidy()
    assert list((tmp_path / "base").iterdir()) == [kept]


async def test_a_fresh_copy_nobody_waits_for_any_more_goes_again(directories: Directories, tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / "template" / f"{number}.bin").write_bytes(bytes(20_000))
    copying = asyncio.create_task(directories.prepared(AccountRef("1", "Broker"), fresh=True))
    await asyncio.sleep(0.005)
    copying.cancel()
    await asyncio.gather(copying, return_exceptions=True)
    async with asyncio.timeout(10):
        while not (tmp_path / "base").exists() or list((tmp_path / "base").iterdir()):
            await asyncio.sleep(0.01)
