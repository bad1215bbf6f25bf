"""The short way for positions that were sent a moment ago: past routes and middlewares. Idle polls have their own.

A portfolio is asked for more often than anything else. Where services/recent.py still has its answer, and the token is
known, and the limit is far, finding the handler and going through the middlewares would cost more than all of that.
What such an answer bears is what every answer bears; whatever is not sure goes to the application.
"""

import logging
import time
from http import HTTPStatus

from aiohttp import web

from webapp import keys, middlewares
from webapp.idle_polls import POLL, IdlePolls, Serve
from webapp.middlewares import EVERY_HEADER, new_id
from webapp.security import now, remembered
from webapp.whole import Form, Whole, goes_on

_stdlib = logging.getLogger("webapp.middlewares")

PRIMARY, BEFORE, AFTER = "/api/v1/positions", "/api/v1/accounts/", "/positions"
OF_ACCOUNT = BEFORE + "{id}" + AFTER
FORM = Form(HTTPStatus.OK, (*EVERY_HEADER, ("Content-Type", "application/json")))
LONGEST_NUMBER = 18


class Lane:
    """Stands before the application as its server's handler."""

    def __init__(self, app: web.Application, serve: Serve) -> None:
        self._serve, self._polls = serve, IdlePolls(app, serve)
        self._verdicts, self._limits, self._desk = app[keys.verdicts], app[keys.limits], app[keys.desk]

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Every answer is ours, also where the application was not asked yet or broke."""
        try:
            if request.raw_path.startswith(POLL):
                return await self._polls.answer(request)
            found = self._found(request)
            return found if found is not None else await self._serve(request)
        except Exception as error:
            return middlewares.escaped(error, request)

    def _found(self, request: web.BaseRequest) -> Whole | None:
        path = request.raw_path
        if not path.endswith(AFTER) or request.method != "GET" or not goes_on(request):
            return None
        if path == PRIMARY:
            return self._recent(request, PRIMARY, None)
        number = path.removeprefix(BEFORE).removesuffix(AFTER)
        if number.isdecimal() and len(number) <= LONGEST_NUMBER and str(int(number)) == number:
            return self._recent(request, OF_ACCOUNT, int(number))
        return None

    def _recent(self, request: web.BaseRequest, route: str, account_id: int | None) -> Whole | None:
        """The answer of a moment ago, where nobody has to be asked whether it still is the one."""
        began, moment, desk = time.perf_counter(), now(), self._desk
        told = remembered(request, self._verdicts, moment)
        known = desk.owners.remembered(told.user_id) if told is not None else None
        row = known.accounts.get(account_id) if known is not None else None
        found = desk.positions.recent(row.id) if row is not None else None
        if told is None or known is None or row is None or found is None or not known.holds(found.mark) \
                or not desk.positions.is_fresh(found.answer, moment) or _stdlib.isEnabledFor(logging.DEBUG) \
                or not self._limits.passes("reads", str(told.user_id)):
            return None
        desk.looks.note(row.id, moment)
        desk.metrics.answers.count("GET", route, 200, time.perf_counter() - began)
        body = found.answer.body
        return FORM.filled(moment, ("X-Request-Id", new_id()), ("Content-Length", str(len(body))), body=body)
