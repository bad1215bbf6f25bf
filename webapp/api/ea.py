"""The door of devices: what time it is here, and what they report."""

from datetime import timedelta

from aiohttp import web

from services import reports
from services.devices import DeviceKey
from services.errors import InvalidRequest
from services.reports import Snapshot
from webapp import keys
from webapp.bodies import answer, parsed
from webapp.device_door import signed_by_device
from webapp.device_schemas import Report
from webapp.limits import Away, address
from webapp.security import now

REPORT_BYTES = 256 * 1024
MOST_AHEAD, MOST_BEHIND = timedelta(seconds=60), timedelta(minutes=5)


async def time(request: web.Request) -> web.Response:
    """The desk's clock, for a device whose own may be wrong. Unsigned, so it is counted by address."""
    trusted = request.app[keys.settings].facts.server.trusted_proxies
    await request.app[keys.limits].check("unknown", address(request, trusted))
    return answer({"server_time": int(now().timestamp())})


async def _snapshot(request: web.Request, key: DeviceKey) -> web.Response:
    # They are counted with its other requests too, of which there may be more: none is as much work.
    await request.app[keys.limits].check("reports", key.key_id, away=Away.COUNT_HERE)
    body, moment = await parsed(request, Report), now()
    if not -MOST_AHEAD <= moment - body.taken_at <= MOST_BEHIND:
        raise InvalidRequest("taken_at is not of now; ask for the desk's time.")
    tickets = {position.ticket for position in body.positions}
    if len(tickets) != len(body.positions):
        raise InvalidRequest("A position is named twice.")
    given = body.model_dump(mode="json", exclude={"taken_at"})
    await reports.take_snapshot(request.app[keys.desk], key,
                                Snapshot(given["account"], given["positions"], body.taken_at), moment)
    return web.Response(status=204)


snapshot = signed_by_device(_snapshot, limit=REPORT_BYTES)
