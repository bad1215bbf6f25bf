"""The symbol map of an account over HTTP: what was found, and what its owner says instead."""

from aiohttp import web

from services import symbols
from services.errors import NotFound
from webapp import keys, presenters
from webapp.bodies import answer, parsed
from webapp.paths import id_of
from webapp.schemas import MapSymbol, is_symbol
from webapp.security import now, signed_in


@signed_in("reads")
async def listed(request: web.Request, user_id: int) -> web.Response:
    async with request.app[keys.desk].database.reading() as session:
        rows = await symbols.listed(session, user_id, id_of(request))
    return answer({"items": [presenters.symbol(row) for row in rows], "next_cursor": None})


@signed_in("decisions")
async def edit(request: web.Request, user_id: int) -> web.Response:
    """Which of the broker's symbols this one is; that stands until it is forgotten."""
    account_id, symbol, body = id_of(request), _symbol(request), await parsed(request, MapSymbol)
    row = await symbols.edit(request.app[keys.desk], user_id, account_id, symbol, body.broker_symbol, now())
    return answer(presenters.symbol(row))


@signed_in("decisions")
async def forget(request: web.Request, user_id: int) -> web.Response:
    """Find it anew when it is needed."""
    account_id, symbol = id_of(request), _symbol(request)
    async with request.app[keys.desk].database.writing() as session:
        await symbols.forget(session, user_id, account_id, symbol, now())
    return web.Response(status=204)


def _symbol(request: web.Request) -> str:
    """The symbol in the path; what no signal could name is not found."""
    text = request.match_info["symbol"]
    if not is_symbol(text):
        raise NotFound
    return text
