"""What happens by itself as time passes: renewals, the ends of trials, retries, expiry."""

from sandbox.stripe import invoices, subscriptions
from sandbox.stripe.clock import after
from sandbox.stripe.world import Object, World


def register(world: World) -> None:
    world.steps |= {"subscription": lambda due: step_subscription(world, due),
                    "invoice": lambda due: step_invoice(world, due),
                    "checkout.session": lambda due: expire_session(world, due)}


def step_subscription(world: World, subscription: Object) -> None:
    """Whatever is due for the subscription now, one thing at a time."""
    now, status = world.now(), subscription["status"]
    pending = subscription["pending_update"]
    if status == "incomplete":
        subscriptions.expire(world, subscription)
    elif status == "trialing" and not subscription.get("_warned"):
        subscription["_warned"] = True
        world.emit("customer.subscription.trial_will_end", subscription)
        subscriptions.plan_next(world, subscription)
    elif pending is not None and pending["expires_at"] <= now:
        subscriptions.drop_pending(world, subscription, expired=True)
        subscriptions.plan_next(world, subscription)
    elif subscription["cancel_at"] is not None and subscription["cancel_at"] <= now:
        subscriptions.end(world, subscription)
    else:
        renew(world, subscription)


def renew(world: World, subscription: Object) -> None:
    """Open the next period and draft its invoice, which is charged an hour later."""
    before = world.shown(subscription)
    unpaid = subscription["status"] == "unpaid"
    if subscription["status"] == "trialing":
        subscription["status"] = "active"
    roll(subscription, subscription["items"]["data"][0]["current_period_end"])
    invoice = invoices.draft(world, subscription, subscriptions.cycle_lines(world, subscription),
                             "subscription_cycle")
    if unpaid:
        invoice["auto_advance"] = False
        world.save(invoice)
    else:
        invoice["automatically_finalizes_at"] = world.now() + invoices.DRAFT_SECONDS
        world.schedule(invoice, invoice["automatically_finalizes_at"])
    world.emit("customer.subscription.updated", subscription, before)
    subscriptions.plan_next(world, subscription)


def end_trial(world: World, subscription: Object) -> None:
    """End a trial now: the first paid period begins and is charged at once."""
    now = world.now()
    before = world.shown(subscription)
    subscription.update(status="active", trial_end=now, billing_cycle_anchor=now)
    roll(subscription, now)
    invoice = invoices.draft(world, subscription, subscriptions.cycle_lines(world, subscription),
                             "subscription_cycle")
    world.emit("customer.subscription.updated", subscription, before)
    _charge(world, invoice)


def step_invoice(world: World, invoice: Object) -> None:
    """A draft is finalized and tried; an open one is tried again."""
    if invoice["status"] in ("draft", "open") and invoice["auto_advance"]:
        _charge(world, invoice)


def expire_session(world: World, session: Object) -> None:
    """A checkout nobody finished."""
    if session["status"] != "open":
        return
    session.update(status="expired", url=None)
    world.schedule(session, None)
    world.emit("checkout.session.expired", session)


def _charge(world: World, invoice: Object) -> None:
    subscription = world.get(invoices.subscription_of(invoice))
    if invoice["status"] == "draft":
        invoices.finalize(world, invoice)
    outcome = invoices.collect(world, invoice, subscription["_card"])
    if outcome == "action":
        # Off session there is nobody to authenticate: the attempt has failed as well.
        outcome = "failed"
    subscriptions.settled(world, subscription, invoice, outcome)
    if subscription.pop("_exhausted", False):
        _give_up(world, subscription)


def _give_up(world: World, subscription: Object) -> None:
    """The last retry failed: the account's setting says what becomes of the subscription."""
    if world.settings.get("after_retries", "cancel") == "cancel":
        subscriptions.end(world, subscription, reason="payment_failed")
        return
    before = world.shown(subscription)
    subscription["status"] = "unpaid"
    world.emit("customer.subscription.updated", subscription, before)
    subscriptions.plan_next(world, subscription)


def roll(subscription: Object, begin: int) -> None:
    for item in subscription["items"]["data"]:
        recurring = item["price"]["recurring"]
        item["current_period_start"] = begin
        item["current_period_end"] = after(begin, recurring["interval"], recurring["interval_count"],
                                           anchor=subscription["billing_cycle_anchor"])
