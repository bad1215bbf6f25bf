"""The Plan page's fragments without a till, and its words: every standing a plan can have, every consequence asked."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jinja2
import pytest
from aiohttp import ClientSession, web
from multidict import CIMultiDictProxy

from models.account import Account, AccountStatus, Route
from models.billing import LedgerKind, Subscription
from models.grant import Grant
from services import currencies, entry, ledger, tiers
from services.desk import Desk
from services.payments.protocol import Capabilities, Money, Movement
from services.previews import PlanPreview
from services.receipts import Receipt
from services.users import Person
from tests.pages import stage
from tests.pages.billing_stage import DAY, MONTH, tell
from tests.pages.stage import ADA
from tests.pages.test_templates import HOSTILE, inspect
from webapp.pages import assets, offers, plans, rendering
from webapp.pages.billing import InvoiceRow
from webapp.pages.plans import Known, Seller
from webapp.pages.receipts import timeline

FRAGMENT = "/app/fragments/billing"
TODAY = datetime(2026, 11, 12, 10, tzinfo=UTC)
GAP = "\u00a0"


@pytest.fixture
async def client(origin: str) -> AsyncIterator[ClientSession]:
    async with ClientSession(origin) as session:
        yield session


async def shown(client: ClientSession, path: str = FRAGMENT, **headers: str) -> tuple[int, str, CIMultiDictProxy[str]]:
    """Status, text and headers of a fragment as Ada sees it."""
    async with client.post("/api/v1/auth/telegram", json={"init_data": stage.init_data(ADA)}) as answer:
        token = (await answer.json())["access_token"]
    async with client.get(path, headers={"Authorization": f"Bearer {token}", **headers}) as answer:
        return answer.status, await answer.text(), answer.headers


@pytest.mark.parametrize("path", [FRAGMENT, f"{FRAGMENT}/invoices"])
async def test_nothing_is_told_to_strangers(client: ClientSession, path: str) -> None:
    async with client.get(path) as answer:
        assert answer.status == 401


async def test_where_nothing_can_be_bought_the_page_says_so_and_shows_what_plans_cover(client: ClientSession,
                                                                                      ada: int) -> None:
    status, text, headers = await shown(client)
    assert status == 200 and headers["Cache-Control"] == "no-store" and headers["X-Pending-Count"] == "0"
    assert "Plans cannot be bought on this desk" in text and "<button" not in text
    assert text.count('data-testid="plan-card"') == 4
    for words in ("29.99", "99.99", "299.99", "Live and paper trading", "20 devices", "Free, no payments"):
        assert words in text, words
    assert "None" not in text
    assert (await shown(client, **{"If-None-Match": headers["ETag"]}))[:2] == (304, "")
    status, text, _ = await shown(client, f"{FRAGMENT}/invoices")
    assert status == 503 and "billing_unavailable" in text
    async with client.get("/app/billing") as shell:
        page = await shell.text()
    assert inspect(page).faults == [] and 'data-feed="invoices"' not in page


async def test_a_paid_plan_is_told_without_a_till_too(client: ClientSession, desk: Desk, ada: int,
                                                      now: datetime) -> None:
    await tell(desk, ada, now, "vip")
    _, text, headers = await shown(client)
    assert 'data-testid="plan-tier">VIP<' in text and "Active, renews" in text and "<button" not in text
    assert 'data-bought="true"' in text
    await tell(desk, ada, now, "vip", cancel_at_period_end=True)
    status, text, _ = await shown(client, **{"If-None-Match": headers["ETag"]})
    assert status == 200 and "Ends " in text


async def test_a_subscription_that_is_not_paid_yet_is_not_bought(client: ClientSession, desk: Desk, ada: int,
                                                                 now: datetime) -> None:
    await tell(desk, ada, now, is_paid=False)
    _, text, _ = await shown(client)
    assert "Payment under way" in text and 'data-bought="false"' in text


async def test_linked_accounts_are_counted_without_the_practice_one(client: ClientSession, desk: Desk, ada: int,
                                                                    now: datetime) -> None:
    _, text, _ = await shown(client)
    assert "<b>0</b> of 1" in text
    async with desk.database.writing() as session:
        for number in range(2):
            session.add(Account(user_id=ada, route=Route.DEVICE, label=f"Live {number}", login=f"88{number}",
                                server="Live", broker="Broker", currency="USD", sizing={}, is_primary=False,
                                status=AccountStatus.VERIFIED, verified_at=now, created_at=now))
    _, text, _ = await shown(client)
    assert "<b>2</b> of 1" in text and "meter over" in text


def seller(desk: Desk, trial_days: int = 0) -> Seller:
    """Who takes cards."""
    return Seller("stripe", {tier.name: Money(tier.amount_minor, "usd") for tier in desk.catalogue if tier.rank},
                  trial_days)


STARS = Seller("telegram", {"premium": Money(1500, "xtr"), "vip": Money(5000, "xtr")},
               able=Capabilities(portal=False, trial=False, preview=False, partial_refund=False, changes_plan=False,
                                 resumes=False))


@pytest.fixture
def known(desk: Desk) -> Known:
    """A user of the free plan at a desk that sells by Stripe."""
    return Known(catalogue=desk.catalogue, tier=desk.catalogue.ranked(0), row=None, cover=None, paid_rank=0,
                 accounts=0, is_customer=False, sellers=(seller(desk),), now=TODAY)


def subscribed(known: Known, tier: str = "premium", *, pays_for: str | None = None, **changes: Any) -> Known:
    """The same user with a tier in force, its cover a day longer than the period, and a subscription."""
    catalogue = known.catalogue
    held, paid = catalogue.named(tier), catalogue.named(pays_for or tier)
    assert held is not None and paid is not None
    fields: dict[str, Any] = {
        "provider": "stripe", "provider_subscription_id": "sub_1", "status": "active", "tier": paid.name,
        "amount_minor": paid.amount_minor, "currency": "usd", "current_period_end": TODAY + MONTH,
        "cancel_at_period_end": False, "trial_end": None, **changes}
    cover = Grant(subscription_id="sub_1", ends_at=TODAY + MONTH + DAY) if held.rank else None
    return replace(known, tier=held, row=Subscription(**fields), cover=cover, paid_rank=held.rank, is_customer=True)


@pytest.mark.parametrize(("tier", "changes", "words"), [
    ("premium", {}, "Active, renews 12 Dec"),
    ("premium", {"current_period_end": TODAY + 60 * DAY}, "Active, renews 11 Jan 2027"),
    ("premium", {"cancel_at_period_end": True}, "Ends 12 Dec"),
    ("premium", {"status": "trialing", "trial_end": TODAY + 7 * DAY}, "Trial until 19 Nov"),
    ("premium", {"status": "past_due"}, "Payment failed, access until 13 Dec"),
    ("free", {"status": "past_due", "pays_for": "vip"}, "Payment failed, access has ended"),
    ("free", {"status": "unpaid", "pays_for": "vip"}, "Payment failed, access has ended"),
    ("free", {"status": "incomplete", "pays_for": "vip"}, "Payment not finished"),
    ("free", {"pays_for": "vip"}, "Payment under way"),
    ("vip", {"pays_for": "premium"}, "Until 12 Dec, then Premium"),
])
def test_every_standing_in_words(known: Known, tier: str, changes: dict[str, Any], words: str) -> None:
    assert plans.standing(subscribed(known, tier, **changes)).words.replace(GAP, " ") == words


@pytest.mark.parametrize(("reason", "words"), [("refund", "Payment refunded, VIP is closed"),
                                               ("dispute", "Payment disputed, VIP is closed")])
def test_a_plan_whose_money_went_back_says_so_and_that_it_renews(known: Known, reason: str, words: str) -> None:
    closed = replace(subscribed(known, "free", pays_for="vip"), taken_back=reason)
    assert plans.standing(closed).words == words
    assert "is closed but still renews" in (plans.warning(closed) or "")
    ending = replace(subscribed(known, "free", pays_for="vip", cancel_at_period_end=True), taken_back=reason)
    assert plans.warning(ending) is None
    assert plans.warning(replace(subscribed(known, "vip"), taken_back=reason)) is None


def test_after_a_step_down_the_price_and_the_consequence_are_those_of_the_right_plan(known: Known) -> None:
    stepped = subscribed(known, "vip", pays_for="premium")
    leaving = offers.ending(stepped)
    assert leaving is not None and leaving.message.startswith("You keep VIP until")
    assert plans.price(stepped) == f"then 29.99{GAP}USD a month"
    ended = subscribed(known, "vip", pays_for="premium", cancel_at_period_end=True)
    keeping = offers.ending(ended)
    assert keeping is not None and keeping.label == "Keep Premium" and f"29.99{GAP}USD" in keeping.message
    assert plans.price(ended) is None
    assert plans.price(subscribed(known, "vip")) == f"99.99{GAP}USD a month"


async def test_a_plan_that_was_given_ends_by_the_clock(client: ClientSession, desk: Desk, ada: int,
                                                       now: datetime) -> None:
    async with desk.database.writing() as session:
        tier = desk.catalogue.named("vip")
        assert tier is not None
        tiers.grant(session, tier, ada, 30, "manual", now)
        tiers.grant(session, tier, ada, 10, "manual", now)
    _, text, _ = await shown(client)
    assert f"Active until {plans.date(now + timedelta(days=30), now)}" in text


def acts(known: Known) -> dict[str, str]:
    """What the plan cards offer, by plan."""
    return {offer.tier: f"{offer.act.kind}: {offer.act.label}" for offer in offers.offers(known) if offer.act}


def test_what_is_offered_follows_what_is_paid(known: Known) -> None:
    assert acts(known) == {"premium": "checkout: Choose Premium", "vip": "checkout: Choose VIP",
                           "enterprise": "checkout: Choose Enterprise"}
    on_trial = replace(known, sellers=(replace(known.sellers[0], trial_days=7),))
    assert acts(on_trial)["vip"] == "checkout: Try 7 days free"
    assert acts(subscribed(known, "vip")) == {"premium": "change-plan: Switch to Premium",
                                              "enterprise": "change-plan: Upgrade to Enterprise"}
    assert acts(subscribed(known, "vip", pays_for="premium")) == {
        "vip": "change-plan: Keep VIP", "enterprise": "change-plan: Upgrade to Enterprise"}
    assert acts(subscribed(known, status="past_due")) == {}
    assert acts(subscribed(known, cancel_at_period_end=True)) == {}
    assert acts(subscribed(known, provider="stars")) == {}
    assert acts(replace(subscribed(known), sellers=())) == {}


def test_where_both_are_taken_each_plan_asks_how_and_tells_both_prices(known: Known) -> None:
    both = replace(known, sellers=(*known.sellers, STARS))
    told = {offer.tier: offer for offer in offers.offers(both)}
    assert told["vip"].price == f"99.99{GAP}USD" and told["vip"].other_price == f"5\u202f000{GAP}⭐"
    vip, enterprise = told["vip"].act, told["enterprise"].act
    assert vip is not None and [way.provider for way in vip.ways] == ["stripe", "telegram"]
    assert enterprise is not None and len(enterprise.ways) == 1, "not sold for Stars"
    alone = {offer.tier: offer for offer in offers.offers(replace(known, sellers=(STARS,)))}
    assert alone["premium"].price == f"1\u202f500{GAP}⭐" and alone["enterprise"].act is None


def test_who_is_not_offered_any_more_still_keeps_what_was_sold(known: Known) -> None:
    only_stars = replace(known, sellers=(STARS, replace(known.sellers[0], is_offered=False)))
    assert acts(only_stars) == {"premium": "checkout: Choose Premium", "vip": "checkout: Choose VIP"}
    assert all("USD" not in offer.other_price for offer in offers.offers(only_stars))
    held = subscribed(only_stars)
    assert offers.manage(held) is not None and offers.ending(held) is not None
    assert acts(held)["vip"] == "change-plan: Upgrade to VIP"


def test_what_is_paid_in_stars_is_told_so_and_has_no_pages_of_a_card(known: Known) -> None:
    both = replace(known, sellers=(*known.sellers, STARS))
    held = subscribed(both, provider="telegram", amount_minor=1500, currency="xtr")
    assert plans.paid_with(held) == "Paid with Telegram Stars" and plans.price(held) == f"1\u202f500{GAP}⭐ a month"
    assert held.is_customer and offers.manage(held) is None
    assert plans.paid_with(subscribed(both)) is None and offers.manage(subscribed(both)) is not None
    assert acts(held) == {"vip": "change-plan: Upgrade to VIP"}
    [up] = [offer.act for offer in offers.offers(held) if offer.act]
    assert not up.is_priced and f"You pay 5\u202f000{GAP}⭐ now" in up.message and len(up.message) <= 256
    ending = offers.ending(held)
    assert ending is not None and ending.kind == "cancel" and offers.resumed_elsewhere(held) is None
    cancelled = subscribed(both, provider="telegram", cancel_at_period_end=True)
    assert offers.ending(cancelled) is None and "My Stars" in (offers.resumed_elsewhere(cancelled) or "")
    failed = plans.warning(subscribed(both, provider="telegram", status="past_due"))
    assert failed is not None and "top up your Stars" in failed


@pytest.mark.parametrize(("minor", "changes", "words"), [
    (4312, {}, "You pay 43.12 USD today, then 99.99 USD a month from 12 Dec. VIP starts now."),
    (0, {}, "VIP starts now. You pay nothing today, then 99.99 USD a month from 12 Dec."),
    (-500, {}, "VIP starts now. You pay nothing today, then 99.99 USD a month from 12 Dec."),
    (0, {"status": "trialing"},
     "VIP starts now. You pay nothing today; your trial ends 12 Dec, then it costs 99.99 USD a month."),
    (4312, {"currency": "eur"}, "You pay 43.12 EUR today, then its price in EUR a month from 12 Dec. VIP starts now."),
])
def test_an_upgrade_says_what_is_paid_today(known: Known, minor: int, changes: dict[str, Any], words: str) -> None:
    held = subscribed(known, **changes)
    assert held.row is not None
    told = PlanPreview("vip", "now", Money(minor, held.row.currency), TODAY)
    assert offers.agreement(held, told).replace(GAP, " ") == words


@pytest.mark.parametrize(("kind", "changes", "outcome", "mark"), [
    (LedgerKind.CHARGE, {}, "VIP open until 12 Dec", "VIP until 12 Dec"),
    (LedgerKind.CHARGE, {"until": TODAY}, "VIP was open until 12 Nov", "VIP ended"),
    (LedgerKind.CHARGE, {"tier": None, "until": None}, "Your plan is being updated", "Under way"),
    (LedgerKind.CHARGE, {"revoked_at": TODAY, "reason": "refund"}, "VIP closed 12 Nov: the payment was refunded",
     "VIP closed"),
    (LedgerKind.DISPUTE, {"revoked_at": TODAY, "reason": "dispute"}, "VIP closed 12 Nov: the payment is disputed",
     "VIP closed"),
    (LedgerKind.REFUND, {"revoked_at": TODAY, "reason": HOSTILE}, "VIP closed 12 Nov: it was taken back", "VIP closed"),
    (LedgerKind.REFUND, {"tier": None, "until": None}, "No plan changes by it", ""),
])
def test_a_payment_in_three_steps(kind: LedgerKind, changes: dict[str, Any], outcome: str, mark: str) -> None:
    paid = Receipt(1, kind, "stripe", Money(9999, "usd"), TODAY, TODAY, "evt_1", "in_1", "vip", TODAY + MONTH, None,
                   None)
    told = timeline(replace(paid, **changes), TODAY)
    assert (told.outcome.replace(GAP, " "), told.mark.replace(GAP, " ")) == (outcome, mark)
    assert told.heard == "Confirmed by Stripe" and f"99.99{GAP}USD" in told.paid


async def test_payments_stand_on_the_page_and_only_the_readers_own(client: ClientSession, desk: Desk, ada: int,
                                                                  now: datetime) -> None:
    assert "Payments" not in (await shown(client))[1]
    other = await entry.enter(desk, Person(77, "Bob"), now)
    await tell(desk, ada, now, "vip")
    for number, user in enumerate((ada, other)):
        movement = Movement(f"in_{number}", LedgerKind.CHARGE, Money(9999 + number, "usd"), now, None, None, "in_vip")
        async with desk.database.writing() as session:
            await ledger.record(session, HOSTILE[:16], movement, user, now)
    _, text, _ = await shown(client)
    assert text.count('data-testid="receipt-row"') == 1 and "99.99" in text and "100.00" not in text
    found = inspect(text)
    assert found.faults == [] and "script" not in found.tags and "VIP open until" in text


def test_every_consequence_fits_into_telegrams_popup_and_says_what_it_costs(known: Known) -> None:
    year = TODAY.replace(year=2027)
    states: list[dict[str, Any]] = [{}, {"status": "trialing", "trial_end": year}, {"status": "past_due"},
                                    {"cancel_at_period_end": True}]
    asked: list[tuple[Known, offers.Act]] = []
    for tier in ("premium", "vip", "enterprise"):
        for changes in states:
            held = subscribed(known, tier, current_period_end=year, **changes)
            acts_of = [offer.act for offer in offers.offers(held)] + [offers.ending(held)]
            asked += [(held, act) for act in acts_of if act]
    for held, act in asked:
        assert 0 < len(act.title) <= 64
        message = act.message
        if act.is_priced:
            assert message == ""
            message = offers.agreement(held, PlanPreview(act.tier, "now", Money(10**9, "usd"), TODAY))
        assert 0 < len(message) <= 256
        assert act.kind == "cancel" or "USD" in message or "Nothing" in message
    kinds = {act.kind for _, act in asked}
    assert kinds == {"cancel", "resume", "change-plan"}


@pytest.mark.parametrize(("minor", "currency", "written"), [
    (2999, "usd", "29.99 USD"), (2999, "jpy", "2\u202f999 JPY"), (5120, "kwd", "5.120 KWD"), (50000, "isk", "500 ISK"),
    (450, "xtr", "450 ⭐"), (150000, "XTR", "150\u202f000 ⭐"), (10**14 + 5, "usd",
                                                             "1\u202f000\u202f000\u202f000\u202f000.05 USD"),
    (-5, "kwd", "\u22120.005 KWD"), (-2999, "eur", "\u221229.99 EUR"), (0, "usd", "0.00 USD")])
def test_amounts_are_written_with_their_currencys_digits(minor: int, currency: str, written: str) -> None:
    assert currencies.written(minor, currency).replace(GAP, " ") == written


@pytest.mark.parametrize("has_links", [True, False])
def test_what_a_provider_says_of_an_invoice_stays_text(has_links: bool) -> None:
    environment: jinja2.Environment = rendering.environment(web.Application(), assets.Assets())
    row = InvoiceRow("in_1", HOSTILE, "1 Nov", "1 USD", "Paid", "gain", *(["https://pay.example"] * 2 if has_links
                                                                           else [None, None]))
    text = environment.get_template("fragments/invoices.html").render(invoices=[row])
    found = inspect(text)
    assert found.faults == [] and "script" not in found.tags and "img" not in found.tags
    assert found.tags.count("a") == (2 if has_links else 0) and "None" not in text
