"""Accounts over HTTP: the list, one of them, its label and sizing."""

import asyncio
from datetime import datetime
from typing import Any

from aiohttp import web

from models.account import Account
from services import accounts
from services.errors import InvalidRequest, TryLater
from webapp import keys, presenters
from webapp.bodies import answer, parsed
from webapp.paths import id_of
from webapp.schemas import ChangeAccount
from webapp.security import now, signed_in


@signed_in("reads")
async def listed(request: web.Request, user_id: int) -> web.Response:
    """This user's accounts, the primary first."""
    async with request.app[keys.desk].database.reading() as session:
        rows = await accounts.listed(session, user_id)
    moment = now()
    # All at once: one terminal that hangs holds up no other.
    items = await asyncio.gather(*(shown(request, row, moment) for row in rows))
    return answer({"items": items, "next_cursor": None})


@signed_in("reads")
async def show(request: web.Request, user_id: int) -> web.Response:
    async with request.app[keys.desk].database.reading() as session:
        row = await accounts.owned(session, user_id, id_of(request))
    return answer(await shown(request, row, now()))


@signed_in("decisions")
async def change(request: web.Request, user_id: int) -> web.Response:
    """Rename the account or size its volumes another way."""
    account_id, body = id_of(request), await parsed(request, ChangeAccount)
    if body.label is None and body.sizing is None:
        raise InvalidRequest("Say a label or a sizing.")
    sizing = {name: str(value) for name, value in body.sizing.model_dump().items()} if body.sizing else None
    async with request.app[keys.desk].database.writing() as session:
        row = await accounts.change(session, user_id, account_id, label=body.label, sizing=sizing, now=now())
    return answer(await shown(request, row, now()))


async def shown(request: web.Request, row: Account, moment: datetime) -> dict[str, Any]:
    """The account with its figures; a terminal that never answered leaves them out."""
    desk = request.app[keys.desk]
    try:
        portfolio = await desk.positions.live(row, moment) if row.route in desk.gateways else None
    except TryLater:
        portfolio = None
    risk = request.app[keys.settings].facts.accounts.default_risk_percent
    return presenters.account(row, portfolio, {"mode": "risk_percent", "value": str(risk)})
