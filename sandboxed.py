"""The desk's surroundings in the sandbox: who stands in for Telegram, Stripe and a broker, and the keys it is given."""

import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from pydantic import SecretStr

import cashdesk
import commands
from config import TELEGRAM_API, Settings
from sandbox.errors import RefusedToStart
from sandbox.product import Nudge, SetPrice
from sandbox.server import Sandbox
from sandbox.stripe.standin import StripeSettings, new_secret_key, new_webhook_secret
from sandbox.tokens import is_sandbox_token, new_token
from sandbox.trade_server import WHEEL, TradeServer
from services import providers
from services.desk import Desk
from terminal.paper.quotes import QuoteFeed

PROVIDER = "Desk Alpha"
NUDGE_SHARE = Decimal("0.0015")


class Surroundings:
    """Opens the sandbox beside the desk. ``settings`` are the desk's, pointed at the stand-ins."""

    def __init__(self, settings: Settings) -> None:
        if settings.bot_token is not None and not is_sandbox_token(settings.bot_token.get_secret_value()):
            raise RefusedToStart("The sandbox does not run with a real bot's token. Unset BOT_TOKEN, or use "
                                 "countersign run.")
        if settings.telegram_api_base != TELEGRAM_API:
            raise RefusedToStart("The sandbox brings its own Bot API. Unset TELEGRAM_API_BASE.")
        host = settings.host if settings.host != "localhost" else "127.0.0.1"
        if host != "127.0.0.1":
            raise RefusedToStart(f"The sandbox listens on 127.0.0.1 only, not on {host}: its console gives tokens and "
                                 "keys to whoever asks. Unset HOST.")
        self.port = settings.port + 1
        self.origin = f"http://{host}:{self.port}"
        data = settings.data
        token = settings.bot_token or SecretStr(_kept(data / "sandbox-bot.token", new_token))
        key = settings.stripe_secret_key or SecretStr(_kept(data / "sandbox-stripe.key", new_secret_key))
        secret = _kept(data / "sandbox-stripe.secret", new_webhook_secret)
        self._broker = TradeServer(data, _kept(data / "sandbox-broker.secret", lambda: secrets.token_hex(4)))
        facts = settings.facts.model_copy(update={"terminal": settings.facts.terminal.model_copy(update={
            "folder": str(self._broker.folder), "host": "", "start_every_seconds": 0.0})})
        self.settings = commands.with_generated_key(settings).model_copy(update={
            "facts": facts, "bot_token": token, "telegram_api_base": self.origin, "host": host,
            "stripe_secret_key": key, "stripe_webhook_secrets": (SecretStr(secret),), "stripe_api_base": self.origin})
        stripe = StripeSettings(key.get_secret_value(), data / "sandbox-stripe.db",
                                f"http://{host}:{settings.port}/webhook/stripe", secret)
        self._sandbox = Sandbox(token.get_secret_value(), data / "sandbox.db", settings.public_url, stripe=stripe,
                                broker=self._broker)
        self.wheel = WHEEL

    async def open(self, desk: Desk, quotes: QuoteFeed) -> None:
        """Listen, with a provider's key to publish with and a hand on the practice market."""
        key = await _provider_key(desk)
        self._sandbox.attach(provider_key=key, prices=quotes.last, set_price=_set_price(quotes),
                             nudge=_nudge(quotes))
        try:
            await self._broker.open(quotes.last)
            await self._sandbox.start(self.settings.host, self.port)
            await cashdesk.set_up(self.settings, desk.catalogue)
        except BaseException:
            await self.close()  # what stands already goes with what could not be opened
            raise

    async def close(self) -> None:
        await self._sandbox.stop()
        await self._broker.close()

    def greeting(self) -> str:
        """What the person who started it reads."""
        app = self.settings.public_url
        return (f"\n  SANDBOX: practice money, a simulated market, no real Telegram.\n\n"
                f"  1. Open  {self.origin}  and press Start in the chat.\n"
                f"  2. Choose an example at the top and press Publish; a card arrives.\n"
                f"  3. Tap Approve in the chat, or open the app in the phone on the right.\n\n"
                f"  The Mini App and its API are at  {app}\n")


def _kept(path: Path, make: Callable[[], str]) -> str:
    """A token or key of the stand-ins, made once, so that everything goes on after a restart."""
    if not path.exists():
        part = path.with_suffix(".part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(make())
        part.rename(path)
    return path.read_text(encoding="ascii").strip()


async def _provider_key(desk: Desk) -> tuple[str, str]:
    async with desk.database.writing() as session:
        found = await providers.first_key(session, desk.vault, PROVIDER)
        if found is None:
            found = await providers.add(session, desk.vault, PROVIDER, datetime.now(UTC))
    return found.key_id, found.secret


def _set_price(quotes: QuoteFeed) -> SetPrice:
    async def set_price(symbol: str, bid: Decimal, ask: Decimal) -> None:
        quotes.set_price(symbol, bid, ask)

    return set_price


def _nudge(quotes: QuoteFeed) -> Nudge:
    async def nudge(symbol: str, direction: int) -> None:
        """Move by a share of the price that is felt: a few of these reach a usual stop."""
        tick, spec = quotes.tick(symbol), quotes.spec(symbol)
        if tick is None or spec is None:
            raise ValueError(f"unknown symbol {symbol}")
        quotes.nudge(symbol, direction * max(1, int(tick.bid * NUDGE_SHARE / spec.point)))

    return nudge
