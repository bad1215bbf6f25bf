"""What keeps a device from trading well, over HTTP."""

from aiohttp import web

from services import doctor
from webapp import keys, presenters
from webapp.bodies import answer
from webapp.paths import device_id_of
from webapp.security import now, signed_in


@signed_in("reads")
async def show(request: web.Request, user_id: int) -> web.Response:
    """Everything that was looked at, with what helps."""
    found = await doctor.examine(request.app[keys.desk], user_id, device_id_of(request), now())
    return answer(presenters.diagnosis(found))
