"""The API of subscriptions and of invoice previews, and what a customer takes along when they go."""

import copy
from typing import Any

from sandbox.stripe import changes, customers, cycles, discounts, invoices, subscriptions
from sandbox.stripe.calls import METADATA, Call, Route, fill_metadata, route, within
from sandbox.stripe.errors import conflict, declined, invalid, no_such
from sandbox.stripe.payments import DECLINES
from sandbox.stripe.rendering import page
from sandbox.stripe.shapes import PAGE, anything, fields, flag, list_of, moment, one_of, span, text, whole
from sandbox.stripe.world import Object, World, new_id

WITH_PENDING = frozenset({"items", "expand", "payment_behavior", "proration_behavior", "proration_date",
                          "billing_cycle_anchor", "trial_end", "trial_from_plan", "add_invoice_items", "discounts",
                          "off_session"})
"""What may stand beside payment_behavior=pending_if_incomplete."""


def create(call: Call) -> Object:
    """Subscribe without a checkout, with the card the customer has."""
    world, params = call.world, call.params
    customer = world.find("customer", params["customer"], "customer")
    items = [(changes.recurring_price(world, item["price"], f"items[{index}][price]"), item.get("quantity") or 1)
             for index, item in enumerate(params["items"])]
    redeemed = [discounts.check(world, given, f"discounts[{index}]", customer=customer["id"])
                for index, given in enumerate(params.get("discounts") or [])]
    behaviour, card = params.get("payment_behavior", "allow_incomplete"), customer.get("_card", "ok")
    if behaviour == "error_if_incomplete" and card != "ok":
        code, message = DECLINES.get(card, ("authentication_required", "Your card requires authentication."))
        raise declined(message, "card_declined", decline_code=code)
    customers.card_of(world, customer)
    subscription, _ = subscriptions.start(
        world, customer, items, metadata=params.get("metadata") or {}, trial_days=params.get("trial_period_days"),
        card=card, redeemed=redeemed, pay=behaviour != "default_incomplete",
        currency=changes.charged_in(params.get("currency"), items))
    return subscription


def update(call: Call) -> Object:
    world, params = call.world, call.params
    subscription = world.find("subscription", call.ids[0])
    if subscription["status"] in subscriptions.ENDED and params.keys() - {"metadata", "cancellation_details",
                                                                          "expand"}:
        raise conflict("A canceled subscription can only update its cancellation_details and metadata.")
    behaviour = params.get("payment_behavior") or "allow_incomplete"
    if behaviour == "pending_if_incomplete" and params.keys() - WITH_PENDING:
        name = sorted(params.keys() - WITH_PENDING)[0]
        raise invalid(f"With payment_behavior=pending_if_incomplete the parameter `{name}` is not allowed.", name)
    found = changes.wanted(world, subscription, params.get("items") or [])
    before = world.shown(subscription)
    fill_metadata(subscription, params.get("metadata"), present="metadata" in params)
    _cancellation(world, subscription, params)
    if params.get("trial_end") == "now" and subscription["status"] == "trialing":
        cycles.end_trial(world, subscription)
    if found:
        changes.change(world, subscription, found, proration=params.get("proration_behavior") or "create_prorations",
                       behaviour=behaviour, at=params.get("proration_date"), before=before)
        return subscription
    world.save(subscription)
    if world.shown(subscription) != before:
        world.emit("customer.subscription.updated", subscription, before)
    return subscription


def set_cancel_at_period_end(world: World, subscription: Object, cancel: bool) -> None:
    """End with the period, or go on after all."""
    before = world.shown(subscription)
    _cancellation(world, subscription, {"cancel_at_period_end": cancel})
    if world.shown(subscription) != before:
        world.emit("customer.subscription.updated", subscription, before)


def cancel(call: Call) -> Object:
    subscription = call.world.find("subscription", call.ids[0])
    if subscription["status"] in subscriptions.ENDED:
        raise no_such("subscription", call.ids[0])
    subscriptions.end(call.world, subscription)
    return subscription


def delete_customer(call: Call) -> Object:
    """Gone for good, and with them their subscriptions; only the id is remembered."""
    world, customer = call.world, call.world.find("customer", call.ids[0])
    for subscription in world.of_kind("subscription"):
        if subscription["customer"] == customer["id"] and subscription["status"] not in subscriptions.ENDED:
            subscriptions.end(world, subscription)
    world.emit("customer.deleted", customer)
    object_id = customer["id"]
    customer.clear()
    customer.update(id=object_id, object="customer", deleted=True)
    world.save(customer)
    return customer


def list_(call: Call) -> dict[str, Any]:
    asked, status = call.params, call.params.get("status")
    found = [known for known in call.world.of_kind("subscription")
             if asked.get("customer") in (None, known["customer"]) and _has_status(known, status)
             and asked.get("price") in (None, known["items"]["data"][0]["price"]["id"])
             and within(known["created"], asked.get("created"))]
    return page(call.world, found, call.path, asked)


def preview(call: Call) -> dict[str, Any]:
    """The invoice a change would make now, or without one the next renewal's. Nothing of it is kept."""
    world, params = call.world, call.params
    details = params.get("subscription_details") or {}
    if not params.get("subscription"):
        raise invalid("Missing required param: subscription.", "subscription", "parameter_missing")
    known = world.find("subscription", params["subscription"], "subscription")
    if known["status"] in subscriptions.ENDED:
        raise conflict("You cannot preview the upcoming invoice of a canceled subscription.",
                       code="invoice_upcoming_none")
    subscription = copy.deepcopy(known)
    found = changes.wanted(world, subscription, details.get("items") or [], "subscription_details[items]")
    behaviour = details.get("proration_behavior") or "create_prorations"
    lines = [] if behaviour == "none" else changes.proration_lines(world, subscription, found,
                                                                  details.get("proration_date"))
    at_once = bool(found) and (behaviour == "always_invoice" or any(one.resets for one in found))
    if not at_once:
        lines += _next_cycle(world, subscription, found)
    if not lines:
        raise conflict("Nothing to invoice for this change.", code="invoice_no_subscription_line_items")
    composed = invoices.compose(world, subscription, lines, "upcoming")
    if details.get("proration_date"):
        composed["parent"]["subscription_details"]["subscription_proration_date"] = details["proration_date"]
    return {"id": new_id("upcoming_in_1"), "object": "invoice", **composed}


def _next_cycle(world: World, subscription: Object, found: list[changes.Change]) -> list[dict[str, Any]]:
    if subscription["cancel_at_period_end"] and not found:
        raise conflict("The subscription ends with its period: there is no upcoming invoice.",
                       code="invoice_upcoming_none")
    for one in found:
        subscriptions.set_price(world, one.item, one.price, one.quantity)
    cycles.roll(subscription, subscription["items"]["data"][0]["current_period_end"])
    subscription["status"] = "active"
    return subscriptions.cycle_lines(world, subscription)


def _cancellation(world: World, subscription: Object, params: dict[str, Any]) -> None:
    if params.get("cancel_at_period_end") is None and "cancel_at" not in params:
        return
    end = subscription["items"]["data"][0]["current_period_end"]
    at = end if params.get("cancel_at_period_end") else params.get("cancel_at")
    subscription.update(cancel_at=at, cancel_at_period_end=bool(params.get("cancel_at_period_end")),
                        canceled_at=world.now() if at is not None else None)
    details = params.get("cancellation_details") or {}
    subscription["cancellation_details"] = {"comment": details.get("comment"), "feedback": details.get("feedback"),
                                            "reason": "cancellation_requested" if at is not None else None}
    subscriptions.plan_next(world, subscription)


def _has_status(subscription: Object, asked: str | None) -> bool:
    status = subscription["status"]
    if asked is None:
        return bool(status != "canceled")
    return asked == "all" or status == asked or (asked == "ended" and status in subscriptions.ENDED)


def _trial_end(value: Any, name: str) -> int | str:
    return "now" if value == "now" else moment(value, name)


_ITEMS = list_of(fields(id=text(), price=text(), quantity=whole(0), deleted=flag, metadata=anything), 20)
_PRORATION = {"proration_behavior": one_of("always_invoice", "create_prorations", "none"), "proration_date": moment}
_DISCOUNTS = list_of(fields(coupon=text(), promotion_code=text(), discount=text()), 20)
_DETAILS = fields(comment=text(), feedback=text())
_STATUSES = ("active", "all", "canceled", "ended", "incomplete", "incomplete_expired", "past_due", "paused",
             "trialing", "unpaid")
_COMMON: Any = {"automatic_tax": anything, "default_payment_method": text(), "description": text(500),
                "off_session": flag, "payment_settings": anything, "trial_settings": anything,
                "collection_method": one_of("charge_automatically", "send_invoice"), **METADATA, **_PRORATION}
ROUTES: list[Route] = [
    route("POST", "/v1/subscriptions", create, "customer", "items", customer=text(), items=_ITEMS,
          discounts=_DISCOUNTS, trial_period_days=whole(1, 730), billing_mode=anything, currency=text(3),
          payment_behavior=one_of("allow_incomplete", "default_incomplete", "error_if_incomplete",
                                  "pending_if_incomplete"), **_COMMON),
    route("GET", "/v1/subscriptions", list_, customer=text(), price=text(), status=one_of(*_STATUSES), created=span,
          collection_method=text(), **PAGE),
    route("GET", "/v1/subscriptions/{id}", lambda call: call.world.find("subscription", call.ids[0])),
    route("POST", "/v1/subscriptions/{id}", update, items=_ITEMS, cancel_at_period_end=flag, cancel_at=moment,
          cancellation_details=_DETAILS, trial_end=_trial_end,
          payment_behavior=one_of("allow_incomplete", "default_incomplete", "error_if_incomplete",
                                  "pending_if_incomplete"), **_COMMON),
    route("DELETE", "/v1/subscriptions/{id}", cancel, cancellation_details=_DETAILS, invoice_now=flag, prorate=flag),
    route("DELETE", "/v1/customers/{id}", delete_customer),
    route("POST", "/v1/invoices/create_preview", preview, customer=text(), subscription=text(), currency=text(3),
          automatic_tax=anything, preview_mode=one_of("next", "recurring"),
          subscription_details=fields(items=_ITEMS, cancel_at_period_end=flag, cancel_at=moment, **_PRORATION)),
]
