"""Subscriptions: how they begin, what a payment makes of them, how they end."""

from typing import Any

from sandbox.stripe import currencies, discounts, invoices
from sandbox.stripe.clock import DAY, HOUR, after
from sandbox.stripe.payments import Card, Outcome
from sandbox.stripe.rendering import listed
from sandbox.stripe.world import Object, World, new_id

FIRST_PAYMENT_SECONDS = 23 * HOUR
WARNING_SECONDS = 3 * DAY
RETRY_DAYS = (3, 5, 7)
"""Pauses before the three further attempts at a renewal that failed."""
ENDED = ("canceled", "incomplete_expired")
Redeemed = tuple[Object, str | None]


def new_item(world: World, subscription_id: str, price: Object, quantity: int, period: tuple[int, int]) -> Object:
    return {"id": new_id("si_", 14), "object": "subscription_item", "billed_until": None, "billing_thresholds": None,
            "created": world.now(), "current_period_start": period[0], "current_period_end": period[1],
            "discounts": [], "metadata": {}, "plan": _plan(price), "price": world.shown(price), "quantity": quantity,
            "subscription": subscription_id, "tax_rates": []}


def start(world: World, customer: Object, items: list[tuple[Object, int]], *, metadata: dict[str, str],
          trial_days: int | None, card: Card, redeemed: list[Redeemed], session: str | None = None,
          pay: bool = True, authenticated: bool = False, currency: str | None = None) -> tuple[Object, Outcome]:
    """Begin a subscription and try its first invoice; with ``pay`` False the invoice only opens. ``currency`` is
    the first price's own unless it is another that all prices are offered in.
    """
    subscription = _blank(world, customer, items, metadata, trial_days, card)
    subscription["currency"] = currency or subscription["currency"]
    subscription["discounts"] = [
        discounts.redeem(world, coupon, code, customer=customer["id"], subscription=subscription["id"],
                         session=session)["id"] for coupon, code in redeemed]
    if customer["currency"] is None:
        customer["currency"] = subscription["currency"]
        world.save(customer)
    invoice = invoices.draft(world, subscription, cycle_lines(world, subscription), "subscription_create")
    world.emit("customer.subscription.created", subscription)
    invoices.finalize(world, invoice)
    plan_next(world, subscription)
    if not pay:
        return subscription, "processing"
    outcome = invoices.collect(world, invoice, card, authenticated=authenticated)
    settled(world, subscription, invoice, outcome)
    return subscription, outcome


def cycle_lines(world: World, subscription: Object) -> list[dict[str, Any]]:
    """A line for each item over its current period, nothing charged during a trial, and what was left pending."""
    trial = subscription["status"] == "trialing"
    lines = list(subscription.pop("_pending_lines", []))
    for item in subscription["items"]["data"]:
        price = world.get(item["price"]["id"])
        product = world.get(price["product"])["name"]
        words = f"Trial period for {product}" if trial else f"{item['quantity']} × {product}"
        amount = 0 if trial else currencies.unit_amount(price, subscription["currency"]) * item["quantity"]
        lines.append(invoices.line(subscription, item, price, amount, period_of(item), words))
    return lines


def settled(world: World, subscription: Object, invoice: Object, outcome: Outcome) -> None:
    """What an attempt to pay an invoice does to its subscription."""
    before = world.shown(subscription)
    pending = subscription.get("_pending")
    if outcome == "paid" and pending is not None and pending["invoice"] == invoice["id"]:
        _apply_pending(world, subscription, before)
    elif outcome == "paid":
        if subscription["status"] in ("incomplete", "past_due", "unpaid") and not _owing(world, subscription):
            _set_status(world, subscription, "active", before)
    else:
        if outcome == "failed":
            _plan_retry(world, subscription, invoice)
            world.emit("invoice.payment_failed", invoice)
        if invoice["billing_reason"] != "subscription_create" and pending is None \
                and subscription["status"] in ("active", "trialing"):
            _set_status(world, subscription, "past_due", before)
    plan_next(world, subscription)


def end(world: World, subscription: Object, *, reason: str = "cancellation_requested") -> None:
    """Cancel at once. Open invoices stay, but nobody tries to collect them any more."""
    now = world.now()
    subscription.update(status="canceled", ended_at=now, cancel_at_period_end=False, pending_update=None,
                        canceled_at=subscription["canceled_at"] or now)
    subscription.pop("_pending", None)
    subscription["cancellation_details"]["reason"] = subscription["cancellation_details"]["reason"] or reason
    for invoice in open_invoices(world, subscription):
        invoice.update(auto_advance=False, next_payment_attempt=None, automatically_finalizes_at=None)
        world.schedule(invoice, None)
    world.schedule(subscription, None)
    world.emit("customer.subscription.deleted", subscription)


def expire(world: World, subscription: Object) -> None:
    """The first payment did not come in time."""
    before = world.shown(subscription)
    for invoice in open_invoices(world, subscription):
        invoices.void(world, invoice)
    subscription["ended_at"] = world.now()
    world.schedule(subscription, None)
    _set_status(world, subscription, "incomplete_expired", before)


def drop_pending(world: World, subscription: Object, *, expired: bool) -> None:
    """Give up a change that waited for its payment."""
    pending = subscription.pop("_pending", None)
    if pending is None:
        return
    before = world.shown(subscription)
    subscription["pending_update"] = None
    world.save(subscription)
    invoice = world.get(pending["invoice"])
    if invoice["status"] == "open":
        invoices.void(world, invoice)
    if expired:
        world.emit("customer.subscription.pending_update_expired", subscription, before)


def plan_next(world: World, subscription: Object) -> None:
    """Set when something happens to the subscription by itself."""
    status, at = subscription["status"], None
    if status == "incomplete":
        at = subscription["created"] + FIRST_PAYMENT_SECONDS
    elif status == "trialing" and not subscription.get("_warned"):
        at = max(world.now(), subscription["trial_end"] - WARNING_SECONDS)
    elif status not in ENDED:
        at = subscription["items"]["data"][0]["current_period_end"]
        if subscription["cancel_at"] is not None:
            at = min(at, subscription["cancel_at"])
        if subscription["pending_update"] is not None:
            at = min(at, subscription["pending_update"]["expires_at"])
    world.schedule(subscription, at)


def period_of(item: Object) -> tuple[int, int]:
    return item["current_period_start"], item["current_period_end"]


def set_price(world: World, item: Object, price: Object, quantity: int) -> None:
    item.update(price=world.shown(price), plan=_plan(price), quantity=quantity)


def open_invoices(world: World, subscription: Object) -> list[Object]:
    return [invoice for invoice in world.of_kind("invoice")
            if invoices.subscription_of(invoice) == subscription["id"] and invoice["status"] in ("draft", "open")]


def _owing(world: World, subscription: Object) -> bool:
    """Whether an invoice that was tried is still unpaid."""
    return any(invoice["status"] == "open" and invoice["attempted"] for invoice in open_invoices(world, subscription))


def _apply_pending(world: World, subscription: Object, before: Object) -> None:
    for change in subscription.pop("_pending")["changes"]:
        item = next(one for one in subscription["items"]["data"] if one["id"] == change["item"])
        set_price(world, item, world.get(change["price"]), change["quantity"])
    subscription["pending_update"] = None
    world.save(subscription)
    world.emit("customer.subscription.pending_update_applied", subscription, before)
    world.emit("customer.subscription.updated", subscription, before)


def _plan_retry(world: World, subscription: Object, invoice: Object) -> None:
    """Set the next attempt at a renewal; after the last the subscription ends by its rule."""
    attempt = invoice["attempt_count"]
    if invoice["billing_reason"] != "subscription_cycle" or not invoice["auto_advance"]:
        return
    if attempt <= len(RETRY_DAYS):
        invoice["next_payment_attempt"] = world.now() + RETRY_DAYS[attempt - 1] * DAY
        world.schedule(invoice, invoice["next_payment_attempt"])
    else:
        invoice["next_payment_attempt"] = None
        subscription["_exhausted"] = True
        world.schedule(invoice, None)


def _set_status(world: World, subscription: Object, status: str, before: Object) -> None:
    subscription["status"] = status
    world.save(subscription)
    world.emit("customer.subscription.updated", subscription, before)


def _plan(price: Object) -> Object:
    recurring = price["recurring"]
    return {"id": price["id"], "object": "plan", "active": price["active"], "amount": price["unit_amount"],
            "amount_decimal": price["unit_amount_decimal"], "billing_scheme": "per_unit", "created": price["created"],
            "currency": price["currency"], "interval": recurring["interval"],
            "interval_count": recurring["interval_count"], "livemode": False, "metadata": dict(price["metadata"]),
            "meter": None, "nickname": price["nickname"], "product": price["product"], "tiers_mode": None,
            "transform_usage": None, "trial_period_days": None, "usage_type": "licensed"}


def _blank(world: World, customer: Object, items: list[tuple[Object, int]], metadata: dict[str, str],
           trial_days: int | None, card: Card) -> Object:
    now, first = world.now(), items[0][0]
    trial_end = now + trial_days * DAY if trial_days else None
    recurring = first["recurring"]
    period = now, trial_end or after(now, recurring["interval"], recurring["interval_count"])
    object_id = new_id("sub_1")
    rows = [new_item(world, object_id, price, quantity, period) for price, quantity in items]
    return world.new(
        "subscription", object_id=object_id, application=None, application_fee_percent=None,
        automatic_tax={"disabled_reason": None, "enabled": False, "liability": None},
        billing_cycle_anchor=trial_end or now, billing_cycle_anchor_config=None,
        billing_mode={"flexible": None, "type": "flexible"}, billing_schedules=[], billing_thresholds=None,
        cancel_at=None, cancel_at_period_end=False, canceled_at=None,
        cancellation_details={"comment": None, "feedback": None, "reason": None},
        collection_method="charge_automatically", created=now, currency=first["currency"], customer=customer["id"],
        customer_account=None, days_until_due=None, default_payment_method=None, default_source=None,
        default_tax_rates=[], description=None, discounts=[], ended_at=None,
        invoice_settings={"account_tax_ids": None, "issuer": {"type": "self"}},
        items=listed(rows, f"/v1/subscription_items?subscription={object_id}"), latest_invoice=None, livemode=False,
        metadata=dict(metadata), next_pending_invoice_item_invoice=None, on_behalf_of=None, pause_collection=None,
        payment_settings={"payment_method_options": None, "payment_method_types": None,
                          "save_default_payment_method": "off"},
        pending_invoice_item_interval=None, pending_setup_intent=None, pending_update=None, schedule=None,
        start_date=now, status="trialing" if trial_end else "incomplete", test_clock=None, transfer_data=None,
        trial_end=trial_end, trial_start=now if trial_end else None,
        trial_settings={"end_behavior": {"missing_payment_method": "create_invoice"}}, _card=card)
