"""Round every request: its id, its measure, its errors in one shape, its security headers."""

import logging
import secrets
import time

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from models.database import DatabaseUnavailable
from runtime import logs
from runtime.strict_json import InvalidJson
from services.errors import DomainError
from webapp import device_door, keys, problems

log = structlog.get_logger(__name__)
_stdlib = logging.getLogger(__name__)

QUIET = {"GET", "HEAD", "OPTIONS"}
# Whose server it is and no more: without a name here aiohttp would write its own and its version.
HEADERS = (("Server", "Countersign"), ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
           ("Cross-Origin-Resource-Policy", "same-origin"))
EVERY_HEADER = (*HEADERS, ("Cache-Control", "no-store"), ("X-Frame-Options", "DENY"),
                ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"))


class Ids:
    """Random ids of 16 hex digits. The system is asked for many at once: each question costs as much as an answer."""

    AT_ONCE = 512

    def __init__(self) -> None:
        self._left: list[str] = []

    def next(self) -> str:
        """One that nobody has had."""
        if not self._left:
            drawn = secrets.token_hex(8 * self.AT_ONCE)
            self._left = [drawn[at:at + 16] for at in range(0, len(drawn), 16)]
        return self._left.pop()


new_id = Ids().next


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id of ours, log with it, count it, and finish whatever is answered, errors too."""
    request_id = new_id()
    request[keys.request_id] = request_id
    logs.begin(request_id=request_id)
    began = time.perf_counter()
    try:
        response = await handler(request)
    except Exception as error:
        response = _problem_of(error, request, request_id)
    if not response.prepared:
        finish(request, response)
    elapsed, route, method = request.get(keys.answered_at, time.perf_counter()) - began, _route(request), request.method
    level = logging.INFO if method not in QUIET or response.status >= 400 else logging.DEBUG
    if _stdlib.isEnabledFor(level):
        log.log(level, "request", method=method, route=route, status=response.status, ms=round(elapsed * 1000, 1))
    request.app[keys.desk].metrics.answers.count(method if method.isascii() else "?", route, response.status, elapsed)
    return response


def finish(request: web.Request, response: web.StreamResponse) -> None:
    """Put on what every answer bears. A handler that begins to send its answer itself does this before."""
    headers = response.headers
    headers["X-Request-Id"] = request[keys.request_id]
    is_api = response.status >= 400 or not request.path.startswith(("/app", "/static"))
    headers.merge(EVERY_HEADER if is_api else HEADERS)  # what the handler has set stays
    secret = request.get(keys.answers_to)
    if secret is not None:
        device_door.sign_answer(request, response, secret)


def _problem_of(error: Exception, request: web.Request, request_id: str) -> web.Response:
    """Every error becomes a problem details answer, once, here."""
    match error:
        case DomainError():
            return problems.of_domain(error, request)
        case InvalidJson():
            return problems.problem("invalid_json", str(error).capitalize() + ".", request_id)
        case ValidationError():
            return problems.problem("invalid_request", "Some fields are not valid.", request_id, errors=_faults(error))
        case web.HTTPException():
            kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
            return problems.of_status(error.status, request_id, kept)
        case OperationalError() | InterfaceError() | PoolTimeout() | DatabaseUnavailable() | ConnectionError():
            log.error("database_unreachable", error=type(error).__name__)
            return problems.problem("unavailable", "The desk cannot reach its database. Nothing was changed.",
                                    request_id, headers={"Retry-After": "1"})
        case DBAPIError():
            log.error("database_error", exc_info=error)
            # Without a statement it was the connection that could not be made: a server that starts or shuts down.
            is_away = error.connection_invalidated or error.statement is None
            code = "unavailable" if is_away else "internal_error"
            return problems.problem(code, "Something went wrong. It has been noted.", request_id)
    log.error("request_failed", route=_route(request), exc_info=error)
    return problems.problem("internal_error", "Something went wrong. It has been noted.", request_id)


def escaped(error: Exception, request: web.BaseRequest) -> web.Response:
    """The same for what went wrong before ``identify`` was asked, or in it."""
    if request.writer.output_size > 0:
        raise error  # an answer has begun already: it can only be cut off
    request_id = request.get(keys.request_id) or new_id()
    if isinstance(error, web.HTTPException):
        response = problems.of_status(error.status, request_id)
    else:
        log.error("request_escaped", request_id=request_id, exc_info=error)
        response = problems.problem("internal_error", "Something went wrong. It has been noted.", request_id)
    response.headers.merge((("X-Request-Id", request_id), *EVERY_HEADER))
    return response


def _faults(error: ValidationError) -> list[dict[str, str]]:
    return [{"loc": ".".join(map(str, fault["loc"])), "msg": fault["msg"]} for fault in error.errors()]


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unmatched"
