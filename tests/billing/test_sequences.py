"""Histories of one subscription, told in any order, twice or not at all: what is left is what was paid for."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
import stripe
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from models.billing import LedgerKind, Subscription
from services import reconciliation
from services.payments.protocol import Money
from tests.billing.conftest import DAY, KEY, Till
from tests.billing.test_life import advance, booked, tier_is
from tests.running import until

PREMIUM, VIP = 2999, 9999
MINUTES = timedelta(minutes=1)


@pytest.fixture(autouse=True)
async def prices(till: Till) -> None:
    await till.payments.ensure_price("premium", Money(PREMIUM, "usd"))
    await till.payments.ensure_price("vip", Money(VIP, "usd"))


def api(till: Till) -> stripe.StripeClient:
    """The vendor's client before the stand-in."""
    return stripe.StripeClient(KEY, base_addresses={"api": till.stripe}, http_client=stripe.HTTPXClient())


async def page_of(till: Till, token: str) -> str:
    """A checkout session for premium."""
    status, made, _ = await till.call("POST", "/checkout", token, {"tier": "premium"}, secrets.token_hex(8))
    assert status == 201, made
    return str(made["url"].rsplit("/", 1)[-1])


async def books_agree(till: Till) -> None:
    """The books hold what Stripe reports, kind by kind."""
    told, found = (await till.look("/report"))["sums"].get("usd", {}), await till.balances()
    assert found.get(("stripe:balance", "USD"), 0) == sum(told.values())
    assert -found.get(("sales", "USD"), 0) == told.get("charge", 0)
    assert -found.get(("refunds", "USD"), 0) == told.get("refund", 0) + told.get("refund_failure", 0)
    assert -found.get(("disputes", "USD"), 0) == told.get("dispute", 0) + told.get("dispute_reversal", 0)


async def reconciled(till: Till) -> None:
    """Everything that arrived is handled, and what did not arrive is asked for."""
    await till.settle()
    now = datetime.now(UTC)
    await reconciliation.missed(till.payments, till.cashier, now - DAY, now)
    await till.settle()


class TestACouponForAllOfIt:
    async def test_opens_the_plan_without_a_payment_and_the_next_month_costs(self, till: Till) -> None:
        client = api(till)
        coupon = await client.v1.coupons.create_async({"percent_off": 100, "duration": "once"})
        await client.v1.promotion_codes.create_async(
            {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "WELCOME"})
        user, token = await till.person()
        await till.control(f"/checkout/{await page_of(till, token)}/pay", {"promotion_code": "WELCOME"})
        await till.becomes(user, "premium")
        await till.settle()
        assert await till.entries() == 0 and (await client.v1.charges.list_async()).data == []
        _, page, _ = await till.call("GET", "/invoices", token)
        assert [(one["status"], one["amount_minor"]) for one in page["items"]] == [("paid", 0)]
        later = datetime.fromtimestamp((await till.control("/advance", {"days": 32}))["now"], UTC)

        async def is_paid() -> bool:
            await till.inbox.drain(max(later, datetime.now(UTC)))
            return await till.entries() == 1

        await until("the second month is paid", is_paid)
        assert await till.tier(user, later) == "premium"
        await books_agree(till)


class TestAPaymentThatTakesDays:
    async def test_gives_nothing_before_it_has_arrived(self, till: Till) -> None:
        user, token = await till.person()
        session_id = await page_of(till, token)
        await till.control(f"/checkout/{session_id}/pay_later")
        await reconciled(till)
        assert await till.tier(user) == "free" and await till.entries() == 0
        await till.control(f"/checkout/{session_id}/later_succeeds")
        await till.becomes(user, "premium")
        await till.booked(1)

    async def test_and_fails_gives_nothing_at_all(self, till: Till) -> None:
        user, token = await till.person()
        session_id = await page_of(till, token)
        await till.control(f"/checkout/{session_id}/pay_later")
        await reconciled(till)
        await till.control(f"/checkout/{session_id}/later_fails")
        await reconciled(till)
        assert await till.tier(user) == "free" and await till.entries() == 0, "nothing was ever paid: no grace"
        assert await till.grants() == []


class TestATrialAndWhatFollows:
    @pytest.fixture
    def overlay(self, overlay: dict[str, Any]) -> dict[str, Any]:
        return {**overlay, "billing": {"trial_days": 7}}

    async def test_paid_then_failed_then_settled(self, till: Till) -> None:
        user, token = await till.person()
        await till.buy(token)
        await till.becomes(user, "premium")
        await till.settle()
        grant, = await till.grants()
        assert grant.source == "trial" and await till.entries() == 0
        assert await till.tier(user, datetime.now(UTC) + 8 * DAY) == "free"
        paid = await advance(till, 7.5)
        await booked(till, LedgerKind.CHARGE, 1, paid)
        await tier_is(till, user, "premium", paid + 20 * DAY)
        await till.control(f"/subscriptions/{grant.subscription_id}/card", {"behaviour": "decline"})
        failed = await advance(till, 31)

        async def has_grace() -> bool:
            await till.inbox.drain(failed)
            return any(one.source == "grace" for one in await till.grants())

        await until("the grace has begun", has_grace)
        assert await till.tier(user, failed + 6 * DAY) == "premium"
        assert await till.tier(user, failed + 8 * DAY) == "free"
        await till.control(f"/subscriptions/{grant.subscription_id}/card", {"behaviour": "ok"})
        settled = await advance(till, 4)
        await booked(till, LedgerKind.CHARGE, 2, settled)
        await tier_is(till, user, "premium", settled + 10 * DAY)
        await books_agree(till)


class TestClocksThatDiffer:
    async def test_ours_is_five_minutes_behind(self, till: Till) -> None:
        await till.control("/advance", {"hours": 5 / 60})
        user, token = await till.person()
        await till.buy(token)
        await till.booked(1)
        assert await till.tier(user, datetime.now(UTC) + 6 * MINUTES) == "premium"
        await books_agree(till)

    async def test_ours_is_five_minutes_ahead(self, till: Till) -> None:
        user, token = await till.person()
        await till.buy(token)
        ours = datetime.now(UTC) + 5 * MINUTES

        async def has_it() -> bool:
            await till.inbox.drain(ours)
            return await till.tier(user, ours) == "premium" and await till.entries() == 1

        await until("the plan is there", has_it)
        assert len(await till.grants()) == 1
        await books_agree(till)


@dataclass
class History:
    """What Stripe did for one subscriber, and what it comes to: a tier stands while its invoice is paid for."""

    amounts: list[int] = field(default_factory=lambda: [PREMIUM])
    returned: list[int] = field(default_factory=lambda: [0])
    disputed: list[str] = field(default_factory=lambda: [""])
    refunds: list[tuple[int, str, int]] = field(default_factory=list)
    plan: str = "premium"
    is_ending: bool = False

    @property
    def tier(self) -> str:
        stands = [tier for tier, amount, back, dispute in
                  zip(("premium", "vip"), self.amounts, self.returned, self.disputed, strict=False)
                  if back < amount and dispute != "open"]
        return stands[-1] if stands else "free"


@dataclass
class Subscriber:
    """One person with a month of premium, of which only the subscription itself was told."""

    till: Till
    user: int
    token: str
    customer: str
    subscription: str
    history: History

    async def act(self, name: str) -> None:
        """Let it happen, if it can happen now."""
        if name in ("vip", "premium"):
            await self._change(name)
        elif name in ("cancel", "resume"):
            status, _, _ = await self.till.call("POST", f"/{name}", self.token, None, secrets.token_hex(8))
            assert status == 200
            self.history.is_ending = name == "cancel"
        else:
            verb, _, which = name.partition(" ")
            place = 0 if which == "first" else len(self.history.amounts) - 1
            await getattr(self, f"_{verb}")(place, await self._charge(place))

    async def _change(self, tier: str) -> None:
        status, told, _ = await self.till.call("POST", "/change-plan", self.token, {"tier": tier},
                                               secrets.token_hex(8))
        assert status == 200, told
        self.history.plan = tier
        if tier == "vip" and len(self.history.amounts) == 1:
            self.history.amounts.append(int((await self._charges())[1].amount))
            self.history.returned.append(0)
            self.history.disputed.append("")

    async def _charges(self) -> list[Any]:
        """Oldest first: premium's, then that of the way up to VIP."""
        return (await api(self.till).v1.charges.list_async({"customer": self.customer})).data[::-1]

    async def _charge(self, place: int) -> str:
        return str((await self._charges())[place].id)

    async def _refund(self, place: int, charge: str, amount: int | None = None) -> None:
        left = self.history.amounts[place] - self.history.returned[place]
        if not left or self.history.disputed[place] == "open" or (amount or 0) >= left:
            return
        refund = await self.till.payments.refund(charge, amount, key=secrets.token_hex(8))
        self.history.refunds.append((place, refund, amount or left))
        self.history.returned[place] += amount or left

    async def _part(self, place: int, charge: str) -> None:
        await self._refund(place, charge, 700)

    async def _fail(self, place: int, _charge: str) -> None:
        known = [one for one in self.history.refunds if one[0] == place]
        if known and not self.history.disputed[place]:
            await self.till.control(f"/refunds/{known[-1][1]}/fail")
            self.history.refunds.remove(known[-1])
            self.history.returned[place] -= known[-1][2]

    async def _dispute(self, place: int, charge: str) -> None:
        if not self.history.disputed[place] and self.history.returned[place] < self.history.amounts[place]:
            made = await self.till.control(f"/charges/{charge}/dispute", {"kind": "fraudulent"})
            self.history.disputed[place] = "open"
            self._open = (place, made["id"])

    async def _win(self, place: int, _charge: str) -> None:
        known = getattr(self, "_open", None)
        if known is not None and known[0] == place and self.history.disputed[place] == "open":
            await self.till.control(f"/disputes/{known[1]}/win")
            self.history.disputed[place] = "won"


async def subscriber(till: Till) -> Subscriber:
    """Someone new who has paid; our side has heard of the subscription and of nothing else."""
    user, token = await till.person(secrets.randbelow(10**9) + 10**6)
    await till.hold()
    before = {event["id"] for event in await till.look("/events")}
    session_id = await till.buy(token)
    session = await api(till).v1.checkout.sessions.retrieve_async(session_id)
    created, = [event["id"] for event in await till.look("/events?type=customer.subscription.created")
                if event["id"] not in before]
    await till.control("/release", {"order": [created]})
    await till.becomes(user, "premium")
    return Subscriber(till, user, token, str(session.customer), str(session.subscription), History())


async def deliver(till: Till, random: Random) -> None:
    """What is held arrives shuffled, some of it twice or three times, some of it never."""
    order = [event["id"] for event in await till.look("/events?state=held")
             for _ in range(random.choice((0, 1, 1, 2, 3)))]
    random.shuffle(order)
    await till.control("/release", {"order": order})


OWN_ACTS = st.lists(st.sampled_from(["vip", "premium", "cancel", "resume"]), max_size=4)
MONEY = st.lists(st.sampled_from([f"{verb} {which}" for verb in ("refund", "part", "fail", "dispute", "win")
                                  for which in ("first", "last")]), max_size=5)
ANY_ORDER = st.randoms(use_true_random=False)


@settings(max_examples=4, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(own=OWN_ACTS, money=MONEY, random=ANY_ORDER)
@example(own=["vip"], money=["refund last"], random=Random(1))
@example(own=["vip", "premium"], money=["refund last"], random=Random(2))
@example(own=["vip"], money=["refund first", "fail first", "dispute last", "win last"], random=Random(3))
async def test_any_history_in_any_order_ends_as_it_was(till: Till, own: list[str], money: list[str],
                                                       random: Random) -> None:
    who = await subscriber(till)
    for name in (*own, *money):
        await who.act(name)
    await deliver(till, random)
    await reconciled(till)
    assert await till.tier(who.user) == who.history.tier, (own, money)
    async with till.desk.database.reading() as session:
        row = (await session.scalars(select(Subscription).where(
            Subscription.provider_subscription_id == who.subscription))).one()
    assert (row.status, row.tier, row.cancel_at_period_end) == ("active", who.history.plan, who.history.is_ending)
    await books_agree(till)
    charged = await till.entries(LedgerKind.CHARGE)
    await deliver(till, random)  # what never came comes after all
    await till.settle()
    assert await till.tier(who.user) == who.history.tier and await till.entries(LedgerKind.CHARGE) == charged
