"""What devices tell of their brokers' symbols over HTTP: bounded, in any order, and written only when it is new."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select

from models.device import Device, DeviceSymbol
from models.symbol import SymbolMap
from sandbox.signing import headers as signed_headers
from services import symbol_reports
from tests.webapp import documented
from tests.webapp.broker_stage import SYMBOLS, forget, gold, linked, page, quoted, spec, tell, tell_all, terminal
from tests.webapp.conftest import Door
from tests.webapp.devices_stage import Key, is_signed, push, register


async def told(door: Door, key: Key) -> dict[str, DeviceSymbol]:
    async with door.desk.database.reading() as session:
        rows = await session.scalars(select(DeviceSymbol).where(DeviceSymbol.device_id == key[0]))
        return {row.name: row for row in rows}


async def noted(door: Door, key: Key) -> dict[str, Any] | None:
    async with door.desk.database.reading() as session:
        return (await session.get_one(Device, key[0])).terminal


@contextmanager
def written() -> Iterator[list[str]]:
    """The statements that change what is known of symbols and terminals, while it is open."""
    found: list[str] = []

    def keep(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")) and re.search("device_symbols|terminal", statement):
            found.append(statement)

    event.listen(Engine, "before_cursor_execute", keep)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", keep)


async def test_a_listing_is_kept_and_what_is_gone_from_the_next_one_is_gone(door: Door) -> None:
    key = await register(door, (await door.person())[1])
    await tell(door, key, spec("EURUSD.r"), spec("USDJPY.r"), is_first=True, terminal=terminal())
    assert "listed_at" not in (await noted(door, key) or {})
    await tell(door, key, gold())
    await tell(door, key, spec("GBPUSD.r"), is_last=True)
    assert set(await told(door, key)) == {"EURUSD.r", "USDJPY.r", "GOLD", "GBPUSD.r"}
    kept = await noted(door, key)
    assert kept is not None and "listed_at" in kept and kept["build"] == 5833
    await tell(door, key, spec("AUDUSD.r"))
    assert len(await told(door, key)) == 5, "a page of its own takes nothing away"
    await tell(door, key, spec("EURUSD.r"), is_first=True)
    await tell(door, key, gold(), is_last=True)
    assert set(await told(door, key)) == {"EURUSD.r", "GOLD"}
    await tell(door, key, is_first=True, is_last=True)
    assert set(await told(door, key)) == {"EURUSD.r", "GOLD"}, "a terminal that has just started has no list"
    row = (await told(door, key))["GOLD"]
    assert row.spec["contract_size"] == "100" and row.spec["filling"] == ["fok", "ioc"] and row.tick_value == 1


async def test_what_says_nothing_new_is_not_written(door: Door) -> None:
    key = await register(door, (await door.person())[1])
    many = [quoted(spec(f"PAIR{number}"), "1.1", "1.2") for number in range(200)]
    with written() as first:
        await tell_all(door, key, *many)
    assert len(first) == 2, "the list and the terminal"
    with written() as again:
        await tell(door, key, *many, is_first=True, is_last=True, terminal=terminal(ping_ms=55))
        await tell(door, key, terminal=terminal(ping_ms=45, utc_offset_seconds=7201))
        await tell(door, key, many[0])
    assert again == []
    with written() as changed:
        await tell(door, key, *many[1:], quoted(many[0], "1.3", "1.4"))
    assert len(changed) == 1
    rows = await told(door, key)
    assert str(rows["PAIR0"].bid) == "1.3" and rows["PAIR0"].told_at > rows["PAIR1"].told_at
    with written() as button:
        await tell(door, key, terminal=terminal(trade_allowed=False))
    assert len(button) == 1
    assert (await noted(door, key) or {})["trade_allowed"] is False


async def test_pages_in_any_order_and_twice_end_the_same(door: Door) -> None:
    key = await register(door, (await door.person())[1])
    old = page(spec("EURUSD.r", stops_level=5), ago=20, is_first=True, is_last=True, terminal=terminal(build=1))
    new = page(spec("EURUSD.r", stops_level=7), gold(), ago=10, is_first=True, terminal=terminal(build=2))
    end = page(spec("USDJPY.r"), ago=5, is_last=True)
    for body in (new, old, end, new, old, end):
        status, answer, _ = await door.signed("POST", SYMBOLS, key, body)
        assert status == 204, answer
    rows = await told(door, key)
    assert set(rows) == {"EURUSD.r", "GOLD", "USDJPY.r"} and rows["EURUSD.r"].spec["stops_level"] == 7
    assert (await noted(door, key) or {})["build"] == 2
    await asyncio.gather(*(door.signed("POST", SYMBOLS, key, body) for body in (old, new, end) * 3))
    rows = await told(door, key)
    assert set(rows) == {"EURUSD.r", "GOLD", "USDJPY.r"} and rows["EURUSD.r"].spec["stops_level"] == 7


async def test_a_listing_whose_beginning_is_not_known_takes_nothing_away(door: Door) -> None:
    key = await register(door, (await door.person())[1])
    await tell_all(door, key, spec("EURUSD.r"), gold())
    await tell(door, key, spec("USDJPY.r"), is_first=True)
    await forget(door)
    await tell(door, key, spec("GBPUSD.r"), is_last=True)
    assert set(await told(door, key)) == {"EURUSD.r", "GOLD", "USDJPY.r", "GBPUSD.r"}


async def test_a_late_page_of_an_older_listing_keeps_nothing_alive(door: Door) -> None:
    key = await register(door, (await door.person())[1])
    await tell(door, key, spec("A"), spec("B"), ago=40, is_first=True, is_last=True)
    await tell(door, key, spec("A"), ago=10, is_first=True)
    await tell(door, key, spec("B"), ago=20)
    await tell(door, key, spec("C"), ago=5, is_last=True)
    assert set(await told(door, key)) == {"A", "C"}


async def test_a_listing_that_was_lost_on_its_way_takes_nothing_away(door: Door) -> None:
    key = await register(door, (await door.person())[1])
    await tell_all(door, key, spec("A"), spec("B"))
    await tell(door, key, spec("A"), is_first=True)
    assert await door.desk.redis.delete(f"device:listing:v1:{key[0]}:names") == 1
    await tell(door, key, spec("C"), is_last=True)
    assert set(await told(door, key)) == {"A", "B", "C"}


async def test_a_device_tells_so_many_symbols_and_no_more(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbol_reports, "MOST", 10)
    key = await register(door, (await door.person())[1])
    other = await register(door, (await door.person(7002))[1])
    await tell(door, other, spec("A0"))
    await tell(door, key, *(spec(f"A{number}") for number in range(8)), is_first=True)
    await tell(door, key, *(spec(f"B{number}") for number in range(8)), is_last=True)
    assert set(await told(door, key)) == {*(f"A{number}" for number in range(8)), "B0", "B1"}
    await tell(door, key, spec("A0", stops_level=99), spec("C0"))
    rows = await told(door, key)
    assert len(rows) == 10 and rows["A0"].spec["stops_level"] == 99, "what is known is kept up to date"
    assert set(await told(door, other)) == {"A0"}


async def test_what_nobody_could_trade_is_left_out_and_descriptions_are_cleaned(door: Door) -> None:
    key = await register(door, (await door.person())[1])
    await tell_all(door, key, spec("ZERO", contract_size="0"), spec("STEP", volume_step="0.00"),
                   spec("ODD", description=" a\u0007b\n" + "\U0001f600" * 80, currency_base=""),
                   spec("TINY", point="0.0000000001", tick_value="0", bid="0", ask="0"))
    rows = await told(door, key)
    assert set(rows) == {"ODD", "TINY"}
    assert rows["ODD"].spec["description"].startswith("a b ") and len(rows["ODD"].spec["description"]) == 64
    assert (rows["TINY"].tick_value, rows["TINY"].bid) == (None, None)


@pytest.mark.parametrize("body", [
    lambda: page(*(spec(f"S{number}") for number in range(201))), lambda: page(spec(), spec()),
    lambda: page(spec("")), lambda: page(spec("x" * 33)), lambda: page(spec("a\nb")), lambda: page(spec(point=0.1)),
    lambda: page(spec(point="1e-5")), lambda: page(spec(point="-1")), lambda: page(spec(digits="5")),
    lambda: page(spec(trade_mode="open")), lambda: page(spec(filling=["fok"] * 9)), lambda: page(spec(more=1)),
    lambda: page(spec(tick_value="NaN")), lambda: page(spec(quoted_at="yesterday")), lambda: page(ago=600),
    lambda: page(ago=-120), lambda: page(terminal=terminal(version="<b>")),
    lambda: page(terminal=terminal(connected="yes")), lambda: page(terminal={"version": "1"}),
    lambda: page(more=1), lambda: {"symbols": []}])
async def test_what_is_not_of_the_form_is_refused_whole(door: Door, body: Callable[[], dict[str, Any]]) -> None:
    key = await register(door, (await door.person())[1])
    status, refused, _ = await door.signed("POST", SYMBOLS, key, body())
    documented.check("POST", "/ea/symbols", status, refused)
    assert (status, refused["code"]) == (422, "invalid_request")
    assert await told(door, key) == {} and await noted(door, key) is None


async def test_answers_are_signed_and_a_revoked_device_is_not_heard(door: Door) -> None:
    _, token = await door.person()
    key = await register(door, token)
    for body, expected in ((page(spec()), 204), (page(more=1), 422)):
        raw = json.dumps(body).encode()
        headers = signed_headers(*key, method="POST", target=SYMBOLS, body=raw, now=int(time.time()))
        async with door.client.post(f"{door.base}{SYMBOLS}", data=raw,
                                    headers=headers | {"Content-Type": "application/json"}) as answer:
            said = await answer.read()
            assert answer.status == expected, said
            assert is_signed(key, answer.status, headers["X-Nonce"], said, answer.headers)
            documented.check("POST", "/ea/symbols", answer.status, json.loads(said) if said else None)
    await door.call("POST", f"/api/v1/devices/{key[0]}/revoke", token=token)
    status, refused, _ = await door.signed("POST", SYMBOLS, key, page(gold()))
    assert status == 401
    documented.check("POST", "/ea/symbols", status, refused)
    assert "GOLD" not in await told(door, key)


async def test_another_account_at_the_terminal_is_another_broker(door: Door) -> None:
    _, _, key, _ = await linked(door, [spec()])
    await push(door, key, login="80007001", currency="USD", equity="9000.00", positions=[])
    assert set(await told(door, key)) == {"EURUSD.r"}
    await push(door, key, login="5", server="Elsewhere-Live", positions=[])
    assert await told(door, key) == {}
    kept = await noted(door, key)
    assert kept is not None and "listed_at" not in kept and kept["build"] == 5833, "the terminal is the same one"
    await tell_all(door, key, spec("EURUSD.x"))
    assert set(await told(door, key)) == {"EURUSD.x"}


async def test_what_was_looked_for_in_vain_is_looked_for_again_when_more_is_told(door: Door) -> None:
    _, _, key, account_id = await linked(door, [spec()])
    values = {"account_id": account_id, "source": "found", "checked_at": datetime.now(UTC)}
    async with door.desk.database.writing() as session:
        session.add_all([SymbolMap(symbol="XAUUSD", problem="missing", broker_symbol=None, **values),
                         SymbolMap(symbol="EURUSD", problem=None, broker_symbol="EURUSD.r", **values)])
    await tell(door, key, spec(stops_level=3))
    async with door.desk.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(SymbolMap)) == 2
    await tell(door, key, gold())
    async with door.desk.database.reading() as session:
        assert list(await session.scalars(select(SymbolMap.symbol))) == ["EURUSD"]


class TestLimits:
    @pytest.fixture
    def overlay(self) -> dict[str, Any]:
        return {"limits": {"reports": 3}}

    async def test_pages_are_counted_beside_the_reports(self, door: Door) -> None:
        key = await register(door, (await door.person())[1])
        for number in range(3):
            await tell(door, key, spec(f"A{number}"))
        status, refused, headers = await door.signed("POST", SYMBOLS, key, page(spec("B")))
        assert status == 429 and int(headers["Retry-After"]) > 0
        documented.check("POST", "/ea/symbols", status, refused)
        await push(door, key)


async def test_a_page_that_comes_late_does_not_undo_what_was_said_since(door: Door) -> None:
    key = await register(door, (await door.person())[1])
    moment = datetime.now(UTC)
    late = page(quoted(spec(), "1.0", "1.1")) | {"taken_at": (moment - timedelta(seconds=9)).isoformat()}
    await tell(door, key, quoted(spec(), "1.2", "1.3"), ago=3)
    await door.signed("POST", SYMBOLS, key, late)
    assert str((await told(door, key))["EURUSD.r"].bid) == "1.2"


async def test_the_guide_shows_a_page_that_is_taken(door: Door) -> None:
    key = await register(door, (await door.person())[1])
    text = (Path(__file__).parent.parent.parent / "docs" / "devices.md").read_text(encoding="utf-8")
    [shown] = [block for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL) if "stops_level" in block]
    body = json.loads(shown) | {"taken_at": datetime.now(UTC).isoformat()}
    assert (await door.signed("POST", SYMBOLS, key, body))[0] == 204
    assert set(await told(door, key)) == {"EURUSD.r"} and "listed_at" in (await noted(door, key) or {})
