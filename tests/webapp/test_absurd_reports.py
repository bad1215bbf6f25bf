"""A device may report any figures that have the form of figures: whoever looks at them gets an answer."""

from datetime import UTC, datetime

import pytest

from bot import positions as told
from services import accounts, tiers
from tests.webapp.conftest import Door
from tests.webapp.devices_stage import position, push, register

MOST, LEAST = "999999999999999.99999999", "0.00000001"
ABSURD = {"balance": LEAST, "equity": f"-{MOST}", "margin": LEAST, "free_margin": MOST, "margin_level": None}


@pytest.mark.parametrize("result", [MOST, f"-{MOST}"])
async def test_absurd_figures_are_shown_like_others(door: Door, result: str) -> None:
    user_id, token = await door.person()
    vip = door.desk.catalogue.named("vip")
    assert vip is not None
    async with door.desk.database.writing() as session:
        tiers.grant(session, vip, user_id, 30, "manual", datetime.now(UTC))
    key = await register(door, token)
    open_now = [position(number, profit=result, swap=result, volume=MOST, entry_price=MOST, current_price=LEAST,
                         stop_loss=MOST, take_profit=LEAST) for number in range(1, 400)]
    await push(door, key, positions=open_now, **ABSURD)
    status, account, _ = await door.call("POST", "/api/v1/accounts/link", token=token,
                                         body={"route": "device", "device_id": key[0]})
    assert status == 201, account
    for path in ("/api/v1/accounts", "/api/v1/positions", "/api/v1/portfolio", "/app/fragments/positions",
                 "/app/fragments/accounts", f"/api/v1/accounts/{account['id']}/equity"):
        status, shown, _ = await door.call("GET", path, token=token)
        assert status == 200, (path, shown)
    async with door.desk.database.reading() as session:
        row = await accounts.primary(session, user_id)
    moment = datetime.now(UTC)
    found = await door.desk.positions.live(row, moment)
    assert row.id == int(account["id"]) and told.written(row, found, moment)
