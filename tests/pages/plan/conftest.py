"""The application with a cashier of the tests' own: its providers know what a test tells them."""

from collections.abc import AsyncIterator

import pytest
from aiogram import Bot
from aiohttp import web

import cashdesk
from bot.star_payments import StarPayments
from config import Settings
from services.billing import Cashier
from services.desk import Desk
from services.payments.stripe_provider import StripePayments
from tests.conftest import BOT_TOKEN
from tests.pages import billing_stage, stage
from tests.pages.billing_stage import Invoices
from tests.pages.conftest import BOT
from webapp import application

KEY = "sk_test_pages0123456789abcdef"


@pytest.fixture
def invoices(desk: Desk) -> Invoices:
    return Invoices(desk)


@pytest.fixture
async def cashier(desk: Desk, invoices: Invoices) -> AsyncIterator[Cashier]:
    """A cashier whose provider knows invoices and the price of an upgrade, and nothing else."""
    async with stage.served(invoices.app()) as address:
        prices = {tier.name: tier.lookup_key for tier in desk.catalogue if tier.rank}
        payments = StripePayments(KEY, prices, api_base=address)
        yield Cashier(desk.database, payments, billing_stage.rules(desk), "https://desk.example", 7)
        await payments.close()


@pytest.fixture
def takes_stars() -> bool:
    """Whether Stars are taken beside cards; a test says so by parameter."""
    return False


@pytest.fixture
async def stars(desk: Desk) -> AsyncIterator[Cashier]:
    """The cashier for Stars. Nothing here asks Telegram for anything."""
    bot, prices = Bot(BOT_TOKEN), cashdesk.star_prices(desk.catalogue)
    payments = StarPayments(bot, desk.database, {name: price.amount_minor for name, price in prices.items()})
    yield Cashier(desk.database, payments, billing_stage.rules(desk), "https://desk.example", 0, prices)
    await bot.session.close()


@pytest.fixture
def app(desk: Desk, settings: Settings, cashier: Cashier, stars: Cashier, takes_stars: bool) -> web.Application:
    async def ready() -> bool:
        return True

    cashiers = {each.payments.name: each for each in ((cashier, stars) if takes_stars else (cashier,))}
    return application.build(desk, settings, ready, cashier=cashier, cashiers=cashiers, bot_username=lambda: BOT)
