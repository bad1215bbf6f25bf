"""Plans paid in other currencies than their own: the books, the API and the page write what was charged, exactly."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from models.billing import LedgerKind
from services import ledger, subscriptions
from services.payments.protocol import Money, Movement, SubscriptionState
from tests.billing.conftest import DAY, KEY, Till
from tests.running import until

GAP, THOUSANDS = "\u00a0", "\u202f"
# Premium, VIP, and how the page writes premium's price. No decimals; three, of which the last is 0; and two that are
# always 0 and never shown. https://docs.stripe.com/currencies
AMOUNTS = {
    "jpy": (4500, 15_000, f"4{THOUSANDS}500{GAP}JPY"),
    "kwd": (9120, 30_500, f"9.120{GAP}KWD"),
    "isk": (410_000, 1_370_000, f"4{THOUSANDS}100{GAP}ISK"),
}
SMALLEST = {"jpy": 1, "kwd": 10, "isk": 100}
in_each_currency = pytest.mark.parametrize("currency", sorted(AMOUNTS))


@pytest.fixture(autouse=True)
async def prices(till: Till) -> None:
    """Both plans in US dollars, offered in the other currencies too."""
    client = stripe.StripeClient(KEY, base_addresses={"api": till.stripe}, http_client=stripe.HTTPXClient())
    for place, (tier, cents) in enumerate((("premium", 2999), ("vip", 9999))):
        await till.payments.ensure_price(tier, Money(cents, "usd"))
        found = await client.v1.prices.list_async({"lookup_keys": [lookup_key(till, tier)]})
        await client.v1.prices.update_async(found.data[0].id, {"currency_options": {
            currency: {"unit_amount": amounts[place]} for currency, amounts in AMOUNTS.items()}})


def lookup_key(till: Till, tier: str) -> str:
    found = till.desk.catalogue.named(tier)
    assert found is not None
    return found.lookup_key


async def bought(till: Till, currency: str | None, telegram_id: int = 9001) -> tuple[int, str]:
    """Someone whose checkout page shows this currency buys premium; returns their id and token."""
    user, token = await till.person(telegram_id)
    _, made, _ = await till.call("POST", "/checkout", token, {"tier": "premium"}, f"buy {telegram_id}")
    session_id = made["url"].rsplit("/", 1)[-1]
    await till.control(f"/checkout/{session_id}/pay", {"currency": currency} if currency else None)
    await till.becomes(user, "premium")
    return user, token


async def page(till: Till, token: str, path: str) -> str:
    async with till.client.get(f"{till.base}/app/fragments/{path}",
                               headers={"Authorization": f"Bearer {token}"}) as answer:
        assert answer.status == 200
        return await answer.text()


async def refunded(till: Till, number: int) -> None:
    async def are_there() -> bool:
        await till.inbox.drain(datetime.now(UTC))
        return await till.entries(LedgerKind.REFUND) == number

    await until(f"{number} refunds are in the books", are_there)


async def charges(till: Till) -> list[Any]:
    found = await till.payments.events_since(datetime.now(UTC) - DAY)
    return [event["data"]["object"] for event in found if event["type"] == "charge.succeeded"]


async def books_balance(till: Till) -> dict[str, int]:
    """What the books say is at Stripe, by currency: equal to its report, and all sides of a currency cancel out."""
    sums: defaultdict[str, int] = defaultdict(int)
    held = {}
    for (account, currency), amount in (await till.balances()).items():
        sums[currency] += amount
        if account == "stripe:balance":
            held[currency.lower()] = amount
    assert set(sums.values()) <= {0}
    assert held == (await till.look("/report"))["totals"]
    return held


@in_each_currency
async def test_what_was_charged_is_what_is_booked_told_and_shown(till: Till, currency: str) -> None:
    amount, _, written = AMOUNTS[currency]
    _, token = await bought(till, currency)
    await till.booked(1)
    assert await books_balance(till) == {currency: amount}
    _, shown, _ = await till.call("GET", "/subscription", token)
    assert shown["price"] == {"amount_minor": amount, "currency": currency}
    _, listed, _ = await till.call("GET", "/invoices", token)
    assert [(one["amount_minor"], one["currency"]) for one in listed["items"]] == [(amount, currency)]
    assert f"{written} a month" in await page(till, token, "billing")
    assert written in await page(till, token, "billing/invoices")


@in_each_currency
async def test_all_of_it_back_leaves_nothing_and_takes_the_plan(till: Till, currency: str) -> None:
    user, _ = await bought(till, currency)
    await till.booked(1)
    charge, = await charges(till)
    await till.payments.refund(charge["id"], None, key="refund")
    await till.becomes(user, "free")
    await refunded(till, 1)
    assert await books_balance(till) == {currency: 0}


@in_each_currency
async def test_the_difference_to_a_dearer_plan_can_be_charged_in_it(till: Till, currency: str) -> None:
    amount, dearer, _ = AMOUNTS[currency]
    user, token = await bought(till, currency)
    status, told, _ = await till.call("POST", "/change-plan", token, {"tier": "vip"}, "up")
    assert (status, told["takes_effect"]) == (200, "now")
    await till.becomes(user, "vip")
    await till.booked(2)
    held = (await books_balance(till))[currency]
    assert held % SMALLEST[currency] == 0 and amount < held <= dearer + SMALLEST[currency]
    _, shown, _ = await till.call("GET", "/subscription", token)
    assert shown["price"] == {"amount_minor": dearer, "currency": currency}


@in_each_currency
async def test_what_is_left_of_a_period_is_priced_in_amounts_that_exist(till: Till, currency: str) -> None:
    await bought(till, currency)
    subscription_id, = {str(grant.subscription_id) for grant in await till.grants()}
    for days in (1, 7, 11, 19):
        shown = await till.payments.preview(subscription_id, "vip", datetime.now(UTC) + days * DAY)
        assert shown.money.currency == currency and shown.money.amount_minor > 0
        assert shown.money.amount_minor % SMALLEST[currency] == 0


async def test_currencies_are_never_added_up(till: Till) -> None:
    for number, currency in enumerate([None, *AMOUNTS]):
        await bought(till, currency, 9200 + number)
    await till.booked(4)
    premium = {currency: amounts[0] for currency, amounts in AMOUNTS.items()}
    assert await books_balance(till) == {"usd": 2999, **premium}
    dinars = next(charge for charge in await charges(till) if charge["currency"] == "kwd")
    await till.payments.refund(dinars["id"], 1230, key="refund")
    await refunded(till, 1)
    assert await books_balance(till) == {"usd": 2999, **premium, "kwd": 9120 - 1230}


async def test_a_renewal_stays_in_its_currency(till: Till) -> None:
    await bought(till, "jpy")
    await till.booked(1)
    told = await till.control("/advance", {"days": 32})
    now = datetime.fromtimestamp(told["now"], UTC)

    async def is_renewed() -> bool:
        await till.inbox.drain(max(now, datetime.now(UTC)))
        return await till.entries() == 2

    await until("the renewal is in the books", is_renewed)
    assert await books_balance(till) == {"jpy": 9000}


async def test_stars_are_whole_and_never_dollars(till: Till) -> None:
    """Telegram Stars come from another provider, and Stripe does not know them."""
    user, token = await till.person()
    now, price = datetime.now(UTC), Money(1500, "xtr")
    state = SubscriptionState(
        id="stars:1", customer_id="telegram:9001", user_id=user, status="active", tier="premium", price=price,
        current_period_start=now, current_period_end=now + timedelta(days=30), cancel_at_period_end=False,
        cancel_at=None, trial_end=None, ended_at=None, is_paid=True, invoice_id="stars:charge:1")
    paid = Movement("stars:charge:1", LedgerKind.CHARGE, price, now, "telegram:9001", "stars:1", "stars:charge:1")
    async with till.desk.database.writing() as session:
        await subscriptions.sync(session, till.cashier.rules, "telegram", state, now)
        assert await ledger.record(session, "telegram", paid, user, now)
        assert not await ledger.record(session, "telegram", paid, user, now)
    assert await till.balances() == {("telegram:balance", "XTR"): 1500, ("sales", "XTR"): -1500}
    assert await books_balance(till) == {}
    _, shown, _ = await till.call("GET", "/subscription", token)
    assert (shown["price"], shown["provider"]) == ({"amount_minor": 1500, "currency": "xtr"}, "telegram")
    assert f"1{THOUSANDS}500{GAP}⭐ a month" in await page(till, token, "billing")
    client = stripe.StripeClient(KEY, base_addresses={"api": till.stripe}, http_client=stripe.HTTPXClient())
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.prices.create_async({"currency": "xtr", "unit_amount": 1500, "product_data": {"name": "Stars"}})
