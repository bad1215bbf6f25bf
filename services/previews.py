"""What a change of plan would cost, asked of the provider before anybody agrees to it."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

import structlog

from models.billing import Subscription
from services import billing
from services.billing import Cashier
from services.errors import BillingUnavailable, InvalidRequest, OutcomeUnknown, PaymentRefused
from services.payments import protocol
from services.payments.protocol import Money, PaymentError, Preview

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 8.0
# Stripe's word for a change that makes no invoice, as during a trial.
NOTHING_DUE = "invoice_no_subscription_line_items"


@dataclass(frozen=True, slots=True)
class PlanPreview:
    """``takes_effect`` is now or period_end; ``money`` is due at once if the change is made at ``as_of``."""

    tier: str
    takes_effect: str
    money: Money
    as_of: datetime


async def of(cashier: Cashier, user_id: int, wanted: str, now: datetime) -> PlanPreview:
    """Up costs the difference now, down costs nothing. The provider reckons in whole seconds, so ``as_of`` is one.

    InvalidRequest for what cannot be bought, NoSubscription, OutcomeUnknown when the provider does not answer.
    """
    target = cashier.rules.catalogue.named(wanted)
    if target is None or target.rank == 0:
        raise InvalidRequest("This is not a plan that can be bought.")
    row, paid = await _standing(cashier, user_id, now)
    as_of = now.replace(microsecond=0)
    if wanted == row.tier:
        return PlanPreview(wanted, "now" if target.rank >= paid else "period_end", Money(0, row.currency), as_of)
    if target.rank <= paid:
        return PlanPreview(wanted, "period_end", Money(0, row.currency), as_of)
    told = await _asked(cashier, row, wanted, as_of)
    return PlanPreview(wanted, "now", told.money, told.as_of)


async def _standing(cashier: Cashier, user_id: int, now: datetime) -> tuple[Subscription, int]:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await billing.standing(cashier, user_id, now)
    except (TimeoutError, protocol.OutcomeUnknown) as error:
        log.warning("preview_not_told", error=type(error).__name__)
        raise OutcomeUnknown("The payment provider does not answer.") from error
    except PaymentError as error:
        raise PaymentRefused(error.code, error.detail) from error


async def _asked(cashier: Cashier, row: Subscription, tier: str, as_of: datetime) -> Preview:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await cashier.payments.preview(row.provider_subscription_id, tier, as_of)
    except (TimeoutError, protocol.OutcomeUnknown) as error:
        log.warning("preview_not_told", error=type(error).__name__)
        raise OutcomeUnknown("The payment provider does not answer.") from error
    except PaymentError as error:
        if error.code == NOTHING_DUE:
            return Preview(Money(0, row.currency), as_of)
        if error.code == "price_missing":
            raise BillingUnavailable from error
        raise PaymentRefused(error.code, error.detail) from error
