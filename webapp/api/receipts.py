"""A user's receipts over HTTP."""

from aiohttp import web

from services import receipts
from webapp import keys, presenters
from webapp.bodies import answer
from webapp.paths import cursor_of, limit_of
from webapp.security import signed_in


@signed_in("reads")
async def listed(request: web.Request, user_id: int) -> web.Response:
    """What was paid and paid back, newest first, and the tier it opened."""
    limit, cursor = limit_of(request, 20), cursor_of(request)
    async with request.app[keys.desk].database.reading() as session:
        found, following = await receipts.listed(session, user_id, limit, cursor)
    return answer({"items": [presenters.receipt(one) for one in found],
                   "next_cursor": str(following) if following is not None else None})
