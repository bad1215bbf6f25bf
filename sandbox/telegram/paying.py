"""What people and their clients do with Stars: pay an invoice, renew, cancel, run out of Stars, get them back."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any

from sandbox.telegram import views
from sandbox.telegram.api import Telegram
from sandbox.telegram.books import CURRENCY, PERIOD_SECONDS, Invoice, Subscription, Transaction
from sandbox.telegram.errors import bad_request, conflict
from sandbox.telegram.state import Person

TICK_SECONDS = 1.0
SILENT = "The bot did not answer in time."
PAID_ALREADY = "This invoice is paid already."


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of an attempt to pay: the charge id, or why there is none."""

    charge_id: str | None = None
    error: str | None = None


async def pay(telegram: Telegram, person: Person, invoice: Invoice, *, unheard: bool = False) -> Outcome:
    """Ask the bot, and pay when it says yes in time. With ``unheard`` its update about the payment gets lost."""
    refusal = PAID_ALREADY if _is_paid(telegram, invoice) else await _ask(telegram, person, invoice)
    if refusal is None and _is_paid(telegram, invoice):
        refusal = PAID_ALREADY
    if refusal is not None:
        return Outcome(error=refusal)
    now, period = telegram.now(), invoice.subscription_period
    payment = telegram.books.add_payment(person.id, invoice.amount, now, invoice.payload, period)
    recurring: dict[str, Any] = {}
    if period is not None:
        telegram.books.save_subscription(Subscription(
            payment.charge_id, person.id, invoice.title, invoice.payload, invoice.amount, now + period))
        recurring = {"subscription_expiration_date": now + period, "is_recurring": True, "is_first_recurring": True}
    _mark_paid(telegram, invoice)
    _tell(telegram, payment, "successful_payment", recurring, unheard=unheard)
    return Outcome(payment.charge_id)


def renew(telegram: Telegram, subscription: Subscription, *, unheard: bool = False) -> Transaction:
    """Charge for the next period, at the time it begins or as soon as there are Stars again."""
    if subscription.state == "canceled":
        raise conflict("the subscription is cancelled")
    now = telegram.now()
    charged_at = min(subscription.until, now) if subscription.state == "active" else now
    subscription.until = max(subscription.until, charged_at) + PERIOD_SECONDS
    subscription.state = "active"
    telegram.books.save_subscription(subscription)
    payment = telegram.books.add_payment(subscription.user_id, subscription.amount, charged_at, subscription.payload,
                                         PERIOD_SECONDS)
    recurring = {"subscription_expiration_date": subscription.until, "is_recurring": True}
    _tell(telegram, payment, "successful_payment", recurring, unheard=unheard)
    return payment


def fail(telegram: Telegram, subscription: Subscription) -> None:
    """The renewal finds too few Stars; Telegram does not try again by itself."""
    if subscription.state == "canceled":
        raise conflict("the subscription is cancelled")
    _change(telegram, subscription, "failed")


def cancel(telegram: Telegram, subscription: Subscription) -> None:
    """The user cancels: paid until the end of the period, not charged again."""
    if subscription.state == "canceled":
        raise conflict("the subscription is cancelled")
    _change(telegram, subscription, "canceled")


def resume(telegram: Telegram, subscription: Subscription) -> None:
    """The user switches a cancelled subscription on again, if the bot allows it and the period still runs."""
    if subscription.state != "canceled" or subscription.bot_canceled or subscription.until <= telegram.now():
        raise conflict("the subscription cannot be switched on again")
    _change(telegram, subscription, "active")


def refund(telegram: Telegram, payment: Transaction) -> None:
    """Give the Stars back. A subscription goes on: it is the bot's to cancel."""
    if telegram.books.find(payment.charge_id, is_refund=True) is not None:
        raise bad_request("CHARGE_ALREADY_REFUNDED")
    made = telegram.books.add_refund(payment, telegram.now())
    _tell(telegram, made, "refunded_payment", {})


def catch_up(telegram: Telegram) -> bool:
    """Charge for every period that has begun by now, oldest first; whether there was any."""
    payments = len(telegram.books.transactions)
    while due := [found for found in telegram.books.subscriptions.values()
                  if found.state == "active" and found.until <= telegram.now()]:
        renew(telegram, min(due, key=lambda found: found.until))
    return len(telegram.books.transactions) > payments


async def keep_renewing(telegram: Telegram) -> None:
    """Let what is due be charged although nobody calls."""
    while True:
        if catch_up(telegram):
            await telegram.committed()
        await asyncio.sleep(TICK_SECONDS)


async def _ask(telegram: Telegram, person: Person, invoice: Invoice) -> str | None:
    """The bot's reason to refuse, None when it agrees."""
    query_id = str(secrets.randbits(62))
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    telegram.checkouts[query_id] = answer
    try:
        told = telegram.updates.add("pre_checkout_query", {
            "id": query_id, "from": views.user(person), "currency": CURRENCY, "total_amount": invoice.amount,
            "invoice_payload": invoice.payload})
        if told is None:
            return SILENT
        await telegram.committed()
        return await asyncio.wait_for(answer, telegram.limits.pre_checkout_seconds) or None
    except TimeoutError:
        return SILENT
    finally:
        del telegram.checkouts[query_id]


def _is_paid(telegram: Telegram, invoice: Invoice) -> bool:
    message = telegram.state.messages.get(invoice.message_id or 0)
    return message is not None and (message.paid or message.deleted)


def _mark_paid(telegram: Telegram, invoice: Invoice) -> None:
    message = telegram.state.messages.get(invoice.message_id or 0)
    if message is not None:
        message.paid = True
        telegram.state.save_message(message)


def _change(telegram: Telegram, subscription: Subscription, state: Any) -> None:
    subscription.state = state
    telegram.books.save_subscription(subscription)
    person = telegram.state.people[subscription.user_id]
    telegram.updates.add("subscription", {
        "user": views.user(person), "invoice_payload": subscription.payload, "state": state})


def _tell(telegram: Telegram, found: Transaction, kind: str, more: dict[str, Any], *, unheard: bool = False) -> None:
    """Put the service message into the chat and, unless it gets lost, into the bot's updates."""
    person = telegram.state.people[found.user_id]
    if not person.started:
        person.started = True
        telegram.state.save_person(person)
    facts = {"currency": CURRENCY, "total_amount": found.amount, "invoice_payload": found.payload,
             "telegram_payment_charge_id": found.charge_id, "provider_payment_charge_id": "", **more}
    message = telegram.state.add_message(person.id, from_bot=False, text="", entities=[], date=found.date,
                                         service={kind: facts})
    if not unheard:
        telegram.updates.add("message", views.message(telegram.state, message))
