"""Orders over the devices' door: offered once, begun once, acknowledged in any order."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from models.device import DeviceAck
from models.order import Order, OrderStatus
from services import device_acks, device_orders, recovery, shares
from tests.webapp import documented
from tests.webapp.broker_stage import gold, quoted, spec, tell, tell_all
from tests.webapp.conftest import Door
from tests.webapp.devices_stage import push, register
from tests.webapp.trading_stage import ACK, BEGIN, POLL, SOUND, Floor, floor

FILLED = {"ticket": 7, "price": "2345.50", "volume": "0.10", "retcode": 10009}


@pytest.fixture
async def stage(door: Door) -> Floor:
    return await floor(door)


async def swept(stage: Floor, seconds: float = 0.0) -> int:
    """What the loop does when it looks so much later."""
    async with stage.door.desk.database.writing() as session:
        return await device_orders.sweep(session, datetime.now(UTC) + timedelta(seconds=seconds), 100)


async def test_an_order_is_fetched_begun_and_filled(stage: Floor) -> None:
    assert await stage.poll() == []
    before = await stage.approve(entry_price="2350.00")
    status, offer, headers = await stage.door.signed("GET", POLL, stage.device)
    documented.check("GET", "/ea/poll", status, offer)
    assert headers["X-Signature"].startswith("v1=") and offer["next_poll_seconds"] >= 1
    [order] = offer["orders"]
    assert (order["order_id"], order["side"], order["order_type"]) == (str(before.id), "buy", "market")
    assert (order["volume"], order["stop_loss"]) == ("0.10", "2300.00")
    assert order["take_profits"] == ["2450.00", "2500.00"] and order["began_at"] is None
    assert (order["login"], order["server"]) == ("70012345", "Harbour-Live") and len(order["comment"]) <= 29
    assert order["magic"] < 2**53 and shares.magic_of_order(order["magic"]) == order["magic"]
    assert (await stage.card(before.id))["status"] == "leased" and await stage.poll() == []
    status, begun = await stage.begin(before.id)
    documented.check("POST", "/ea/begin", status, begun)
    assert (await stage.card(before.id))["status"] == "sent"
    status, refused = await stage.begin(before.id)
    documented.check("POST", "/ea/begin", status, refused)
    assert (status, refused["code"]) == (409, "already_begun")
    for _ in range(3):
        status, told = await stage.ack(before.id, "filled", **FILLED)
        documented.check("POST", "/ea/ack", status, told)
        assert told == {"recorded": "taken"}
    card = await stage.card(before.id)
    assert (card["status"], card["ticket"], card["fill_price"], card["volume"]) == ("filled", 7, "2345.50", "0.10")
    assert await stage.poll() == []
    async with stage.door.desk.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(DeviceAck)) == 1


async def test_a_client_that_only_polls_and_acknowledges_is_served_too(stage: Floor) -> None:
    order = await stage.approve()
    [first] = await stage.poll()
    await stage.later(order.id, 15)
    [again] = await stage.poll()
    assert {name: first[name] for name in ("order_id", "seq", "magic", "volume")} == {
        name: again[name] for name in ("order_id", "seq", "magic", "volume")}
    assert (await stage.ack(order.id, "filled", **FILLED))[1] == {"recorded": "taken"}
    assert (await stage.ack(order.id, "closed", ticket=7, price="2400.00", profit="545.00", reason="take_profit"))[
        1] == {"recorded": "taken"}
    card = await stage.card(order.id)
    assert (card["status"], card["reason"], card["fill_price"]) == ("closed", "take_profit", "2345.50")


async def test_parallel_polls_of_two_devices_lease_each_order_once(stage: Floor) -> None:
    other = await stage.second()
    made = [await stage.approve() for _ in range(6)]
    seen = [order for found in await asyncio.gather(
        *(stage.poll((stage.device, other)[turn % 2]) for turn in range(100))) for order in found]
    assert sorted(int(order["order_id"]) for order in seen) == [order.id for order in made]
    numbers = [order["seq"] for order in sorted(seen, key=lambda order: int(order["order_id"]))]
    assert len(set(numbers)) == len(numbers) and len({order["magic"] for order in seen}) == len(seen)


async def test_only_one_of_two_devices_may_begin(stage: Floor) -> None:
    other, order = await stage.second(), await stage.approve()
    assert len(await stage.poll()) == 1
    assert (await stage.begin(order.id, other))[1]["code"] == "lease_lost"
    await stage.later(order.id, 15)
    [taken_over] = await stage.poll(other)
    assert taken_over["began_at"] is None
    assert (await stage.begin(order.id))[1]["code"] == "lease_lost"
    outcomes = await asyncio.gather(*(stage.begin(order.id, other) for _ in range(10)))
    assert sorted(status for status, _ in outcomes) == [200] + [409] * 9


@pytest.mark.parametrize("status", ["rejected", "failed"])
@pytest.mark.parametrize("is_begun", [False, True], ids=["leased", "begun"])
async def test_the_no_of_a_device_that_has_it_no_more_is_late(stage: Floor, status: str, is_begun: bool) -> None:
    order, second = await stage.approve(), await stage.second()
    assert len(await stage.poll()) == 1
    await stage.later(order.id, 16)
    assert len(await stage.poll(second)) == 1
    if is_begun:
        assert (await stage.begin(order.id, second))[0] == 200
    assert await stage.ack(order.id, status, error="policy_spread") == (200, {"recorded": "late"})
    assert (await stage.order(order.id)).status == ("sent" if is_begun else "leased")
    assert await stage.ack(order.id, "filled", second, ticket=5, price="2350.00") == (200, {"recorded": "taken"})
    assert (await stage.order(order.id)).status == "filled"


@pytest.mark.parametrize("status", ["rejected", "failed"])
async def test_only_who_can_know_says_that_what_was_begun_was_not_traded(stage: Floor, status: str) -> None:
    order, second = await stage.approve(), await stage.second()
    await stage.poll()
    await stage.begin(order.id)
    await stage.later(order.id, 16)
    assert await stage.ack(order.id, status, second, error="policy_spread") == (200, {"recorded": "late"})
    assert (await stage.order(order.id)).status == "sent"
    await stage.later(order.id, 100)
    await swept(stage)
    assert len(await stage.poll(second)) == 1
    assert await stage.ack(order.id, status, second, error="policy_spread") == (200, {"recorded": "late"})
    assert (await stage.order(order.id)).status == "unknown"
    assert await stage.ack(order.id, status, second, error="not_executed") == (200, {"recorded": "taken"})
    assert (await stage.order(order.id)).status == status


async def test_another_device_ends_no_waiting_order_but_who_names_its_ticket(stage: Floor) -> None:
    order, second = await stage.approve(order_type="limit", entry_price="2340.00"), await stage.second()
    await stage.poll()
    await stage.begin(order.id)
    await stage.ack(order.id, "placed", ticket=5, retcode=10008)
    assert await stage.ack(order.id, "rejected", second, error="not_executed") == (200, {"recorded": "late"})
    assert (await stage.order(order.id)).status == "placed"
    assert await stage.ack(order.id, "rejected", second, ticket=5, retcode=10007) == (200, {"recorded": "taken"})
    assert (await stage.order(order.id)).status == "rejected"


async def test_what_was_said_too_early_counts_once_it_can(stage: Floor) -> None:
    order, second = await stage.approve(), await stage.second()
    await stage.poll()
    await stage.begin(order.id)
    await stage.later(order.id, 100)
    await swept(stage)
    assert await stage.ack(order.id, "failed", second, error="not_executed") == (200, {"recorded": "late"})
    assert len(await stage.poll(second)) == 1
    for _ in range(2):
        assert await stage.ack(order.id, "failed", second, error="not_executed") == (200, {"recorded": "taken"})
    assert (await stage.order(order.id)).status == "failed"


async def test_late_news_that_is_told_again_does_not_undo_what_came_after_it(stage: Floor) -> None:
    order = await stage.approve()
    await stage.poll()
    await stage.later(order.id, 100)
    assert await swept(stage) == 1
    assert await stage.ack(order.id, "placed", ticket=5, retcode=10008) == (200, {"recorded": "late"})
    assert (await stage.order(order.id)).status == "placed"
    assert await stage.ack(order.id, "rejected", ticket=5, retcode=10007) == (200, {"recorded": "taken"})
    assert await stage.ack(order.id, "placed", ticket=5, retcode=10008) == (200, {"recorded": "late"})
    assert (await stage.order(order.id)).status == "rejected"


async def test_words_without_end_are_not_kept_without_end(stage: Floor) -> None:
    order = await stage.approve()
    await stage.poll()
    await stage.ack(order.id, "filled", **FILLED)
    for turn in range(device_acks.MOST_KEPT + 4):
        assert (await stage.ack(order.id, "failed", error=f"no {turn}"))[1] == {"recorded": "late"}
    async with stage.door.desk.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(DeviceAck)) == device_acks.MOST_KEPT


async def test_a_plan_that_has_ended_trades_nothing_that_a_device_has_let_lapse(stage: Floor) -> None:
    order = await stage.approve()
    assert len(await stage.poll()) == 1
    async with stage.door.desk.database.writing() as session:
        await session.execute(Order.metadata.tables["grants"].delete())
    await stage.later(order.id, 15)
    assert await stage.poll() == []
    card = await stage.card(order.id)
    assert (card["status"], card["reason"]) == ("rejected", "tier_too_low")


async def test_what_was_begun_is_offered_to_be_looked_for_and_by_anyone(stage: Floor) -> None:
    other, order = await stage.second(), await stage.approve()
    await stage.poll()
    await stage.begin(order.id)
    assert await stage.poll(other) == []
    await stage.later(order.id, 100)
    assert await swept(stage) == 1
    assert (await stage.card(order.id))["status"] == "unknown"
    [looked_for] = await stage.poll(other)
    assert looked_for["began_at"] is not None and await stage.poll() == []
    assert (await stage.begin(order.id, other))[1]["code"] == "already_begun"
    assert (await stage.ack(order.id, "failed", other, error="not_executed"))[1] == {"recorded": "taken"}
    card = await stage.card(order.id)
    assert (card["status"], card["reason"]) == ("failed", "not_executed")
    assert (await stage.ack(order.id, "filled", **FILLED))[1] == {"recorded": "late"}
    card = await stage.card(order.id)
    assert (card["status"], card["reason"], card["ticket"]) == ("filled", None, 7), "what the broker did is believed"


async def test_what_nobody_fetched_or_answered_in_time_is_over(stage: Floor) -> None:
    order = await stage.approve()
    await stage.poll()
    await stage.later(order.id, 100)
    assert await stage.poll() == [] and (await stage.begin(order.id))[0] == 410
    assert await swept(stage) == 1 and await swept(stage) == 0
    card = await stage.card(order.id)
    assert (card["status"], card["reason"]) == ("expired", "not_executed_in_time")
    status, refused = await stage.begin(order.id)
    documented.check("POST", "/ea/begin", status, refused)
    assert (status, refused["code"]) == (410, "order_expired")
    assert (await stage.ack(order.id, "rejected", retcode=10019))[1] == {"recorded": "late"}
    assert (await stage.card(order.id))["status"] == "expired"
    assert (await stage.ack(order.id, "filled", **FILLED))[1] == {"recorded": "late"}
    assert (await stage.card(order.id))["status"] == "filled"


async def test_what_nobody_tells_the_end_of_is_given_up_after_a_week(stage: Floor) -> None:
    order, week = await stage.approve(), device_orders.LOOK_FOR.total_seconds()
    await stage.poll()
    await stage.begin(order.id)
    await stage.later(order.id, week - 60)
    assert (await swept(stage), await swept(stage)) == (1, 0)
    assert (await stage.card(order.id))["status"] == "unknown"
    await stage.later(order.id, 120)
    assert await stage.poll() == []
    assert (await swept(stage), await swept(stage)) == (1, 0)
    card = await stage.card(order.id)
    assert (card["status"], card["reason"]) == ("failed", "never_told")
    assert (await stage.ack(order.id, "filled", **FILLED))[1] == {"recorded": "late"}
    assert (await stage.card(order.id))["status"] == "filled", "what the broker did is believed"


async def test_a_contrary_acknowledgement_changes_nothing(stage: Floor) -> None:
    order = await stage.approve()
    await stage.poll()
    await stage.ack(order.id, "filled", **FILLED)
    for status, more in (("rejected", {"retcode": 10006}), ("failed", {"error": "not_executed"}), ("placed", FILLED),
                         ("filled", {**FILLED, "ticket": 8})):
        code, told = await stage.ack(order.id, status, **more)
        assert (code, told) == (200, {"recorded": "late"})
        assert (await stage.ack(order.id, status, **more))[1] == {"recorded": "late"}
    card = await stage.card(order.id)
    assert (card["status"], card["ticket"], card["retcode"]) == ("filled", 7, 10009)


@pytest.mark.parametrize(("error", "reason", "shown"), [
    ("policy_max_lots", "policy_max_lots", None), ("No money", "rejected_by_terminal", "No money"),
    (None, "rejected_by_terminal", None)])
async def test_a_refusal_says_why(stage: Floor, error: str | None, reason: str, shown: str | None) -> None:
    order = await stage.approve()
    await stage.poll()
    await stage.ack(order.id, "rejected", retcode=10019, **({} if error is None else {"error": error}))
    card = await stage.card(order.id)
    assert (card["status"], card["reason"], card["error"]) == ("rejected", reason, shown)


async def test_a_waiting_order_is_placed_then_filled_then_closed(stage: Floor) -> None:
    order = await stage.approve(order_type="limit", entry_price="2340.00")
    [offered] = await stage.poll()
    assert (offered["order_type"], offered["entry_price"]) == ("limit", "2340.00")
    await stage.begin(order.id)
    for status, more in (("placed", {"ticket": 5, "retcode": 10008}), ("filled", {**FILLED, "price": "2340.00"}),
                         ("closed", {"ticket": 7, "price": "2300.00", "profit": "-400", "reason": "stop_loss"})):
        assert (await stage.ack(order.id, status, **more))[1] == {"recorded": "taken"}
        assert (await stage.card(order.id))["status"] == status
    assert (await stage.ack(order.id, "placed", ticket=5, retcode=10008))[1] == {"recorded": "taken"}
    assert (await stage.card(order.id))["status"] == "closed"


async def test_another_users_order_is_not_there(door: Door, stage: Floor) -> None:
    order = await stage.approve()
    stranger = await floor(door, 7002, login="70099999")
    assert await stranger.poll() == []
    for path, body in ((BEGIN, {"order_id": str(order.id)}), (ACK, {"order_id": str(order.id), "status": "filled"}),
                       (ACK, {"order_id": "999999", "status": "filled"})):
        status, refused, _ = await door.signed("POST", path, stranger.device, body)
        documented.check("POST", path.removeprefix("/api/v1"), status, refused)
        assert (status, refused["code"]) == (404, "not_found")
    unbound = await register(door, stage.token, "Unbound")
    assert await stage.poll(unbound) == [] and (await stage.ack(order.id, "filled", unbound))[0] == 404
    assert (await stage.order(order.id)).status == OrderStatus.QUEUED


async def test_a_terminal_at_another_account_gets_nothing(stage: Floor) -> None:
    await stage.approve()
    await push(stage.door, stage.device, login="70054321", positions=[])
    assert await stage.poll() == []
    await push(stage.door, stage.device, positions=[])
    assert len(await stage.poll()) == 1


async def test_a_revoked_device_and_an_unlinked_account_get_nothing(stage: Floor) -> None:
    other, order = await stage.second(), await stage.approve()
    assert len(await stage.poll(other)) == 1
    await stage.door.call("POST", f"/api/v1/devices/{other[0]}/revoke", token=stage.token)
    assert (await stage.begin(order.id, other))[0] == 401
    await stage.later(order.id, 15)
    assert len(await stage.poll()) == 1
    await stage.door.call("DELETE", f"/api/v1/accounts/{stage.account_id}", token=stage.token)
    assert (await stage.begin(order.id))[0] in (404, 409)
    assert (await stage.card(order.id))["reason"] == "account_unlinked"
    assert (await stage.ack(order.id, "filled", **FILLED))[1] == {"recorded": "late"}
    assert (await stage.card(order.id))["status"] == "filled", "it was traded before the account went"


async def test_a_desk_that_starts_anew_leaves_devices_what_they_have_in_hand(stage: Floor) -> None:
    other, order = await stage.second(), await stage.approve()
    await stage.poll()
    async with stage.door.desk.database.writing() as session:
        await recovery.release_leases(session, datetime.now(UTC))
    assert await stage.poll(other) == [] and (await stage.begin(order.id))[0] == 200


async def test_a_plan_that_has_ended_trades_nothing(stage: Floor) -> None:
    order = await stage.approve()
    async with stage.door.desk.database.writing() as session:
        await session.execute(Order.metadata.tables["grants"].delete())
    assert await stage.poll() == []
    card = await stage.card(order.id)
    assert (card["status"], card["reason"]) == ("rejected", "tier_too_low")


async def test_nothing_is_sized_by_an_old_report_or_another_accounts(stage: Floor) -> None:
    desk, body = stage.door.desk, {"sizing": {"mode": "risk_percent", "value": "1"}}
    await stage.door.call("PATCH", f"/api/v1/accounts/{stage.account_id}", token=stage.token, body=body)
    other, order = await stage.second(), await stage.approve(order_type="limit", entry_price="2340.00")
    known, later = await desk.device_keys.find(other[0]), datetime.now(UTC) + timedelta(minutes=6)
    assert known is not None and order.expires_at > later
    assert not (await device_orders.offer(desk, known.key, later)).orders
    await push(stage.door, stage.device, **SOUND | {"login": "70054321"})
    assert await stage.poll(other) == []
    await push(stage.door, stage.device, **SOUND)
    assert len(await stage.poll(other)) == 1


async def test_what_cannot_be_sized_yet_keeps_nothing_behind_it_waiting(stage: Floor) -> None:
    body = {"sizing": {"mode": "risk_percent", "value": "1"}}
    await stage.door.call("PATCH", f"/api/v1/accounts/{stage.account_id}", token=stage.token, body=body)
    await tell_all(stage.door, stage.device, spec(), gold())
    for _ in range(device_orders.MOST_AT_ONCE):
        await stage.approve()
    assert await stage.poll() == []
    behind = await stage.approve(symbol="EURUSD", stop_loss="1.06508", take_profits=["1.08000"])
    await tell(stage.door, stage.device, quoted(spec(), "1.07000", "1.07008"))
    assert [offered["order_id"] for offered in await stage.poll()] == [str(behind.id)]


async def test_numbers_grow_also_after_a_backup_was_put_back(stage: Floor) -> None:
    began = int(datetime.now(UTC).timestamp() * 1000)
    seqs = []
    for _ in range(3):
        await stage.approve()
        [order] = await stage.poll()
        seqs.append(order["seq"])
    assert seqs == sorted(set(seqs)) and seqs[0] >= began and seqs[-1] < 2**53


@pytest.mark.parametrize("body", [
    {}, {"order_id": "1"}, {"order_id": "1", "status": "done"}, {"order_id": "0", "status": "filled"},
    {"order_id": "1", "status": "filled", "price": 2345.5}, {"order_id": "1", "status": "filled", "price": "NaN"},
    {"order_id": "1", "status": "filled", "price": "-1"}, {"order_id": "1", "status": "filled", "ticket": -1},
    {"order_id": "1", "status": "filled", "ticket": 2**63}, {"order_id": "1", "status": "filled", "x": 1},
    {"order_id": "1", "status": "rejected", "error": "x" * 257}, {"order_id": True, "status": "filled"},
    {"order_id": "1e3", "status": "filled"}])
async def test_what_cannot_be_is_refused_at_the_door(stage: Floor, body: dict[str, Any]) -> None:
    status, refused, _ = await stage.door.signed("POST", ACK, stage.device, body)
    documented.check("POST", "/ea/ack", status, refused)
    assert status == (400 if body.get("ticket") == 2**63 else 422), refused
