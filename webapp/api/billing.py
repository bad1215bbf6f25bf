"""Billing over HTTP: plans, the subscription, invoices, and the acts that move money."""

from aiohttp import web

from models.billing import Operation
from services import billing, operations, subscriptions, tiers
from services.billing import Cashier
from services.errors import BillingUnavailable, NoSubscription, OutcomeUnknown
from services.payments import protocol
from services.payments.protocol import PaymentError
from webapp import keys, presenters
from webapp.bodies import answer, parsed
from webapp.idempotent import OnceHandler
from webapp.paths import limit_of
from webapp.schemas import ChangePlan, ChoosePlan, Empty
from webapp.security import now, signed_in


@signed_in("reads")
async def plans(request: web.Request, _user_id: int) -> web.Response:
    """What can be bought."""
    catalogue = request.app[keys.desk].catalogue
    return answer({"items": [presenters.plan(tier) for tier in catalogue], "next_cursor": None})


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
        cashier, moment = _cashier(request), now()
        arguments: dict[str, str] = {}
        if kind == "checkout":
            arguments = {"tier": (await parsed(request, ChoosePlan)).tier}
        elif kind == "change_plan":
            arguments = _change(await parsed(request, ChangePlan))
        else:
            await parsed(request, Empty, optional=True)
        if kind != "checkout":
            await _must_be_customer(cashier, user_id)
        async with cashier.database.writing() as session:
            operation: Operation = await operations.start(session, operation_id, user_id, kind, arguments, moment)
        result = await billing.carry_out(cashier, operation, moment)
        return answer(result.body, status=result.status)

    return act


def _change(body: ChangePlan) -> dict[str, str]:
    return {"tier": body.tier} | ({"as_of": body.as_of.isoformat()} if body.as_of else {})


async def _must_be_customer(cashier: Cashier, user_id: int) -> None:
    async with cashier.database.reading() as session:
        if await subscriptions.customer_of(session, user_id, cashier.payments.name) is None:
            raise NoSubscription


def _cashier(request: web.Request) -> Cashier:
    cashier = request.app[keys.cashier]
    if cashier is None:
        raise BillingUnavailable
    return cashier
