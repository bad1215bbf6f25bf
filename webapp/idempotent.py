"""POSTs that must have their effect once: the Idempotency-Key header, its claim, and the stored answer."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog
from aiohttp import web
from pydantic import ValidationError

from runtime.strict_json import InvalidJson
from services import idempotency
from services.errors import DomainError, IdempotencyKeyRequired, InProgress, OutcomeUnknown
from services.idempotency import Claim, Stored
from webapp import bodies, keys, problems
from webapp.limits import Away
from webapp.security import Plain, bearer, now

log = structlog.get_logger(__name__)

_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
OnceHandler = Callable[[web.Request, int, str], Awaitable[web.Response]]


def once(handler: OnceHandler) -> Plain:
    """For a signed-in person: ``handler(request, user_id, operation_id)`` has its effect once for each key.

    The answer, also a final refusal, is kept and repeated. While nobody knows the outcome the answer is 503,
    and the next try goes on under the same operation id.
    """

    async def guarded(request: web.Request) -> web.Response:
        user_id = await bearer(request)
        await request.app[keys.limits].check("money", str(user_id), away=Away.COUNT_HERE)
        key = _key_of(request)
        raw = await bodies.read(request)
        scope = f"{user_id}:{request.method}:{request.path}"
        moment, fingerprint = now(), _fingerprint(request, user_id, raw)
        if (known := await _on_record(request, scope, key, fingerprint, moment)) is not None:
            return _again(known)
        async with request.app[keys.desk].database.writing() as session:
            held = await idempotency.claim(session, scope, key, fingerprint, moment)
        if isinstance(held, Stored):
            return _again(held)
        return await _act(request, handler, user_id, held, moment)

    return guarded


async def _on_record(request: web.Request, scope: str, key: str, fingerprint: str, moment: datetime) -> Stored | None:
    """The answer on record, read without the writer when Redis remembers that there is one."""
    if not await request.app[keys.hints].has(_hint(scope, key)):
        return None
    async with request.app[keys.desk].database.reading() as session:
        return await idempotency.stored(session, scope, key, fingerprint, moment)


def _hint(scope: str, key: str) -> str:
    return f"idempotency:{hashlib.sha256(f'{scope} {key}'.encode()).hexdigest()}"


async def _act(request: web.Request, handler: OnceHandler, user_id: int, held: Claim,
               moment: datetime) -> web.Response:
    database, is_passing = request.app[keys.desk].database, False
    try:
        response = await handler(request, user_id, held.operation_id)
    except OutcomeUnknown:
        async with database.writing() as session:
            await idempotency.lose_sight(session, held)
        raise
    except DomainError as error:
        response, is_passing = problems.of_domain(error, request), isinstance(error, InProgress)
    except (ValidationError, InvalidJson, web.HTTPException):
        # The request is no such request: nothing was begun, and the key is free for a better one.
        async with database.writing() as session:
            await idempotency.give_up(session, held)
        raise
    except BaseException:
        # Cut off in the middle, or a fault of ours: what has happened is not known here.
        async with database.writing() as session:
            await idempotency.lose_sight(session, held)
        raise
    if response.status in (409, 422, 429, 503) and not held.is_resumed:
        async with database.writing() as session:
            await idempotency.give_up(session, held)
        return response
    if is_passing or response.status in (429, 503):
        # Said of this moment, not of what had been begun before: that is still to be finished.
        async with database.writing() as session:
            await idempotency.lose_sight(session, held)
        return response
    assert isinstance(response.body, bytes)
    kept = Stored(response.status, {"Content-Type": response.headers["Content-Type"]}, response.body.decode())
    async with database.writing() as session:
        await idempotency.finish(session, held, kept, now())
    await request.app[keys.hints].note(_hint(held.scope, held.key), int(idempotency.KEEP.total_seconds()))
    return response


def _key_of(request: web.Request) -> str:
    given = request.headers.getall("Idempotency-Key", [])
    if len(given) != 1 or not _KEY.fullmatch(given[0]):
        raise IdempotencyKeyRequired
    return given[0]


def _fingerprint(request: web.Request, user_id: int, raw: bytes) -> str:
    parts = (request.method, request.path_qs, str(user_id), request.content_type)
    return hashlib.sha256("\n".join(parts).encode() + b"\n" + raw).hexdigest()


def _again(stored: Stored) -> web.Response:
    return web.Response(status=stored.status, body=stored.body.encode(),
                        headers={**stored.headers, "Idempotent-Replayed": "true"})
