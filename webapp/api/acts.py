"""Acting on open positions over HTTP: closing them and moving their levels."""

from aiohttp import web

from models.approval import Door
from services import acts
from services.errors import InvalidRequest
from webapp import keys, presenters
from webapp.bodies import answer, parsed
from webapp.paths import id_of
from webapp.schemas import ChangeLevels, ClosePosition
from webapp.security import now, signed_in


@signed_in("decisions")
async def close(request: web.Request, user_id: int) -> web.Response:
    """Close a position, in whole or in part."""
    account_id, ticket = id_of(request), id_of(request, "ticket")
    body = await parsed(request, ClosePosition, optional=True)
    act = await acts.close(request.app[keys.desk], user_id, account_id, ticket, body.volume, Door.APP, now())
    return answer(presenters.act(act))


@signed_in("decisions")
async def modify(request: web.Request, user_id: int) -> web.Response:
    """Move the stop or the target; what is absent stays, null takes a level away."""
    account_id, ticket = id_of(request), id_of(request, "ticket")
    body = await parsed(request, ChangeLevels)
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    if not changes:
        raise InvalidRequest("Name the stop_loss or the take_profit.")
    act = await acts.modify(request.app[keys.desk], user_id, account_id, ticket, changes, Door.APP, now())
    return answer(presenters.act(act))
