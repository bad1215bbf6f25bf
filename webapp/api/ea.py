"""The door of devices: what time it is here, and what they report."""

import hashlib
from datetime import datetime, timedelta

from aiohttp import web

from services import reports
from services.devices import DeviceKey
from services.errors import InvalidRequest
from services.reports import Snapshot
from webapp import keys
from webapp.bodies import answer, parsed, read
from webapp.device_door import signed_by_device
from webapp.device_schemas import Report, SameReport
from webapp.limits import Away, address
from webapp.security import now

REPORT_BYTES, SAME_BYTES = 256 * 1024, 256
MOST_AHEAD, MOST_BEHIND = timedelta(seconds=60), timedelta(minutes=5)


async def time(request: web.Request) -> web.Response:
    """The desk's clock, for a device whose own may be wrong. Unsigned, so it is counted by address."""
    trusted = request.app[keys.settings].facts.server.trusted_proxies
    await request.app[keys.limits].check("unknown", address(request, trusted))
    return answer({"server_time": int(now().timestamp())})


async def _snapshot(request: web.Request, key: DeviceKey) -> web.Response:
    # They are counted with its other requests too, of which there may be more: none is as much work.
    await request.app[keys.limits].check("reports", key.key_id, away=Away.COUNT_HERE)
    desk, raw = request.app[keys.desk], await read(request)
    if len(raw) <= SAME_BYTES and b'"same_as"' in raw:
        same, moment = await parsed(request, SameReport), now()
        check_moment(same.taken_at, moment)
        await reports.take_same(desk, key, same.same_as, same.taken_at, moment)
        return web.Response(status=204)
    body, moment = await parsed(request, Report), now()
    check_moment(body.taken_at, moment)
    tickets = {position.ticket for position in body.positions}
    if len(tickets) != len(body.positions):
        raise InvalidRequest("A position is named twice.")
    given = body.model_dump(mode="json", exclude={"taken_at"})
    await reports.take_snapshot(desk, key, Snapshot(given["account"], given["positions"], body.taken_at),
                                hashlib.sha256(raw).hexdigest(), moment)
    return web.Response(status=204)


def check_moment(taken_at: datetime, moment: datetime) -> None:
    """InvalidRequest for what is not of about now."""
    if not -MOST_AHEAD <= moment - taken_at <= MOST_BEHIND:
        raise InvalidRequest("taken_at is not of now; ask for the desk's time.")


snapshot = signed_by_device(_snapshot, limit=REPORT_BYTES)
