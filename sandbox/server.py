"""The sandbox: the stand-ins of Telegram and Stripe, the console and the control API on one loopback port."""

import asyncio
import sqlite3
import time
from pathlib import Path

from aiohttp import web

from sandbox.console import Console
from sandbox.control import Control, errors_as_json
from sandbox.errors import RefusedToStart
from sandbox.loopback import address, is_loopback, only_from_here
from sandbox.product import Nudge, PricesOf, Product, SetPrice
from sandbox.publishing import Publisher
from sandbox.stripe.pages import protect
from sandbox.stripe.standin import StripeSettings, StripeStandIn
from sandbox.telegram import paying, steering
from sandbox.telegram.api import Telegram
from sandbox.telegram.limits import Limits
from sandbox.telegram.routes import Door
from sandbox.telegram.store import Store
from sandbox.tokens import is_sandbox_token
from sandbox.trade_server import TradeServer

LARGEST_BODY = 20 * 1024 * 1024
STOP_SECONDS = 1.0


class Sandbox:
    """Build, ``attach`` what it shall steer, ``start``, and ``stop`` it in the end.

    ``app_url`` is the product's base address. Everything people and bot have said is kept in ``database_path``.
    With ``stripe`` its stand-in listens at the same address, and Telegram's charges go by its clock. ``broker`` is
    opened and closed by whoever brings it.
    """

    def __init__(self, bot_token: str, database_path: Path, app_url: str, *, limits: Limits | None = None,
                 stripe: StripeSettings | None = None, broker: TradeServer | None = None) -> None:
        if not is_sandbox_token(bot_token):
            raise RefusedToStart("This is not a sandbox token. The sandbox never runs with a real bot's token: "
                                 "unset BOT_TOKEN and it makes its own.")
        self._token, self._path = bot_token, database_path
        self._limits = limits or Limits()
        self._product = Product(app_url.rstrip("/"))
        self._telegram: Telegram | None = None
        if stripe is not None:
            stripe.check()
        self._stripe_settings, self._broker = stripe, broker
        self._stripe: StripeStandIn | None = None
        self._publisher = Publisher(self._product)
        self._renewals: asyncio.Task[None] | None = None
        self._runner: web.AppRunner | None = None

    def attach(self, *, provider_key: tuple[str, str] | None = None, set_price: SetPrice | None = None,
               nudge: Nudge | None = None, prices: PricesOf | None = None) -> None:
        """Hand over parts of the product, before or after the start; what is None stays as it was."""
        product = self._product
        product.provider_key = provider_key or product.provider_key
        product.set_price = set_price or product.set_price
        product.nudge = nudge or product.nudge
        product.prices = prices or product.prices

    async def start(self, host: str, port: int) -> str:
        """Listen; port 0 takes a free one. Returns the base url, which is also the Bot API's."""
        if not is_loopback(host):
            raise RefusedToStart(f"The sandbox listens on this machine only, not on {host}: its console gives "
                                 "tokens and keys to whoever asks. Use HOST=127.0.0.1.")
        self._stripe = await asyncio.to_thread(self._open_stripe)
        try:
            store = await asyncio.to_thread(self._open_store)
        except RefusedToStart:
            await self._stop_stripe()
            raise
        clock = self._stripe.world.now if self._stripe is not None else time.time
        self._telegram = Telegram(store, self._limits, clock)
        store.start()
        self._publisher.start()
        self._telegram.courier.start()
        self._renewals = asyncio.create_task(paying.keep_renewing(self._telegram))
        self._runner = web.AppRunner(self._application(self._telegram), access_log=None,
                                     shutdown_timeout=STOP_SECONDS)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self.stop()
            raise RefusedToStart(f"The sandbox cannot listen on {host}:{port}: {error.strerror}. Set another PORT; "
                                 "the sandbox takes the one above it.") from error
        base = f"http://{address(self._runner.addresses[0])}"
        if self._stripe is not None:
            await self._stripe.start(base)
        return base

    async def stop(self) -> None:
        """End every waiting request, then close; may be called twice."""
        telegram, self._telegram = self._telegram, None
        if telegram is None or self._runner is None:
            return
        await self._stop_renewals()
        telegram.updates.end_poll()
        telegram.hub.close()
        await telegram.courier.stop()
        await self._runner.cleanup()
        await self._stop_stripe()
        await self._publisher.stop()
        await telegram.state.store.close()

    async def _stop_renewals(self) -> None:
        renewals, self._renewals = self._renewals, None
        if renewals is not None:
            renewals.cancel()
            await asyncio.gather(renewals, return_exceptions=True)

    async def _stop_stripe(self) -> None:
        stripe, self._stripe = self._stripe, None
        if stripe is not None:
            await stripe.stop()

    def _open_stripe(self) -> StripeStandIn | None:
        return StripeStandIn.of(self._stripe_settings) if self._stripe_settings is not None else None

    def _open_store(self) -> Store:
        try:
            return Store(self._path)
        except sqlite3.OperationalError as error:
            raise RefusedToStart(f"The sandbox's memory {self._path} cannot be opened ({error}). Is another sandbox "
                                 "running on it?") from error

    def _application(self, telegram: Telegram) -> web.Application:
        app = web.Application(middlewares=[only_from_here, errors_as_json], client_max_size=LARGEST_BODY)
        Door(telegram, self._token).register(app)
        Control(telegram, self._product, self._publisher, self._token, self._stripe, self._broker).register(app)
        steering.Steering(telegram).register(app)
        Console(telegram, self._product).register(app)
        if self._stripe is not None:
            self._stripe.register(app)
            app.on_response_prepare.append(protect)
        return app
