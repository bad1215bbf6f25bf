"""Checkout sessions: made by the API, finished by a person on the hosted page."""

from typing import Any

from sandbox.stripe import changes, currencies, customers, discounts, subscriptions
from sandbox.stripe.calls import METADATA, Call, Route, fill_metadata, route, within
from sandbox.stripe.catalog import promotion_by_code
from sandbox.stripe.clock import DAY, HOUR
from sandbox.stripe.cycles import expire_session
from sandbox.stripe.errors import conflict, invalid
from sandbox.stripe.invoices import collect
from sandbox.stripe.payments import DECLINES, Card, new_intent, try_card
from sandbox.stripe.rendering import page
from sandbox.stripe.shapes import PAGE, anything, fields, flag, list_of, moment, one_of, span, text, whole
from sandbox.stripe.world import Object, World, new_id

PLACEHOLDER = "{CHECKOUT_SESSION_ID}"


def create(call: Call) -> Object:
    world, params = call.world, call.params
    if params["mode"] != "subscription":
        raise invalid("This stand-in sells subscriptions only: pass mode=subscription.", "mode")
    if params.get("customer") and params.get("customer_email"):
        raise invalid("You may only specify one of these parameters: customer, customer_email.", "customer_email")
    if params.get("allow_promotion_codes") and params.get("discounts"):
        raise invalid("You may only specify one of these parameters: allow_promotion_codes, discounts.", "discounts")
    items = [(changes.recurring_price(world, item["price"], f"line_items[{index}][price]"), item.get("quantity") or 1)
             for index, item in enumerate(params["line_items"])]
    if params.get("customer"):
        world.find("customer", params["customer"], "customer")
    given = params.get("discounts") or []
    redeemed = [discounts.check(world, one, f"discounts[{index}]", customer=params.get("customer"))
                for index, one in enumerate(given)]
    now = world.now()
    expires_at = params.get("expires_at") or now + DAY
    if not now + HOUR // 2 <= expires_at <= now + DAY:
        raise invalid("The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session "
                      "creation.", "expires_at")
    currency = changes.charged_in(params.get("currency"), items)
    _one_currency(world, params.get("customer"), currency)
    session = _blank(world, params, items, expires_at)
    _charge_in(world, session, currency)
    session["_redeemed"] = [[coupon["id"], code] for coupon, code in redeemed]
    _total(world, session, redeemed)
    fill_metadata(session, params.get("metadata"), present="metadata" in params)
    world.schedule(session, expires_at)
    return session


def pay(world: World, session: Object, card: Card = "ok", *, authenticated: bool = False,
        promotion_code: str | None = None, asynchronous: bool = False, currency: str | None = None) -> str:
    """The person pays: ``paid``, ``failed``, or ``action`` when the bank wants to see them first.

    ``asynchronous`` is a way of paying that is only known days later to have worked. ``currency`` is the person's
    own, which the page shows them where all prices are offered in it.
    """
    ensure_open(session)
    if currency is not None:
        _one_currency(world, session["customer"], currency)
        _charge_in(world, session, changes.charged_in(currency, _items(world, session)))
    redeemed = _redeemed(world, session, promotion_code)
    _total(world, session, redeemed)
    data = session["_subscription_data"]
    trial = data.get("trial_period_days")
    asked = bool(session["amount_total"]) or session["payment_method_collection"] == "always"
    if asked and (card in DECLINES or (card == "require_action" and not authenticated)):
        return _attempt(world, session, card)
    customer = _customer(world, session)
    if asked:
        customers.card_of(world, customer)
    subscription, _ = subscriptions.start(
        world, customer, _items(world, session), currency=session["currency"], metadata=data.get("metadata") or {},
        trial_days=trial, card="ok", redeemed=redeemed, session=session["id"], authenticated=authenticated,
        pay=not asynchronous)
    if asynchronous:
        _processing(world, subscription)
    paid = "paid" if session["amount_total"] else "no_payment_required"
    session.update(status="complete", url=None, subscription=subscription["id"], customer=customer["id"],
                   invoice=subscription["latest_invoice"],
                   payment_status="unpaid" if asynchronous else paid,
                   customer_details=_details(customer))
    world.schedule(session, None)
    world.emit("checkout.session.completed", session)
    return "paid"


def settle_later(world: World, session: Object, *, worked: bool) -> None:
    """What came of an asynchronous payment."""
    if session["status"] != "complete" or session["payment_status"] != "unpaid":
        raise conflict("This session waits for no asynchronous payment.")
    subscription, invoice = world.get(session["subscription"]), world.get(session["invoice"])
    outcome = collect(world, invoice, "ok" if worked else "decline")
    if worked:
        session["payment_status"] = "paid"
        world.save(session)
        subscriptions.settled(world, subscription, invoice, outcome)
    else:
        before = world.shown(subscription)
        subscription["status"] = "past_due"
        world.emit("invoice.payment_failed", invoice)
        world.emit("customer.subscription.updated", subscription, before)
        subscriptions.plan_next(world, subscription)
    world.emit(f"checkout.session.async_payment_{'succeeded' if worked else 'failed'}", session)


def ensure_open(session: Object) -> None:
    if session["status"] != "open":
        raise conflict(f"This Checkout Session is {session['status']}: nothing can be paid on it.")


def return_url(session: Object) -> str:
    """Where the person is sent after paying."""
    return str(session["success_url"] or "").replace(PLACEHOLDER, session["id"])


def _attempt(world: World, session: Object, card: Card) -> str:
    """A try that did not get through: the session stays open and keeps its payment intent."""
    customer = _customer(world, session)
    session["customer"] = customer["id"]
    if not session["amount_total"]:
        # Nothing to charge yet: the card is only being set up.
        world.save(session)
        return "failed" if card in DECLINES else "action"
    if session.get("_intent") is None:
        session["_intent"] = new_intent(world, customer, session["amount_total"], session["currency"],
                                        "Subscription creation")["id"]
    world.save(session)
    return try_card(world, world.get(session["_intent"]), card, authenticated=False, page_url=session["url"])


def _items(world: World, session: Object) -> list[tuple[Object, int]]:
    return [(world.get(line["price"]["id"]), line["quantity"]) for line in session["_line_items"]]


def _charge_in(world: World, session: Object, currency: str) -> None:
    """Write the page's sums in this currency."""
    session["currency"] = currency
    for line, (price, quantity) in zip(session["_line_items"], _items(world, session), strict=True):
        amount = currencies.unit_amount(price, currency) * quantity
        line.update(currency=currency, amount_subtotal=amount, amount_total=amount)


def _one_currency(world: World, customer_id: str | None, currency: str) -> None:
    for known in world.of_kind("subscription"):
        if (known["customer"], known["status"] in subscriptions.ENDED) == (customer_id, False) \
                and known["currency"] != currency:
            raise invalid("You cannot combine currencies on a single customer. This customer has an active "
                          f"subscription with currency {known['currency']}.", "customer")


def _processing(world: World, subscription: Object) -> None:
    before = world.shown(subscription)
    subscription["status"] = "active"
    world.emit("customer.subscription.updated", subscription, before)
    subscriptions.plan_next(world, subscription)


def _customer(world: World, session: Object) -> Object:
    if session["customer"]:
        return world.get(session["customer"])
    customer = customers.new(world, email=session["customer_email"] or "customer@example.com", name="Test Customer")
    world.emit("customer.created", customer)
    return customer


def _details(customer: Object) -> Object:
    return {"address": None, "business_name": None, "email": customer["email"], "individual_name": None,
            "name": customer["name"], "phone": None, "tax_exempt": "none", "tax_ids": []}


def _redeemed(world: World, session: Object, typed: str | None) -> list[subscriptions.Redeemed]:
    if not typed:
        return [(world.get(coupon), code) for coupon, code in session["_redeemed"]]
    promotion = promotion_by_code(world, typed)
    if not session["allow_promotion_codes"] or promotion is None:
        raise invalid("This code is invalid.", "promotion_code")
    return [discounts.check(world, {"promotion_code": promotion["id"]}, "promotion_code",
                            customer=session["customer"])]


def _total(world: World, session: Object, redeemed: list[subscriptions.Redeemed]) -> None:
    trial = session["_subscription_data"].get("trial_period_days")
    subtotal = 0 if trial else sum(line["amount_subtotal"] for line in session["_line_items"])
    total = subtotal
    for coupon, _ in redeemed:
        total -= discounts.amount_off(coupon, total, session["currency"])
    session.update(amount_subtotal=subtotal, amount_total=total, total_details={
        "amount_discount": subtotal - total, "amount_shipping": 0, "amount_tax": 0})
    session["discounts"] = [{"coupon": None if code else coupon["id"], "promotion_code": code}
                            for coupon, code in redeemed]
    world.save(session)


def _blank(world: World, params: dict[str, Any], items: list[tuple[Object, int]], expires_at: int) -> Object:
    object_id = new_id("cs_test_", 58)
    lines = [{"id": new_id("li_1"), "object": "item", "amount_discount": 0, "amount_tax": 0,
              "amount_subtotal": price["unit_amount"] * quantity, "amount_total": price["unit_amount"] * quantity,
              "currency": price["currency"], "description": world.get(price["product"])["name"],
              "price": world.shown(price), "quantity": quantity} for price, quantity in items]
    return world.new(
        "checkout.session", object_id=object_id, adaptive_pricing={"enabled": False}, after_expiration=None,
        allow_promotion_codes=params.get("allow_promotion_codes"), automatic_tax={
            "enabled": False, "liability": None, "provider": None, "status": None},
        billing_address_collection=None, cancel_url=params.get("cancel_url"),
        client_reference_id=params.get("client_reference_id"), client_secret=None, consent=None,
        consent_collection=None, created=world.now(), currency=currencies.known(items[0][0]["currency"]),
        currency_conversion=None, custom_fields=[], custom_text={"after_submit": None, "submit": None},
        customer=params.get("customer"), customer_creation=None if params.get("customer") else "always",
        customer_details=None, customer_email=params.get("customer_email"), discounts=[], expires_at=expires_at,
        invoice=None, invoice_creation=None, livemode=False, locale=params.get("locale"), metadata={},
        mode="subscription", origin_context=None, payment_intent=None, payment_link=None,
        payment_method_collection=params.get("payment_method_collection", "always"), payment_method_options={},
        payment_method_types=["card"], payment_status="unpaid", recovered_from=None, setup_intent=None,
        shipping_address_collection=None, shipping_cost=None, shipping_options=[], status="open", submit_type=None,
        subscription=None, success_url=params.get("success_url"), ui_mode="hosted_page",
        url=f"{world.base()}/stripe/pay/{object_id}", wallet_options=None, _line_items=lines,
        _subscription_data=params.get("subscription_data") or {})


def _expire(call: Call) -> Object:
    session = call.world.find("checkout.session", call.ids[0])
    if session["status"] != "open":
        raise conflict("Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has "
                       f"a status of `{session['status']}`.")
    expire_session(call.world, session)
    return session


def _list(call: Call) -> dict[str, Any]:
    asked = call.params
    found = [known for known in call.world.of_kind("checkout.session")
             if all(asked.get(name) in (None, known[name]) for name in ("customer", "status", "subscription"))
             and within(known["created"], asked.get("created"))]
    return page(call.world, found, call.path, asked)


def _line_items(call: Call) -> dict[str, Any]:
    session = call.world.find("checkout.session", call.ids[0])
    return {"object": "list", "data": session["_line_items"], "has_more": False, "url": call.path}


_LOOKS = ("adaptive_pricing", "branding_settings", "consent_collection", "custom_fields", "customer_creation",
          "integration_identifier", "name_collection", "origin_context", "payment_method_options",
          "phone_number_collection", "saved_payment_method_options", "submit_type", "wallet_options")
"""Parameters about the page alone, which this one does without."""
_LINES = list_of(fields("price", price=text(), quantity=whole(1), adjustable_quantity=anything), 20)
_DATA = fields(metadata=METADATA["metadata"], trial_period_days=whole(1, 730), description=text(500),
               trial_settings=anything, billing_mode=anything)
ROUTES: list[Route] = [
    route("POST", "/v1/checkout/sessions", create, "mode", "line_items", "success_url", line_items=_LINES,
          mode=one_of("payment", "setup", "subscription"), success_url=text(), cancel_url=text(), customer=text(),
          customer_email=text(512), client_reference_id=text(200), subscription_data=_DATA,
          allow_promotion_codes=flag, discounts=list_of(fields(coupon=text(), promotion_code=text()), 1),
          expires_at=moment, locale=text(10), automatic_tax=anything, tax_id_collection=anything,
          customer_update=anything, payment_method_collection=one_of("always", "if_required"),
          payment_method_types=list_of(text(30)), billing_address_collection=one_of("auto", "required"),
          ui_mode=one_of("hosted_page", "embedded_page", "elements", "form"), custom_text=anything,
          currency=text(3), **dict.fromkeys(_LOOKS, anything), **METADATA),
    route("GET", "/v1/checkout/sessions", _list, customer=text(), subscription=text(), created=span,
          status=one_of("complete", "expired", "open"), **PAGE),
    route("GET", "/v1/checkout/sessions/{id}", lambda call: call.world.find("checkout.session", call.ids[0])),
    route("GET", "/v1/checkout/sessions/{id}/line_items", _line_items, **PAGE),
    route("POST", "/v1/checkout/sessions/{id}/expire", _expire),
]
