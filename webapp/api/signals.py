"""The providers' door: publish, look, revise, cancel, close. Every request is signed."""

from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from models.signal import SignalStatus
from services import providers, signals
from services.errors import InvalidRequest
from services.providers import SigningKey
from services.terms import Levels
from webapp import keys, presenters
from webapp.bodies import SIGNAL_BYTES, answer, parsed
from webapp.paths import id_of
from webapp.schemas import Empty, PublishSignal, ReviseSignal
from webapp.security import Plain, now
from webapp.signed import KeyHandler, signed

NULLABLE = {"entry_price", "entry_range", "stop_loss", "take_profits", "note"}


async def publish(request: web.Request, key: SigningKey) -> web.Response:
    """Commit a signal; its cards follow. 201 when new, 200 when it was already published."""
    body = await parsed(request, PublishSignal)
    desk = request.app[keys.desk]
    span = body.expires_in_seconds or request.app[keys.settings].facts.signals.expires_in_seconds
    levels = Levels(body.symbol, body.side, body.order_type, body.entry_price, _pair(body.entry_range),
                    body.stop_loss, tuple(body.take_profits), body.note)
    async with desk.database.writing() as session:
        await _spend_nonce(session, request, key)
        view, is_new = await signals.publish(session, key.provider_id, body.external_id, levels, span, now())
    desk.wakes.fan_out.set()
    return answer(presenters.signal(view), status=201 if is_new else 200)


async def show(request: web.Request, key: SigningKey) -> web.Response:
    """A signal of this provider, with how its followers have answered."""
    desk, signal_id, moment = request.app[keys.desk], id_of(request), now()
    async with desk.database.reading() as session:
        view = await signals.view(session, signal_id, moment, key.provider_id)
        counts = await signals.counts(session, signal_id, moment)
    return answer(presenters.signal(view) | {"approvals": counts})


async def revise(request: web.Request, key: SigningKey) -> web.Response:
    """New terms: absent fields stay, null clears; undecided cards are replaced."""
    signal_id = id_of(request)
    body = await parsed(request, ReviseSignal)
    changes = _changes(body)
    desk = request.app[keys.desk]
    async with desk.database.writing() as session:
        await _spend_nonce(session, request, key)
        view = await signals.revise(session, key.provider_id, signal_id, changes, now())
    desk.wakes.fan_out.set()
    return answer(presenters.signal(view))


def ending(status: SignalStatus) -> KeyHandler:
    """The handler that ends a signal in this way."""

    async def end(request: web.Request, key: SigningKey) -> web.Response:
        signal_id = id_of(request)
        await parsed(request, Empty, optional=True)
        desk = request.app[keys.desk]
        async with desk.database.writing() as session:
            await _spend_nonce(session, request, key)
            view = await signals.end(session, key.provider_id, signal_id, status, now())
        desk.wakes.fan_out.set()
        return answer(presenters.signal(view))

    return end


async def _spend_nonce(session: AsyncSession, request: web.Request, key: SigningKey) -> None:
    """What changes something is refused a second time even when Redis has forgotten the first."""
    await providers.use_nonce(session, key.key_id, request.headers["X-Nonce"], now())


def _changes(body: ReviseSignal) -> dict[str, Any]:
    """The fields that were sent; null only where a signal can do without."""
    sent = {name: getattr(body, name) for name in body.model_fields_set}
    if not sent:
        raise InvalidRequest("Say at least one field that changes.")
    if any(value is None and name not in NULLABLE for name, value in sent.items()):
        raise InvalidRequest("This field cannot be cleared.")
    if "entry_range" in sent:
        sent["entry_range"] = _pair(sent["entry_range"])
    if "take_profits" in sent:
        sent["take_profits"] = tuple(sent["take_profits"] or ())
    return sent


def _pair(values: list[Any] | None) -> tuple[Any, Any] | None:
    return (values[0], values[1]) if values else None


def guarded(handler: KeyHandler) -> Plain:
    """Signed, with the size a signal may have."""
    return signed(handler, limit=SIGNAL_BYTES)
