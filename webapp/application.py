"""The HTTP door as one aiohttp application."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from config import Settings
from services.billing import Cashier
from services.desk import Desk
from webapp import keys, middlewares, pages
from webapp.claims import Claims
from webapp.hints import Hints
from webapp.lane import Lane
from webapp.limits import Breaker, Limits
from webapp.routes import routes
from webapp.verdicts import Verdicts

MOST_BODY_BYTES = 256 * 1024


def build(desk: Desk, settings: Settings, ready: Callable[[], Awaitable[bool]], *, cashier: Cashier | None = None,
          cashiers: Mapping[str, Cashier] | None = None,
          console_origin: str | None = None,
          bot_username: Callable[[], str | None] = lambda: None) -> web.Application:
    """The application; ``console_origin`` may frame the Mini App, in the sandbox only."""
    app = web.Application(middlewares=[middlewares.identify], client_max_size=MOST_BODY_BYTES)
    app[keys.desk] = desk
    app[keys.settings] = settings
    app[keys.ready] = ready
    app[keys.cashier] = cashier
    app[keys.cashiers] = cashiers if cashiers is not None else {cashier.payments.name: cashier} if cashier else {}
    breaker = Breaker()  # one for all: a request waits for a Redis that hangs once at most
    app[keys.limits] = Limits(desk.redis, settings.facts.limits, desk.metrics, breaker, desk.supervisor.spawn)
    app[keys.verdicts] = Verdicts(desk.tokens)
    app[keys.claims] = Claims(desk.redis)
    app[keys.hints] = Hints(desk.redis, breaker)
    app[keys.console_origin] = console_origin
    app[keys.bot_username] = bot_username
    pages.setup(app)
    app.add_routes(routes())
    return app


async def opened(app: web.Application, **options: Any) -> web.AppRunner:
    """A runner of the application, set up; ``options`` as of aiohttp's."""
    runner = web.AppRunner(app, access_log=None, **options)
    await runner.setup()
    assert runner.server is not None
    runner.server.request_handler = Lane(app, runner.server.request_handler)
    return runner
