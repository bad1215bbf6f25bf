"""The short way for devices that ask for orders where there are none: past routes and middlewares.

A device asks every second or so, and nearly always in vain. Where its key is known, nothing waits for its account and
it is on record, one question to Redis is all that is left to do, or two where the poll is sealed: webapp/claims.py and
services/device_counters.py ask them for everybody who comes in the same moment. An answer without a body is not sealed.
Whatever is not as simple goes to the application, with what Redis has said of the request already.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus

from aiohttp import web
from redis.exceptions import RedisError

from services.device_counters import SealingKey
from services.device_keys import Known
from services.errors import TryLater, Unauthenticated
from webapp import keys
from webapp.claims import Answer, Claim
from webapp.middlewares import EVERY_HEADER, new_id
from webapp.sealed import counter_in
from webapp.security import now
from webapp.signed import Signed, headers_of, is_genuine
from webapp.whole import Form, goes_on
from wire import signing

_stdlib = logging.getLogger("webapp.middlewares")

Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
POLL = "/api/v1/ea/poll"
PLAIN = 0
FORM = Form(HTTPStatus.NO_CONTENT, EVERY_HEADER)


class IdlePolls:
    """Answers what it can; the rest is served as everything else."""

    def __init__(self, app: web.Application, serve: Serve) -> None:
        self._serve, self._desk = serve, app[keys.desk]
        self._claims, self._most = app[keys.claims], app[keys.limits].most("signed")

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """A request whose path begins with POLL."""
        began, moment = time.perf_counter(), now()
        found = self._idle(request, moment)
        if found is None:
            return await self._serve(request)
        known, said, counter = found
        claimed = await self._ask(known, said, moment)
        if not isinstance(claimed, int) or claimed < 0 or not await self._is_counted(known, counter):
            request[keys.claimed] = claimed
            return await self._serve(request)
        self._desk.sightings.note(said.key_id, moment.timestamp(), int(said.timestamp))
        signature = signing.sign(known.key.secret, signing.canonical_answer(204, said.nonce, b""))
        self._desk.metrics.answers.count("GET", POLL, 204, time.perf_counter() - began)
        return FORM.filled(moment, ("X-Request-Id", new_id()), ("X-Signature", signature))

    def _idle(self, request: web.BaseRequest, moment: datetime) -> tuple[Known, Signed, int] | None:
        """Whose request it is, when everything but Redis says that it is in order and that there is nothing to do."""
        if request.method != "GET" or request.body_exists or not goes_on(request) \
                or _stdlib.isEnabledFor(logging.DEBUG):
            return None
        counter = _counter(request.raw_path)
        try:
            said = headers_of(request)
        except Unauthenticated:
            return None
        known, at, dated = self._desk.device_keys.remembered(said.key_id), moment.timestamp(), int(said.timestamp)
        if counter is None or known is None or known.mark is None or not _is_simple(known, counter) \
                or self._desk.waiting_orders.has_orders(known.key.account_id) is not False \
                or abs(at - dated) > signing.MAX_SKEW_SECONDS \
                or not self._desk.sightings.is_recorded(said.key_id, at, dated) \
                or not is_genuine(known.key.secret, request, said, b""):
            return None
        return known, said, counter

    async def _ask(self, known: Known, said: Signed, moment: datetime) -> Answer | Exception:
        try:
            return await self._claims.ask(Claim(said.key_id, known.mark or b"", said.nonce, int(said.timestamp),
                                                moment.timestamp(), self._most))
        except (RedisError, OSError, TimeoutError) as error:
            return error

    async def _is_counted(self, known: Known, counter: int) -> bool:
        """Whether the counter of a sealed poll is used up by now. If not, the application says why."""
        if counter == PLAIN:
            return True
        try:
            key = SealingKey(known.key.key_id, known.key.key_number)
            return (await self._desk.device_counters.take(key, counter)).verdict == "taken"
        except TryLater:
            return False


def _counter(path: str) -> int | None:
    """What a sealed poll is counted with, or PLAIN; None for another request."""
    return PLAIN if path == POLL else counter_in(path.removeprefix(POLL + "?"))


def _is_simple(known: Known, counter: int) -> bool:
    """Whether nothing more has to be thought of than whether the secret has signed it."""
    return known.key.previous_secret is None and (counter != PLAIN or not known.key.requires_envelope)
