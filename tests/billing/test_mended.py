"""What must not hold for ever, be lost, or be done by two: keys, leases, events of nobody, things gone at Stripe."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from models.billing import LedgerKind, Operation, OperationState, Subscription
from models.message import InboxItem, InboxState, OutboxItem
from sandbox.stripe.faults import Fault
from services import idempotency, inbox, operations, reconciliation, stripe_events, stripe_inbox, subscriptions
from services.errors import InProgress
from services.idempotency import KEEP, Claim
from services.payments import stripe_provider
from services.payments.protocol import Money, PaymentError
from services.stripe_inbox import SOURCE, WAITS_FOR_OWNER, StripeInbox
from tests.billing.conftest import DAY, Till
from tests.billing.test_life import bought, charge_of
from tests.billing.test_webhook import event

SCOPE, PRINT = "7:POST:/x", "f" * 64


@pytest.fixture(autouse=True)
async def prices(till: Till) -> None:
    await till.payments.ensure_price("premium", Money(2999, "usd"))


async def hear(till: Till, raw: bytes, *, attempts: int = 0) -> InboxItem:
    """Handle this event once, as if it had been tried so often before; how it stands then."""
    heard = stripe_events.parse(raw)
    async with till.desk.database.writing() as session:
        await inbox.store(session, SOURCE, [stripe_inbox.delivery_of(heard, raw)], datetime.now(UTC))
        await session.execute(update(InboxItem).where(InboxItem.external_id == heard.id).values(attempts=attempts))
    await till.inbox.drain(datetime.now(UTC))
    return await item(till, heard.id)


async def item(till: Till, event_id: str) -> InboxItem:
    async with till.desk.database.reading() as session:
        return (await session.scalars(select(InboxItem).where(InboxItem.external_id == event_id))).one()


async def subscription_of(till: Till, id_: str) -> Subscription | None:
    async with till.desk.database.reading() as session:
        return await session.scalar(select(Subscription).where(Subscription.provider_subscription_id == id_))


def about(subscription: str, type_: str = "customer.subscription.updated", **changes: Any) -> bytes:
    return event({"id": subscription, "object": "subscription"}, type_, **changes)


class TestKeys:
    async def test_a_refusal_of_the_moment_is_not_kept_for_what_had_been_begun(self, till: Till) -> None:
        _, token = await till.person()
        till.standin.faults.add(Fault("500", 3, "POST /v1/checkout/sessions"))
        body = {"tier": "premium"}
        assert (await till.call("POST", "/checkout", token, body, "k"))[1]["code"] == "outcome_unknown"
        async with till.desk.database.writing() as session:
            # It is another request's act that is open.
            mine = await session.scalar(select(Operation.id))
            await session.execute(update(Operation).values(id="e" * 32))
        assert (await till.call("POST", "/checkout", token, body, "k"))[1]["code"] == "in_progress"
        async with till.desk.database.writing() as session:
            await operations.close(session, "e" * 32, OperationState.FAILED, datetime.now(UTC))
        status, answer, _ = await till.call("POST", "/checkout", token, body, "k")
        assert status == 201, answer
        async with till.desk.database.reading() as session:
            assert await session.get(Operation, mine) is not None, "under the same operation"

    async def test_a_key_given_up_between_two_looks_is_asked_for_again(self, till: Till) -> None:
        async with till.desk.database.writing() as session:
            with pytest.raises(InProgress):
                await idempotency._known(session, SCOPE, "given-up", PRINT, "token", datetime.now(UTC))

    @pytest.mark.parametrize(("state", "is_kept"), [(None, False), (OperationState.DONE, False),
                                                    (OperationState.FAILED, False), (OperationState.UNKNOWN, True)])
    async def test_what_was_begun_and_left_is_dropped_when_its_act_is_over(
            self, till: Till, state: OperationState | None, is_kept: bool) -> None:
        user, _ = await till.person()
        now = datetime.now(UTC)
        async with till.desk.database.writing() as session:
            held = await idempotency.claim(session, SCOPE, "k", PRINT, now)
            assert isinstance(held, Claim)
            if state is not None:
                await operations.start(session, held.operation_id, user, "cancel", {}, now)
                await operations.close(session, held.operation_id, state, now)
            await idempotency.lose_sight(session, held)
        async with till.desk.database.writing() as session:
            assert await idempotency.drop_expired(session, now + KEEP + DAY, 100) == 0
            dropped = await idempotency.drop_expired(session, now + KEEP + DAY + timedelta(seconds=1), 100)
        assert dropped == (0 if is_kept else 1)


class TestLeases:
    async def test_whoever_lost_the_lease_writes_nothing(self, till: Till) -> None:
        await till.hold()
        _, token = await till.person()
        await till.buy(token)
        [state] = (await till.payments.subscription_page(None))[0]
        raw, now = about(state.id), datetime.now(UTC)
        lane = f"stripe:{state.id}"
        async with till.desk.database.writing() as session:
            await inbox.store(session, SOURCE, [stripe_inbox.delivery_of(stripe_events.parse(raw), raw)], now)
        late = StripeInbox(till.cashier, till.payments, "late", till.desk.wakes.outbox)
        async with till.desk.database.writing() as session:
            claimed = await inbox.claim(session, SOURCE, "late", now, stripe_inbox.LEASE, 8)
            [mine] = [one for one in claimed if one.lane == lane]
        async with till.desk.database.writing() as session:
            later = now + stripe_inbox.LEASE
            assert mine in await inbox.claim(session, SOURCE, "heir", later, stripe_inbox.LEASE, 8)
        await late._handle(mine, later)
        assert await subscription_of(till, state.id) is None
        found = await item(till, mine.external_id)
        assert (found.state, found.attempts, found.lease_owner) == (InboxState.PENDING, 0, "heir")


class TestOfNobody:
    async def test_a_lost_dispute_of_an_unknown_invoice_is_booked(self, till: Till) -> None:
        await till.hold()
        _, token = await till.person()
        await till.buy(token)
        opened = await till.control(f"/charges/{await charge_of(till)}/dispute", {"kind": "fraudulent"})
        dispute = str(opened.get("id") or opened["dispute"]["id"])
        await till.control(f"/disputes/{dispute}/lose")
        subject = {"id": dispute, "object": "dispute"}
        waiting = await hear(till, event(subject, "charge.dispute.closed"))
        assert (waiting.state, waiting.error) == (InboxState.PENDING, "OwnerUnknown")
        assert await till.entries(LedgerKind.DISPUTE) == 0
        async with till.desk.database.writing() as session:
            await session.execute(update(InboxItem).where(InboxItem.id == waiting.id).values(
                attempts=WAITS_FOR_OWNER, next_try_at=datetime.now(UTC)))
        await till.inbox.drain(datetime.now(UTC))
        assert (await item(till, waiting.external_id)).state == InboxState.DONE
        assert await till.entries(LedgerKind.DISPUTE) == 1

    async def test_a_subscription_of_nobody_is_held_for_a_person(self, till: Till) -> None:
        await till.hold()
        customer = (await till.payments._client.v1.customers.create_async({})).id
        price = await till.payments._price_id("premium")
        made = await till.payments._client.v1.checkout.sessions.create_async({
            "mode": "subscription", "customer": customer, "line_items": [{"price": price, "quantity": 1}],
            "success_url": till.base, "cancel_url": till.base})
        await till.control(f"/checkout/{made.id}/pay")
        [state] = (await till.payments.subscription_page(None))[0]
        assert (await hear(till, about(state.id), attempts=WAITS_FOR_OWNER - 1)).state == InboxState.PENDING
        await hear(till, about(state.id), attempts=WAITS_FOR_OWNER)
        async with till.desk.database.writing() as session:
            await session.execute(update(InboxItem).values(next_try_at=datetime.now(UTC)))
        await till.inbox.drain(datetime.now(UTC))
        async with till.desk.database.reading() as session:
            held = list(await session.scalars(select(InboxItem).where(InboxItem.state == InboxState.HELD)))
        assert [(one.error, one.lease_owner) for one in held] == [("OwnerUnknown", None)]
        assert await reconciliation.strayed(till.payments, till.cashier, datetime.now(UTC)) == 0, "not every hour anew"


class TestGone:
    async def row(self, till: Till) -> tuple[int, str]:
        """A running subscription here that Stripe has never heard of."""
        user, subscription = await bought(till)
        gone = "sub_gone"
        state = await till.payments.subscription(subscription)
        await till.payments.cancel_now(subscription, key="x")
        await till.becomes(user, "free")
        async with till.desk.database.writing() as session:
            values = {name: getattr(state, name) for name in state.__dataclass_fields__} | {"id": gone}
            await subscriptions.sync(session, till.cashier.rules, SOURCE, type(state)(**values), datetime.now(UTC))
        assert await till.tier(user) == "premium"
        return user, gone

    async def test_a_subscription_that_stripe_has_no_more_is_over(self, till: Till) -> None:
        user, gone = await self.row(till)
        assert await reconciliation.strayed(till.payments, till.cashier, datetime.now(UTC)) == 1
        await till.settle()
        row = await subscription_of(till, gone)
        assert row is not None and (row.status, row.ended_at is None) == ("canceled", False)
        assert await till.tier(user) == "free"
        assert await reconciliation.strayed(till.payments, till.cashier, datetime.now(UTC)) == 0

    async def test_with_the_key_of_the_other_mode_nothing_is_over(
            self, till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
        user, gone = await self.row(till)

        async def other_mode(_: str) -> Any:
            raise PaymentError("resource_missing", "No such subscription: 'x'; a similar object exists in live mode.")

        monkeypatch.setattr(till.payments, "subscription", other_mode)
        assert (await hear(till, about(gone))).error == "PaymentError"
        assert await till.tier(user) == "premium"

    async def test_one_that_nobody_has_is_no_news(self, till: Till) -> None:
        assert (await hear(till, about("sub_never"))).state == InboxState.DONE


class TestMissed:
    async def test_only_what_concerns_us_is_stored_and_of_every_page(
            self, till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stripe_provider, "PAGE", 2)
        await till.hold()
        await till.payments.ensure_price("vip", Money(9999, "usd"))
        since = datetime.now(UTC) - DAY
        assert await reconciliation.missed(till.payments, till.cashier, since, datetime.now(UTC)) == 0
        user, token = await till.person()
        await till.buy(token)
        assert await reconciliation.missed(till.payments, till.cashier, since, datetime.now(UTC)) > 2
        await till.becomes(user, "premium")
        await till.booked(1)


class TestLooks:
    async def test_an_invoice_of_nothing_is_looked_at_once(self, till: Till) -> None:
        await till.hold()
        client = till.payments._client.v1
        coupon = await client.coupons.create_async({"percent_off": 100, "duration": "once"})
        await client.promotion_codes.create_async(
            {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "WELCOME"})
        _, token = await till.person()
        _, made, _ = await till.call("POST", "/checkout", token, {"tier": "premium"}, "k")
        session_id = made["url"].rstrip("/").rsplit("/", 1)[-1].split("?")[0]
        await till.control(f"/checkout/{session_id}/pay", {"promotion_code": "WELCOME"})
        looked = []
        for hours in range(3):
            looked.append(await reconciliation.strayed(
                till.payments, till.cashier, datetime.now(UTC) + timedelta(hours=hours)))
            async with till.desk.database.writing() as session:
                await session.execute(update(InboxItem).values(next_try_at=datetime.now(UTC)))
            await till.settle()
        assert looked == [2, 0, 0] and await till.entries() == 0

    @pytest.mark.parametrize("state", [InboxState.PENDING, InboxState.DEAD, InboxState.HELD])
    async def test_what_waits_or_was_given_up_is_not_queued_again(self, till: Till, state: InboxState) -> None:
        await till.hold()
        _, token = await till.person()
        await till.buy(token)
        assert await reconciliation.strayed(till.payments, till.cashier, datetime.now(UTC)) == 2
        async with till.desk.database.writing() as session:
            await session.execute(update(InboxItem).values(state=state, attempts=150))
        assert await reconciliation.strayed(till.payments, till.cashier, datetime.now(UTC) + DAY) == 0


@pytest.mark.parametrize(("days", "said"), [(1, 1), (4, 0)])
async def test_nobody_is_asked_to_act_on_what_is_long_past(till: Till, days: int, said: int) -> None:
    _, subscription = await bought(till)
    created = int((datetime.now(UTC) - days * DAY).timestamp())
    raw = about(subscription, "customer.subscription.trial_will_end", created=created)
    assert (await hear(till, raw)).state == InboxState.DONE
    async with till.desk.database.reading() as session:
        told = await session.scalar(select(func.count()).select_from(OutboxItem).where(
            OutboxItem.dedupe_key == f"stripe:{json.loads(raw)['id']}"))
    assert told == said
