"""What a change of plan would cost, over HTTP."""

from aiohttp import web

from services import previews
from services.errors import BillingUnavailable, InvalidRequest
from webapp import keys, presenters
from webapp.bodies import answer
from webapp.security import now, signed_in


@signed_in("reads")
async def show(request: web.Request, user_id: int) -> web.Response:
    """What is due at once, and when the change takes effect."""
    cashier = request.app[keys.cashier]
    if cashier is None:
        raise BillingUnavailable
    wanted = request.query.getall("tier", [])
    if len(wanted) != 1:
        raise InvalidRequest("Name one tier.")
    return answer(presenters.preview(await previews.of(cashier, user_id, wanted[0], now())))
