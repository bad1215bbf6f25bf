"""The bot's books of Telegram Stars: invoices, payments, refunds and subscriptions, written through to the store."""

import json
import secrets
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sandbox.telegram.store import Store

CURRENCY = "XTR"
PERIOD_SECONDS = 2_592_000  # thirty days, the only period Telegram knows


@dataclass(slots=True)
class Invoice:
    """``amount`` in Stars. With a ``message_id`` it stands in a chat and is paid once; a link is paid by anyone, again
    and again.
    """

    slug: str
    title: str
    description: str
    payload: str
    amount: int
    subscription_period: int | None = None
    start_parameter: str = ""
    message_id: int | None = None


@dataclass(slots=True)
class Transaction:
    """Stars that came from a user, or went back to one: a refund has the charge id of its payment."""

    number: int
    charge_id: str
    user_id: int
    amount: int
    date: int
    payload: str
    subscription_period: int | None
    is_refund: bool = False


@dataclass(slots=True)
class Subscription:
    """Called by the charge id of its first payment. ``until`` in unix seconds: the next charge is due then."""

    charge_id: str
    user_id: int
    title: str
    payload: str
    amount: int
    until: int
    state: Literal["active", "canceled", "failed"] = "active"
    bot_canceled: bool = False


class Books:
    """The index in memory over the store. Rows are only added to the transactions."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.invoices = {key: Invoice(**json.loads(body)) for key, body in store.rows("invoices")}
        self.transactions = [Transaction(**json.loads(body)) for _, body in store.rows("star_transactions")]
        self.subscriptions = {key: Subscription(**json.loads(body))
                              for key, body in store.rows("star_subscriptions")}

    def save_invoice(self, invoice: Invoice) -> None:
        self.invoices[invoice.slug] = invoice
        self._put("invoices", invoice.slug, invoice)

    def add_payment(self, user_id: int, amount: int, date: int, payload: str, period: int | None) -> Transaction:
        return self._add(Transaction(0, new_charge_id(), user_id, amount, date, payload, period))

    def add_refund(self, payment: Transaction, date: int) -> Transaction:
        return self._add(Transaction(0, payment.charge_id, payment.user_id, payment.amount, date, payment.payload,
                                     payment.subscription_period, is_refund=True))

    def find(self, charge_id: str, *, is_refund: bool = False) -> Transaction | None:
        return next((found for found in self.transactions
                     if (found.charge_id, found.is_refund) == (charge_id, is_refund)), None)

    def save_subscription(self, subscription: Subscription) -> None:
        self.subscriptions[subscription.charge_id] = subscription
        self._put("star_subscriptions", subscription.charge_id, subscription)

    def balance(self) -> int:
        return sum(-found.amount if found.is_refund else found.amount for found in self.transactions)

    def _add(self, transaction: Transaction) -> Transaction:
        transaction.number = len(self.transactions) + 1
        self.transactions.append(transaction)
        self._put("star_transactions", transaction.number, transaction)
        return transaction

    def _put(self, table: str, key: int | str, row: Any) -> None:
        self._store.put(table, key, json.dumps(asdict(row), separators=(",", ":")))


def new_slug() -> str:
    return secrets.token_urlsafe(16)


def new_charge_id() -> str:
    return f"stx{secrets.token_urlsafe(48)}"
