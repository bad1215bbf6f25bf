"""Where money comes in: builds the payment provider and the loops that follow what it says."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from bot.star_payments import StarPayments
from config import Settings
from services import billing, reconciliation, stars, stars_reconciliation
from services.billing import Cashier
from services.desk import Desk
from services.payments.protocol import Money, OutcomeUnknown, PaymentError
from services.payments.stripe_provider import StripePayments
from services.stripe_inbox import StripeInbox
from services.subscriptions import Rules
from services.tiers import Catalogue

log = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0
FINISH_EVERY_SECONDS = 15.0
RECONCILE_EVERY_SECONDS = 3_600.0
LONGEST_PAUSE_SECONDS = 600.0
LOOK_BACK = timedelta(hours=3)


def open_cashier(stack: AsyncExitStack, settings: Settings, desk: Desk) -> Cashier | None:
    """The cashier with its loops; None where no payment provider is configured."""
    if settings.stripe_secret_key is None:
        return None
    if not settings.stripe_webhook_secrets:
        log.warning("stripe_is_not_heard", reason="STRIPE_WEBHOOK_SECRET is empty; its events are fetched every hour")
    facts = settings.facts.billing
    payments = _payments(settings, desk.catalogue)
    stack.push_async_callback(payments.close)
    rules = Rules(desk.catalogue, timedelta(hours=facts.renewal_lag_hours), timedelta(days=facts.grace_days))
    cashier = Cashier(desk.database, payments, rules, settings.public_url, facts.trial_days)
    inbox = StripeInbox(cashier, payments, desk.replica, desk.wakes.outbox)
    desk.supervisor.start("stripe_inbox", partial(_drain, desk, inbox))
    desk.supervisor.start("operations", partial(_finish_operations, desk, cashier))
    desk.supervisor.start("stripe_reconciler", partial(_reconcile, desk, cashier, payments))
    return cashier


def open_stars(settings: Settings, desk: Desk, payments: StarPayments, prices: Mapping[str, Money]) -> Cashier:
    """The cashier for Telegram Stars with its loops, also where nothing is sold for them: what was sold renews."""
    lag = timedelta(hours=settings.facts.billing.renewal_lag_hours)
    # Of a renewal that failed Telegram says no more: the day or so that every period is good for longer is the grace.
    cashier = Cashier(desk.database, payments, Rules(desk.catalogue, lag, timedelta(0)), settings.public_url, 0, prices)
    desk.supervisor.start("stars_operations", partial(_finish_stars, desk, cashier, lag))
    desk.supervisor.start("stars_reconciler", partial(_reconcile_stars, desk, cashier, payments))
    return cashier


def star_prices(catalogue: Catalogue) -> dict[str, Money]:
    """What a month costs in Stars, by tier."""
    return {tier.name: Money(tier.stars, stars.CURRENCY) for tier in catalogue if tier.rank and tier.stars}


async def _finish_stars(desk: Desk, cashier: Cashier, lag: timedelta) -> None:
    while not desk.supervisor.stopping.is_set():
        now = datetime.now(UTC)
        async with desk.database.reading() as session:
            is_over = await stars.any_over(session, now, lag)
            is_to_settle = bool(await stars.doubled(session) or await stars.strays(session, now))
        if is_over or is_to_settle:
            async with desk.database.writing() as session:
                await stars.close_over(session, now, lag)
                await stars.settle(session, desk.catalogue, now)
        await billing.finish_abandoned(cashier, now)
        await desk.supervisor.sleep(FINISH_EVERY_SECONDS)


async def _reconcile_stars(desk: Desk, cashier: Cashier, payments: StarPayments) -> None:
    """Read the bot's own books: all of them at start, then every hour what is new."""
    offset = 0
    while not desk.supervisor.stopping.is_set():
        try:
            async with asyncio.timeout(RECONCILE_EVERY_SECONDS):
                found, offset = await stars_reconciliation.read(payments, cashier, offset, datetime.now(UTC))
        except (OutcomeUnknown, PaymentError):
            await desk.supervisor.sleep(FINISH_EVERY_SECONDS)
            continue
        if found:
            desk.wakes.outbox.set()
        await desk.supervisor.sleep(RECONCILE_EVERY_SECONDS)


async def set_up(settings: Settings, catalogue: Catalogue) -> dict[str, str]:
    """Create or check the prices at Stripe; what was done for each tier. PaymentError, OutcomeUnknown."""
    assert settings.stripe_secret_key is not None
    payments = _payments(settings, catalogue)
    try:
        return {tier.name: "made" if await payments.ensure_price(tier.name, Money(tier.amount_minor, "usd"))
                else "as it should be" for tier in catalogue if tier.rank}
    finally:
        await payments.close()


def _payments(settings: Settings, catalogue: Catalogue) -> StripePayments:
    assert settings.stripe_secret_key is not None
    return StripePayments(settings.stripe_secret_key.get_secret_value(),
                          {tier.name: tier.lookup_key for tier in catalogue if tier.rank},
                          api_base=settings.stripe_api_base)


async def _drain(desk: Desk, inbox: StripeInbox) -> None:
    while not desk.supervisor.stopping.is_set():
        if not await inbox.drain(datetime.now(UTC)):
            await desk.wakes.payments.wait(LOOK_SECONDS)


async def _finish_operations(desk: Desk, cashier: Cashier) -> None:
    while not desk.supervisor.stopping.is_set():
        await billing.finish_abandoned(cashier, datetime.now(UTC))
        await desk.supervisor.sleep(FINISH_EVERY_SECONDS)


async def _reconcile(desk: Desk, cashier: Cashier, payments: StripePayments) -> None:
    """Ask Stripe for what never reached us: at start since we last heard of it, then every hour."""
    async with desk.database.reading() as session:
        since = await reconciliation.first_look(session, datetime.now(UTC))
    pause = FINISH_EVERY_SECONDS
    while not desk.supervisor.stopping.is_set():
        now = datetime.now(UTC)
        try:
            async with asyncio.timeout(RECONCILE_EVERY_SECONDS):
                found = await reconciliation.missed(payments, cashier, since, now)
                found += await reconciliation.strayed(payments, cashier, now)
        except (OutcomeUnknown, PaymentError, TimeoutError) as error:
            log.warning("reconciliation_put_off", error=type(error).__name__)
            await desk.supervisor.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            continue
        pause = FINISH_EVERY_SECONDS
        if found:
            desk.wakes.payments.set()
        since = now - LOOK_BACK
        await desk.supervisor.sleep(RECONCILE_EVERY_SECONDS)
