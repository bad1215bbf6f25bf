"""The fragments of the Plan page: the plan itself, and the invoices, which the payment provider has to be asked for."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Route
from services import accounts, approvals, grants, subscriptions, tiers
from services.billing import Cashier
from services.errors import BillingUnavailable, OutcomeUnknown
from services.payments import protocol
from services.payments.protocol import Invoice
from webapp import keys
from webapp.pages import offers, plans
from webapp.pages.plans import Known, Seller
from webapp.pages.rendering import fragment
from webapp.security import now as clock
from webapp.security import signed_in

log = structlog.get_logger(__name__)

NEWEST = 12
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
        known = await _known(request, session, user_id, now)
        waiting = len(await approvals.pending(session, user_id, now))
    standing = plans.standing(known)
    return fragment(request, "fragments/billing.html", {
        "tier": known.tier, "name": plans.name(known.tier), "standing": standing, "price": plans.price(known),
        "warning": plans.warning(known), "is_bought": plans.is_bought(known),
        "paid_for": known.row.tier if known.row else "", "status": known.row.status if known.row else "none",
        "is_ending": known.row is not None and known.row.cancel_at_period_end, "accounts": known.accounts,
        "can_buy": known.seller is not None, "is_elsewhere": known.row is not None and not known.is_sold_here,
        "manage": offers.manage(known), "ending": offers.ending(known), "offers": offers.offers(known),
    }, now, pending=waiting)


async def _known(request: web.Request, session: AsyncSession, user_id: int, now: datetime) -> Known:
    catalogue, cashier = request.app[keys.desk].catalogue, request.app[keys.cashier]
    tier = await tiers.tier_of(session, catalogue, user_id, now)
    row = await subscriptions.current(session, user_id)
    linked = await accounts.listed(session, user_id)
    customer_id, seller = None, None
    if cashier is not None:
        customer_id = await subscriptions.customer_of(session, user_id, cashier.payments.name)
        had_trial = await subscriptions.had_trial(session, user_id)
        seller = Seller(cashier.payments.name, 0 if had_trial else cashier.trial_days)
    return Known(
        catalogue=catalogue, tier=tier, row=row, cover=await grants.cover(session, user_id, tier.rank, now),
        paid_rank=await subscriptions.paid_rank(session, row.provider_subscription_id, now) if row else 0,
        accounts=sum(account.route != Route.PAPER for account in linked), is_customer=customer_id is not None,
        seller=seller, now=now)


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
        amount=plans.money(invoice.money.amount_minor, invoice.money.currency), state=state, tone=tone,
        page=_address(invoice.hosted_url), pdf=_address(invoice.pdf_url))


def _address(url: str | None) -> str | None:
    """Only what a browser may be sent to."""
    return url if url and urlsplit(url).scheme in ("https", "http") else None
