"""Live positions over HTTP, of one account and of all of them, and what positions and equity have been."""

from datetime import timedelta

from aiohttp import web

from services import equity, history, portfolio
from services.errors import InvalidRequest, NoAccount
from webapp import keys, presenters, problems
from webapp.bodies import answer
from webapp.paths import cursor_of, id_of, limit_of, switch_of
from webapp.security import bearer, now, signed_in

# How far back a curve goes, and how far apart its points are at least.
SPANS = {"day": (timedelta(days=1), timedelta(minutes=1)), "week": (timedelta(days=7), timedelta(minutes=15)),
         "month": (timedelta(days=30), timedelta(hours=1))}


async def of_primary(request: web.Request) -> web.Response:
    """The primary account's positions; 404 when there is no account."""
    try:
        return await _portfolio(request, await bearer(request), None)
    except NoAccount as error:
        return problems.problem(error.code, error.detail, request[keys.request_id], status=404)


async def of_account(request: web.Request) -> web.Response:
    """The positions of one of this user's accounts."""
    return await _portfolio(request, await bearer(request), id_of(request))


async def _portfolio(request: web.Request, user_id: int, account_id: int | None) -> web.Response:
    """The answer as it is kept, else made anew.

    Whether the request may pass, what is kept, and whether it is still the user's account are one look at Redis.
    """
    desk, limits, moment = request.app[keys.desk], request.app[keys.limits], now()
    known = desk.owners.remembered(user_id)
    row = known.accounts.get(account_id) if known is not None else None
    glance = desk.positions.glance(row.id) if row is not None else None
    await limits.check("reads", str(user_id), credit=True)
    force = switch_of(request, "force_refresh")
    look = await desk.positions.look(row.id, glance) if row is not None else None
    if known is None or row is None or look is None or not known.holds(look.mark):
        found = await desk.owners.find(user_id, account_id)
        if look is None or row is None or found.id != row.id:
            look = await desk.positions.look(found.id, desk.positions.glance(found.id))
        row = found
    desk.looks.note(row.id, moment)
    if look.answer is not None and not force and desk.positions.is_fresh(look.answer, moment):
        return web.Response(body=look.answer.body, content_type="application/json")
    return answer(presenters.portfolio(await desk.positions.live(row, moment, force=force)))


@signed_in("reads")
async def combined(request: web.Request, user_id: int) -> web.Response:
    """All accounts together, each currency for itself."""
    force = switch_of(request, "force_refresh")
    totals = await portfolio.combined(request.app[keys.desk], user_id, now(), force)
    return answer({"items": [presenters.currency_total(total) for total in totals], "next_cursor": None})


@signed_in("reads")
async def equity_of(request: web.Request, user_id: int) -> web.Response:
    """The curve of an account's equity over a span."""
    desk, account_id, span = request.app[keys.desk], id_of(request), request.query.get("span", "day")
    if span not in SPANS:
        raise InvalidRequest(f"span is one of {', '.join(SPANS)}.")
    account = await desk.owners.find(user_id, account_id)
    back, width = SPANS[span]
    since = now() - back
    async with desk.database.reading() as session:
        points = await equity.series(session, account.id, since)
    return answer({"items": [presenters.equity_point(point, since) for point in equity.spaced(points, width)],
                   "next_cursor": None})


@signed_in("reads")
async def history_of(request: web.Request, user_id: int) -> web.Response:
    """The positions an account has had, the newest first, with what happened to each."""
    desk, account_id, status = request.app[keys.desk], id_of(request), request.query.get("status") or None
    if status not in (None, history.OPEN, history.CLOSED):
        raise InvalidRequest("status is open or closed.")
    before, limit = cursor_of(request), limit_of(request)
    account = await desk.owners.find(user_id, account_id)
    async with desk.database.reading() as session:
        views, following = await history.listed(session, account.id, status, before, limit)
    return answer({"items": [presenters.position_view(view) for view in views],
                   "next_cursor": str(following) if following is not None else None})
