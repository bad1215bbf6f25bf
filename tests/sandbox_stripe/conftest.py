"""A sandbox with Stripe's stand-in on a free port, stripe's own client before it and a shop's webhook behind it."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import stripe
from aiohttp import web

from sandbox import Sandbox, new_token
from sandbox.stripe import StripeSettings, new_secret_key, new_webhook_secret

SUCCESS = "http://127.0.0.1:9/app/billing?session={CHECKOUT_SESSION_ID}"


@dataclass(slots=True)
class Shop:
    """The product's webhook: verifies as stripe-python does and keeps what it took. ``answers`` are given first."""

    secrets: list[str]
    url: str = ""
    events: list[stripe.Event] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        body, header = await request.read(), request.headers["Stripe-Signature"]
        assert request.content_type == "application/json"
        try:
            event = stripe.Webhook.construct_event(body, header, self.secrets[0])
        except stripe.SignatureVerificationError as error:
            self.refused.append(str(error))
            return web.Response(status=400)
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            self.events.append(event)
        return web.Response(status=status)

    def types(self) -> list[str]:
        return [event.type for event in self.events]


@dataclass(slots=True)
class Stage:
    """One running sandbox with its three hands: the shop's client, the control API and the webhook."""

    sandbox: Sandbox
    settings: StripeSettings
    base: str
    client: stripe.StripeClient
    http: aiohttp.ClientSession
    shop: Shop

    async def get(self, path: str) -> Any:
        async with self.http.get(f"{self.base}/control{path}") as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def post(self, path: str, body: Any = None) -> Any:
        status, answer = await self.try_post(path, body)
        assert status == 200, answer
        return answer

    async def try_post(self, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.http.post(f"{self.base}/control{path}", json=body or {}) as answer:
            return answer.status, await answer.json()

    async def call(self, method: str, path: str, form: dict[str, str] | None = None,
                   headers: dict[str, str] | None = None, key: str | None = None) -> tuple[int, Any, Any]:
        """A bare call: status, body and headers."""
        sent = {"Authorization": f"Bearer {key or self.settings.secret_key}", **(headers or {})}
        async with self.http.request(method, self.base + path, data=form, headers=sent) as answer:
            return answer.status, await answer.json(), answer.headers

    async def fault(self, kind: str, **more: Any) -> None:
        await self.post("/faults", {"target": "stripe", "fault": kind, **more})

    async def price(self, name: str, amount: int, currency: str = "usd", interval: str = "month") -> str:
        product = await self.client.v1.products.create_async({"name": name})
        price = await self.client.v1.prices.create_async({
            "product": product.id, "unit_amount": amount, "currency": currency,
            "recurring": {"interval": interval}, "lookup_key": f"{name}_{currency}_{interval}"})
        return price.id

    async def session(self, price: str, **more: Any) -> stripe.checkout.Session:
        return await self.client.v1.checkout.sessions.create_async({
            "mode": "subscription", "line_items": [{"price": price, "quantity": 1}], "success_url": SUCCESS,
            "cancel_url": "http://127.0.0.1:9/app/billing", "client_reference_id": "7", **more})

    async def subscribe(self, price: str, action: str = "pay", **more: Any) -> stripe.Subscription:
        """Through the checkout; the subscription with its latest invoice and that one's payments."""
        more = {"subscription_data": {"metadata": {"user_id": "7"}}, **more}
        session = await self.session(price, **more)
        done = await self.post(f"/stripe/checkout/{session.id}/{action}")
        return await self.subscription(done["session"]["subscription"])

    async def subscription(self, subscription_id: str) -> stripe.Subscription:
        return await self.client.v1.subscriptions.retrieve_async(
            subscription_id, {"expand": ["latest_invoice.payments"]})

    async def delivered(self, *types: str) -> None:
        """Wait until the shop has taken every one of these types, as often as it is named."""
        await until(f"events {types}", lambda: Counter(types) <= Counter(self.shop.types()))


async def until(what: str, met: Callable[[], Any], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.01)


def client_at(base: str, key: str, retries: int = 2) -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": base}, max_network_retries=retries,
                               http_client=stripe.HTTPXClient(timeout=10))


Open = Callable[..., Awaitable[Stage]]


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = Shop([new_webhook_secret()])
    app = web.Application()
    app.router.add_post("/webhook/stripe", shop.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    shop.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhook/stripe"
    yield shop
    await runner.cleanup()


@pytest.fixture
async def open_stage(tmp_path: Path, shop: Shop) -> AsyncIterator[Open]:
    """Open sandboxes, each closed at the end of the test."""
    opened: list[Stage] = []
    secret_key = new_secret_key()

    async def open_one(**more: Any) -> Stage:
        settings = StripeSettings(**{
            "secret_key": secret_key, "database_path": tmp_path / "stripe.db", "webhook_url": shop.url,
            "webhook_secret": shop.secrets[0], "retry_seconds": 0.02, **more})
        sandbox = Sandbox(new_token(), tmp_path / f"telegram{len(opened)}.db", "http://127.0.0.1:9", stripe=settings)
        base = await sandbox.start("127.0.0.1", 0)
        stage = Stage(sandbox, settings, base, client_at(base, settings.secret_key), aiohttp.ClientSession(), shop)
        opened.append(stage)
        return stage

    yield open_one
    for stage in opened:
        await stage.http.close()
        await stage.sandbox.stop()


@pytest.fixture
async def stage(open_stage: Open) -> Stage:
    return await open_stage()
