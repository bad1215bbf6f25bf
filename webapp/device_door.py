"""The devices' door: who asks is shown by a signature, and what is answered is signed too, refusals included."""

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from services import devices
from services.devices import DeviceKey
from services.errors import TryLater, Unauthenticated
from services.vault import SealBroken
from webapp import keys
from webapp.limits import Away
from webapp.security import Plain, count_failure
from webapp.signed import body_within, claim_nonce, headers_of, is_genuine, is_of_now
from wire import signing

log = structlog.get_logger(__name__)

DeviceHandler = Callable[[web.Request, DeviceKey], Awaitable[web.StreamResponse]]


def signed_by_device(handler: DeviceHandler, *, limit: int) -> Plain:
    """For a device whose signature covers this very request; bodies above ``limit`` bytes are refused first."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        body = await body_within(request, limit)
        try:
            key = await _admitted(request, body)
        except Unauthenticated:
            await count_failure(request, "signature")
            raise
        request[keys.answers_to] = key.secret
        await request.app[keys.limits].check("signed", key.key_id, away=Away.CLOSED)
        return await handler(request, key)

    return guarded


def sign_answer(request: web.Request, response: web.StreamResponse, secret: bytes) -> None:
    """What a device is told is signed for the request it made, so that nobody can tell it anything else."""
    if not isinstance(response, web.Response):
        return
    body = response.body if isinstance(response.body, bytes | bytearray) else b""
    text = signing.canonical_answer(response.status, request.headers["X-Nonce"], bytes(body))
    response.headers["X-Signature"] = signing.sign(secret, text)


async def _admitted(request: web.Request, body: bytes) -> DeviceKey:
    """Check form, signature, time, nonce, in this order: only a true signature may use up a nonce."""
    said, desk = headers_of(request), request.app[keys.desk]
    try:
        async with desk.database.reading() as session:
            key = await devices.signing_key(session, desk.vault, said.key_id)
    except SealBroken as error:
        log.error("machine_key_unreadable", key_id=said.key_id)
        raise TryLater("This key cannot be checked right now.") from error
    if not is_genuine(key.secret if key else None, request, said, body) or key is None or not is_of_now(said):
        raise Unauthenticated
    await claim_nonce(request, said)
    return key
