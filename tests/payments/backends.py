"""Servers that speak Stripe's protocol, behind the product's own provider: what each can do, and how it is set up."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sandbox.stripe.standin import StripeStandIn
from services.payments.protocol import Money
from services.payments.stripe_provider import StripePayments
from tests.running import until

KEY, SECRET = "sk_test_contract0123456789abcdef", "whsec_contract0123456789abcdef"
LOOKUP = {"premium": "countersign_premium", "vip": "countersign_vip"}
PRICES = {"premium": Money(2999, "usd"), "vip": Money(9999, "usd")}
USER = 7

# What localstripe 1.15.10 cannot do. Each is shown to be so in test_gaps.py.
LOCALSTRIPE_LACKS = {
    "idempotency": "it ignores Idempotency-Key",
    "prices": "it has plans, which prices have replaced",
    "checkout": "it has no checkout sessions",
    "portal": "it has no customer portal",
    "invoice payments": "it cannot say which invoice a charge has paid",
    "error codes": "its errors carry no code",
    "refund limits": "it refunds more than was paid",
    "trials": "a subscription with a trial stays incomplete",
    "paid events": "it never tells invoice.paid, only invoice.payment_succeeded",
    "update events": "it tells nothing when a subscription changes or a charge is refunded",
    "newest first": "it lists events oldest first",
}
CAPABILITIES = frozenset(LOCALSTRIPE_LACKS)


@dataclass
class Receiver:
    """A webhook endpoint that keeps what came: raw bodies and their signatures."""

    url: str = ""
    deliveries: list[tuple[bytes, str]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.deliveries.append((await request.read(), request.headers["Stripe-Signature"]))
        return web.Response()

    def about(self, type_: str, object_id: str) -> tuple[bytes, str] | None:
        """The delivery of this event about this object, if it has come."""
        for raw, signature in self.deliveries:
            event = json.loads(raw)
            if (event["type"], event["data"]["object"]["id"]) == (type_, object_id):
                return raw, signature
        return None

    async def told(self, type_: str, object_id: str) -> tuple[bytes, str]:
        """Wait for the delivery of this event about this object."""

        async def has_come() -> tuple[bytes, str] | None:
            return self.about(type_, object_id)

        found: tuple[bytes, str] = await until(f"{type_} of {object_id} is delivered", has_come)
        return found


class Backend:
    """A server under test: ``payments`` is the product's way in, the rest is the hand of the one who runs it."""

    name: str
    lacks: Mapping[str, str] = {}

    def __init__(self, base: str, client: aiohttp.ClientSession, receiver: Receiver) -> None:
        self.base, self.receiver, self._client = base, receiver, client
        self.payments = self.reached_with(KEY)

    def reached_with(self, key: str) -> StripePayments:
        """The provider with another secret key."""
        return StripePayments(key, LOOKUP, api_base=self.base)

    def needs(self, capability: str) -> None:
        """Leave the test here when this backend cannot do it."""
        assert capability in CAPABILITIES
        if capability in self.lacks:
            pytest.skip(f"{self.name}: {self.lacks[capability]}")

    async def call(self, method: str, path: str, form: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """A bare call of the API."""
        async with self._client.request(method, self.base + path, data=form,
                                        headers={"Authorization": f"Bearer {KEY}"}) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if answer.content_type == "application/json" else text

    async def done(self, method: str, path: str, form: Mapping[str, str] | None = None) -> Any:
        status, body = await self.call(method, path, form)
        assert status == 200, body
        return body

    async def set_up(self) -> None:
        """See to it that both plans can be subscribed to, and that events are delivered to the receiver."""
        raise NotImplementedError

    async def item(self, tier: str) -> dict[str, str]:
        """How a subscription to this plan is asked for."""
        raise NotImplementedError

    async def give_card(self, customer_id: str, *, works: bool) -> None:
        raise NotImplementedError

    async def customer(self, user_id: int = USER) -> str:
        return await self.payments.ensure_customer(user_id, 9000 + user_id, key=f"cust_{user_id}_{id(self)}")

    async def subscribed(self, tier: str = "premium", *, works: bool = True, **more: str) -> tuple[str, str]:
        """A customer and the subscription they have begun; ``works`` says what their card does."""
        customer_id = await self.customer()
        await self.give_card(customer_id, works=works)
        made = await self.done("POST", "/v1/subscriptions", {
            "customer": customer_id, "metadata[user_id]": str(USER), **await self.item(tier), **more})
        return customer_id, made["id"]

    async def charge_for(self, subscription_id: str) -> str:
        """The charge that has paid for this subscription's latest invoice."""
        customer_id = (await self.payments.subscription(subscription_id)).customer_id
        charges = await self.done("GET", f"/v1/charges?customer={customer_id}")
        return str(next(one["id"] for one in charges["data"] if one["paid"]))


class StandIn(Backend):
    """The product's own stand-in, which models all of it."""

    name = "the stand-in"

    async def set_up(self) -> None:
        for tier, money in PRICES.items():
            await self.payments.ensure_price(tier, money)

    async def item(self, tier: str) -> dict[str, str]:
        found = await self.done("GET", f"/v1/prices?lookup_keys[0]={LOOKUP[tier]}")
        return {"items[0][price]": found["data"][0]["id"]}

    async def give_card(self, customer_id: str, *, works: bool) -> None:
        await self.control(f"customers/{customer_id}/card", {"behaviour": "ok" if works else "decline"})

    async def control(self, path: str, body: Any) -> Any:
        async with self._client.post(f"{self.base}/control/stripe/{path}", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()


class LocalStripe(Backend):
    """localstripe, written by others from Stripe's older interface."""

    name = "localstripe"
    lacks = LOCALSTRIPE_LACKS

    async def set_up(self) -> None:
        async with self._client.delete(f"{self.base}/_config/data") as answer:
            assert answer.status == 200
        async with self._client.post(f"{self.base}/_config/webhooks/contract",
                                     json={"url": self.receiver.url, "secret": SECRET}) as answer:
            assert answer.status == 200
        for tier, money in PRICES.items():
            await self.done("POST", "/v1/plans", {
                "id": LOOKUP[tier], "amount": str(money.amount_minor), "currency": money.currency,
                "interval": "month", "product[name]": tier})

    async def item(self, tier: str) -> dict[str, str]:
        return {"items[0][plan]": LOOKUP[tier]}

    async def give_card(self, customer_id: str, *, works: bool) -> None:
        method = await self.done("POST", "/v1/payment_methods", {
            "type": "card", "card[number]": "4242424242424242" if works else "4000000000000341",
            "card[exp_month]": "12", "card[exp_year]": "2034", "card[cvc]": "123"})
        await self.done("POST", f"/v1/payment_methods/{method['id']}/attach", {"customer": customer_id})
        await self.done("POST", f"/v1/customers/{customer_id}",
                        {"invoice_settings[default_payment_method]": method["id"]})


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a socket of its own."""
    receiver, app = Receiver(), web.Application()
    app.router.add_post("/hook", receiver.take)
    async with served(app) as base:
        receiver.url = f"{base}/hook"
        yield receiver


@asynccontextmanager
async def standin(file: Path, receiver: Receiver) -> AsyncIterator[Backend]:
    """The stand-in with a memory of its own."""
    made, app = StripeStandIn(KEY, file, receiver.url, SECRET, retry_seconds=0.1), web.Application()
    made.register(app)
    async with served(app) as base:
        await made.start(base)
        try:
            async with _backend(StandIn, base, receiver) as backend:
                yield backend
        finally:
            await made.stop()


@asynccontextmanager
async def localstripe(base: str, receiver: Receiver) -> AsyncIterator[Backend]:
    """localstripe at this address, emptied."""
    async with _backend(LocalStripe, base, receiver) as backend:
        yield backend


@asynccontextmanager
async def _backend(kind: type[Backend], base: str, receiver: Receiver) -> AsyncIterator[Backend]:
    async with aiohttp.ClientSession() as client:
        backend = kind(base, client, receiver)
        await backend.set_up()
        yield backend
        await backend.payments.close()


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """The application on a free port; yields its address."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
