"""Fragments of the Signals page."""

import asyncio
from collections.abc import Iterable

from aiohttp import web

from models.account import Account
from services import accounts, approvals, cards, tiers
from services.approvals import ApprovalView
from services.desk import Desk
from services.errors import InvalidRequest, NoAccount
from terminal.protocol import GatewayError
from webapp import keys
from webapp.pages import cards as written
from webapp.pages.rendering import fragment
from webapp.paths import id_of, limit_of
from webapp.security import now as clock
from webapp.security import signed_in

OVER = ("approved", "rejected", "expired", "withdrawn")
PAGE = 20


@signed_in("reads")
async def listed(request: web.Request, user_id: int) -> web.Response:
    """``status=pending`` are cards with buttons, ``status=decided`` is what has become of the others."""
    match request.query.get("status", "pending"):
        case "pending":
            return await _pending(request, user_id)
        case "decided":
            return await _decided(request, user_id)
        case _:
            raise InvalidRequest("status is pending or decided.")


async def _pending(request: web.Request, user_id: int) -> web.Response:
    desk, now = request.app[keys.desk], clock()
    async with desk.database.reading() as session:
        waiting = await approvals.pending(session, user_id, now)
        tier = await tiers.tier_of(session, desk.catalogue, user_id, now)
    seen = await asyncio.gather(*(cards.outlook(desk, view, now) for view in waiting))
    shown = [written.card(view, outlook, tier, desk.execution_rules.sizing)
             for view, outlook in zip(waiting, seen, strict=True)]
    return fragment(request, "fragments/pending.html", {"cards": shown}, now, pending=len(shown))


async def _decided(request: web.Request, user_id: int) -> web.Response:
    desk, now, limit = request.app[keys.desk], clock(), limit_of(request, PAGE)
    async with desk.database.reading() as session:
        over, cursor = await approvals.history(session, user_id, now, statuses=OVER, before_id=None, limit=limit)
        waiting = await approvals.pending(session, user_id, now)
    digits = await _digits(desk, user_id, over)
    shown = [written.decision(view, digits.get(view.levels.symbol)) for view in over]
    return fragment(request, "fragments/decided.html", {"decisions": shown, "has_more": cursor is not None}, now,
                    pending=len(waiting))


@signed_in("reads")
async def outcome(request: web.Request, user_id: int) -> web.Response:
    """One decided approval, for whoever waits to hear what became of the order."""
    desk, now = request.app[keys.desk], clock()
    async with desk.database.reading() as session:
        view = await approvals.view(session, user_id, id_of(request), now)
    digits = await _digits(desk, user_id, [view])
    return fragment(request, "fragments/decision.html",
                    {"decision": written.decision(view, digits.get(view.levels.symbol))}, now)


async def _digits(desk: Desk, user_id: int, views: Iterable[ApprovalView]) -> dict[str, int]:
    """Digits by symbol; a symbol whose terminal does not answer is left out and written as the provider did."""
    wanted: dict[str, Account | None] = {view.levels.symbol: view.account for view in views}
    if not wanted:
        return {}
    async with desk.database.reading() as session:
        try:
            primary = await accounts.primary(session, user_id)
        except NoAccount:
            primary = None
    found: dict[str, int] = {}
    for symbol, account in wanted.items():
        account = account or primary
        gateway = desk.gateways.get(account.route) if account else None
        if account is None or gateway is None:
            continue
        try:
            spec = await gateway.symbol(accounts.ref(account), symbol)
        except GatewayError:
            continue
        if spec is not None:
            found[symbol] = spec.digits
    return found
