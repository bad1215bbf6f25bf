"""Telegram Stars as a payment provider: the bot asks, its user pays inside Telegram."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from aiogram import Bot
from aiogram.exceptions import (
    TelegramAPIError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNotFound,
    TelegramUnauthorizedError,
)
from aiogram.types import LabeledPrice, StarTransaction, TransactionPartnerUser

from models.database import Database
from services import stars
from services.payments.protocol import (
    Capabilities,
    Invoice,
    OutcomeUnknown,
    PaymentError,
    Preview,
    SubscriptionState,
)
from services.tiers import title

T = TypeVar("T")
FINAL = (TelegramBadRequest, TelegramForbiddenError, TelegramNotFound, TelegramUnauthorizedError)
PAGE = 100


@dataclass(frozen=True, slots=True)
class Transaction:
    """A line of the bot's own books that belongs to an invoice."""

    charge_id: str
    is_refund: bool
    telegram_id: int
    payload: str
    stars: int
    at: datetime


class StarPayments:
    """``prices`` are Stars a month by tier. Telegram knows no idempotency keys: repeating is safe by what is asked."""

    name = stars.PROVIDER
    capabilities = Capabilities(portal=False, trial=False, preview=False, partial_refund=False, changes_plan=False,
                                resumes=False)
    refunds_in_part = False

    def __init__(self, bot: Bot, database: Database, prices: Mapping[str, int]) -> None:
        self._bot = bot
        self._database = database
        self._prices = prices

    async def ensure_customer(self, user_id: int, telegram_id: int, *, key: str) -> str:
        return str(telegram_id)

    async def has_customer(self, customer_id: str) -> bool:
        return True

    async def checkout(self, customer_id: str, user_id: int, tier: str, *, trial_days: int, success_url: str,
                       cancel_url: str, key: str) -> tuple[str, str]:
        """The link has no id of its own; the payload names the order, which is the operation in ``key``."""
        if tier not in self._prices:
            raise PaymentError("price_missing", f"stars_per_month of {tier} is not set")
        name = title(tier)
        link = await self._asked(self._bot.create_invoice_link(
            title=f"Countersign {name}", description=f"{name} for 30 days, renewed each month until you cancel.",
            payload=key.removeprefix("op_").partition(":")[0], provider_token="", currency="XTR",
            prices=[LabeledPrice(label=f"{name}, 30 days", amount=self._prices[tier])],
            subscription_period=int(stars.PERIOD.total_seconds())))
        return "", link

    async def find_checkout(self, customer_id: str, key: str) -> tuple[str, str] | None:
        return None

    async def expire_checkout(self, session_id: str) -> str | None:
        """Links stay; who must not pay on one is told before paying."""
        return None

    async def portal(self, customer_id: str, return_url: str, *, key: str) -> str:
        raise PaymentError("no_portal", "Telegram keeps your Stars and receipts under Settings, My Stars.")

    async def subscription(self, subscription_id: str) -> SubscriptionState:
        async with self._database.reading() as session:
            return await stars.state_of(session, subscription_id)

    async def subscriptions_of(self, customer_id: str) -> Sequence[SubscriptionState]:
        return []

    async def preview(self, subscription_id: str, tier: str, as_of: datetime) -> Preview:
        raise PaymentError("no_preview", "A plan paid with Stars is bought anew, there is no difference to pay.")

    async def upgrade(self, subscription_id: str, tier: str, as_of: datetime, *, key: str) -> SubscriptionState:
        raise PaymentError("no_change", "A plan paid with Stars is bought anew.")

    async def set_tier_next_period(self, subscription_id: str, tier: str, *, key: str) -> None:
        raise PaymentError("no_change", "Cancel this plan first; choose the other when it is over.")

    async def cancel_at_period_end(self, subscription_id: str, cancel: bool, *, key: str) -> SubscriptionState:
        """A cancelled one is only allowed to be switched on again: the user does that in Telegram."""
        payer = await self._payer(subscription_id)
        for is_canceled in (True, False) if cancel else (False,):
            await self._asked(self._bot.edit_user_star_subscription(payer, subscription_id, is_canceled))
        return await self.subscription(subscription_id)

    async def cancel_now(self, subscription_id: str, *, key: str) -> None:
        """No further period is charged; what is paid runs to its end."""
        await self._asked(self._bot.edit_user_star_subscription(
            await self._payer(subscription_id), subscription_id, True))

    async def refund(self, charge_id: str, amount_minor: int | None, *, key: str) -> str:
        """The whole charge. The books are read first: an answer that was lost may have been a yes."""
        if await self.find_refund(charge_id, key) is not None:
            return charge_id
        try:
            await self._asked(self._bot.refund_star_payment(await self._payer(charge_id), charge_id))
        except PaymentError as error:
            if "CHARGE_ALREADY_REFUNDED" not in error.detail:
                raise
        return charge_id

    async def find_refund(self, charge_id: str, key: str) -> str | None:
        offset = 0
        while True:
            found, seen = await self.transactions(offset)
            if any(one.is_refund and one.charge_id == charge_id for one in found):
                return charge_id
            offset += seen
            if seen < PAGE:
                return None

    async def transactions(self, offset: int) -> tuple[list[Transaction], int]:
        """Invoice payments and their refunds from this place of the bot's books on, and how many lines were read."""
        told = (await self._asked(self._bot.get_star_transactions(offset=offset, limit=PAGE))).transactions
        return [line for one in told if (line := _line(one)) is not None], len(told)

    async def invoices(self, customer_id: str, limit: int) -> Sequence[Invoice]:
        return []

    async def _payer(self, charge_id: str) -> int:
        async with self._database.reading() as session:
            payer = await stars.payer_of(session, charge_id)
        if payer is None:
            raise PaymentError("charge_unknown", "This payment is in no book.")
        return payer

    async def _asked(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except FINAL as error:
            raise PaymentError("refused", error.message) from error
        except (TelegramAPIError, OSError, TimeoutError) as error:
            raise OutcomeUnknown(type(error).__name__) from error


def _line(told: StarTransaction) -> Transaction | None:
    partner = told.source or told.receiver
    if not isinstance(partner, TransactionPartnerUser) or partner.transaction_type != "invoice_payment":
        return None
    return Transaction(told.id, told.source is None, partner.user.id, partner.invoice_payload or "", told.amount,
                       told.date)
