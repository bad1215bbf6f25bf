"""Refunds: whole or in part, and those that fail afterwards."""

from typing import Any

from sandbox.stripe import currencies
from sandbox.stripe.calls import METADATA, Call, Route, fill_metadata, route, updated, within
from sandbox.stripe.errors import conflict, invalid
from sandbox.stripe.payments import book
from sandbox.stripe.rendering import page
from sandbox.stripe.shapes import PAGE, one_of, span, text, whole
from sandbox.stripe.world import Object, World


def create(call: Call) -> Object:
    world, params = call.world, call.params
    charge = _charge(world, params)
    left = charge["amount"] - charge["amount_refunded"]
    amount = params.get("amount", left)
    if charge["disputed"] and not charge.get("_inquiry"):
        raise conflict(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
    if left == 0:
        raise conflict(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    currencies.check_amount(amount, charge["currency"], "amount")
    if amount > left:
        raise conflict(f"Refund amount ({currencies.display(amount, charge['currency'])}) is greater than unrefunded "
                       f"amount on charge ({currencies.display(left, charge['currency'])})", "amount")
    refund = world.new(
        "refund", "re_3", amount=amount, balance_transaction=None, charge=charge["id"], created=world.now(),
        currency=charge["currency"], destination_details={"card": {"reference_status": "pending", "type": "refund"},
                                                          "type": "card"},
        failure_balance_transaction=None, metadata={}, payment_intent=charge["payment_intent"],
        reason=params.get("reason"), receipt_number=None, source_transfer_reversal=None, status="succeeded",
        transfer_reversal=None)
    fill_metadata(refund, params.get("metadata"), present="metadata" in params)
    refund["balance_transaction"] = book(world, "refund", -amount, charge["currency"], refund["id"])["id"]
    _refunded(world, charge, amount)
    world.emit("refund.created", refund)
    return refund


def fail(world: World, refund: Object) -> None:
    """The customer's bank sent it back: the money is on the balance again."""
    if refund["status"] != "succeeded":
        raise conflict("Only a refund that succeeded can fail.")
    before = world.shown(refund)
    entry = book(world, "refund_failure", refund["amount"], refund["currency"], refund["id"])
    refund.update(status="failed", failure_reason="lost_or_stolen_card", failure_balance_transaction=entry["id"])
    world.save(refund)
    charge = world.get(refund["charge"])
    charge_before = world.shown(charge)
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False
    world.save(charge)
    world.emit("charge.updated", charge, charge_before)
    world.emit("refund.updated", refund, before)
    world.emit("refund.failed", refund)


def _refunded(world: World, charge: Object, amount: int) -> None:
    before = world.shown(charge)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    world.save(charge)
    world.emit("charge.refunded", charge, before)


def _charge(world: World, params: dict[str, Any]) -> Object:
    """The charge meant: by itself or as the last of its payment intent."""
    if bool(params.get("charge")) == bool(params.get("payment_intent")):
        raise invalid("One of the following params should be provided for this request: payment_intent or charge.",
                      "payment_intent", "parameter_missing")
    if params.get("charge"):
        charge = world.find("charge", params["charge"], "charge")
    else:
        intent = world.find("payment_intent", params["payment_intent"], "payment_intent")
        if intent["latest_charge"] is None:
            raise conflict("This PaymentIntent does not have a successful charge to refund.", "payment_intent")
        charge = world.get(intent["latest_charge"])
    if not charge["paid"]:
        raise conflict("This PaymentIntent does not have a successful charge to refund.")
    return charge


def _list(call: Call) -> dict[str, Any]:
    asked = call.params
    found = [known for known in call.world.of_kind("refund")
             if all(asked.get(name) in (None, known[name]) for name in ("charge", "payment_intent"))
             and within(known["created"], asked.get("created"))]
    return page(call.world, found, call.path, asked)


ROUTES: list[Route] = [
    route("POST", "/v1/refunds", create, charge=text(), payment_intent=text(), amount=whole(1), currency=text(3),
          reason=one_of("duplicate", "fraudulent", "requested_by_customer"), **METADATA),
    route("GET", "/v1/refunds", _list, charge=text(), payment_intent=text(), created=span, **PAGE),
    route("GET", "/v1/refunds/{id}", lambda call: call.world.find("refund", call.ids[0])),
    route("POST", "/v1/refunds/{id}", lambda call: updated(call, "refund", "refund.updated"), **METADATA),
]
