"""The doctor of devices over HTTP: what it says follows from what the device has really told."""

import re
import string
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from models.account import Account, AccountStatus
from models.device import Device
from services import doctor, doctor_symbols, doctor_words, symbol_reports
from services.doctor_words import State
from tests.webapp import documented
from tests.webapp.broker_stage import gold, linked, quoted, spec, tell, tell_all, terminal
from tests.webapp.conftest import Door
from tests.webapp.devices_stage import Key, push, register

PAIRS = {"GBPUSD": "GBP USD", "USDJPY": "USD JPY", "USDCHF": "USD CHF", "AUDUSD": "AUD USD", "USDCAD": "USD CAD",
         "NZDUSD": "NZD USD"}


def majors(**changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Everything the doctor looks for, as a sound broker has it; ``changes`` by symbol."""
    made = {"EURUSD": quoted(spec("EURUSD.r", stops_level=0), "1.07000", "1.07008"),
            "XAUUSD": quoted(gold("GOLD", stops_level=0), "4000.00", "4000.30")}
    for name, currencies in PAIRS.items():
        base, profit = currencies.split()
        made[name] = quoted(spec(f"{name}.r", currency_base=base, currency_profit=profit, stops_level=0),
                            "1.10000", "1.10010")
    return [given | changes.get(name, {}) for name, given in made.items()]


async def seen(door: Door, token: str, key: Key) -> tuple[dict[str, Any], dict[str, dict[str, str]], dict[str, Any]]:
    """The diagnosis, its findings by code, its symbols by name."""
    status, found, _ = await door.call("GET", f"/api/v1/devices/{key[0]}/doctor", token=token)
    documented.check("GET", "/devices/{id}/doctor", status, found)
    assert status == 200
    assert len({one["code"] for one in found["findings"]}) == len(found["findings"])
    return found, {one["code"]: one for one in found["findings"]}, {one["symbol"]: one for one in found["symbols"]}


def states(findings: dict[str, dict[str, str]], state: str) -> set[str]:
    return {code for code, one in findings.items() if one["state"] == state}


async def test_a_sound_device_has_nothing_to_complain_of(door: Door) -> None:
    _, token, key, _ = await linked(door, majors())
    found, findings, symbols = await seen(door, token, key)
    assert states(findings, "ok") == set(doctor_words.TITLES), found
    assert found["state"] == "ok" and found["as_of"] is not None
    assert all(one["fix"] == "" for one in findings.values())
    assert (symbols["EURUSD"]["state"], symbols["EURUSD"]["broker_symbol"]) == ("found", "EURUSD.r")
    assert (symbols["XAUUSD"]["state"], symbols["XAUUSD"]["broker_symbol"]) == ("alias", "GOLD")
    assert "UTC+02:00" in findings["clock"]["detail"] and "40 ms" in findings["connection"]["detail"]


@pytest.mark.parametrize(("changes", "code", "state", "says"), [
    ({"trade_allowed": False}, "algo_trading", "bad", "Algo Trading button is off"),
    ({"expert_allowed": False}, "expert", "bad", "may not trade"),
    ({"account_allowed": False}, "trading", "bad", "may only be watched"),
    ({"connected": False}, "connection", "bad", "not connected"),
    ({"ping_ms": 1500}, "connection", "warn", "1500 ms"),
    ({"ping_ms": None}, "connection", "ok", "Connected to the trade server."),
    ({"version": "0.9.12"}, "version", "warn", "0.9.12"),
    ({"version": "1.10.0-rc1"}, "version", "ok", "1.10.0"),
    ({"utc_offset_seconds": -18_000}, "clock", "ok", "UTC-05:00"),
    ({"utc_offset_seconds": 19_830}, "clock", "ok", "UTC+05:30"),
    ({"utc_offset_seconds": 7_700}, "clock", "warn", "UTC+02:08"),
    ({"utc_offset_seconds": 90_000}, "clock", "warn", "UTC+25:00")])
async def test_the_terminal_is_judged_by_what_it_tells(door: Door, changes: dict[str, Any], code: str, state: str,
                                                       says: str) -> None:
    _, token, key, _ = await linked(door)
    await tell_all(door, key, *majors(), **changes)
    found, findings, _ = await seen(door, token, key)
    assert (findings[code]["state"], says in findings[code]["detail"]) == (state, True), findings[code]
    assert found["state"] == state
    assert bool(findings[code]["fix"]) == (state != "ok")
    assert states(findings, "ok") == set(doctor_words.TITLES) - ({code} if state != "ok" else set())


async def test_versions_are_numbers_and_not_words(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "EA_NEEDED", "1.9.0")
    _, token, key, _ = await linked(door)
    for version, state in (("1.10.0", "ok"), ("1.8.12", "warn"), ("1.9", "ok"), ("1.9.0+7", "ok")):
        await tell(door, key, terminal=terminal(version=version))
        assert (await seen(door, token, key))[1]["version"]["state"] == state, version


async def test_a_client_that_tells_nothing_is_no_bad_one(door: Door) -> None:
    _, token, key, _ = await linked(door)
    found, findings, symbols = await seen(door, token, key)
    assert found["state"] == "unknown"
    assert {"device", "account", "snapshot", "trading", "margin_mode"} == states(findings, "ok")
    assert states(findings, "bad") == states(findings, "warn") == set()
    assert {one["state"] for one in symbols.values()} == {"unknown"}
    await tell(door, key, *majors(), is_first=True, terminal=terminal())
    _, findings, symbols = await seen(door, token, key)
    assert findings["symbol_list"]["state"] == "warn" and symbols["EURUSD"]["state"] == "unknown"


async def test_the_account_is_judged_by_what_was_reported(door: Door) -> None:
    _, token, key, account_id = await linked(door, majors())
    await push(door, key, login="80007001", currency="USD", margin_mode="netting", can_trade=False, positions=[])
    _, findings, _ = await seen(door, token, key)
    assert (findings["margin_mode"]["state"], findings["trading"]["state"]) == ("warn", "bad")
    async with door.desk.database.writing() as session:
        await session.execute(update(Account).where(Account.id == account_id).values(
            status=AccountStatus.BROKEN, trouble="device_revoked"))
    _, findings, _ = await seen(door, token, key)
    assert findings["account"]["state"] == "bad" and "revoked" in findings["account"]["detail"]
    await push(door, key, login="5", server="Elsewhere", positions=[])
    _, findings, _ = await seen(door, token, key)
    assert findings["account"]["state"] == "bad"
    assert "5 at Elsewhere" in findings["account"]["detail"]
    assert "80007001 at Harbour-Live" in findings["account"]["fix"]
    assert findings["symbol_list"]["state"] == "warn", "what was told was of another broker"


async def test_a_new_device_and_a_silent_and_a_revoked_one(door: Door) -> None:
    _, token = await door.person()
    key = await register(door, token)
    found, findings, _ = await seen(door, token, key)
    assert (found["state"], found["as_of"]) == ("bad", None)
    assert states(findings, "bad") == {"device", "account", "snapshot"}
    await push(door, key)
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    async with door.desk.database.writing() as session:
        await session.execute(update(Device).values(last_seen_at=long_ago))
    _, findings, _ = await seen(door, token, key)
    assert findings["device"]["state"] == "bad" and f"{long_ago:%H:%M}" in findings["device"]["detail"]
    assert findings["account"]["detail"].startswith("No account is linked")
    await door.call("POST", f"/api/v1/devices/{key[0]}/revoke", token=token)
    found, findings, _ = await seen(door, token, key)
    assert "revoked" in findings["device"]["detail"] and found["state"] == "bad"


async def test_another_users_device_is_not_there(door: Door) -> None:
    _, token = await door.person()
    key = await register(door, token)
    _, eve = await door.person(7002, "Eve")
    answers = [await door.call("GET", f"/api/v1/devices/{name}/doctor", token=eve)
               for name in (key[0], "dv_000000000000000000000000", "0", "%00")]
    for status, refused, _ in answers:
        documented.check("GET", "/devices/{id}/doctor", status, refused)
    assert [status for status, _, _ in answers] == [404] * 4
    assert len({answer["detail"] for _, answer, _ in answers}) == 1
    status, refused, _ = await door.call("GET", f"/api/v1/devices/{key[0]}/doctor")
    documented.check("GET", "/devices/{id}/doctor", status, refused)
    assert status == 401


@pytest.mark.parametrize(("changes", "code", "state", "symbol", "as_symbol"), [
    ({"EURUSD": {"trade_mode": "close_only"}}, "closed_symbols", "warn", "EURUSD", "closed"),
    ({"EURUSD": {"trade_mode": "long_only"}}, "closed_symbols", "warn", "EURUSD", "closed"),
    ({"EURUSD": {"filling": ["boc"]}}, "filling", "bad", "EURUSD", "found"),
    ({"EURUSD": {"stops_level": 25}}, "stops_level", "ok", "EURUSD 25", "found"),
    ({"EURUSD": {"tick_value": "0"}}, "tick_values", "warn", "EURUSD", "found"),
    ({"EURUSD": {"stops_level": 5, "tick_value": None, "bid": None}}, "stops_level", "ok", "EURUSD 5", "found"),
    ({"EURUSD": {"volume_min": "10"}}, "least_volume", "warn", "EURUSD", "found"),
    ({"EURUSD": {"contract_size": "1000"}}, "symbols", "warn", "EURUSD", "unconfirmed"),
    ({"EURUSD": {"name": "US500"}}, "symbols", "warn", "EURUSD", "missing")])
async def test_the_broker_is_judged_symbol_by_symbol(door: Door, changes: dict[str, Any], code: str, state: str,
                                                     symbol: str, as_symbol: str) -> None:
    _, token, key, _ = await linked(door, majors(**changes))
    found, findings, symbols = await seen(door, token, key)
    assert (findings[code]["state"], found["state"]) == (state, state)
    assert re.search(rf": {symbol}\.", findings[code]["detail"])
    assert symbols["EURUSD"]["state"] == as_symbol
    assert states(findings, "ok") >= set(doctor_words.TITLES) - {code}


async def test_what_providers_send_weighs_more_and_what_its_owner_says_counts(door: Door) -> None:
    provider, ignored = await door.provider(), await door.provider("Desk Beta")
    _, token, key, account_id = await linked(door, [*majors(), spec("EURJPY.a", currency_profit="JPY"),
                                                    spec("EURJPY.b", currency_profit="JPY")])
    status, _, _ = await door.call("DELETE", "/api/v1/providers/2/follow", token=token)
    assert status == 204
    await door.person(7002, "Eve")  # who follows both
    sent = {"order_type": "limit", "side": "buy", "take_profits": []}
    await door.publish(provider, **sent, symbol="EUR/JPY", entry_price="160", stop_loss="159")
    await door.publish(provider, **sent, symbol="EURUSD", entry_price="1.07", stop_loss="0.05")
    await door.publish(ignored, **sent, symbol="UNHEARD", entry_price="1.07", stop_loss="1.05")
    found, findings, symbols = await seen(door, token, key)
    assert [one["symbol"] for one in found["symbols"]][:2] == ["EURUSD", "EURJPY"], "the newest first"
    assert "UNHEARD" not in symbols
    assert symbols["EURJPY"] == {"symbol": "EURJPY", "broker_symbol": None, "state": "ambiguous",
                                 "detail": doctor_words.SYMBOL_WORDS["ambiguous"]}
    assert (findings["symbols"]["state"], found["state"]) == ("bad", "bad")
    assert findings["least_volume"]["state"] == "warn" and "EURUSD" in findings["least_volume"]["detail"]
    path = f"/api/v1/accounts/{account_id}/symbols/EURJPY"
    assert (await door.call("PUT", path, token=token, body={"broker_symbol": "EURJPY.b"}))[0] == 200
    _, findings, symbols = await seen(door, token, key)
    assert (symbols["EURJPY"]["broker_symbol"], symbols["EURJPY"]["state"]) == ("EURJPY.b", "edited")
    assert findings["symbols"]["state"] == "ok"
    await tell_all(door, key, *majors())
    _, findings, symbols = await seen(door, token, key)
    assert symbols["EURJPY"]["state"] == "missing" and findings["symbols"]["state"] == "bad"


async def test_the_sizing_of_the_account_is_held_against_the_least_volume(door: Door) -> None:
    _, token, key, account_id = await linked(door, majors(EURUSD={"volume_min": "0.10"}))
    path = f"/api/v1/accounts/{account_id}"
    for volume, state in (("0.10", "ok"), ("0.05", "bad")):
        await door.call("PATCH", path, token=token, body={"sizing": {"mode": "fixed", "volume": volume}})
        _, findings, _ = await seen(door, token, key)
        assert findings["least_volume"]["state"] == state
    assert "0.05 lots" in findings["least_volume"]["detail"] and ": EURUSD." in findings["least_volume"]["detail"]


async def test_more_symbols_than_are_kept_are_told_of(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbol_reports, "MOST", 8)
    _, token, key, _ = await linked(door, [*majors(), spec("A"), spec("B")])
    _, findings, _ = await seen(door, token, key)
    assert findings["symbol_list"]["state"] == "warn" and "8" in findings["symbol_list"]["detail"]


def test_only_names_that_may_be_meant_are_looked_at_and_none_is_missed() -> None:
    names = ["EURUSD", "EUR/USD.x", "mEURUSD", "GOLD#", "xauusd.", "XAU_USD", "USD/JPY", "DJ30", "US30m", "BRK.B",
             "EUR"]
    found = doctor_symbols._candidates(["EURUSD", "XAUUSD", "US30", "BRK.B", "SP500"], names)
    assert found == {"EURUSD": ["EURUSD", "EUR/USD.x", "mEURUSD"], "XAUUSD": ["GOLD#", "xauusd.", "XAU_USD"],
                     "US30": ["DJ30", "US30m"], "BRK.B": ["BRK.B"], "SP500": []}


def test_every_code_is_worded_and_every_wording_is_whole() -> None:
    assert set(doctor_words.TITLES) == set(doctor_words.WORDS)
    for code, outcomes in doctor_words.WORDS.items():
        assert {says.state for says in outcomes.values()} & {State.OK}, code
        for outcome, says in outcomes.items():
            assert says.detail and (says.state == State.OK) <= (says.fix == ""), (code, outcome)
            assert says.state not in (State.WARN, State.BAD) or says.fix, (code, outcome)
            assert len(says.detail) <= 120 and len(says.fix) <= 160, (code, outcome)
            named = {name for _, name, _, _ in string.Formatter().parse(says.detail + says.fix) if name is not None}
            assert named <= {"at", "login", "server", "own_login", "own_server", "reason", "build", "version", "needed",
                             "ping", "offset", "count", "symbols", "volume", "risk", "equity", "currency"}
