"""The customer portal: sessions the API makes, and what a person may do on the page."""

from sandbox.stripe import changes, invoices, subscription_routes, subscriptions
from sandbox.stripe.calls import Call, Route, route
from sandbox.stripe.errors import conflict, invalid
from sandbox.stripe.payments import Card, Outcome
from sandbox.stripe.shapes import anything, text
from sandbox.stripe.world import Object, World, new_id

CONFIGURATION = "bpc_1StandardSandbox"


def create(call: Call) -> Object:
    world, params = call.world, call.params
    customer = world.find("customer", params["customer"], "customer")
    object_id = new_id("bps_1")
    return world.new(
        "billing_portal.session", object_id=object_id, after_expiration=None, configuration=CONFIGURATION,
        created=world.now(), customer=customer["id"], customer_account=None, flow=None, livemode=False,
        locale=params.get("locale"), on_behalf_of=None, return_url=params.get("return_url"),
        url=f"{world.base()}/stripe/portal/{object_id}")


def own_subscription(world: World, session: Object, subscription_id: str) -> Object:
    """A live subscription of the session's customer."""
    subscription = world.find("subscription", subscription_id)
    if subscription["customer"] != session["customer"] or subscription["status"] in subscriptions.ENDED:
        raise conflict("This customer has no such subscription.")
    return subscription


def act(world: World, subscription: Object, action: str, price_id: str | None = None) -> None:
    """``cancel`` with the period's end, ``resume``, or ``switch`` to another price at once."""
    if action in ("cancel", "resume"):
        subscription_routes.set_cancel_at_period_end(world, subscription, action == "cancel")
    elif action == "switch":
        item = subscription["items"]["data"][0]
        found = changes.wanted(world, subscription, [{"id": item["id"], "price": price_id}])
        if found:
            changes.change(world, subscription, found, proration="always_invoice", behaviour="pending_if_incomplete",
                           at=None, before=world.shown(subscription))
    elif action == "card":
        subscription["_card"] = "ok"
        world.save(subscription)
    else:
        raise invalid("There is no such action.", "action")


def pay_invoice(world: World, invoice: Object, card: Card, *, authenticated: bool = False) -> Outcome:
    """The person pays an open invoice on its own page."""
    if invoice["status"] != "open":
        raise conflict(f"This invoice is {invoice['status']}: there is nothing to pay.", code="invoice_not_open")
    subscription = world.get(invoices.subscription_of(invoice))
    outcome = invoices.collect(world, invoice, card, authenticated=authenticated)
    if outcome == "paid":
        subscription["_card"] = "ok"
        world.save(subscription)
    if subscription["status"] not in subscriptions.ENDED:
        subscriptions.settled(world, subscription, invoice, outcome)
    return outcome


ROUTES: list[Route] = [
    route("POST", "/v1/billing_portal/sessions", create, "customer", customer=text(), return_url=text(),
          configuration=text(), locale=text(10), flow_data=anything, on_behalf_of=text()),
]
