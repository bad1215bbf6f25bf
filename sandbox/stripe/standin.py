"""Stripe's stand-in as a whole: built by whoever opens the sandbox, mounted on its port."""

import asyncio
import re
import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from aiohttp import web

from sandbox.errors import RefusedToStart
from sandbox.loopback import is_loopback
from sandbox.stripe import cycles
from sandbox.stripe.clock import Clock
from sandbox.stripe.door import Door
from sandbox.stripe.faults import Faults
from sandbox.stripe.pages import Pages
from sandbox.stripe.steering import Steering
from sandbox.stripe.store import Store
from sandbox.stripe.webhooks import Courier
from sandbox.stripe.world import World, new_id

TICK_SECONDS = 1.0
_KEY = re.compile(r"sk_test_[A-Za-z0-9]{16,200}")
_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=_-]{16,200}")


@dataclass(frozen=True, slots=True)
class StripeSettings:
    """What a sandbox needs to bring Stripe's stand-in along.

    ``webhook_secret`` may hold several, separated by commas, as while rotating. ``retry_seconds`` is the pause after
    the first failed delivery of an event; it doubles from there.
    """

    secret_key: str
    database_path: Path
    webhook_url: str
    webhook_secret: str
    retry_seconds: float = 1.0
    clock: Clock = time.time

    def check(self) -> None:
        """RefusedToStart for a live key, and for an endpoint that is not on this machine."""
        _check(self.secret_key, self.webhook_url, _secrets(self.webhook_secret))


def new_secret_key() -> str:
    return new_id("sk_test_", 32)


def new_webhook_secret() -> str:
    return new_id("whsec_", 32)


class StripeStandIn:
    """``register`` on an application, ``start`` once its address is known, ``stop`` in the end.

    Everything is kept in ``database_path``. ``clock`` gives unix seconds; webhooks are signed by it, while Stripe's
    own time is what was advanced on top of it.
    """

    def __init__(self, secret_key: str, database_path: Path, webhook_url: str, webhook_secret: str, *,
                 clock: Clock = time.time, retry_seconds: float = 1.0) -> None:
        secrets = _secrets(webhook_secret)
        _check(secret_key, webhook_url, secrets)
        self.secret_key, self.webhook_secret = secret_key, webhook_secret
        self._base = ""
        try:
            store = Store(database_path)
        except sqlite3.OperationalError as error:
            raise RefusedToStart(f"The memory of Stripe's stand-in {database_path} cannot be opened ({error}). Is "
                                 "another sandbox running on it?") from error
        self.world = World(store, clock, lambda: self._base)
        store.start()
        cycles.register(self.world)
        self.faults = Faults()
        self.courier = Courier(self.world, webhook_url, secrets, self.faults, retry_seconds)
        self.door = Door(self.world, secret_key, self.faults, self.committed)
        self._ticker: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, settings: StripeSettings) -> Self:
        return cls(settings.secret_key, settings.database_path, settings.webhook_url, settings.webhook_secret,
                   clock=settings.clock, retry_seconds=settings.retry_seconds)

    def access(self, base: str) -> dict[str, str]:
        """What a shop is configured with."""
        return {"api_base": base, "secret_key": self.secret_key, "webhook_secret": self.webhook_secret}

    def register(self, app: web.Application) -> None:
        self.door.register(app)
        Pages(self.world, self.committed).register(app)
        Steering(self.world, self.courier, self.door, self.committed).register(app)

    async def start(self, base: str) -> None:
        """``base`` is where it listens: its pages are linked from there."""
        self._base = base
        self.courier.start()
        self._ticker = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
        await self.courier.stop()
        try:
            await self.world.commit()
        finally:
            await self.world.store.close()

    async def committed(self) -> None:
        """Everything done so far is on disk, and its events are on their way."""
        await self.world.commit()
        self.courier.pump()

    async def _tick(self) -> None:
        """Let what is due happen although nobody calls."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.world.catch_up()
            await self.committed()


def _secrets(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _check(secret_key: str, webhook_url: str, secrets: tuple[str, ...]) -> None:
    if not _KEY.fullmatch(secret_key):
        raise RefusedToStart("The sandbox takes Stripe test keys of its own only (sk_test_…), never a live key. Unset "
                             "STRIPE_SECRET_KEY and it makes one.")
    if not all(_SECRET.fullmatch(secret) for secret in secrets):
        raise RefusedToStart("The webhook secret of the sandbox must look like Stripe's: whsec_…")
    parts = urlsplit(webhook_url)
    if parts.scheme not in ("http", "https") or not is_loopback(parts.hostname or ""):
        raise RefusedToStart("The sandbox delivers Stripe's events to this machine only.")
