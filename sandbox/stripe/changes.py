"""Changing what a subscription contains: prorations, invoices for them, and previews of both."""

from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from sandbox.stripe import currencies, invoices, subscriptions
from sandbox.stripe.clock import after
from sandbox.stripe.errors import declined, invalid
from sandbox.stripe.payments import DECLINES
from sandbox.stripe.subscriptions import FIRST_PAYMENT_SECONDS, period_of
from sandbox.stripe.world import Object, World


@dataclass(frozen=True, slots=True)
class Change:
    """An item's price and quantity from now on."""

    item: Object
    price: Object
    quantity: int

    @property
    def resets(self) -> bool:
        """Whether the billing period begins anew, as it does when the interval changes."""
        old, new = self.item["price"]["recurring"], self.price["recurring"]
        return (old["interval"], old["interval_count"]) != (new["interval"], new["interval_count"])


def wanted(world: World, subscription: Object, items: list[dict[str, Any]], name: str = "items") -> list[Change]:
    """The changes that ``items`` ask for; what is already so is no change."""
    rows = {item["id"]: item for item in subscription["items"]["data"]}
    found = []
    for index, given in enumerate(items):
        item = rows.get(given.get("id") or "")
        if item is None and given.get("id"):
            raise invalid(f"No such subscription item: '{given['id']}'", f"{name}[{index}][id]", "resource_missing")
        if item is None:
            raise invalid("Adding items is not part of this stand-in: pass the id of the item to change.",
                          f"{name}[{index}][id]")
        price = recurring_price(world, given.get("price") or item["price"]["id"], f"{name}[{index}][price]")
        if subscription["currency"] not in currencies.offered(price):
            raise invalid(f"The price specified only supports `{price['currency']}`. This doesn't match the expected "
                          f"currency: `{subscription['currency']}`.", f"{name}[{index}][price]")
        quantity = given.get("quantity") or item["quantity"]
        if (price["id"], quantity) != (item["price"]["id"], item["quantity"]):
            found.append(Change(item, price, quantity))
    return found


def recurring_price(world: World, price_id: str, name: str) -> Object:
    """The price, if one can subscribe to it."""
    price = world.find("price", price_id, name)
    if price["recurring"] is None:
        raise invalid("The price specified is set to `type=one_time` but this field only accepts prices with "
                      "`type=recurring`.", name)
    if not price["active"]:
        raise invalid(f"The price specified is inactive. This field only accepts active prices: {price_id}", name,
                      "resource_missing")
    return price


def charged_in(asked: str | None, items: list[tuple[Object, int]]) -> str:
    """The currency a purchase is charged in: the one asked for, if every price is offered in it."""
    wanted = currencies.known(asked or items[0][0]["currency"])
    for price, _ in items:
        if wanted not in currencies.offered(price):
            raise invalid(f"The price specified only supports {', '.join(sorted(currencies.offered(price)))}. This "
                          f"doesn't match the expected currency: `{wanted}`.", "currency")
    return wanted


def change(world: World, subscription: Object, found: list[Change], *, proration: str, behaviour: str,
           at: int | None, before: Object) -> None:
    """Carry the changes out, charging for them as asked; 402 when they must be paid and cannot. ``before`` is the
    subscription as it was shown before the call.
    """
    subscriptions.drop_pending(world, subscription, expired=False)
    lines = [] if proration == "none" else proration_lines(world, subscription, found, at)
    resets = any(one.resets for one in found)
    if not resets and proration != "always_invoice":
        _apply(world, subscription, found)
        subscription.setdefault("_pending_lines", []).extend(lines)
        world.emit("customer.subscription.updated", subscription, before)
        return
    due = invoices.compose(world, subscription, _copies(lines), "subscription_update")["amount_due"] if lines else 0
    card = subscription["_card"]
    if due and card != "ok" and behaviour == "error_if_incomplete":
        code, message = DECLINES.get(card, ("authentication_required", "Your card requires authentication."))
        raise declined(message, "card_declined", decline_code=code)
    if due and card != "ok" and behaviour == "pending_if_incomplete":
        _wait_for_payment(world, subscription, found, lines)
        return
    _apply(world, subscription, found)
    invoice = _charge(world, subscription, lines) if lines else None
    subscriptions.plan_next(world, subscription)
    world.emit("customer.subscription.updated", subscription, before)
    if invoice is not None:
        subscriptions.settled(world, subscription, invoice, invoices.collect(world, invoice, card))


def proration_lines(world: World, subscription: Object, found: list[Change], at: int | None) -> list[dict[str, Any]]:
    """A credit for the unused time and a debit for the rest of the period, per changed item."""
    if subscription["status"] == "trialing":
        return []
    lines = []
    for one in found:
        start, end = period_of(one.item)
        now = min(max(world.now() if at is None else at, start), end)
        left = Fraction(end - now, end - start)
        old = world.get(one.item["price"]["id"])
        currency = subscription["currency"]
        was = currencies.unit_amount(old, currency) * one.item["quantity"]
        will_be = currencies.unit_amount(one.price, currency) * one.quantity
        day = datetime.fromtimestamp(now, UTC).strftime("%-d %b %Y")
        rest = now, end
        lines.append(invoices.line(
            subscription, one.item, old, -currencies.nearest(was * left, currency), rest,
            f"Unused time on {_name(world, old)} after {day}", proration=True))
        if one.resets:
            period = now, after(now, one.price["recurring"]["interval"], one.price["recurring"]["interval_count"])
            lines.append(invoices.line(subscription, one.item, one.price, will_be, period,
                                       f"{one.quantity} × {_name(world, one.price)}"))
        else:
            lines.append(invoices.line(
                subscription, one.item, one.price, currencies.nearest(will_be * left, currency), rest,
                f"Remaining time on {_name(world, one.price)} after {day}", proration=True))
    return lines


def _wait_for_payment(world: World, subscription: Object, found: list[Change], lines: list[dict[str, Any]]) -> None:
    before = world.shown(subscription)
    invoice = _charge(world, subscription, lines)
    rows = [{**one.item, "price": world.shown(one.price), "quantity": one.quantity} for one in found]
    subscription["pending_update"] = {
        "billing_cycle_anchor": None, "cancel_at_period_end": None, "discounts": None, "metadata": None,
        "expires_at": world.now() + FIRST_PAYMENT_SECONDS, "subscription_items": rows, "trial_end": None,
        "trial_from_plan": None}
    subscription["_pending"] = {"invoice": invoice["id"], "changes": [
        {"item": one.item["id"], "price": one.price["id"], "quantity": one.quantity} for one in found]}
    world.save(subscription)
    outcome = invoices.collect(world, invoice, subscription["_card"])
    world.emit("customer.subscription.updated", subscription, before)
    subscriptions.settled(world, subscription, invoice, outcome)


def _charge(world: World, subscription: Object, lines: list[dict[str, Any]]) -> Object:
    invoice = invoices.draft(world, subscription, lines, "subscription_update")
    invoices.finalize(world, invoice)
    return invoice


def _apply(world: World, subscription: Object, found: list[Change]) -> None:
    for one in found:
        if one.resets:
            recurring, now = one.price["recurring"], world.now()
            one.item.update(current_period_start=now, current_period_end=after(
                now, recurring["interval"], recurring["interval_count"]))
            subscription["billing_cycle_anchor"] = now
        subscriptions.set_price(world, one.item, one.price, one.quantity)
    world.save(subscription)


def _name(world: World, price: Object) -> str:
    return str(world.get(price["product"])["name"])


def _copies(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines to try sums on: discounts are written on them."""
    return [{**one, "discount_amounts": []} for one in lines]
