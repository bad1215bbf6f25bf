"""Plans as a payment provider tells them, and a provider's door that knows invoices and the price of an upgrade."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web
from sqlalchemy import select

from models.billing import Subscription
from services import subscriptions
from services.desk import Desk
from services.payments.protocol import Money, SubscriptionState
from services.subscriptions import Rules

DAY = timedelta(days=1)
MONTH = 30 * DAY
PRICES = {"premium": Money(2999, "usd"), "vip": Money(9999, "usd"), "enterprise": Money(29999, "usd")}


def rules(desk: Desk) -> Rules:
    return Rules(desk.catalogue, renewal_lag=DAY, grace=7 * DAY)


async def tell(desk: Desk, user_id: int, now: datetime, tier: str = "premium", provider: str = "stripe",
               **changes: Any) -> SubscriptionState:
    """The provider says that the user has this plan: active and paid for a month from ``now``, but for ``changes``."""
    told = replace(SubscriptionState(
        id=f"sub_{user_id}", customer_id=f"cus_{user_id}", user_id=user_id, status="active", tier=tier,
        price=PRICES[tier], current_period_start=now, current_period_end=now + MONTH, cancel_at_period_end=False,
        cancel_at=None, trial_end=None, ended_at=None, is_paid=True, invoice_id=f"in_{tier}"), **changes)
    async with desk.database.writing() as session:
        await subscriptions.sync(session, rules(desk), provider, told, now)
    return told


def invoice(number: int, status: str, at: datetime, **changes: Any) -> dict[str, Any]:
    """An invoice in Stripe's shape."""
    return {"id": f"in_{number}", "object": "invoice", "number": f"CS-{number:04}", "status": status, "total": 2999,
            "currency": "usd", "created": int(at.timestamp()),
            "hosted_invoice_url": f"https://pay.example/{number}",
            "invoice_pdf": f"https://pay.example/{number}.pdf", **changes}


class Invoices:
    """A provider's door on which the list of invoices can be asked for, and what an upgrade costs today."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.listed: list[dict[str, Any]] = []
        self.is_down = False
        self.due = 4312
        self.previewed: list[int] = []

    def app(self) -> web.Application:
        made = web.Application()
        made.router.add_get("/v1/invoices", self._answer)
        made.router.add_get("/v1/prices", self._prices)
        made.router.add_get("/v1/subscriptions/{id}", self._subscription)
        made.router.add_post("/v1/invoices/create_preview", self._preview)
        return made

    async def _prices(self, request: web.Request) -> web.Response:
        lookup = next(value for name, value in request.query.items() if name.startswith("lookup_keys"))
        return web.json_response({"object": "list", "data": [{"id": f"price_{lookup}", "object": "price"}]})

    async def _subscription(self, request: web.Request) -> web.Response:
        """As it was told: the provider and the desk are of one mind here."""
        async with self._desk.database.reading() as session:
            row = (await session.execute(select(Subscription).where(
                Subscription.provider_subscription_id == request.match_info["id"]))).scalar_one()
            customer_id = await subscriptions.customer_of(session, row.user_id, "stripe")
        start, end = ((int(at.timestamp()) if at else None) for at in (row.current_period_start,
                                                                        row.current_period_end))
        price = {"id": f"price_{row.tier}", "lookup_key": f"countersign_{row.tier}_monthly", "currency": row.currency,
                 "unit_amount": row.amount_minor}
        return web.json_response({
            "id": row.provider_subscription_id, "object": "subscription", "customer": customer_id,
            "status": row.status, "currency": row.currency, "metadata": {"user_id": str(row.user_id)},
            "cancel_at_period_end": row.cancel_at_period_end,
            "latest_invoice": {"id": f"in_{row.tier}", "object": "invoice", "status": "paid"},
            "items": {"object": "list", "data": [{"id": "si_1", "object": "subscription_item", "price": price,
                                                  "current_period_start": start, "current_period_end": end}]}})

    async def _preview(self, request: web.Request) -> web.Response:
        if self.is_down:
            return self._down()
        form = await request.post()
        self.previewed.append(int(str(form["subscription_details[proration_date]"])))
        return web.json_response({"object": "invoice", "amount_due": self.due, "currency": "usd"})

    @staticmethod
    def _down() -> web.Response:
        return web.json_response({"error": {"type": "api_error", "message": "Down."}}, status=500)

    async def _answer(self, _request: web.Request) -> web.Response:
        if self.is_down:
            return self._down()
        return web.json_response({"object": "list", "data": self.listed, "has_more": False, "url": "/v1/invoices"})
