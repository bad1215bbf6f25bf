"""Cards and Stars on one desk: what is offered first, and a user who has paid both ways."""


from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

import config
from config import ConfigurationError, Settings
from services import updates
from services.payments.protocol import Money
from tests.billing.conftest import KEY, SECRET, Till, till
from tests.stars.conftest import DAY, Kiosk, chat, kiosk
from webapp import application

__all__ = ["chat", "kiosk", "till"]


@pytest.fixture
def overlay() -> dict[str, Any]:
    return {"billing": {"trial_days": 0}, "tiers": {"free": {"card_delay_seconds": 0}},
            "limits": {"auth": 100_000, "reads": 100_000, "decisions": 100_000, "money": 100_000, "unknown": 100_000},
            "notifier": {"rate_per_second": 200.0, "max_rate_per_second": 200.0, "chat_interval_seconds": 0.0}}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"stripe_secret_key": SecretStr(KEY),
                                       "stripe_webhook_secrets": (SecretStr(SECRET),)})


def _door(kiosk: Kiosk, till: Till) -> web.Application:
    async def ready() -> bool:
        return True

    return application.build(till.desk, kiosk.chat.settings, ready, cashier=till.cashier,
                             cashiers={"stripe": till.cashier, "telegram": kiosk.cashier})


async def test_both_are_offered_and_the_higher_plan_counts_until_each_ends(kiosk: Kiosk, till: Till) -> None:
    kiosk.open()
    await till.payments.ensure_price("vip", Money(9999, "usd"))
    ada, user, token = await kiosk.person()
    async with TestServer(_door(kiosk, till)) as server:
        kiosk.base = str(server.make_url("")).rstrip("/")
        _, plans = await kiosk.call("GET", "/plans", token)
        assert plans["items"][1]["offers"] == [{"provider": "stripe", "amount_minor": 2999, "currency": "usd"},
                                               {"provider": "telegram", "amount_minor": 1500, "currency": "xtr"}]
        status, page = await kiosk.call("POST", "/checkout", token, {"tier": "vip"})
        assert status == 201 and page["url"].startswith(till.stripe)
        status, made = await kiosk.call("POST", "/checkout", token, {"tier": "premium", "provider": "telegram"})
        assert status == 201 and made["url"].startswith("https://t.me/$")
        session_id = page["url"].rstrip("/").rsplit("/", 1)[-1].split("?")[0]
        assert (await kiosk.pay(made["url"].removeprefix("https://t.me/$"), ada))["paid"]
        await kiosk.becomes(user, "premium")
        await till.control(f"/checkout/{session_id}/pay")
        await till.becomes(user, "vip")
        now = datetime.now(UTC)
        assert await kiosk.tier(user, now + 27 * DAY) == "vip"
        assert await kiosk.tier(user, now + 40 * DAY) == "free"
        refused = await kiosk.call("POST", "/checkout", token, {"tier": "vip", "provider": "telegram"})
        assert (refused[0], refused[1]["code"]) == (409, "already_subscribed")


@pytest.mark.parametrize("providers", [{"app": ["paypal"]}, {"app": ["telegram", "telegram"]}, {"chat": ["stripe"]}])
def test_what_is_offered_is_checked_at_the_start(providers: dict[str, list[str]]) -> None:
    with pytest.raises(ConfigurationError, match=r"billing\.providers"):
        config.load({}, {"billing": {"providers": providers}})


def test_who_is_about_to_pay_waits_behind_nobody() -> None:
    ada = {"id": 42, "is_bot": False, "first_name": "Ada"}
    about = {"pre_checkout_query": {"id": "1", "from": ada, "currency": "XTR", "total_amount": 1},
             "subscription": {"user": ada, "invoice_payload": "x", "state": "active"},
             "message": {"message_id": 1, "chat": {"id": 42}, "from": ada}}
    lanes = {kind: updates.of_value({"update_id": 9, kind: body}, b"").lane for kind, body in about.items()}
    assert lanes == {"pre_checkout_query": "asked:9:42", "subscription": "chat:42", "message": "chat:42"}
