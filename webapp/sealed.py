"""Envelopes at the devices' door: opened before a handler reads, sealed before an answer is signed.

The signature outside covers the sealed bytes. What an envelope adds is that nobody in between reads along: not a proxy
that ends TLS, and not its log.
"""

import re
from typing import NamedTuple

import structlog
from aiohttp import web

from services import device_counters
from services.device_counters import SealingKey
from services.devices import DeviceKey
from services.errors import EnvelopeBroken, EnvelopeRequired
from webapp import keys
from webapp.bodies import OPENED, read
from webapp.security import now
from wire import envelope
from wire.envelope import Direction

log = structlog.get_logger(__name__)

_QUERY = re.compile(r"envelope=v1&counter=([1-9][0-9]{0,15})")
_NAMES = ("envelope", "counter")


class Sealing(NamedTuple):
    """What the answer to a sealed request is sealed with."""

    keys: envelope.Keys
    counter: int
    path: str


SEALING = web.RequestKey("sealing", Sealing)


async def open_request(request: web.Request, key: DeviceKey) -> None:
    """Let handlers read a sealed body as if it were plain; ``key`` has proved to have signed the request.

    Its counter is used up first, and from then on whatever is answered is sealed. EnvelopeRequired for a plain request
    of a device that may not send any; CounterUsed; EnvelopeBroken; 400 for a query that asks in another form.
    """
    counter = _counter_of(request)
    if counter is None:
        if key.requires_envelope:
            raise EnvelopeRequired
        return
    body = await read(request)
    await device_counters.accept(request.app[keys.desk], SealingKey(key.key_id, key.key_number), counter, now())
    sealing = Sealing(envelope.keys_of(key.secret, key.key_id), counter, request.raw_path)
    request[SEALING] = sealing
    request[OPENED] = _opened(request, sealing, body)


def seal_answer(request: web.Request, response: web.Response) -> None:
    """Seal the body of the one answer that a sealed request gets; an empty one stays empty."""
    sealing = request.pop(SEALING, None)
    if sealing is None or not isinstance(response.body, bytes | bytearray) or not response.body:
        return
    response.body = envelope.seal(sealing.keys, Direction.S2C, sealing.counter, sealing.path, bytes(response.body))
    response.headers["Content-Type"] = envelope.CONTENT_TYPE


def _counter_of(request: web.Request) -> int | None:
    """The counter of a request that asks for an envelope; None for one that does not."""
    if not any(name in request.query for name in _NAMES):
        return None
    counter = counter_in(request.raw_path.partition("?")[2])
    if counter is None:
        raise web.HTTPBadRequest
    return counter


def counter_in(query: str) -> int | None:
    """The counter in a query that asks for an envelope as it has to; None in any other."""
    asked = _QUERY.fullmatch(query)
    return int(asked[1]) if asked is not None and int(asked[1]) <= envelope.MOST_COUNTER else None


def _opened(request: web.Request, sealing: Sealing, body: bytes) -> bytes:
    if request.method in ("GET", "HEAD"):
        if body:
            raise EnvelopeBroken("A request of this kind has no body.")
        return b""
    if request.content_type != envelope.CONTENT_TYPE:
        raise web.HTTPUnsupportedMediaType
    try:
        return envelope.open(sealing.keys, Direction.C2S, sealing.counter, sealing.path, body)
    except envelope.EnvelopeBroken as error:
        log.warning("envelope_broken", device_id=sealing.keys.device_id, fault=error.fault.value)
        request.app[keys.desk].metrics.auth_failures.labels("envelope").inc()
        raise EnvelopeBroken from error
