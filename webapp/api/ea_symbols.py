"""The door of devices: what their brokers trade, and how their terminals stand."""

from aiohttp import web

from services import symbol_reports
from services.devices import DeviceKey
from services.errors import InvalidRequest
from services.symbol_reports import Page
from webapp import keys
from webapp.api.ea import REPORT_BYTES, check_moment
from webapp.bodies import parsed
from webapp.device_door import signed_by_device
from webapp.limits import Away
from webapp.security import now
from webapp.symbol_schemas import SymbolPage


async def _symbols(request: web.Request, key: DeviceKey) -> web.Response:
    # As much work as a report, and counted like one, but by itself: a long list must not hold up the reports.
    await request.app[keys.limits].check("reports", f"symbols:{key.key_id}", away=Away.COUNT_HERE)
    body, moment = await parsed(request, SymbolPage), now()
    check_moment(body.taken_at, moment)
    if len({spec.name for spec in body.symbols}) != len(body.symbols):
        raise InvalidRequest("A symbol is named twice.")
    given = body.model_dump(mode="json", include={"terminal", "symbols"})
    page = Page(given["terminal"], given["symbols"], body.is_first, body.is_last, body.taken_at)
    await symbol_reports.take_page(request.app[keys.desk], key, page, moment)
    return web.Response(status=204)


symbols = signed_by_device(_symbols, limit=REPORT_BYTES)
