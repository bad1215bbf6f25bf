"""Disputes: opened by the cardholder's bank, won or lost; inquiries move no money."""

from typing import Any

from sandbox.stripe.calls import METADATA, Call, Route, route, updated, within
from sandbox.stripe.clock import DAY
from sandbox.stripe.errors import conflict
from sandbox.stripe.payments import book
from sandbox.stripe.rendering import page
from sandbox.stripe.shapes import PAGE, anything, flag, span, text
from sandbox.stripe.world import Object, World

KINDS = ("fraudulent", "product_not_received", "inquiry")
EVIDENCE_DAYS = 9


def open_(world: World, charge: Object, kind: str) -> Object:
    """``kind`` is the reason given, or ``inquiry`` for a question that comes before any chargeback."""
    if charge["disputed"] or not charge["paid"]:
        raise conflict("This charge cannot be disputed, or has been already.")
    inquiry = kind == "inquiry"
    before = world.shown(charge)
    charge["disputed"] = True
    charge["_inquiry"] = inquiry
    world.save(charge)
    dispute = world.new(
        "dispute", "du_1", amount=charge["amount"] - charge["amount_refunded"], balance_transactions=[],
        charge=charge["id"], created=world.now(), currency=charge["currency"], enhanced_eligibility_types=[],
        evidence={}, evidence_details={
            "due_by": world.now() + EVIDENCE_DAYS * DAY, "enhanced_eligibility": {}, "has_evidence": False,
            "past_due": False, "submission_count": 0, "submission_method": "not_submitted"},
        is_charge_refundable=inquiry, livemode=False, metadata={}, payment_intent=charge["payment_intent"],
        reason="general" if inquiry else kind, status="warning_needs_response" if inquiry else "needs_response",
        network_reason_code="10", payment_method_details={"type": "card", "card": {
            "brand": "visa", "case_type": "inquiry" if inquiry else "chargeback", "network_reason_code": "10"}})
    world.emit("charge.updated", charge, before)
    if not inquiry:
        _move(world, dispute, "dispute", -dispute["amount"])
    world.emit("charge.dispute.created", dispute)
    if not inquiry:
        world.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def close(world: World, dispute: Object, *, won: bool) -> None:
    """The bank's last word."""
    if dispute["status"] in ("won", "lost", "warning_closed"):
        raise conflict("This dispute is already closed.", code="dispute_closed")
    inquiry = dispute["status"].startswith("warning_")
    before = world.shown(dispute)
    if inquiry and not won:
        _escalate(world, dispute, before)
        before = world.shown(dispute)
    dispute["status"] = "warning_closed" if inquiry and won else "won" if won else "lost"
    dispute["is_charge_refundable"] = won
    world.save(dispute)
    if won:
        charge = world.get(dispute["charge"])
        charge["_inquiry"] = True
        world.save(charge)
    if won and not inquiry:
        _move(world, dispute, "dispute_reversal", dispute["amount"])
        world.emit("charge.dispute.funds_reinstated", dispute, before)
    world.emit("charge.dispute.closed", dispute, before)


def _escalate(world: World, dispute: Object, before: Object) -> None:
    """An inquiry that was not answered becomes a chargeback."""
    dispute.update(status="needs_response", is_charge_refundable=False)
    world.get(dispute["charge"])["_inquiry"] = False
    world.save(world.get(dispute["charge"]))
    _move(world, dispute, "dispute", -dispute["amount"])
    world.emit("charge.dispute.updated", dispute, before)
    world.emit("charge.dispute.funds_withdrawn", dispute)


def _move(world: World, dispute: Object, kind: str, amount: int) -> None:
    dispute["balance_transactions"].append(world.shown(book(world, kind, amount, dispute["currency"], dispute["id"])))
    world.save(dispute)


def _list(call: Call) -> dict[str, Any]:
    asked = call.params
    found = [known for known in call.world.of_kind("dispute")
             if all(asked.get(name) in (None, known[name]) for name in ("charge", "payment_intent"))
             and within(known["created"], asked.get("created"))]
    return page(call.world, found, call.path, asked)


def _give_in(call: Call) -> Object:
    dispute = call.world.find("dispute", call.ids[0])
    close(call.world, dispute, won=False)
    return dispute


ROUTES: list[Route] = [
    route("GET", "/v1/disputes", _list, charge=text(), payment_intent=text(), created=span, **PAGE),
    route("GET", "/v1/disputes/{id}", lambda call: call.world.find("dispute", call.ids[0])),
    route("POST", "/v1/disputes/{id}", lambda call: updated(call, "dispute", "charge.dispute.updated"),
          evidence=anything, submit=flag, **METADATA),
    route("POST", "/v1/disputes/{id}/close", _give_in),
]
