"""Invoices: their lines and sums, drafted, finalized, paid, voided."""

from typing import Any

from sandbox.stripe import currencies, discounts
from sandbox.stripe.calls import Call, Route, route, within
from sandbox.stripe.clock import HOUR
from sandbox.stripe.errors import conflict
from sandbox.stripe.payments import Card, Outcome, cancel_intent, new_intent, try_card
from sandbox.stripe.rendering import listed, page
from sandbox.stripe.shapes import PAGE, one_of, span, text
from sandbox.stripe.world import Object, World, new_id

DRAFT_SECONDS = HOUR
"""How long a renewal's invoice stays a draft before it is charged."""


def line(subscription: Object, item: Object, price: Object, amount: int, period: tuple[int, int], description: str, *,
         proration: bool = False) -> dict[str, Any]:
    """One line for a subscription's item; ``amount`` in minor units, negative for a credit."""
    return {
        "id": new_id("il_1"), "object": "line_item", "amount": amount, "currency": subscription["currency"],
        "description": description, "discount_amounts": [], "discountable": True, "discounts": [], "livemode": False,
        "metadata": dict(subscription["metadata"]),
        "parent": {"type": "subscription_item_details", "invoice_item_details": None, "subscription_item_details": {
            "invoice_item": None, "proration": proration,
            "proration_details": {"credited_items": None} if proration else None,
            "subscription": subscription["id"], "subscription_item": item["id"]}},
        "period": {"start": period[0], "end": period[1]}, "pretax_credit_amounts": [],
        "pricing": {"type": "price_details", "price_details": {"price": price["id"], "product": price["product"]},
                    "unit_amount_decimal": str(currencies.unit_amount(price, subscription["currency"]))},
        "quantity": item["quantity"], "quantity_decimal": str(item["quantity"]), "subscription": subscription["id"],
        "subtotal": amount, "taxes": []}


def compose(world: World, subscription: Object, lines: list[dict[str, Any]], reason: str) -> dict[str, Any]:
    """An invoice's fields as a draft: sums, discounts and the customer's credit taken into account."""
    customer, now = world.get(subscription["customer"]), world.now()
    granted = discounts.live(world, subscription["discounts"], now)
    off = discounts.apply(world, granted, lines)
    subtotal = sum(one["amount"] for one in lines)
    total = subtotal - sum(one["amount"] for one in off)
    due = max(0, total + customer["balance"])
    return {
        "account_country": "US", "account_name": "Sandbox", "account_tax_ids": None, "amount_due": due,
        "amount_overpaid": 0, "amount_paid": 0, "amount_remaining": due, "amount_shipping": 0, "application": None,
        "attempt_count": 0, "attempted": False, "auto_advance": True,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None, "provider": None,
                          "status": None},
        "automatically_finalizes_at": None, "billing_reason": reason, "collection_method": "charge_automatically",
        "created": now, "currency": subscription["currency"], "custom_fields": None, "customer": customer["id"],
        "customer_address": None, "customer_email": customer["email"], "customer_name": customer["name"],
        "customer_phone": None, "customer_shipping": None, "customer_tax_exempt": "none", "customer_tax_ids": [],
        "default_payment_method": None, "default_source": None, "default_tax_rates": [], "description": None,
        "discounts": granted, "due_date": None, "effective_at": None, "ending_balance": None, "footer": None,
        "from_invoice": None, "hosted_invoice_url": None, "invoice_pdf": None, "issuer": {"type": "self"},
        "last_finalization_error": None, "latest_revision": None, "livemode": False, "metadata": {},
        "next_payment_attempt": None, "number": None, "on_behalf_of": None,
        "parent": {"type": "subscription_details", "quote_details": None, "subscription_details": {
            "metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}},
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "period_start": min(one["period"]["start"] for one in lines),
        "period_end": max(one["period"]["end"] for one in lines), "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0, "receipt_number": None, "starting_balance": customer["balance"],
        "statement_descriptor": None, "status": "draft", "status_transitions": {
            "finalized_at": None, "marked_uncollectible_at": None, "paid_at": None, "voided_at": None},
        "subtotal": subtotal, "subtotal_excluding_tax": subtotal, "test_clock": None, "total": total,
        "total_discount_amounts": off, "total_excluding_tax": total, "total_pretax_credit_amounts": [],
        "total_taxes": [], "webhooks_delivered_at": None,
        "lines": listed(lines, "/v1/invoices/upcoming/lines")}


def draft(world: World, subscription: Object, lines: list[dict[str, Any]], reason: str) -> Object:
    """Keep a new draft as the subscription's latest invoice and spend what of its discounts holds once."""
    invoice = world.new("invoice", "in_1", **compose(world, subscription, lines, reason))
    invoice["lines"]["url"] = f"/v1/invoices/{invoice['id']}/lines"
    for one in lines:
        one["invoice"] = invoice["id"]
    subscription["latest_invoice"] = invoice["id"]
    subscription["discounts"] = discounts.after_first_invoice(world, invoice["discounts"])
    world.save(subscription)
    world.emit("invoice.created", invoice)
    return invoice


def finalize(world: World, invoice: Object) -> None:
    """Number it, settle it with the customer's credit and open it for payment."""
    customer, now = world.get(invoice["customer"]), world.now()
    before = world.shown(customer)
    invoice["number"] = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
    customer["next_invoice_sequence"] += 1
    invoice["starting_balance"] = customer["balance"]
    invoice["amount_due"] = invoice["amount_remaining"] = max(0, invoice["total"] + customer["balance"])
    customer["balance"] = min(0, invoice["total"] + customer["balance"])
    invoice.update(status="open", effective_at=now, ending_balance=customer["balance"],
                   automatically_finalizes_at=None, hosted_invoice_url=f"{world.base()}/stripe/invoice/{invoice['id']}",
                   invoice_pdf=f"{world.base()}/stripe/invoice/{invoice['id']}/pdf")
    invoice["status_transitions"]["finalized_at"] = now
    world.save(invoice)
    world.save(customer)
    world.emit("invoice.finalized", invoice)
    if customer["balance"] != before["balance"]:
        world.emit("customer.updated", customer, before)


def collect(world: World, invoice: Object, card: Card, *, authenticated: bool = False) -> Outcome:
    """Try once to have an open invoice paid. Zero is paid without any payment intent."""
    if invoice["amount_due"] == 0:
        mark_paid(world, invoice)
        return "paid"
    intent = intent_of(world, invoice)
    invoice.update(attempted=True, attempt_count=invoice["attempt_count"] + 1)
    outcome = try_card(world, intent, card, authenticated=authenticated, page_url=invoice["hosted_invoice_url"])
    world.save(invoice)
    if outcome == "paid":
        mark_paid(world, invoice)
    elif outcome == "action":
        world.emit("invoice.payment_action_required", invoice)
    return outcome


def intent_of(world: World, invoice: Object) -> Object:
    """The invoice's payment intent, made at the first attempt."""
    for known in world.of_kind("invoice_payment"):
        if known["invoice"] == invoice["id"]:
            return world.get(known["payment"]["payment_intent"])
    customer = world.get(invoice["customer"])
    first = invoice["billing_reason"] == "subscription_create"
    intent = new_intent(world, customer, invoice["amount_due"], invoice["currency"],
                        "Subscription creation" if first else "Subscription update")
    world.new("invoice_payment", "inpay_1", amount_paid=None, amount_requested=invoice["amount_due"],
              created=world.now(), currency=invoice["currency"], invoice=invoice["id"], is_default=True,
              livemode=False, payment={"type": "payment_intent", "payment_intent": intent["id"]}, status="open",
              status_transitions={"canceled_at": None, "paid_at": None})
    return intent


def mark_paid(world: World, invoice: Object) -> None:
    now = world.now()
    invoice.update(status="paid", attempted=True, amount_paid=invoice["amount_due"], amount_remaining=0,
                   next_payment_attempt=None, auto_advance=False)
    invoice["status_transitions"]["paid_at"] = now
    world.schedule(invoice, None)
    world.emit("invoice.paid", invoice)
    world.emit("invoice.payment_succeeded", invoice)
    for payment in world.of_kind("invoice_payment"):
        if payment["invoice"] == invoice["id"]:
            payment.update(status="paid", amount_paid=invoice["amount_due"],
                           status_transitions={"canceled_at": None, "paid_at": now})
            world.save(payment)
            world.emit("invoice_payment.paid", payment)


def void(world: World, invoice: Object) -> None:
    if invoice["status"] not in ("draft", "open"):
        raise conflict("You can only void open invoices.", code="invoice_not_editable")
    invoice.update(status="void", next_payment_attempt=None, auto_advance=False)
    invoice["status_transitions"]["voided_at"] = world.now()
    world.schedule(invoice, None)
    for payment in world.of_kind("invoice_payment"):
        if payment["invoice"] == invoice["id"]:
            payment.update(status="canceled", status_transitions={"canceled_at": world.now(), "paid_at": None})
            world.save(payment)
            cancel_intent(world, world.get(payment["payment"]["payment_intent"]))
    world.emit("invoice.voided", invoice)


def subscription_of(invoice: Object) -> str:
    return str(invoice["parent"]["subscription_details"]["subscription"])


def _list(call: Call) -> dict[str, Any]:
    asked = call.params
    found = [known for known in call.world.of_kind("invoice")
             if asked.get("customer") in (None, known["customer"]) and asked.get("status") in (None, known["status"])
             and asked.get("subscription") in (None, subscription_of(known))
             and within(known["created"], asked.get("created"))]
    return page(call.world, found, call.path, asked)


def _void(call: Call) -> Object:
    invoice = call.world.find("invoice", call.ids[0])
    void(call.world, invoice)
    return invoice


ROUTES: list[Route] = [
    route("GET", "/v1/invoices", _list, customer=text(), subscription=text(), created=span,
          status=one_of("draft", "open", "paid", "uncollectible", "void"),
          collection_method=one_of("charge_automatically", "send_invoice"), **PAGE),
    route("GET", "/v1/invoices/{id}", lambda call: call.world.find("invoice", call.ids[0])),
    route("GET", "/v1/invoices/{id}/lines", lambda call: call.world.find("invoice", call.ids[0])["lines"], **PAGE),
    route("POST", "/v1/invoices/{id}/void", _void),
]
