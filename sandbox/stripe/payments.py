"""Payment intents, charges and what they move on the balance."""

from typing import Any, Literal

from sandbox.stripe import customers
from sandbox.stripe.calls import Call, Route, route, within
from sandbox.stripe.rendering import page
from sandbox.stripe.shapes import PAGE, fields, one_of, span, text
from sandbox.stripe.world import Object, World, new_id

Card = Literal["ok", "decline", "insufficient_funds", "require_action"]
CARDS = ("ok", "decline", "insufficient_funds", "require_action")
Outcome = Literal["paid", "failed", "action", "processing"]
DECLINES = {"decline": ("generic_decline", "Your card was declined."),
            "insufficient_funds": ("insufficient_funds", "Your card has insufficient funds.")}


def book(world: World, kind: str, amount: int, currency: str, source: str) -> Object:
    """One movement of the balance: charge, refund, refund_failure, dispute or dispute_reversal."""
    category = {"dispute": "adjustment", "dispute_reversal": "adjustment"}.get(kind, kind)
    return world.new(
        "balance_transaction", "txn_1", amount=amount, available_on=world.now(), created=world.now(),
        currency=currency, description=None, exchange_rate=None, fee=0, fee_details=[], net=amount,
        reporting_category=kind, source=source, status="available", type=category)


def new_intent(world: World, customer: Object, amount: int, currency: str, description: str) -> Object:
    object_id = new_id("pi_3")
    intent = world.new(
        "payment_intent", object_id=object_id, amount=amount, amount_capturable=0, amount_received=0,
        automatic_payment_methods=None, canceled_at=None, cancellation_reason=None, capture_method="automatic",
        client_secret=f"{object_id}_secret_{new_id('', 24)}", confirmation_method="automatic", created=world.now(),
        currency=currency, customer=customer["id"], description=description, last_payment_error=None,
        latest_charge=None, livemode=False, metadata={}, next_action=None, payment_method=None,
        payment_method_types=["card"], receipt_email=None, setup_future_usage="off_session",
        status="requires_payment_method")
    world.emit("payment_intent.created", intent)
    return intent


def try_card(world: World, intent: Object, card: Card, *, authenticated: bool, page_url: str | None) -> Outcome:
    """Charge the intent's amount. A card that wants authentication is charged only when it was ``authenticated``."""
    if card == "require_action" and not authenticated:
        intent["status"], intent["next_action"] = "requires_action", {
            "type": "redirect_to_url", "redirect_to_url": {"url": page_url, "return_url": None}}
        world.save(intent)
        world.emit("payment_intent.requires_action", intent)
        return "action"
    if card in DECLINES:
        return _decline(world, intent, card)
    charge = _charge(world, intent, status="succeeded")
    charge["balance_transaction"] = book(world, "charge", intent["amount"], intent["currency"], charge["id"])["id"]
    intent.update(status="succeeded", amount_received=intent["amount"], next_action=None, last_payment_error=None)
    world.save(intent)
    world.emit("charge.succeeded", charge)
    world.emit("payment_intent.succeeded", intent)
    return "paid"


def cancel_intent(world: World, intent: Object) -> None:
    """Give up an intent that was not paid."""
    if intent["status"] in ("succeeded", "canceled"):
        return
    intent.update(status="canceled", canceled_at=world.now(), cancellation_reason="void_invoice", next_action=None)
    world.save(intent)
    world.emit("payment_intent.canceled", intent)


def _decline(world: World, intent: Object, card: Card) -> Outcome:
    code, message = DECLINES[card]
    charge = _charge(world, intent, status="failed", failure_code="card_declined", failure_message=message)
    intent.update(status="requires_payment_method", next_action=None, last_payment_error={
        "type": "card_error", "code": "card_declined", "decline_code": code, "message": message,
        "charge": charge["id"], "doc_url": "https://stripe.com/docs/error-codes/card-declined"})
    world.save(intent)
    world.emit("charge.failed", charge)
    world.emit("payment_intent.payment_failed", intent)
    return "failed"


def _charge(world: World, intent: Object, *, status: str, failure_code: str | None = None,
            failure_message: str | None = None) -> Object:
    customer = world.get(intent["customer"])
    method = customers.card_of(world, customer)
    paid = status == "succeeded"
    object_id = new_id("ch_3")
    intent["payment_method"], intent["latest_charge"] = method if paid else None, object_id
    return world.new(
        "charge", object_id=object_id, amount=intent["amount"], amount_captured=intent["amount"] if paid else 0,
        amount_refunded=0, balance_transaction=None,
        billing_details={"address": None, "email": customer["email"], "name": customer["name"], "phone": None,
                         "tax_id": None},
        captured=paid, created=world.now(), currency=intent["currency"], customer=customer["id"],
        description=intent["description"], disputed=False, failure_code=failure_code, failure_message=failure_message,
        fraud_details={}, livemode=False, metadata={}, paid=paid, payment_intent=intent["id"], payment_method=method,
        outcome={"network_status": "approved_by_network" if paid else "declined_by_network",
                 "type": "authorized" if paid else "issuer_declined", "reason": failure_code, "risk_level": "normal",
                 "seller_message": "Payment complete." if paid else "The bank did not return any further details."},
        payment_method_details={"type": "card", "card": {"brand": "visa", "last4": "4242"}},
        receipt_email=None, receipt_number=None, receipt_url=None, refunded=False, status=status)


def _listing(kind: str) -> Any:
    def handler(call: Call) -> dict[str, Any]:
        asked = call.params
        found = [known for known in call.world.of_kind(kind)
                 if all(asked.get(name) in (None, known.get(name))
                        for name in ("customer", "payment_intent", "currency", "type", "source"))
                 and within(known["created"], asked.get("created"))]
        return page(call.world, found, call.path, asked)
    return handler


def _list_invoice_payments(call: Call) -> dict[str, Any]:
    asked, paid_by = call.params, call.params.get("payment") or {}
    found = [known for known in call.world.of_kind("invoice_payment")
             if asked.get("invoice") in (None, known["invoice"]) and asked.get("status") in (None, known["status"])
             and paid_by.get("payment_intent") in (None, known["payment"].get("payment_intent"))]
    return page(call.world, found, call.path, asked)


ROUTES: list[Route] = [
    route("GET", "/v1/payment_intents", _listing("payment_intent"), customer=text(), created=span, **PAGE),
    route("GET", "/v1/payment_intents/{id}", lambda call: call.world.find("payment_intent", call.ids[0]),
          client_secret=text()),
    route("GET", "/v1/charges", _listing("charge"), customer=text(), payment_intent=text(), created=span, **PAGE),
    route("GET", "/v1/charges/{id}", lambda call: call.world.find("charge", call.ids[0])),
    route("GET", "/v1/balance_transactions", _listing("balance_transaction"), currency=text(3), type=text(),
          source=text(), created=span, **PAGE),
    route("GET", "/v1/balance_transactions/{id}", lambda call: call.world.find("balance_transaction", call.ids[0])),
    route("GET", "/v1/invoice_payments", _list_invoice_payments, invoice=text(),
          status=one_of("canceled", "open", "paid"), created=span,
          payment=fields("type", type=one_of("payment_intent", "payment_record"), payment_intent=text()), **PAGE),
    route("GET", "/v1/invoice_payments/{id}", lambda call: call.world.find("invoice_payment", call.ids[0])),
]
