"""Live positions over HTTP."""

from aiohttp import web

from models.account import Account
from services import accounts
from services.errors import NoAccount
from webapp import keys, presenters, problems
from webapp.bodies import answer
from webapp.paths import id_of, switch_of
from webapp.security import now, signed_in


@signed_in("reads")
async def of_primary(request: web.Request, user_id: int) -> web.Response:
    """The primary account's positions; 404 when there is no account."""
    async with request.app[keys.desk].database.reading() as session:
        try:
            row = await accounts.primary(session, user_id)
        except NoAccount as error:
            return problems.problem(error.code, error.detail, request[keys.request_id], status=404)
    return await _portfolio(request, row)


@signed_in("reads")
async def of_account(request: web.Request, user_id: int) -> web.Response:
    """The positions of one of this user's accounts."""
    async with request.app[keys.desk].database.reading() as session:
        row = await accounts.owned(session, user_id, id_of(request))
    return await _portfolio(request, row)


async def _portfolio(request: web.Request, row: Account) -> web.Response:
    force = switch_of(request, "force_refresh")
    found = await request.app[keys.desk].positions.live(row, now(), force=force)
    return answer(presenters.portfolio(found))
