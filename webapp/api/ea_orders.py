"""The door of devices that trade: what they are offered, that they begin, what became of it."""

from decimal import Decimal

from aiohttp import web

from models.order import OrderStatus
from services import device_acks, device_orders
from services.device_acks import Ack
from services.devices import DeviceKey
from webapp import keys, presenters
from webapp.bodies import answer, parsed
from webapp.device_door import signed_by_device
from webapp.order_schemas import AckOrder, BeginOrder
from webapp.security import now

BODY_BYTES = 4 * 1024


async def _poll(request: web.Request, key: DeviceKey) -> web.Response:
    """204 where there is nothing to do and nothing to tell."""
    offer = await device_orders.offer(request.app[keys.desk], key, now())
    return web.Response(status=204) if offer.is_empty else answer(presenters.orders_offered(offer))


async def _begin(request: web.Request, key: DeviceKey) -> web.Response:
    body = await parsed(request, BeginOrder)
    async with request.app[keys.desk].database.writing() as session:
        expires_at = await device_acks.begin(session, key, int(body.order_id), now())
    return answer({"order_id": body.order_id, "expires_at": expires_at})


async def _acknowledge(request: web.Request, key: DeviceKey) -> web.Response:
    """Kept whatever it says; an order that had ended already says so by ``late``."""
    desk, ack = request.app[keys.desk], _ack(await parsed(request, AckOrder))
    async with desk.database.writing() as session:
        is_late = await device_acks.acknowledge(session, key, ack, now())
    desk.wakes.outbox.set()
    if key.account_id is not None:
        await desk.positions.forget(key.account_id)
    return answer({"recorded": "late" if is_late else "taken"})


def _ack(said: AckOrder) -> Ack:
    return Ack(int(said.order_id), OrderStatus(said.status), said.ticket or None, _decimal(said.price),
               _decimal(said.volume), said.retcode, said.error or None, _decimal(said.profit), said.reason)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


poll = signed_by_device(_poll, limit=BODY_BYTES)
begin = signed_by_device(_begin, limit=BODY_BYTES)
acknowledge = signed_by_device(_acknowledge, limit=BODY_BYTES)
