"""Accounts, positions and devices for the pages to show."""

import json
import time
from datetime import datetime
from decimal import Decimal
from typing import Any

from aiohttp import ClientSession

from models.account import Account, AccountStatus, Route
from sandbox.signing import headers
from services import accounts
from services.desk import Desk
from terminal.protocol import AccountRef, OrderRequest, OrderType, ResultStatus, Side
from tests.webapp.devices_stage import SNAPSHOT, report

# An account of an EA counts, and so does its device.
TIER = "vip"


async def paper(desk: Desk, user_id: int) -> Account:
    """The user's practice account."""
    async with desk.database.reading() as session:
        return next(row for row in await accounts.listed(session, user_id) if row.route == Route.PAPER)


async def another(desk: Desk, user_id: int, now: datetime, login: str = "88418841", **changes: Any) -> Account:
    """A second account at the practice broker, linked as if the desk had signed in to it."""
    assert desk.paper is not None
    ref = await desk.paper.open_account(login, currency="USD", deposit=Decimal(25_000), now=now)
    values = {"user_id": user_id, "route": Route.PAPER, "label": "Second", "login": ref.login, "server": ref.server,
              "broker": "Harbour Markets", "currency": "USD", "sizing": {}, "status": AccountStatus.VERIFIED,
              "is_primary": False, "verified_at": now, "created_at": now, **changes}
    async with desk.database.writing() as session:
        row = Account(**values)
        session.add(row)
    return row


async def hold(desk: Desk, account: Account, magic: int = 1, *, symbol: str = "EURUSD", side: Side = Side.BUY,
               volume: str = "0.10", stop: str | None = "1.06508", target: str | None = "1.08000") -> int:
    """Open a position on the account; returns its ticket."""
    assert desk.paper is not None
    result = await desk.paper.send(AccountRef(account.login, account.server), OrderRequest(
        magic, symbol, side, OrderType.MARKET, Decimal(volume), None, Decimal(stop) if stop else None,
        (Decimal(target),) if target else (), "test", None))
    assert result.status == ResultStatus.FILLED and result.ticket is not None, result
    await desk.positions.forget(account.id)
    return result.ticket


async def push(origin: str, device_id: str, secret: str, **changes: Any) -> None:
    """A device reports, signed; ``changes`` are of ``devices_stage.report``."""
    body = json.dumps(report(**changes)).encode()
    signed = headers(device_id, secret, method="POST", target=SNAPSHOT, body=body, now=int(time.time()))
    async with ClientSession() as client, client.post(
            origin + SNAPSHOT, data=body, headers=signed | {"Content-Type": "application/json"}) as answer:
        assert answer.status == 204, await answer.text()


async def pair(origin: str, code: str) -> tuple[int, Any]:
    """What a terminal is told that has been given a code."""
    body = {"code": code, "login": "70012345", "server": "Harbour-Live", "version": "1.0.0"}
    async with ClientSession() as client, client.post(f"{origin}/api/v1/ea/pair", json=body) as answer:
        return answer.status, await answer.json()
