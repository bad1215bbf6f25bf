"""Linking accounts over HTTP: a new link, the primary, the end of a link."""

from aiohttp import web

from services import linking
from services.linking import LinkRequest
from webapp import keys
from webapp.api.accounts import shown
from webapp.bodies import answer, parsed
from webapp.limits import Away
from webapp.paths import id_of
from webapp.schemas import LinkAccount
from webapp.security import bearer, now, signed_in


async def link(request: web.Request) -> web.Response:
    """Verify an account and link it. 201 with the account."""
    user_id = await bearer(request)
    limits = request.app[keys.limits]
    await limits.check("links", str(user_id), away=Away.COUNT_HERE)
    body = await parsed(request, LinkAccount)
    if body.route == "terminal" and body.login is not None and body.server is not None:
        # Brokers lock an account after some wrong passwords, whoever sent them.
        await limits.check("links", f"{body.server.casefold()}:{body.login}", away=Away.COUNT_HERE)
    wanted = LinkRequest(body.route, body.login, body.server, body.password, body.device_id)
    row = await linking.link(request.app[keys.desk], user_id, wanted, now())
    return answer(await shown(request, row, now()), status=201)


@signed_in("decisions")
async def make_primary(request: web.Request, user_id: int) -> web.Response:
    """Orders go to this account from now on."""
    account_id = id_of(request)
    async with request.app[keys.desk].database.writing() as session:
        row = await linking.make_primary(session, user_id, account_id, now())
    return answer(await shown(request, row, now()))


@signed_in("decisions")
async def unlink(request: web.Request, user_id: int) -> web.Response:
    await linking.unlink(request.app[keys.desk], user_id, id_of(request), now())
    return web.Response(status=204)
