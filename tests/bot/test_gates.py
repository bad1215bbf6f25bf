"""What a plan does not cover is refused with the way to the plan that does."""

import pytest
from sqlalchemy import update

from models.account import Account, Route
from models.order import Order
from tests.bot.conftest import APP, Chat
from tests.services import stage


@pytest.fixture(autouse=True)
async def opened(chat: Chat) -> None:
    chat.open()


async def test_a_tap_beyond_the_plan_leads_to_the_plans(chat: Chat) -> None:
    user = await chat.person()
    await chat.publish()
    card = await chat.card(user)
    async with chat.desk.database.writing() as session:
        await session.execute(update(Account).values(route=Route.TERMINAL))
    words = "Your plan covers the paper account only. Trading live needs the Premium plan."
    assert await chat.tap(user, card, "Approve") == words
    refusal = await chat.shows(user, words)
    assert refusal["buttons"] == [[{"text": "See the plans", "web_app_url": f"{APP}/app/billing?tier=premium"}]]
    assert await stage.count(chat.desk.database, Order) == 0
