"""Sign-in: launch data for tokens, refresh, sign-out, who am I."""

from aiohttp import web

from services import auth, entry, init_data, tiers, users
from services.auth import Pair
from services.errors import InvalidInitData, Unauthenticated
from services.users import Person
from webapp import keys, presenters
from webapp.bodies import answer, parsed
from webapp.limits import address
from webapp.schemas import Logout, Refresh, SignIn
from webapp.security import now, signed_in


async def sign_in(request: web.Request) -> web.Response:
    """Exchange Telegram's launch data for a pair of tokens; a person seen for the first time is welcome."""
    await _count(request)
    body = await parsed(request, SignIn)
    settings, desk, moment = request.app[keys.settings], request.app[keys.desk], now()
    if settings.bot_token is None:
        raise InvalidInitData
    rules = settings.facts.auth
    launch = init_data.verify(body.init_data, settings.bot_token.get_secret_value(), moment,
                              max_age_seconds=rules.init_data_max_age_seconds,
                              max_future_seconds=rules.init_data_max_future_seconds)
    user = launch.user
    user_id = await entry.enter(desk, Person(user.telegram_id, user.first_name, user.last_name, user.username,
                                             user.language_code), moment)
    async with desk.database.writing() as session:
        pair = await auth.open_session(session, desk.tokens, user_id, moment)
    return _answer(pair)


async def refresh(request: web.Request) -> web.Response:
    """Rotate a refresh token; one used twice ends every session of its family."""
    await _count(request)
    body = await parsed(request, Refresh)
    desk = request.app[keys.desk]
    async with desk.database.writing() as session:
        pair = await auth.refresh(session, desk.tokens, body.refresh_token, now())
    if pair is None:
        raise Unauthenticated
    return _answer(pair)


@signed_in("reads")
async def sign_out(request: web.Request, user_id: int) -> web.Response:
    """End this session, or all of them when no refresh token is given."""
    body = await parsed(request, Logout, optional=True)
    desk = request.app[keys.desk]
    async with desk.database.writing() as session:
        await auth.close_session(session, user_id, body.refresh_token, now())
    return web.Response(status=204)


@signed_in("reads")
async def me(request: web.Request, user_id: int) -> web.Response:
    """The signed-in user."""
    desk = request.app[keys.desk]
    async with desk.database.reading() as session:
        user = await users.by_id(session, user_id)
        tier = await tiers.tier_of(session, desk.catalogue, user_id, now())
        roles = await users.roles_of(session, user_id)
    return answer(presenters.me(user, tier, roles))


async def _count(request: web.Request) -> None:
    trusted = request.app[keys.settings].facts.server.trusted_proxies
    await request.app[keys.limits].check("auth", address(request, trusted))


def _answer(pair: Pair) -> web.Response:
    return answer({"access_token": pair.access_token, "token_type": "Bearer", "expires_in": pair.expires_in,
                   "refresh_token": pair.refresh_token})
