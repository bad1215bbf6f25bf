"""Trying passwords at accounts that may be somebody else's, and holding terminals that others wait for."""

import asyncio
from datetime import datetime, timedelta

import pytest
from pydantic import SecretStr

from services import linking, sign_ins
from services.desk import Desk
from services.errors import AccountNotVerified, TryLater
from services.linking import LinkRequest
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import AccountRef
from tests.running import until
from tests.services import stage
from tests.services.password_line import SERVER, PasswordLine


@pytest.fixture
def line(desk: Desk, quotes: QuoteFeed) -> PasswordLine:
    made = PasswordLine(desk.database, quotes)
    desk.gateways["terminal"] = made  # type: ignore[index]
    return made


async def attempt(desk: Desk, user_id: int, password: str, now: datetime, server: str = SERVER) -> str:
    """How linking the account ends: linked, or why not."""
    try:
        await linking.link(desk, user_id, LinkRequest("terminal", "8001", server, SecretStr(password)), now)
    except AccountNotVerified as error:
        return str(error.reason)
    return "linked"


async def test_wrong_passwords_end_before_a_broker_locks_the_account(desk: Desk, line: PasswordLine,
                                                                     now: datetime) -> None:
    await line.enlist("8001", now)
    eve, mallory, owner = [await stage.join(desk, now) for _ in range(3)]
    assert [await attempt(desk, eve, "guess", now) for _ in range(6)] == [
        *["wrong_password"] * 5, "too_many_wrong_passwords"]
    assert await attempt(desk, eve, "master-1", now, SERVER.upper()) == "too_many_wrong_passwords"
    assert line.calls["verify"] == 5, "the broker hears of no more"
    assert {await attempt(desk, mallory, "guess", now) for _ in range(5)} == {"wrong_password"}
    assert await attempt(desk, owner, "guess", now) == "too_many_wrong_passwords", "nor by the hands of many"
    assert await attempt(desk, owner, "master-1", now + timedelta(hours=1)) == "linked"


async def test_an_owner_is_not_kept_out_by_one_stranger(desk: Desk, line: PasswordLine, now: datetime) -> None:
    await line.enlist("8001", now)
    eve, owner = [await stage.join(desk, now) for _ in range(2)]
    for _ in range(20):
        await attempt(desk, eve, "guess", now)
    assert await attempt(desk, owner, "master-1", now) == "linked"


@pytest.mark.parametrize("server", ["10.0.0.5", "10.0.0.5:443", "intranet:8080", "[::1]:443", "http://a", "..\\x",
                                    "../../etc", "user@host", "LocalHost"])
async def test_a_terminal_is_sent_to_no_address(desk: Desk, line: PasswordLine, now: datetime, server: str) -> None:
    user_id = await stage.join(desk, now)
    assert await attempt(desk, user_id, "guess", now, server) == "broker_unknown"
    assert line.calls["verify"] == 0


async def test_one_user_holds_one_terminal(desk: Desk, line: PasswordLine, now: datetime,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_ins, "PATIENCE_SECONDS", 0.2)
    await line.enlist("8001", now)
    eve, owner = [await stage.join(desk, now) for _ in range(2)]
    line.held = asyncio.Event()
    held = [asyncio.create_task(attempt(desk, eve, "master-1", now)) for _ in range(4)]

    async def is_asked() -> bool:
        return line.calls["verify"] > 0

    await until("one is signing in", is_asked)
    assert line.calls["verify"] == 1
    assert await attempt(desk, owner, "guess", now) == "wrong_password", "others are served meanwhile"
    ended = await asyncio.gather(*held[1:], return_exceptions=True)
    assert [type(outcome) for outcome in ended] == [TryLater] * 3
    line.held.set()
    assert await held[0] == "linked"
    assert desk.sign_ins._turns == {}


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    monkeypatch.setattr(sign_ins, "MOST_REMEMBERED", 4)
    counted = sign_ins.SignIns()
    for number in range(20):
        counted.was_wrong(number, AccountRef(str(number), SERVER), now)
    assert len(counted._wrong) == 4
