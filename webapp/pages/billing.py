"""The fragments of the Plan page: the plan itself, and what the payment provider has to be asked for: the invoices,
and the amount of an upgrade."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Route
from services import accounts, approvals, devices, grants, previews, receipts, subscriptions, tiers
from services.billing import Cashier
from services.currencies import written
from services.errors import BillingUnavailable, NoSubscription, OutcomeUnknown
from services.payments import protocol
from services.payments.protocol import Invoice, Money
from services.receipts import Receipt
from webapp import keys
from webapp.pages import offers, plans
from webapp.pages.plans import Known, Seller
from webapp.pages.receipts import timeline
from webapp.pages.rendering import fragment
from webapp.security import now as clock
from webapp.security import signed_in

log = structlog.get_logger(__name__)

NEWEST, NEWEST_RECEIPTS = 12, 6
PATIENCE_SECONDS = 8.0
STATES = {"paid": ("Paid", "gain"), "open": ("Due", "warn"), "draft": ("Being prepared", "even"),
          "void": ("Cancelled", "even"), "uncollectible": ("Not paid", "loss")}


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    """``page`` and ``pdf`` are addresses at the provider; None where it gave none that can be opened."""

    id: str
    number: str
    date: str
    amount: str
    state: str
    tone: str
    page: str | None
    pdf: str | None


@signed_in("reads")
async def show(request: web.Request, user_id: int) -> web.Response:
    """The plan, what it covers and how much of that is used, and the plans beside it."""
    now = clock()
    async with request.app[keys.desk].database.reading() as session:
        paid, _ = await receipts.listed(session, user_id, NEWEST_RECEIPTS)
        known = replace(await _known(request, session, user_id, now), taken_back=_taken_back(paid))
        held = sum(row.status != "revoked" for row in await devices.listed(session, user_id, now))
        waiting = len(await approvals.pending(session, user_id, now))
    standing = plans.standing(known)
    return fragment(request, "fragments/billing.html", {
        "tier": known.tier, "name": plans.name(known.tier), "standing": standing, "price": plans.price(known),
        "warning": plans.warning(known), "is_bought": plans.is_bought(known),
        "paid_for": known.row.tier if known.row else "", "status": known.row.status if known.row else "none",
        "is_ending": known.row is not None and known.row.cancel_at_period_end, "accounts": known.accounts,
        "devices": held,
        "can_buy": bool(known.offered), "elsewhere": offers.resumed_elsewhere(known),
        "is_elsewhere": known.row is not None and known.seller is None,
        "paid_with": plans.paid_with(known), "manage": offers.manage(known), "ending": offers.ending(known),
        "offers": offers.offers(known), "receipts": [timeline(one, now) for one in paid],
    }, now, pending=waiting)


def _taken_back(paid: list[Receipt]) -> str | None:
    """Why the newest plan that was paid for is closed."""
    newest = next((one for one in paid if one.tier is not None), None)
    return newest.reason if newest is not None and newest.revoked_at is not None else None


async def _known(request: web.Request, session: AsyncSession, user_id: int, now: datetime) -> Known:
    catalogue, cashier = request.app[keys.desk].catalogue, request.app[keys.cashier]
    tier = await tiers.tier_of(session, catalogue, user_id, now)
    row = await subscriptions.current(session, user_id)
    linked = await accounts.listed(session, user_id)
    customer_id = await subscriptions.customer_of(session, user_id, cashier.payments.name) if cashier else None
    return Known(
        catalogue=catalogue, tier=tier, row=row, cover=await grants.cover(session, user_id, tier.rank, now),
        paid_rank=await subscriptions.paid_rank(session, row, now) if row else 0,
        accounts=sum(account.route != Route.PAPER for account in linked), is_customer=customer_id is not None,
        sellers=await _sellers(request, session, user_id), now=now)


async def _sellers(request: web.Request, session: AsyncSession, user_id: int) -> tuple[Seller, ...]:
    """Who is offered, the first one first, and after them who only keeps what was sold."""
    cashiers, offered = request.app[keys.cashiers], request.app[keys.settings].facts.billing.providers.app
    had_trial = await subscriptions.had_trial(session, user_id)
    names = [name for name in offered if name in cashiers] + [name for name in cashiers if name not in offered]
    return tuple(_seller(cashiers[name], had_trial, name in offered) for name in names)


def _seller(cashier: Cashier, had_trial: bool, is_offered: bool) -> Seller:
    able = protocol.able(cashier.payments)
    prices = dict(cashier.prices) or {tier.name: Money(tier.amount_minor, "usd")
                                      for tier in cashier.rules.catalogue if tier.rank}
    return Seller(cashier.payments.name, prices, cashier.trial_days if able.trial and not had_trial else 0, able,
                  is_offered)


@signed_in("reads")
async def preview(request: web.Request, user_id: int) -> web.Response:
    """What is agreed to when a dearer plan is chosen, with the amount that is due today."""
    cashier, now = request.app[keys.cashier], clock()
    if cashier is None:
        raise BillingUnavailable
    told = await previews.of(cashier, user_id, request.query.get("tier", ""), now)
    async with cashier.database.reading() as session:
        known = await _known(request, session, user_id, now)
    if known.row is None or known.seller is None:
        raise NoSubscription
    return fragment(request, "fragments/agreement.html", {"message": offers.agreement(known, told),
                                                          "as_of": told.as_of}, now)


@signed_in("reads")
async def invoices(request: web.Request, user_id: int) -> web.Response:
    """The newest invoices. OutcomeUnknown when the provider does not answer soon."""
    cashier, now = request.app[keys.cashier], clock()
    if cashier is None:
        raise BillingUnavailable
    async with cashier.database.reading() as session:
        customer_id = await subscriptions.customer_of(session, user_id, cashier.payments.name)
    found = await _asked(cashier, customer_id) if customer_id else []
    return fragment(request, "fragments/invoices.html", {"invoices": [_row(one, now) for one in found]}, now)


async def _asked(cashier: Cashier, customer_id: str) -> list[Invoice]:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return list(await cashier.payments.invoices(customer_id, NEWEST))
    except (TimeoutError, protocol.OutcomeUnknown, protocol.PaymentError) as error:
        log.warning("invoices_not_told", error=type(error).__name__)
        raise OutcomeUnknown("The payment provider does not answer.") from error


def _row(invoice: Invoice, now: datetime) -> InvoiceRow:
    state, tone = STATES.get(invoice.status, ("Being prepared", "even"))
    return InvoiceRow(
        id=invoice.id, number=invoice.number or "", date=plans.date(invoice.created_at, now),
        amount=written(invoice.money.amount_minor, invoice.money.currency), state=state, tone=tone,
        page=_address(invoice.hosted_url), pdf=_address(invoice.pdf_url))


def _address(url: str | None) -> str | None:
    """Only what a browser may be sent to."""
    return url if url and urlsplit(url).scheme in ("https", "http") else None
