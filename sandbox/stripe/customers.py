"""Customers and the cards they pay with."""

from typing import Any

from sandbox.stripe.calls import METADATA, Call, Route, fill, fill_metadata, route, updated, within
from sandbox.stripe.rendering import page
from sandbox.stripe.shapes import PAGE, anything, list_of, one_of, span, text, whole
from sandbox.stripe.world import Object, World, new_id

_FIELDS = ("address", "description", "email", "name", "phone", "preferred_locales", "shipping", "tax_exempt")


def create(call: Call) -> Object:
    customer = new(call.world)
    fill(customer, call.params, *_FIELDS, "balance")
    fill_metadata(customer, call.params.get("metadata"), present="metadata" in call.params)
    call.world.emit("customer.created", customer)
    return customer


def new(world: World, **facts: Any) -> Object:
    """A customer of whom nobody was told yet."""
    return world.new("customer", "cus_", **({
        "address": None, "balance": 0, "created": world.now(), "currency": None, "default_source": None,
        "delinquent": False, "description": None, "discount": None, "email": None,
        "invoice_prefix": new_id("", 8).upper(),
        "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None,
                             "rendering_options": None},
        "livemode": False, "metadata": {}, "name": None, "next_invoice_sequence": 1, "phone": None,
        "preferred_locales": [], "shipping": None, "tax_exempt": "none", "test_clock": None} | facts))


def card_of(world: World, customer: Object) -> str:
    """The customer's card, added at the first time it is asked for."""
    known = customer["invoice_settings"]["default_payment_method"]
    if known is not None:
        return str(known)
    method = world.new(
        "payment_method", "pm_1", allow_redisplay="limited", created=world.now(), customer=customer["id"],
        billing_details={"address": None, "email": customer["email"], "name": customer["name"], "phone": None,
                         "tax_id": None},
        card={"brand": "visa", "country": "US", "exp_month": 12, "exp_year": 2034, "funding": "credit",
              "last4": "4242", "networks": {"available": ["visa"], "preferred": None},
              "three_d_secure_usage": {"supported": True}, "wallet": None}, livemode=False, metadata={}, type="card")
    before = world.shown(customer)
    customer["invoice_settings"]["default_payment_method"] = method["id"]
    world.save(customer)
    world.emit("payment_method.attached", method)
    world.emit("customer.updated", customer, before)
    return str(method["id"])


def _find(call: Call) -> Object:
    """A deleted one too, as the little that is left."""
    known = call.world.objects.get(call.ids[0], {})
    return known if known.get("deleted") else call.world.find("customer", call.ids[0])


def _list(call: Call) -> dict[str, Any]:
    email, created = call.params.get("email"), call.params.get("created")
    found = [known for known in call.world.of_kind("customer")
             if not known.get("deleted") and email in (None, known["email"]) and within(known["created"], created)]
    return page(call.world, found, call.path, call.params)


_SHAPES: Any = {"address": anything, "description": text(), "email": text(512), "name": text(256), "phone": text(20),
                "preferred_locales": list_of(text(10)), "shipping": anything, "balance": whole(-10**12),
                "tax": anything, "invoice_settings": anything,
                "tax_exempt": one_of("exempt", "none", "reverse"), **METADATA}
ROUTES: list[Route] = [
    route("POST", "/v1/customers", create, **_SHAPES),
    route("GET", "/v1/customers", _list, email=text(512), created=span, **PAGE),
    route("GET", "/v1/customers/{id}", _find),
    route("POST", "/v1/customers/{id}", lambda call: updated(call, "customer", "customer.updated", *_FIELDS, "balance"),
          **_SHAPES),
    route("GET", "/v1/payment_methods/{id}", lambda call: call.world.find("payment_method", call.ids[0])),
]
