"""Pairing over HTTP: a signed-in user asks for a code, a terminal makes itself a device of it."""

import asyncio

from aiohttp import web

from services import pairing
from services.pairing import Applicant
from webapp import keys, presenters, qr
from webapp.bodies import answer, parsed
from webapp.device_schemas import OfferPairing, PairDevice
from webapp.limits import Away, address
from webapp.paths import id_of
from webapp.security import now, signed_in


@signed_in("decisions")
async def offer(request: web.Request, user_id: int) -> web.Response:
    """A new code. Its picture holds what a terminal needs: the desk's address and the code."""
    body = await parsed(request, OfferPairing)
    made = await pairing.offer(request.app[keys.desk], user_id, body.name, now())
    picture = await asyncio.to_thread(qr.svg, f"{request.app[keys.settings].public_url}\n{made.code}")
    return answer(presenters.pairing_offer(made, picture), status=201)


@signed_in("reads")
async def show(request: web.Request, user_id: int) -> web.Response:
    """What has become of a code, for who waits for it."""
    async with request.app[keys.desk].database.reading() as session:
        found = await pairing.state(session, user_id, id_of(request), now())
    return answer(presenters.pairing(found))


async def pair(request: web.Request) -> web.Response:
    """A device for a code, with its secret. Nobody is known here yet: tries are counted by address."""
    trusted = request.app[keys.settings].facts.server.trusted_proxies
    await request.app[keys.limits].check("pairings", address(request, trusted), away=Away.COUNT_HERE)
    body = await parsed(request, PairDevice)
    made = await pairing.pair(request.app[keys.desk],
                              Applicant(body.code, body.login, body.server, body.version), now())
    return answer(presenters.registered(made), status=201)
