"""Accounts over HTTP: linking by every route, the primary, unlinking, the symbol map, and secrets that stay secret."""

import asyncio
import base64
import io
import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import update
from sqlalchemy.engine import make_url

import backups
from models.account import Account
from models.device import Device
from runtime import logs
from services import accounts, tiers
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import AccountRef, GatewayError
from tests.services.password_line import SERVER, PasswordLine
from tests.webapp import documented
from tests.webapp.conftest import Door
from tests.webapp.devices_stage import position, push, register

ACCOUNTS = "/api/v1/accounts"
CANARY = "Zq9-kestrel-Umbrella-4417"


@pytest.fixture
def overlay() -> dict[str, Any]:
    return {"limits": {"auth": 100_000, "reads": 100_000, "decisions": 100_000, "signed": 100_000, "links": 100_000,
                       "unknown": 100_000}}


@pytest.fixture
def line(door: Door, quotes: QuoteFeed) -> PasswordLine:
    made = PasswordLine(door.desk.database, quotes)
    door.desk.gateways["terminal"] = made  # type: ignore[index]
    return made


async def link(door: Door, token: str, expected: int = 201, **body: Any) -> dict[str, Any]:
    """Ask for a link; whatever is answered is as the document says."""
    status, answer, _ = await door.call("POST", f"{ACCOUNTS}/link", token=token, body=body)
    assert status == expected, answer
    documented.check("POST", "/accounts/link", status, answer)
    return dict(answer)


async def by_password(door: Door, token: str, login: str, expected: int = 201,
                      password: str = "master-1") -> dict[str, Any]:
    return await link(door, token, expected, route="terminal", login=login, server=SERVER, password=password)


async def listed(door: Door, token: str) -> list[dict[str, Any]]:
    status, answer, _ = await door.call("GET", ACCOUNTS, token=token)
    documented.check("GET", "/accounts", status, answer)
    return list(answer["items"])


async def grant(door: Door, user_id: int, tier: str) -> None:
    found = door.desk.catalogue.named(tier)
    assert found is not None
    async with door.desk.database.writing() as session:
        tiers.grant(session, found, user_id, 30, "manual", datetime.now(UTC))


async def test_the_life_of_a_link(door: Door, line: PasswordLine) -> None:
    user_id, token = await door.person()
    await grant(door, user_id, "vip")
    now = datetime.now(UTC)
    one = await by_password(door, token, await line.enlist("8001", now))
    two = await by_password(door, token, await line.enlist("8002", now), password="investor-1")
    assert (one["status"], one["is_primary"], one["can_trade"], one["trouble"]) == ("verified", True, True, None)
    assert (two["is_primary"], two["can_trade"], two["trouble"]) == (False, False, "view_only")
    assert one["info"]["balance"] == "5000.00" and one["margin_mode"] == "hedging" and one["leverage"] == 100
    assert "password" not in json.dumps(await listed(door, token))
    refused = await by_password(door, token, "8001", 409)
    assert refused["code"] == "already_linked"
    status, answer, _ = await door.call("PUT", f"{ACCOUNTS}/{two['id']}/primary", token=token)
    documented.check("PUT", "/accounts/{id}/primary", status, answer)
    assert (await listed(door, token))[0]["id"] == two["id"]
    status, answer, _ = await door.call("DELETE", f"{ACCOUNTS}/{two['id']}", token=token)
    documented.check("DELETE", "/accounts/{id}", status, answer)
    assert (await listed(door, token))[0]["id"] == one["id"]
    paper = next(row for row in await listed(door, token) if row["route"] == "paper")
    assert (await door.call("DELETE", f"{ACCOUNTS}/{one['id']}", token=token))[0] == 204
    status, answer, _ = await door.call("DELETE", f"{ACCOUNTS}/{paper['id']}", token=token)
    documented.check("DELETE", "/accounts/{id}", status, answer)
    assert (status, answer["code"]) == (409, "last_account")


@pytest.mark.parametrize("reason", ["wrong_password", "otp_required", "broker_unknown", "terminal_hangs"])
async def test_why_an_account_could_not_be_verified(door: Door, line: PasswordLine, reason: str) -> None:
    _, token = await door.person()
    await line.enlist("8001", datetime.now(UTC), trouble=reason)
    refused = await by_password(door, token, "8001", 400, CANARY)
    assert (refused["code"], refused["reason"]) == ("account_not_verified", reason)
    assert CANARY not in json.dumps(refused)


async def test_the_plan_that_has_more_room_is_named(door: Door, line: PasswordLine) -> None:
    _, token = await door.person()
    now = datetime.now(UTC)
    await by_password(door, token, await line.enlist("8001", now))
    refused = await by_password(door, token, await line.enlist("8002", now), 403)
    assert (refused["code"], refused["needed_tier"]) == ("limit_reached", "vip")
    assert refused["upgrade_url"].endswith("/app/billing?tier=vip")
    paper = next(row for row in await listed(door, token) if row["route"] == "paper")
    assert (await door.call("DELETE", f"{ACCOUNTS}/{paper['id']}", token=token))[0] == 204
    assert (await link(door, token, route="paper"))["id"] == paper["id"]
    assert (await link(door, token, 409, route="paper"))["code"] == "already_linked"


@pytest.mark.parametrize("body", [
    {}, {"route": "carrier"}, {"route": "terminal"}, {"route": "terminal", "login": "12"},
    {"route": "terminal", "login": "12", "server": "S", "password": ""},
    {"route": "terminal", "login": "12", "server": "S", "password": [CANARY]},
    {"route": "terminal", "login": "12", "server": "S", "password": CANARY * 20},
    {"route": "terminal", "login": CANARY, "server": "S", "password": CANARY},
    {"route": "terminal", "login": "12", "server": "S\n", "password": CANARY},
    {"route": "terminal", "login": "12", "server": "S", "password": CANARY, "more": CANARY},
    {"route": "device"}, {"route": "device", "device_id": CANARY}, {"password": CANARY}])
async def test_a_request_that_is_not_one_says_why_and_repeats_nothing(door: Door, line: PasswordLine,
                                                                     body: dict[str, Any]) -> None:
    _, token = await door.person()
    refused = await link(door, token, 422, **body)
    assert CANARY not in json.dumps(refused)
    assert line.calls["verify"] == 0


async def test_another_users_account_is_answered_like_none(door: Door, line: PasswordLine) -> None:
    _, ada = await door.person()
    _, eve = await door.person(7002, "Eve")
    row = await by_password(door, ada, await line.enlist("8001", datetime.now(UTC)))
    for method, path, body in (("PUT", "primary", None), ("DELETE", "", None), ("GET", "", None),
                               ("GET", "symbols", None), ("PUT", "symbols/EURUSD", {"broker_symbol": "EURUSD"}),
                               ("DELETE", "symbols/EURUSD", None), ("PATCH", "", {"label": "Mine"})):
        answers = []
        for account_id in (row["id"], "999999", "0", "x"):
            status, answer, _ = await door.call(method, f"{ACCOUNTS}/{account_id}/{path}".rstrip("/"), token=eve,
                                                body=body)
            answers.append((status, {**answer, "request_id": ""}))
        assert answers == [answers[0]] * 4 and answers[0][0] == 404, (method, path)


async def test_the_symbol_map(door: Door) -> None:
    _, token = await door.person()
    [paper] = await listed(door, token)
    path = f"{ACCOUNTS}/{paper['id']}/symbols"
    status, refused, _ = await door.call("PUT", f"{path}/GOLD", token=token, body={"broker_symbol": "NOSUCH"})
    documented.check("PUT", "/accounts/{id}/symbols/{symbol}", status, refused)
    assert (status, refused["code"]) == (422, "invalid_request")
    status, made, _ = await door.call("PUT", f"{path}/XAU%2FUSD", token=token, body={"broker_symbol": "XAUUSD"})
    documented.check("PUT", "/accounts/{id}/symbols/{symbol}", status, made)
    assert (made["symbol"], made["broker_symbol"], made["source"]) == ("XAUUSD", "XAUUSD", "edited")
    status, found, _ = await door.call("GET", path, token=token)
    documented.check("GET", "/accounts/{id}/symbols", status, found)
    assert found["items"] == [made]
    for expected in (204, 404):
        status, answer, _ = await door.call("DELETE", f"{path}/XAUUSD", token=token)
        documented.check("DELETE", "/accounts/{id}/symbols/{symbol}", status, answer)
        assert status == expected
    assert (await door.call("PUT", f"{path}/a b", token=token, body={"broker_symbol": "x"}))[0] == 404


async def test_a_link_that_breaks_shows_nothing_of_whoever_links_the_account_next(door: Door,
                                                                                  line: PasswordLine) -> None:
    _, ada = await door.person()
    _, eve = await door.person(7002, "Eve")
    now = datetime.now(UTC)
    mine = await by_password(door, ada, await line.enlist("8001", now))
    path = f"{ACCOUNTS}/{mine['id']}/positions?force_refresh=true"
    assert (await door.call("GET", path, token=ada))[0] == 200
    async with door.desk.database.writing() as session:
        assert await accounts.mark_broken(session, int(mine["id"]), "wrong_password", datetime.now(UTC))
    await by_password(door, eve, "8001")
    asked = line.calls["account"]
    for _ in range(3):
        await door.desk.positions.forget(int(mine["id"]))
        await door.call("GET", path, token=ada)
    assert line.calls["account"] == asked


async def test_terminals_that_hang_are_waited_for_together(door: Door, line: PasswordLine) -> None:
    user_id, token = await door.person()
    vip = door.desk.catalogue.named("vip")
    assert vip is not None
    async with door.desk.database.writing() as session:
        tiers.grant(session, vip, user_id, 30, "manual", datetime.now(UTC))
    for login in ("8001", "8002", "8003"):
        made = await by_password(door, token, await line.enlist(login, datetime.now(UTC)))
        await door.desk.positions.forget(int(made["id"]))
    line.held, asked = asyncio.Event(), line.calls["account"]
    looking = asyncio.create_task(listed(door, token))
    async with asyncio.timeout(4):
        while line.calls["account"] < asked + 3:
            await asyncio.sleep(0.02)
    line.held.set()
    assert len(await looking) == 4


class TestByDevice:
    async def test_a_device_that_reports_an_account_proves_it(self, door: Door) -> None:
        _, token = await door.person()
        key = await register(door, token)
        refused = await link(door, token, 400, route="device", device_id=key[0])
        assert refused["reason"] == "no_snapshot"
        await push(door, key)
        refused = await link(door, token, 400, route="device", device_id=key[0], login="70099999")
        assert refused["reason"] == "wrong_account"
        made = await link(door, token, route="device", device_id=key[0], login=70012345)
        assert (made["login"], made["server"], made["currency"], made["is_primary"]) == (
            "70012345", "Harbour-Live", "EUR", True)
        assert (made["info"]["equity"], made["info"]["margin_level"]) == ("2509.50", "2345.33")
        _, devices, _ = await door.call("GET", "/api/v1/devices", token=token)
        assert devices["items"][0]["account_id"] == made["id"]
        await push(door, key, equity="2700.00", positions=[position(profit="200.50", current_price="1.09008")])
        _, found, _ = await door.call("GET", "/api/v1/positions", token=token)
        assert (found["equity"], found["total_profit"], found["stale"]) == ("2700.00", "200.00", False)
        [held] = found["positions"]
        assert (held["symbol"], held["profit_points"], held["take_profit"]) == ("EURUSD.r", "2000", None)

    async def test_a_report_of_long_ago_proves_nothing(self, door: Door) -> None:
        _, token = await door.person()
        key = await register(door, token)
        await push(door, key)
        name = f"device:report:v1:{key[0]}"
        kept = json.loads(await door.desk.redis.get(name) or b"")
        kept["at"][1] = (datetime.now(UTC) - timedelta(minutes=6)).isoformat()
        await door.desk.redis.set(name, json.dumps(kept))
        refused = await link(door, token, 400, route="device", device_id=key[0])
        assert refused["reason"] == "device_offline"

    async def test_a_strangers_device_neither_proves_nor_feeds_an_account(self, door: Door) -> None:
        _, ada = await door.person()
        _, eve = await door.person(7002, "Eve")
        hers, evil = await register(door, ada), await register(door, eve)
        assert (await link(door, eve, 404, route="device", device_id=hers[0]))["code"] == "not_found"
        await push(door, hers)
        made = await link(door, ada, route="device", device_id=hers[0])
        await push(door, evil, equity="1.00")
        assert (await link(door, eve, 409, route="device", device_id=evil[0]))["code"] == "already_linked"
        await push(door, evil, equity="2.00")
        _, found, _ = await door.call("GET", f"{ACCOUNTS}/{made['id']}/positions?force_refresh=true", token=ada)
        assert found["equity"] == "2509.50"
        await door.desk.redis.flushall()
        _, found, _ = await door.call("GET", f"{ACCOUNTS}/{made['id']}/positions", token=ada)
        assert found["equity"] == "2509.50"

    async def test_a_password_that_trades_counts_for_more_than_a_report(self, door: Door, line: PasswordLine) -> None:
        _, eve = await door.person(7002, "Eve")
        evil = await register(door, eve)
        await line.enlist("8001", datetime.now(UTC))
        await push(door, evil, login="8001", server=SERVER)
        claimed = await link(door, eve, route="device", device_id=evil[0])
        _, viewer = await door.person(7003, "Vic")
        await by_password(door, viewer, "8001", 409, "investor-1")
        _, owner = await door.person()
        made = await by_password(door, owner, "8001")
        assert made["status"] == "verified"
        row = next(row for row in await listed(door, eve) if row["id"] == claimed["id"])
        assert (row["status"], row["trouble"]) == ("broken", "claimed_by_password")
        await push(door, evil, login="8001", server=SERVER, equity="1.00")
        assert (await link(door, eve, 409, route="device", device_id=evil[0]))["code"] == "already_linked"
        _, found, _ = await door.call("GET", f"{ACCOUNTS}/{made['id']}/positions?force_refresh=true", token=owner)
        assert found["equity"] == "5000.00"

    async def test_a_device_that_now_stands_at_another_account_feeds_neither(self, door: Door) -> None:
        user_id, token = await door.person()
        await grant(door, user_id, "vip")
        key = await register(door, token)
        await push(door, key)
        await link(door, token, route="device", device_id=key[0])
        await push(door, key, login="70099999", equity="9.00")
        with pytest.raises(GatewayError) as silent:
            await door.desk.gateways["device"].account(AccountRef("70012345", "Harbour-Live"))
        assert silent.value.code == "no_snapshot"
        with pytest.raises(GatewayError):
            await door.desk.gateways["device"].account(AccountRef("70099999", "Harbour-Live"))

    async def test_a_revoked_device_breaks_the_link_and_another_one_mends_it(self, door: Door) -> None:
        _, token = await door.person()
        key = await register(door, token)
        await push(door, key)
        made = await link(door, token, route="device", device_id=key[0])
        assert (await door.call("POST", f"/api/v1/devices/{key[0]}/revoke", token=token))[0] == 200
        [row] = [row for row in await listed(door, token) if row["id"] == made["id"]]
        assert (row["status"], row["trouble"]) == ("broken", "device_revoked")
        other = await register(door, token)
        await push(door, other)
        again = await link(door, token, route="device", device_id=other[0])
        assert (again["id"], again["status"], again["trouble"]) == (made["id"], "verified", None)

    async def test_of_two_devices_the_newest_report_counts(self, door: Door) -> None:
        user_id, token = await door.person()
        await grant(door, user_id, "vip")
        old = await register(door, token)
        await push(door, old, equity="2500.00")
        made = await link(door, token, route="device", device_id=old[0])
        new = await register(door, token, "New", account_id=made["id"])
        for key, equity in ((new, "2600.00"), (old, "2700.00"), (new, "2800.00")):
            await push(door, key, equity=equity)
            _, found, _ = await door.call("GET", "/api/v1/positions?force_refresh=true", token=token)
            assert found["equity"] == equity
        await push(door, old, equity="2900.00")
        assert (await door.call("POST", f"/api/v1/devices/{old[0]}/revoke", token=token))[0] == 200
        _, found, _ = await door.call("GET", "/api/v1/positions?force_refresh=true", token=token)
        assert found["equity"] == "2800.00", "the one that is left goes on"


class TestLimits:
    @pytest.fixture
    def overlay(self) -> dict[str, Any]:
        return {"limits": {"links": 3}}

    async def test_brokers_lock_accounts_so_attempts_are_counted(self, door: Door, line: PasswordLine) -> None:
        now = datetime.now(UTC)
        await line.enlist("8001", now)
        tokens = [(await door.person(7000 + number, "Ada"))[1] for number in range(3)]
        for token in tokens:
            await by_password(door, token, "8001", 400, "wrong")
        _, fresh = await door.person(7009, "Eve")
        assert (await by_password(door, fresh, "8001", 429))["code"] == "rate_limited"
        for _ in range(2):
            await by_password(door, tokens[0], "8002", 400, "wrong")
        assert (await by_password(door, tokens[0], "8003", 429))["code"] == "rate_limited"
        assert line.calls["verify"] == 5


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that is logged, as the desk writes it at its most talkative."""
    root, written = logging.getLogger(), io.StringIO()
    handlers, level, structure = root.handlers[:], root.level, structlog.get_config()
    logs.configure("debug", stream=written)
    yield written
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**structure)


async def test_a_password_is_nowhere_but_sealed(door: Door, line: PasswordLine, log: io.StringIO,
                                                tmp_path: Path) -> None:
    """In no answer, no log, no file of the database, no copy of it, and not in Redis."""
    user_id, token = await door.person()
    await grant(door, user_id, "vip")
    login = await line.enlist("8001", datetime.now(UTC), password=CANARY)
    answers = [await link(door, token, status, route="terminal", login=login, server=server, password=CANARY)
               for server, status in ((SERVER, 201), (SERVER, 409), ("Nowhere", 400))]
    answers += await listed(door, token)
    async with door.desk.database.writing() as session:
        assert await accounts.mark_broken(session, int(answers[0]["id"]), "wrong_password", datetime.now(UTC))
    line.clients[login].trouble = "bad_answer"
    answers.append(await by_password(door, token, login, 400, CANARY))
    assert CANARY not in json.dumps(answers)
    assert "account_linked" in log.getvalue() and CANARY not in log.getvalue()
    for name in await door.desk.redis.keys("*"):
        if await door.desk.redis.type(name) == b"string":
            assert CANARY.encode() not in (await door.desk.redis.get(name) or b"")
    async with door.desk.database.reading() as session:
        row = await session.get_one(Account, int(answers[0]["id"]))
    assert row.sealed_password is not None
    assert door.desk.vault.open(row.sealed_password, accounts.password_place(row.id, row.user_id)).decode() == CANARY
    if door.desk.database.is_sqlite:
        await _no_file_holds_it(door, tmp_path)


async def _no_file_holds_it(door: Door, tmp_path: Path) -> None:
    file = Path(make_url(door.settings.database_url.get_secret_value()).database or "")
    copy = await backups.backup(door.settings, tmp_path / "copy.db")
    looked_at = [*file.parent.glob(f"{file.name}*"), copy]
    assert any(path.name.endswith("-wal") for path in looked_at)
    for path in looked_at:
        assert CANARY.encode() not in path.read_bytes(), path
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("SELECT count(*) FROM accounts WHERE sealed_password IS NOT NULL").fetchone() == (1,)


async def test_a_devices_secret_is_nowhere_but_sealed(door: Door) -> None:
    _, token = await door.person()
    key = await register(door, token)
    await push(door, key)
    async with door.desk.database.writing() as session:
        await session.execute(update(Device).values(name="Renamed"))
    if door.desk.database.is_sqlite:
        file = Path(make_url(door.settings.database_url.get_secret_value()).database or "")
        for path in file.parent.glob(f"{file.name}*"):
            raw = path.read_bytes()
            assert key[1].encode() not in raw and base64.urlsafe_b64decode(key[1] + "=") not in raw, path
