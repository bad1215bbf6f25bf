"""The short way for devices that ask for orders where there are none: past routes and middlewares.

A device asks every second or so, and nearly always in vain. Where its key is known, nothing waits for its account and
it is on record, one question to Redis is all that is left to do: webapp/claims.py asks it for everybody who comes in
the same moment. Whatever is not plain goes to the application, with what Redis has said already.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus

from aiohttp import web
from redis.exceptions import RedisError

from services.device_keys import Known
from services.errors import Unauthenticated
from webapp import keys
from webapp.claims import Answer, Claim
from webapp.middlewares import EVERY_HEADER, new_id
from webapp.security import now
from webapp.signed import Signed, headers_of, is_genuine
from webapp.whole import Form, goes_on
from wire import signing

_stdlib = logging.getLogger("webapp.middlewares")

Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
POLL = "/api/v1/ea/poll"
FORM = Form(HTTPStatus.NO_CONTENT, EVERY_HEADER)


class IdlePolls:
    """Answers what it can; the rest is served as everything else."""

    def __init__(self, app: web.Application, serve: Serve) -> None:
        self._serve, self._desk = serve, app[keys.desk]
        self._claims, self._most = app[keys.claims], app[keys.limits].most("signed")

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """A request for POLL."""
        began, moment = time.perf_counter(), now()
        found = self._idle(request, moment)
        if found is None:
            return await self._serve(request)
        known, said = found
        claimed = await self._ask(known, said, moment)
        if not isinstance(claimed, int) or claimed < 0:
            request[keys.claimed] = claimed
            return await self._serve(request)
        self._desk.sightings.note(said.key_id, moment.timestamp(), int(said.timestamp))
        signature = signing.sign(known.key.secret, signing.canonical_answer(204, said.nonce, b""))
        self._desk.metrics.answers.count("GET", POLL, 204, time.perf_counter() - began)
        return FORM.filled(moment, ("X-Request-Id", new_id()), ("X-Signature", signature))

    def _idle(self, request: web.BaseRequest, moment: datetime) -> tuple[Known, Signed] | None:
        """Whose request it is, when everything but Redis says that it is in order and that there is nothing to do."""
        if request.method != "GET" or request.body_exists or not goes_on(request) \
                or _stdlib.isEnabledFor(logging.DEBUG):
            return None
        try:
            said = headers_of(request)
        except Unauthenticated:
            return None
        known, at, dated = self._desk.device_keys.remembered(said.key_id), moment.timestamp(), int(said.timestamp)
        if known is None or known.mark is None or not _is_plain(known) \
                or self._desk.waiting_orders.has_orders(known.key.account_id) is not False \
                or abs(at - dated) > signing.MAX_SKEW_SECONDS \
                or not self._desk.sightings.is_recorded(said.key_id, at, dated) \
                or not is_genuine(known.key.secret, request, said, b""):
            return None
        return known, said

    async def _ask(self, known: Known, said: Signed, moment: datetime) -> Answer | Exception:
        try:
            return await self._claims.ask(Claim(said.key_id, known.mark or b"", said.nonce, int(said.timestamp),
                                                moment.timestamp(), self._most))
        except (RedisError, OSError, TimeoutError) as error:
            return error


def _is_plain(known: Known) -> bool:
    """Whether nothing more has to be thought of than whether the secret has signed it."""
    return known.key.previous_secret is None and not known.key.requires_envelope
