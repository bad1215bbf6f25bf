"""What a device says of money paid in and out of its account, as the API shows it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.device import DeviceSnapshot
from models.position import EquityPoint
from services import tiers
from tests.webapp import documented
from tests.webapp.conftest import Door
from tests.webapp.devices_stage import SNAPSHOT, Key, push, register, report


async def linked(door: Door, **figures: Any) -> tuple[str, str, Key]:
    """A device whose account is linked: its person's token, the account, the key."""
    user_id, token = await door.person()
    vip = door.desk.catalogue.named("vip")
    assert vip is not None
    async with door.desk.database.writing() as session:
        tiers.grant(session, vip, user_id, 30, "manual", datetime.now(UTC))
    key = await register(door, token)
    await push(door, key, **{"positions": [], **figures})
    status, account, _ = await door.call("POST", "/api/v1/accounts/link", token=token,
                                         body={"route": "device", "device_id": key[0]})
    assert status == 201, account
    return token, account["id"], key


async def shown(door: Door, token: str, account_id: str) -> tuple[str, str, str | None]:
    status, found, _ = await door.call("GET", f"/api/v1/accounts/{account_id}/positions", token=token)
    documented.check("GET", "/accounts/{id}/positions", status, found)
    return found["drawdown_percent"], found["max_drawdown_percent"], found["day_change"]


def figures(amount: str, net_deposits: str | None) -> dict[str, Any]:
    """A flat account with so much in it."""
    return {"balance": amount, "equity": amount, "free_margin": amount, "margin": "0", "margin_level": None,
            "positions": [], "net_deposits": net_deposits}


async def test_a_deposit_that_a_device_reports_is_no_gain(door: Door) -> None:
    token, account_id, key = await linked(door, equity="10000.00", balance="10000.00", net_deposits="8000")
    async with door.desk.database.writing() as session:
        session.add(EquityPoint(account_id=int(account_id), at=datetime.now(UTC) - timedelta(hours=25),
                                equity=Decimal(9500), balance=Decimal(9500), net_deposits=Decimal(8000)))
    await door.desk.positions.forget(int(account_id))
    assert await shown(door, token, account_id) == ("0.00", "0.00", "500.00")
    for amount, paid, expected in (
            ("9000.00", "8000", ("10.00", "10.00", "-500.00")), ("18000.00", "17000.00", ("10.00", "10.00", "-500.00")),
            ("4500.00", "3500", ("10.00", "10.00", "-500.00")), ("5500.00", "3500", ("0.00", "10.00", "500.00")),
            # One that says nothing of it is believed as before.
            ("5000.00", None, ("9.09", "10.00", "-4500.00"))):
        await push(door, key, **figures(amount, paid))
        assert await shown(door, token, account_id) == expected, amount
    await door.desk.positions.settled()
    status, curve, _ = await door.call("GET", f"/api/v1/accounts/{account_id}/equity?span=week", token=token)
    documented.check("GET", "/accounts/{id}/equity", status, curve)
    assert [point["net_deposits"] for point in curve["items"]] == ["8000", "8000"], "a point a minute at most"


async def test_a_device_of_an_older_kind_says_nothing_of_it(door: Door) -> None:
    token, account_id, key = await linked(door, equity="10000.00", balance="10000.00")
    await shown(door, token, account_id)
    without = figures("15000.00", None)
    del without["net_deposits"]
    await push(door, key, **without)
    assert (await shown(door, token, account_id))[:2] == ("0.00", "0.00")


async def test_a_report_that_an_older_desk_has_kept_is_read(door: Door) -> None:
    token, account_id, key = await linked(door, **figures("10000.00", "8000"))
    async with door.desk.database.writing() as session:
        row = await session.get_one(DeviceSnapshot, key[0])
        row.account = {name: value for name, value in row.account.items() if name != "net_deposits"}
    await door.desk.redis.flushall()
    assert (await shown(door, token, account_id))[:2] == ("0.00", "0.00")


@pytest.mark.parametrize("net_deposits", [100, "NaN", "1e5", "1" * 16, "", True, ["1"]])
async def test_what_was_paid_in_is_reported_in_one_form_only(door: Door, net_deposits: Any) -> None:
    key = await register(door, (await door.person())[1])
    status, refused, _ = await door.signed("POST", SNAPSHOT, key, report(net_deposits=net_deposits))
    assert (status, refused["code"]) == (422, "invalid_request"), refused


async def test_absurd_sums_leave_an_account_that_can_be_looked_at(door: Door) -> None:
    most, least = "999999999999999.99999999", "0.00000001"
    token, account_id, key = await linked(door, net_deposits=most)
    for amount, paid in ((least, f"-{most}"), (most, most), (f"-{most}", least), (most, f"-{most}"), (least, most)) * 3:
        await push(door, key, **figures(amount, paid))
        await shown(door, token, account_id)
    await door.desk.positions.settled()
