"""What the desk asks of whoever takes the money: one protocol, one module for each provider.

Amounts are whole minor units beside their currency (ISO 4217 lower case, as Stripe writes it); instants are
aware UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from models.billing import LedgerKind


@dataclass(frozen=True, slots=True)
class Money:
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """A subscription as its provider describes it now.

    ``is_paid``: the money for the current period has arrived, ``paid_tier`` is the plan it was for where that is told
    apart from ``tier``, the plan of the next invoice; ``has_begun`` is false while the money of the first period has
    not arrived; ``user_id`` is what we wrote on it ourselves.
    """

    id: str
    customer_id: str
    user_id: int | None
    status: str
    tier: str | None
    price: Money
    current_period_start: datetime | None
    current_period_end: datetime | None
    cancel_at_period_end: bool
    cancel_at: datetime | None
    trial_end: datetime | None
    ended_at: datetime | None
    is_paid: bool
    invoice_id: str | None
    has_begun: bool = True
    paid_tier: str | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that has moved. ``transaction_id`` and ``kind`` name it once and for all."""

    transaction_id: str
    kind: LedgerKind
    money: Money
    occurred_at: datetime
    customer_id: str | None
    subscription_id: str | None
    invoice_id: str | None


@dataclass(frozen=True, slots=True)
class Invoice:
    id: str
    number: str | None
    status: str
    money: Money
    created_at: datetime
    hosted_url: str | None
    pdf_url: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change of plan costs now, if it is made at ``as_of``."""

    money: Money
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do beyond taking money. Callers ask for these, never for the provider's name.

    ``changes_plan``: a running subscription can be moved to another plan, with the difference reckoned;
    ``resumes``: what is cancelled can be switched on again by us.
    """

    portal: bool = True
    trial: bool = True
    preview: bool = True
    partial_refund: bool = True
    changes_plan: bool = True
    resumes: bool = True


class PaymentError(Exception):
    """The provider refused, for good: asking the same again gives the same. ``code`` is the provider's."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class OutcomeUnknown(Exception):
    """The provider did not say what became of it. It may have happened; ask again with the same key only."""


class Payments(Protocol):
    """One payment provider. Every call may raise PaymentError or OutcomeUnknown.

    ``key`` makes a call idempotent at the provider: it is derived from our own operation, never from a client.
    """

    name: str

    async def ensure_customer(self, user_id: int, telegram_id: int, *, key: str) -> str: ...

    async def has_customer(self, customer_id: str) -> bool:
        """Whether the customer is still there: people delete them, and test customers are none in live mode."""

    async def checkout(self, customer_id: str, user_id: int, tier: str, *, trial_days: int, success_url: str,
                       cancel_url: str, key: str) -> tuple[str, str]:
        """Id and address of a page on which the user pays."""

    async def find_checkout(self, customer_id: str, key: str) -> tuple[str, str] | None:
        """Id and address of the open page that was made under this key."""

    async def expire_checkout(self, session_id: str) -> str | None:
        """Close a page so that nobody pays on it; the subscription that was bought when somebody has."""

    async def portal(self, customer_id: str, return_url: str, *, key: str) -> str: ...

    async def subscription(self, subscription_id: str) -> SubscriptionState: ...

    async def subscriptions_of(self, customer_id: str) -> Sequence[SubscriptionState]: ...

    async def preview(self, subscription_id: str, tier: str, as_of: datetime) -> Preview: ...

    async def upgrade(self, subscription_id: str, tier: str, as_of: datetime, *, key: str) -> SubscriptionState:
        """Change to a dearer plan now, paying the difference; the plan changes only when that is paid."""

    async def set_tier_next_period(self, subscription_id: str, tier: str, *, key: str) -> None: ...

    async def cancel_at_period_end(self, subscription_id: str, cancel: bool, *, key: str) -> SubscriptionState: ...

    async def cancel_now(self, subscription_id: str, *, key: str) -> None: ...

    async def refund(self, charge_id: str, amount_minor: int | None, *, key: str) -> str: ...

    async def invoices(self, customer_id: str, limit: int) -> Sequence[Invoice]: ...


def able(payments: Payments) -> Capabilities:
    """What this provider can do: everything, unless it says otherwise."""
    told: Capabilities = getattr(payments, "capabilities", Capabilities())
    return told
