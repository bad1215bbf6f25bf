"""Billing over HTTP: plans, the subscription, invoices, and the acts that move money."""

from typing import Any

from aiohttp import web

from models.billing import Operation
from services import billing, operations, subscriptions, tiers
from services.billing import Cashier
from services.errors import BillingUnavailable, NoSubscription, OutcomeUnknown
from services.payments import protocol
from services.payments.protocol import Money, PaymentError
from webapp import keys, presenters
from webapp.bodies import answer, parsed
from webapp.idempotent import OnceHandler
from webapp.paths import limit_of
from webapp.schemas import BuyPlan, ChangePlan, Empty
from webapp.security import now, signed_in


@signed_in("reads")
async def plans(request: web.Request, _user_id: int) -> web.Response:
    """What can be bought."""
    catalogue = request.app[keys.desk].catalogue
    offered = [(name, _prices(cashier)) for name, cashier in offered_in_app(request)]
    items = [presenters.plan(tier) | {"offers": [presenters.offer(name, prices[tier.name]) for name, prices in offered
                                                 if tier.name in prices]} for tier in catalogue]
    return answer({"items": items, "next_cursor": None})


def offered_in_app(request: web.Request) -> list[tuple[str, Cashier]]:
    """Who sells here, the first one first."""
    cashiers = request.app[keys.cashiers]
    named = request.app[keys.settings].facts.billing.providers.app
    return [(name, cashiers[name]) for name in named if name in cashiers]


def _prices(cashier: Cashier) -> dict[str, Money]:
    return dict(cashier.prices) or {tier.name: Money(tier.amount_minor, "usd")
                                    for tier in cashier.rules.catalogue if tier.rank}


@signed_in("reads")
async def subscription(request: web.Request, user_id: int) -> web.Response:
    """What the user has now, whoever was paid for it."""
    desk, moment = request.app[keys.desk], now()
    async with desk.database.reading() as session:
        tier = await tiers.tier_of(session, desk.catalogue, user_id, moment)
        row = await subscriptions.current(session, user_id)
    return answer(presenters.subscription(tier, row))


@signed_in("reads")
async def invoices(request: web.Request, user_id: int) -> web.Response:
    """The user's invoices as the provider has them."""
    if request.app[keys.cashier] is None and request.app[keys.cashiers]:
        return answer({"items": [], "next_cursor": None})  # Stars come without invoices
    cashier = _cashier(request)
    async with cashier.database.reading() as session:
        customer_id = await subscriptions.customer_of(session, user_id, cashier.payments.name)
    try:
        found = await cashier.payments.invoices(customer_id, limit_of(request, 20)) if customer_id else []
    except protocol.OutcomeUnknown as error:
        raise OutcomeUnknown("The payment provider does not answer.") from error
    except PaymentError as error:
        raise BillingUnavailable from error
    return answer({"items": [presenters.invoice(one) for one in found], "next_cursor": None})


def acting(kind: str) -> OnceHandler:
    """The handler of one kind of operation."""

    async def act(request: web.Request, user_id: int, operation_id: str) -> web.Response:
        moment, arguments = now(), dict[str, Any]()
        if kind == "checkout":
            order = await parsed(request, BuyPlan)
            cashier = _seller(request, order.provider)
            arguments = billing.arguments_of(cashier, order.tier)
        elif kind == "change_plan":
            change = await parsed(request, ChangePlan)
            cashier = await _paid_so_far(request, user_id)
            arguments = billing.arguments_of(cashier, change.tier) | _as_of(change)
        else:
            await parsed(request, Empty, optional=True)
            cashier = await _paid_so_far(request, user_id)
            arguments = billing.said_by(cashier)
        if kind != "checkout":
            await _must_be_customer(cashier, user_id)
        async with cashier.database.writing() as session:
            operation: Operation = await operations.start(session, operation_id, user_id, kind, arguments, moment)
        result = await billing.carry_out(cashier, operation, moment)
        return answer(result.body, status=result.status)

    return act


def _as_of(body: ChangePlan) -> dict[str, str]:
    return {"as_of": body.as_of.isoformat()} if body.as_of else {}


def _seller(request: web.Request, provider: str | None) -> Cashier:
    """Who sells a new plan: the one asked for, where it is offered, or the first."""
    offered = offered_in_app(request)
    found = next((cashier for name, cashier in offered if provider in (None, name)), None)
    if found is None:
        raise BillingUnavailable
    return found


async def _paid_so_far(request: web.Request, user_id: int) -> Cashier:
    """Who is paid for the plan that runs; else who sells here first."""
    cashiers = request.app[keys.cashiers]
    async with request.app[keys.desk].database.reading() as session:
        row = await subscriptions.current(session, user_id)
    if row is not None and row.provider in cashiers:
        return cashiers[row.provider]
    return request.app[keys.cashier] or _seller(request, None)


async def _must_be_customer(cashier: Cashier, user_id: int) -> None:
    async with cashier.database.reading() as session:
        if await subscriptions.customer_of(session, user_id, cashier.payments.name) is None:
            raise NoSubscription


def _cashier(request: web.Request) -> Cashier:
    cashier = request.app[keys.cashier]
    if cashier is None:
        raise BillingUnavailable
    return cashier
