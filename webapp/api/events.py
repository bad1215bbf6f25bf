"""Server-sent events: what has just changed for the person who is signed in.

A stream is read from Redis by id, a little at a time and only when the socket has taken what came before, so however
slow a reader is, nothing is kept for them here. Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

import structlog
from aiohttp import HttpVersion11, web

from services.errors import InvalidRequest
from services.event_hub import EventHub, Stream
from services.event_log import AWAY, Place, Told
from webapp import keys
from webapp.middlewares import finish
from webapp.security import now, verdict

log = structlog.get_logger(__name__)

SILENCE_SECONDS = 15.0
RETRY = b"retry: 3000\n"
# Who has more streams than fit would only push out another one by coming back at once.
RETRY_OF_REPLACED = b"retry: 60000\n\n"
LAST_WORDS_SECONDS = 0.5
HEADERS = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}


async def stream(request: web.Request) -> web.StreamResponse:
    """Events from now on, or from after ``Last-Event-ID``, until the token has run out."""
    told = await verdict(request)
    await request.app[keys.limits].check("reads", str(told.user_id))
    last_id, hub = _last_id(request), request.app[keys.desk].events
    with hub.enter(told.user_id) as here:
        place = await hub.open(told.user_id, last_id)
        response = web.StreamResponse(headers=HEADERS)
        finish(request, response)
        if request.version < HttpVersion11:
            response.force_close()  # nothing else tells such a client where the answer ends
        try:
            await response.prepare(request)
        except ConnectionError:
            return response  # whoever asked has gone already
        request[keys.answered_at] = time.perf_counter()
        try:
            await _tell(response, hub, here, place, told.expires - now().timestamp())
        except Exception:
            log.exception("events_broke")  # it has been answered already: there is nothing left but to end it
    await _finish(request, response, here)
    return response


def _last_id(request: web.Request) -> str | None:
    given = request.headers.getall("Last-Event-ID", [])
    if len(given) > 1:
        raise InvalidRequest("Send one Last-Event-ID.")
    return given[0] if given else None


async def _tell(response: web.StreamResponse, hub: EventHub, here: Stream, place: Place, seconds: float) -> None:
    """Write what is told until the time is over, Redis or the reader is gone, or somebody ends it."""
    if here.is_over:
        return
    with suppress(*AWAY):
        async with asyncio.timeout(seconds) as here.limit:
            try:
                await response.write(_beginning(place))
                await _follow(response, hub, here, place.id)
            finally:
                here.limit = None


async def _follow(response: web.StreamResponse, hub: EventHub, here: Stream, after: str) -> None:
    while True:
        here.wake.clear()
        told = await hub.log.read(here.user_id, after)
        if told:
            after = told[-1].id
            await response.write(_written(told))
        elif not await here.woken(SILENCE_SECONDS):
            await response.write(b":\n\n")  # whoever is in between sees that it is still wanted


def _beginning(place: Place) -> bytes:
    """Where it begins, so that one who has been told nothing can come back to the same place."""
    reset = b"event: reset\ndata: {}\n" if place.is_reset else b""
    return RETRY + f"id: {place.id}\n".encode() + reset + b"\n"


def _written(told: Sequence[Told]) -> bytes:
    return "".join(f"id: {one.id}\nevent: {one.event}\ndata: {one.data}\n\n" for one in told).encode()


async def _finish(request: web.Request, response: web.StreamResponse, here: Stream) -> None:
    """End the answer; a reader who does not even take that is cut off."""
    try:
        async with asyncio.timeout(LAST_WORDS_SECONDS):
            if here.is_replaced:
                await response.write(RETRY_OF_REPLACED)
            await response.write_eof()
    except (TimeoutError, OSError):
        if request.transport is not None:
            request.transport.abort()
