"""Reading request bodies: in time, the content type, strict JSON, the schema."""

import asyncio
from typing import TypeVar

from aiohttp import web

from runtime import strict_json
from runtime.strict_json import InvalidJson
from webapp.schemas import Body

SIGNAL_BYTES = 32 * 1024
BODY_SECONDS = 15.0
B = TypeVar("B", bound=Body)
OPENED = web.RequestKey("opened", bytes)
"""What was in the envelope that came as the body."""


async def read(request: web.Request) -> bytes:
    """The raw body; InvalidJson when it breaks off or cannot be unpacked, 408 when it does not come in time.

    Of one that came sealed and was opened, what was in it.
    """
    if OPENED in request:
        return request[OPENED]
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise InvalidJson("the body cannot be read") from error


async def parsed(request: web.Request, schema: type[B], *, optional: bool = False) -> B:
    """The body as ``schema``; 415, 400 or 422 as it fails. An empty one serves where ``optional``."""
    raw = await read(request)
    if not raw and optional:
        return schema()
    if request.content_type != "application/json" and OPENED not in request:
        raise web.HTTPUnsupportedMediaType
    return from_bytes(raw, schema)


def from_bytes(raw: bytes, schema: type[B]) -> B:
    """Strict JSON, then the schema."""
    value = strict_json.loads(raw)
    if not isinstance(value, dict):
        raise InvalidJson("a JSON object is expected")
    return schema.model_validate(value)


def answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(body=strict_json.dumps(value), status=status, content_type="application/json", headers=headers)


def is_known(request: web.Request, etag: str) -> bool:
    """Whether the client has this very answer. Compared weakly (RFC 9110, 13.1.2): proxies weaken what they pack."""
    given = [part.strip() for line in request.headers.getall("If-None-Match", []) for part in line.split(",")]
    return "*" in given or etag.removeprefix("W/") in [part.removeprefix("W/") for part in given]
