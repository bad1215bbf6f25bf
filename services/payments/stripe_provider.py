"""Stripe behind the payment protocol. The only module, beside its webhook, that knows the vendor's library.

Shapes follow API version 2026-10-28.endive: periods on subscription items, an invoice's subscription under
``parent``. Where an older layout says the same elsewhere (periods on the subscription, a plan for a price) it is
read there. The library's objects end here: everything is read through ``to_dict``.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import stripe
import structlog
from stripe import StripeClient

from models.billing import LedgerKind
from services.payments.protocol import (
    Invoice,
    Money,
    Movement,
    OutcomeUnknown,
    PaymentError,
    Preview,
    SubscriptionState,
)

log = structlog.get_logger(__name__)

API_VERSION = "2026-10-28.endive"
TIMEOUT_SECONDS = 10.0
RETRIES = 2
# For the whole of an answer: the library's own limit is for each piece of it.
ANSWER_SECONDS = 45.0
PAGE = 100
# Refusals that asking again with the same key will not change.
FINAL = (stripe.InvalidRequestError, stripe.CardError)
# A key that was rolled or may not do this says nothing of what was asked under the one before.
KEY_REFUSED = (stripe.AuthenticationError, stripe.PermissionError)
T = TypeVar("T")


class StripePayments:
    """Calls carry our own idempotency keys; a lost or doubtful answer is OutcomeUnknown, never a failure."""

    name = "stripe"

    def __init__(self, secret_key: str, prices: Mapping[str, str], *, api_base: str | None = None) -> None:
        """``prices`` maps tiers to lookup keys; ``api_base`` is another server than Stripe's own."""
        self._http = stripe.HTTPXClient(timeout=TIMEOUT_SECONDS)
        bases: Any = {"api": api_base} if api_base else {}
        self._client = StripeClient(secret_key, http_client=self._http, max_network_retries=RETRIES,
                                    base_addresses=bases, stripe_version=API_VERSION)
        self._lookup_keys = dict(prices)
        self._tiers = {lookup: tier for tier, lookup in prices.items()}
        self._price_ids: dict[str, str] = {}
        self._tier_by_price: dict[str, str | None] = {}

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def ensure_customer(self, user_id: int, telegram_id: int, *, key: str) -> str:
        made = await self._asked(self._client.v1.customers.create_async(
            {"metadata": {"user_id": str(user_id), "telegram_id": str(telegram_id)}}, _key(key)))
        return str(made["id"])

    async def has_customer(self, customer_id: str) -> bool:
        try:
            found = await self._asked(self._client.v1.customers.retrieve_async(customer_id))
        except PaymentError as error:
            if error.code != "resource_missing":
                raise
            return False
        return not found.get("deleted")

    async def checkout(self, customer_id: str, user_id: int, tier: str, *, trial_days: int, success_url: str,
                       cancel_url: str, key: str) -> tuple[str, str]:
        subscription: dict[str, Any] = {"metadata": {"user_id": str(user_id), "tier": tier}}
        if trial_days:
            subscription["trial_period_days"] = trial_days
        params: Any = {
            "mode": "subscription", "customer": customer_id, "client_reference_id": str(user_id),
            "line_items": [{"price": await self._price_id(tier), "quantity": 1}],
            "subscription_data": subscription, "success_url": success_url, "cancel_url": cancel_url,
            "allow_promotion_codes": True, "metadata": {"user_id": str(user_id), "operation": key}}
        made = await self._asked(self._client.v1.checkout.sessions.create_async(params, _key(key)))
        return str(made["id"]), str(made["url"])

    async def find_checkout(self, customer_id: str, key: str) -> tuple[str, str] | None:
        found = await self._asked(self._client.v1.checkout.sessions.list_async({"customer": customer_id, "limit": 100}))
        for made in found["data"]:
            if (made.get("metadata") or {}).get("operation") == key and made["status"] == "open":
                return str(made["id"]), str(made["url"])
        return None

    async def expire_checkout(self, session_id: str) -> str | None:
        try:
            await self._asked(self._client.v1.checkout.sessions.expire_async(session_id))
        except PaymentError:  # paid or expired already
            pass
        else:
            return None
        try:
            found = await self._asked(self._client.v1.checkout.sessions.retrieve_async(session_id))
        except PaymentError as error:
            if error.code != "resource_missing":
                raise
            return None
        return str(found["subscription"]) if found["status"] == "complete" else None

    async def portal(self, customer_id: str, return_url: str, *, key: str) -> str:
        made = await self._asked(self._client.v1.billing_portal.sessions.create_async(
            {"customer": customer_id, "return_url": return_url}, _key(key)))
        return str(made["url"])

    async def subscription(self, subscription_id: str) -> SubscriptionState:
        found = await self._asked(self._client.v1.subscriptions.retrieve_async(
            subscription_id, {"expand": ["latest_invoice"]}))
        return await self._state(found)

    async def subscriptions_of(self, customer_id: str) -> Sequence[SubscriptionState]:
        found = await self._asked(self._client.v1.subscriptions.list_async(
            {"customer": customer_id, "status": "all", "limit": 100, "expand": ["data.latest_invoice"]}))
        return [await self._state(one) for one in found["data"]]

    async def subscription_page(self, after: str | None) -> tuple[Sequence[SubscriptionState], bool]:
        """Some of the subscriptions that are not over, from the one after ``after``; whether there are more."""
        params: Any = {"limit": PAGE, "expand": ["data.latest_invoice"]}
        if after is not None:
            params["starting_after"] = after
        found = await self._asked(self._client.v1.subscriptions.list_async(params))
        return [await self._state(one) for one in found["data"]], bool(found["has_more"])

    async def preview(self, subscription_id: str, tier: str, as_of: datetime) -> Preview:
        item = await self._item_id(subscription_id)
        params: Any = {"subscription": subscription_id, "subscription_details": {
            "items": [{"id": item, "price": await self._price_id(tier)}], "proration_behavior": "always_invoice",
            "proration_date": int(as_of.timestamp())}}
        found = await self._asked(self._client.v1.invoices.create_preview_async(params))
        return Preview(Money(int(found["amount_due"]), str(found["currency"])), as_of)

    async def upgrade(self, subscription_id: str, tier: str, as_of: datetime, *, key: str) -> SubscriptionState:
        item = await self._item_id(subscription_id)
        params: Any = {
            "items": [{"id": item, "price": await self._price_id(tier)}], "proration_behavior": "always_invoice",
            "payment_behavior": "pending_if_incomplete", "proration_date": int(as_of.timestamp()),
            "expand": ["latest_invoice"]}
        return await self._state(await self._asked(
            self._client.v1.subscriptions.update_async(subscription_id, params, _key(key))))

    async def set_tier_next_period(self, subscription_id: str, tier: str, *, key: str) -> None:
        item = await self._item_id(subscription_id)
        params: Any = {"items": [{"id": item, "price": await self._price_id(tier)}], "proration_behavior": "none"}
        await self._asked(self._client.v1.subscriptions.update_async(subscription_id, params, _key(key)))

    async def cancel_at_period_end(self, subscription_id: str, cancel: bool, *, key: str) -> SubscriptionState:
        params: Any = {"cancel_at_period_end": cancel, "expand": ["latest_invoice"]}
        return await self._state(await self._asked(
            self._client.v1.subscriptions.update_async(subscription_id, params, _key(key))))

    async def cancel_now(self, subscription_id: str, *, key: str) -> None:
        try:
            await self._asked(self._client.v1.subscriptions.cancel_async(subscription_id))
        except PaymentError as error:
            if error.code != "resource_missing":
                raise

    async def refund(self, charge_id: str, amount_minor: int | None, *, key: str) -> str:
        """``charge_id`` may be the invoice that was paid, which is how the books name a charge."""
        params: Any = {**await self._paid_by(charge_id), "metadata": {"operation": key}}
        if amount_minor is not None:
            params["amount"] = amount_minor
        return str((await self._asked(self._client.v1.refunds.create_async(params, _key(key))))["id"])

    async def find_refund(self, charge_id: str, key: str) -> str | None:
        """The refund that was made under this key."""
        params: Any = {**await self._paid_by(charge_id), "limit": PAGE}
        found = await self._asked(self._client.v1.refunds.list_async(params))
        return next((str(made["id"]) for made in found["data"]
                     if (made.get("metadata") or {}).get("operation") == key), None)

    async def transaction_of(self, charge_id: str) -> str | None:
        """The invoice a charge has paid."""
        return (await self._source_of(charge_id))[1]

    async def dispute_status(self, dispute_id: str) -> str:
        try:
            return str((await self._asked(self._client.v1.disputes.retrieve_async(dispute_id)))["status"])
        except PaymentError as error:
            if error.code != "resource_missing":
                raise
            return "gone"

    async def _paid_by(self, charge_id: str) -> dict[str, str]:
        """The charge, or the payment of an invoice, as a refund wants it named."""
        if not charge_id.startswith("in_"):
            return {"charge": charge_id}
        found = await self._asked(self._client.v1.invoice_payments.list_async({"invoice": charge_id}))
        intents = [one["payment"].get("payment_intent") for one in found["data"] if one["status"] == "paid"]
        if not intents or intents[0] is None:
            raise PaymentError("nothing_paid", "Nothing was paid on this invoice.")
        return {"payment_intent": str(intents[0])}

    async def invoices(self, customer_id: str, limit: int) -> Sequence[Invoice]:
        found = await self._asked(self._client.v1.invoices.list_async({"customer": customer_id, "limit": limit}))
        return [Invoice(one["id"], one.get("number"), one["status"],
                        Money(int(one["total"]), one["currency"]), _instant(one["created"]),
                        one.get("hosted_invoice_url"), one.get("invoice_pdf")) for one in found["data"]]

    async def ensure_price(self, tier: str, money: Money) -> bool:
        """See to it that the tier's lookup key names a monthly price of this amount; False when it did already.

        A price cannot be changed at Stripe: another amount is a new price that takes the key over. Who has
        subscribed keeps the old one.
        """
        lookup = self._lookup_keys[tier]
        found = await self._asked(self._client.v1.prices.list_async({"lookup_keys": [lookup], "active": True}))
        same = [p for p in found["data"] if (p["unit_amount"], p["currency"]) == (money.amount_minor, money.currency)]
        if same:
            return False
        key = f"{lookup}:{money.amount_minor}:{money.currency}"
        product = await self._asked(self._client.v1.products.create_async(
            {"name": f"Countersign {tier.capitalize()}", "metadata": {"tier": tier}}, _key(f"product:{key}")))
        params: Any = {"product": product["id"], "currency": money.currency, "unit_amount": money.amount_minor,
                       "recurring": {"interval": "month"}, "lookup_key": lookup, "transfer_lookup_key": True,
                       "metadata": {"tier": tier}}
        await self._asked(self._client.v1.prices.create_async(params, _key(f"price:{key}")))
        self._price_ids.pop(tier, None)
        return True

    async def charge_of(self, invoice_id: str) -> Movement | None:
        """What was paid on an invoice; None while it is not paid."""
        found = await self._asked(self._client.v1.invoices.retrieve_async(invoice_id))
        if found["status"] != "paid":
            return None
        details = ((found.get("parent") or {}).get("subscription_details") or {})
        paid_at = (found.get("status_transitions") or {}).get("paid_at") or found["created"]
        return Movement(found["id"], LedgerKind.CHARGE, Money(int(found["amount_paid"]), found["currency"]),
                        _instant(paid_at), found.get("customer"), details.get("subscription"), found["id"])

    async def movements_of(self, told: Mapping[str, Any]) -> Sequence[Movement]:
        """The movements of a refund, of a charge's refunds, or of a dispute, as they stand now."""
        kind, id_ = told.get("object"), str(told.get("id"))
        if kind == "dispute":
            return await self._of_dispute(await self._asked(self._client.v1.disputes.retrieve_async(id_)))
        if kind == "refund":
            refunds = [await self._asked(self._client.v1.refunds.retrieve_async(id_))]
        else:
            page = await self._asked(self._client.v1.refunds.list_async({"charge": id_, "limit": 100}))
            refunds = page["data"]
        return [movement for refund in refunds for movement in await self._of_refund(refund)]

    async def _of_refund(self, refund: Mapping[str, Any]) -> list[Movement]:
        customer, invoice = await self._source_of(str(refund["charge"]))
        money, at = Money(int(refund["amount"]), refund["currency"]), _instant(refund["created"])
        kinds = [LedgerKind.REFUND]
        if refund.get("status") in ("failed", "canceled"):
            kinds.append(LedgerKind.REFUND_REVERSAL)
        return [Movement(refund["id"], kind, money, at, customer, None, invoice) for kind in kinds]

    async def _of_dispute(self, dispute: Mapping[str, Any]) -> list[Movement]:
        """An inquiry moves no money; a dispute takes it, and gives it back when it is won."""
        status = str(dispute["status"])
        if status.startswith("warning"):
            return []
        customer, invoice = await self._source_of(str(dispute["charge"]))
        money, at = Money(int(dispute["amount"]), dispute["currency"]), _instant(dispute["created"])
        kinds = [LedgerKind.DISPUTE] + ([LedgerKind.DISPUTE_REVERSAL] if status == "won" else [])
        return [Movement(dispute["id"], kind, money, at, customer, None, invoice) for kind in kinds]

    async def _source_of(self, charge_id: str) -> tuple[str | None, str | None]:
        """Customer and invoice of a charge."""
        charge = await self._asked(self._client.v1.charges.retrieve_async(charge_id))
        if not charge.get("payment_intent"):
            return charge.get("customer"), None
        params: Any = {"payment": {"type": "payment_intent", "payment_intent": charge["payment_intent"]}}
        found = await self._asked(self._client.v1.invoice_payments.list_async(params))
        return charge.get("customer"), str(found["data"][0]["invoice"]) if found["data"] else None

    async def events_since(self, since: datetime) -> Sequence[dict[str, Any]]:
        """Events from ``since`` on, newest first, as Stripe keeps them (30 days)."""
        return [event async for page in self.event_pages(since) for event in page]

    async def event_pages(self, since: datetime, types: Sequence[str] = ()) -> AsyncIterator[list[dict[str, Any]]]:
        """The same page by page, of these types only where any are named: Stripe takes up to 20."""
        params: dict[str, Any] = {"created": {"gte": int(since.timestamp())}, "limit": PAGE}
        if types:
            params["types"] = list(types)
        while True:
            page = await self._asked(self._client.v1.events.list_async(params))  # type: ignore[arg-type]
            yield page["data"]
            if not page["has_more"]:
                return
            params["starting_after"] = page["data"][-1]["id"]

    async def _price_id(self, tier: str) -> str:
        """Prices are named by lookup key, so that they can be replaced at Stripe without a release."""
        if tier not in self._price_ids:
            lookup = self._lookup_keys[tier]
            found = await self._asked(self._client.v1.prices.list_async({"lookup_keys": [lookup], "active": True}))
            if not found["data"]:
                raise PaymentError("price_missing", f"There is no price {lookup}; countersign stripe-setup makes it.")
            self._price_ids[tier] = str(found["data"][0]["id"])
        return self._price_ids[tier]

    async def _item_id(self, subscription_id: str) -> str:
        found = await self._asked(self._client.v1.subscriptions.retrieve_async(subscription_id))
        return str(found["items"]["data"][0]["id"])

    async def _state(self, found: Mapping[str, Any]) -> SubscriptionState:
        item, invoice = found["items"]["data"][0], found.get("latest_invoice")
        price = item.get("price") or item["plan"]
        told = invoice if isinstance(invoice, Mapping) else {}
        user_id = str((found.get("metadata") or {}).get("user_id") or "")
        return SubscriptionState(
            id=found["id"], customer_id=str(found["customer"]), user_id=int(user_id) if user_id.isdigit() else None,
            status=found["status"], tier=self._tier_of(price),
            price=await self._price_in(str(found.get("currency") or price["currency"]), price),
            current_period_start=_maybe(item.get("current_period_start") or found.get("current_period_start")),
            current_period_end=_maybe(item.get("current_period_end") or found.get("current_period_end")),
            cancel_at_period_end=bool(found.get("cancel_at_period_end")), cancel_at=_maybe(found.get("cancel_at")),
            trial_end=_maybe(found.get("trial_end")), ended_at=_maybe(found.get("ended_at")),
            is_paid=told.get("status") == "paid", invoice_id=told.get("id"),
            paid_tier=await self._tier_paid(told, price),
            has_begun=told.get("status") == "paid" or told.get("billing_reason") != "subscription_create")

    async def _tier_paid(self, invoice: Mapping[str, Any], price: Mapping[str, Any]) -> str | None:
        """The plan an invoice was for: its line that reaches furthest, leaving out what was credited."""
        charged = [line for line in (invoice.get("lines") or {}).get("data") or () if int(line["amount"]) >= 0]
        if not charged:
            return None
        last = max(charged, key=lambda line: int((line.get("period") or {}).get("end") or 0))
        details = (last.get("pricing") or {}).get("price_details") or {}
        named = str(details.get("price") or (last.get("price") or {}).get("id") or price["id"])
        if named not in self._tier_by_price:
            told = price if named == price["id"] else await self._asked(self._client.v1.prices.retrieve_async(named))
            self._tier_by_price[named] = self._tier_of(told)
        return self._tier_by_price[named]

    def _tier_of(self, price: Mapping[str, Any]) -> str | None:
        """The plan a price is for, also when a newer price has taken its lookup key over."""
        told = (price.get("metadata") or {}).get("tier")
        known = told if told in self._lookup_keys else None
        return self._tiers.get(price.get("lookup_key") or price["id"], known)

    async def _price_in(self, currency: str, price: Mapping[str, Any]) -> Money:
        """What a period costs in the currency that is charged: a price may have amounts in others than its own."""
        own = Money(int(price.get("unit_amount") or price.get("amount") or 0), str(price["currency"]))
        if currency == own.currency:
            return own
        told = await self._asked(self._client.v1.prices.retrieve_async(price["id"], {"expand": ["currency_options"]}))
        option = (told.get("currency_options") or {}).get(currency)
        return Money(int(option["unit_amount"]), currency) if option else own

    async def _asked(self, call: Awaitable[Any]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await call
        except KEY_REFUSED as error:
            log.error("stripe_key_refused", error=type(error).__name__, detail=str(error))
            raise OutcomeUnknown(type(error).__name__) from error
        except FINAL as error:
            raise PaymentError(str(error.code or type(error).__name__), str(error.user_message or error)) from error
        except (TimeoutError, stripe.StripeError, OSError) as error:
            raise OutcomeUnknown(type(error).__name__) from error
        told: dict[str, Any] = answer.to_dict()
        return told


def _key(key: str) -> Any:
    return {"idempotency_key": key}


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _maybe(seconds: int | None) -> datetime | None:
    return _instant(seconds) if seconds else None
