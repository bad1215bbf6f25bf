"""The devices' door: who asks is shown by a signature, and what is answered is signed too, refusals included."""

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from redis.exceptions import RedisError

from services import device_keys, replays
from services.desk import Desk
from services.device_keys import DeviceKey, Known
from services.errors import TryLater, Unauthenticated
from services.vault import SealBroken
from webapp import keys, sealed
from webapp.claims import CHANGED, DOUBTED, UNSETTLED, USED, Answer, Claim
from webapp.security import Plain, count_failure, now
from webapp.signed import Signed, body_within, headers_of, is_genuine, is_of_now
from wire import signing

log = structlog.get_logger(__name__)

DeviceHandler = Callable[[web.Request, DeviceKey], Awaitable[web.StreamResponse]]
# A key may change while its request is looked at; one that changes all the time has to come back later.
TRIES = 4


def signed_by_device(handler: DeviceHandler, *, limit: int) -> Plain:
    """For a device whose signature covers this very request; bodies above ``limit`` bytes are refused first."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        body = await body_within(request, limit)
        try:
            key = await _admitted(request, body)
        except Unauthenticated:
            await count_failure(request, "signature")
            raise
        await sealed.open_request(request, key)
        return await handler(request, key)

    return guarded


def sign_answer(request: web.Request, response: web.StreamResponse, secret: bytes) -> None:
    """What a device is told is signed for the request it made, so that nobody can tell it anything else."""
    if not isinstance(response, web.Response):
        return
    sealed.seal_answer(request, response)
    body = response.body if isinstance(response.body, bytes | bytearray) else b""
    text = signing.canonical_answer(response.status, request.headers["X-Nonce"], bytes(body))
    response.headers["X-Signature"] = signing.sign(secret, text)


async def _admitted(request: web.Request, body: bytes) -> DeviceKey:
    """Check form, signature, time, nonce, in this order: only a true signature may use up a nonce.

    What may be a repeat from before Redis lost its memory is asked to come back with another date.
    From here on every answer is signed, but for the one that all who cannot be believed get.
    """
    said = headers_of(request)
    known, key = await _signer(request, said, body)
    if not is_of_now(said):
        raise Unauthenticated
    for _ in range(TRIES):
        answer = await _claimed(request, known, key, said)
        if answer == CHANGED:
            known, key = await _signer(request, said, body, anew=True)
        elif answer == USED:
            raise Unauthenticated
        elif answer == DOUBTED:
            break
        elif isinstance(answer, int):
            request[keys.answers_to] = key.secret
            if answer < 0:
                raise request.app[keys.limits].exceeded("signed", -answer)
            return await _noted(request.app[keys.desk], known, key, said)
    request[keys.answers_to] = key.secret
    raise TryLater


async def _signer(request: web.Request, said: Signed, body: bytes, *, anew: bool = False) -> tuple[Known, DeviceKey]:
    """Whose request it is. What does not fit the key that is remembered is held against the one on record."""
    desk = request.app[keys.desk]
    known = None if anew else desk.device_keys.remembered(said.key_id)
    key = _fitting(known, request, said, body)
    if key is None:
        try:
            known = await desk.device_keys.find(said.key_id)
        except SealBroken as error:
            log.error("machine_key_unreadable", key_id=said.key_id)
            raise TryLater("This key cannot be checked right now.") from error
        key = _fitting(known, request, said, body)
    if known is None or key is None:
        raise Unauthenticated
    desk.sightings.learn(said.key_id, known.record)
    return known, key


def _fitting(known: Known | None, request: web.Request, said: Signed, body: bytes) -> DeviceKey | None:
    """The key as of the secret that has signed this request."""
    if is_genuine(known.key.secret if known else None, request, said, body) and known is not None:
        return known.key
    previous = device_keys.with_previous(known.key, now()) if known is not None else None
    return previous if previous is not None and is_genuine(previous.secret, request, said, body) else None


async def _claimed(request: web.Request, known: Known, key: DeviceKey, said: Signed) -> Answer:
    """What Redis says of it, once the device is on record: what it does not know then cannot be a repeat."""
    desk, dated, at = request.app[keys.desk], int(said.timestamp), now()
    try:
        answer: Answer | Exception | None = request.pop(keys.claimed, None)
        if answer is None:
            if not desk.sightings.is_recorded(said.key_id, at.timestamp(), dated):
                await replays.settle(desk.database, desk.redis, said.key_id, dated, at)
                await desk.sightings.record(said.key_id, at.timestamp(), dated)
            answer = await request.app[keys.claims].ask(Claim(
                said.key_id, known.mark or b"", said.nonce, dated, at.timestamp(),
                request.app[keys.limits].most("signed")))
        if isinstance(answer, Exception):
            raise answer
        if answer == UNSETTLED:
            await replays.settle(desk.database, desk.redis, said.key_id, dated, at)
        return answer
    except Exception as error:
        request[keys.answers_to] = key.secret  # whatever has failed: the device can believe that it was the desk
        if isinstance(error, RedisError | OSError | TimeoutError):
            raise TryLater("Replays cannot be told apart right now.") from error
        raise


async def _noted(desk: Desk, known: Known, key: DeviceKey, said: Signed) -> DeviceKey:
    """The device has been here. A secret that is used ends the one before it."""
    desk.sightings.note(said.key_id, now().timestamp(), int(said.timestamp))
    if known.key.previous_secret is not None and key is known.key:
        async with desk.database.writing() as session:
            await device_keys.drop_previous(session, known)
    return key
