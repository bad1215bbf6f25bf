"""Providers as followers see them: the list, follow, unfollow."""

from aiohttp import web

from services import providers
from webapp import keys
from webapp.bodies import answer
from webapp.paths import id_of
from webapp.security import now, signed_in


@signed_in("reads")
async def listed(request: web.Request, user_id: int) -> web.Response:
    """Every provider, with whether this user follows it."""
    async with request.app[keys.desk].database.reading() as session:
        items = await providers.listed(session, user_id)
    return answer({"items": items, "next_cursor": None})


@signed_in("decisions")
async def follow(request: web.Request, user_id: int) -> web.Response:
    async with request.app[keys.desk].database.writing() as session:
        await providers.follow(session, user_id, id_of(request), now())
    return web.Response(status=204)


@signed_in("decisions")
async def unfollow(request: web.Request, user_id: int) -> web.Response:
    async with request.app[keys.desk].database.writing() as session:
        await providers.unfollow(session, user_id, id_of(request))
    return web.Response(status=204)
