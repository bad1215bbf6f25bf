"""A user's devices over HTTP. A secret is in the one answer that makes it, and in no other."""

from datetime import timedelta

from aiohttp import web

from services import devices, reports
from services.devices import Binding
from webapp import keys, presenters
from webapp.bodies import answer, parsed
from webapp.device_schemas import ChangeDevice, RegisterDevice, RotateDevice
from webapp.paths import device_id_of
from webapp.schemas import Empty
from webapp.security import now, signed_in


@signed_in("decisions")
async def register(request: web.Request, user_id: int) -> web.Response:
    """A new device with its secret."""
    body = await parsed(request, RegisterDevice)
    account_id = int(body.account_id) if body.account_id is not None else None
    made = await devices.register(request.app[keys.desk], user_id, body.name, account_id, now())
    return answer(presenters.registered(made), status=201)


@signed_in("reads")
async def listed(request: web.Request, user_id: int) -> web.Response:
    async with request.app[keys.desk].database.reading() as session:
        found = await devices.listed(session, user_id, now())
    return answer({"items": [presenters.device(view) for view in found], "next_cursor": None})


@signed_in("decisions")
async def change(request: web.Request, user_id: int) -> web.Response:
    """Its name, what its requests must look like, which account it serves."""
    body, desk = await parsed(request, ChangeDevice), request.app[keys.desk]
    given = {name: getattr(body, name) for name in body.model_fields_set}
    binds = "account_id" in given
    account_id = given.pop("account_id", None)
    binding = Binding(int(account_id) if account_id is not None else None) if binds else None
    device_id = device_id_of(request)
    async with desk.database.writing() as session:
        before = (await devices.owned(session, user_id, device_id)).account_id
        view = await devices.change(session, user_id, device_id, now(), **given, binding=binding)
    for served in (before, view.account_id):
        if binds and served is not None:
            await desk.positions.forget(served)
    return answer(presenters.device(view))


@signed_in("decisions")
async def rotate(request: web.Request, user_id: int) -> web.Response:
    """A new secret; the old one ends with this answer, unless it is asked to stay good for a while."""
    body, desk = await parsed(request, RotateDevice, optional=True), request.app[keys.desk]
    async with desk.database.writing() as session:
        made = await devices.rotate(session, desk.vault, user_id, device_id_of(request), now(),
                                    timedelta(seconds=body.grace_seconds))
    return answer(presenters.registered(made))


@signed_in("decisions")
async def revoke(request: web.Request, user_id: int) -> web.Response:
    """Shut a device out for good; again is no error."""
    await parsed(request, Empty, optional=True)
    desk = request.app[keys.desk]
    async with desk.database.writing() as session:
        view = await devices.revoke(session, user_id, device_id_of(request), now())
    await reports.forget(desk.redis, view.id)
    return answer(presenters.device(view))
