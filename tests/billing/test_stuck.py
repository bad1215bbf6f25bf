"""Acts that nothing finishes: old ones, refused ones, one that breaks, and those of a provider that is gone."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from models.billing import Operation, OperationState
from models.message import OutboxItem
from models.user import Role, RoleName
from services import billing, conflicts, operations, stars
from services.errors import PaymentRefused
from services.payments import stripe_provider
from services.payments.protocol import Money, OutcomeUnknown
from services.payments.stripe_provider import StripePayments
from tests.billing.conftest import KEY, Till
from tests.billing.test_conflicts import ended, refunded, resolve, status, two

DAY = timedelta(hours=25)


@pytest.fixture(autouse=True)
async def prices(till: Till) -> None:
    for tier, amount in (("premium", 2999), ("vip", 9999)):
        await till.payments.ensure_price(tier, Money(amount, "usd"))


async def begun(till: Till, user: int, kind: str, at: datetime, **arguments: Any) -> Operation:
    async with till.desk.database.writing() as session:
        return await operations.start(session, f"{kind}-{user}".ljust(32, "0"), user, kind, arguments, at)


async def known(till: Till) -> dict[tuple[int, str], str]:
    async with till.desk.database.reading() as session:
        return {(o.user_id, o.kind): o.state for o in await session.scalars(select(Operation))}


async def told(till: Till) -> list[str]:
    async with till.desk.database.reading() as session:
        return [str(o.payload["template"]) for o in await session.scalars(select(OutboxItem)) if o.payload]


async def test_what_must_end_ends_however_late(till: Till) -> None:
    user, older, newer = await two(till)
    await resolve(till, user)
    await billing.finish_abandoned(till.cashier, datetime.now(UTC) + DAY)
    assert await ended(till) == [(older, "done")] and await refunded(till) == [2999]
    assert (await status(till, older), await status(till, newer)) == ("canceled", "active")


async def test_admins_hear_of_a_refund_that_was_refused(till: Till) -> None:
    admin, _ = await till.person(77)
    user, _ = await till.person()
    async with till.desk.database.writing() as session:
        session.add(Role(user_id=admin, name=RoleName.ADMIN, granted_at=datetime.now(UTC)))
    await begun(till, user, "refund", datetime.now(UTC), transaction_id="in_nothing", amount_minor=100)
    for number in (1, 2):
        await billing.finish_abandoned(till.cashier, datetime.now(UTC) + number * timedelta(minutes=3))
    assert await known(till) == {(user, "refund"): "failed"}
    assert (await told(till)).count("money_act_failed") == 1


async def test_an_end_in_stars_that_failed_is_asked_again(till: Till) -> None:
    user, _ = await till.person()
    now = datetime.now(UTC)
    for _ in range(2):
        async with till.desk.database.writing() as session:
            await stars._end(session, user, "stx_1", now, refund=True)
        async with till.desk.database.writing() as session:
            [row] = await session.scalars(select(Operation).where(Operation.state.in_(operations.OPEN)))
            await operations.close(session, row.id, OperationState.FAILED, now)


async def test_one_that_breaks_is_in_nobodys_way(till: Till) -> None:
    now = datetime.now(UTC)
    (bad, _), (good, token) = await till.person(1), await till.person(2)
    await till.buy(token)
    await till.becomes(good, "premium")
    await begun(till, bad, "no_such_act", now)
    await begun(till, good, "cancel", now + timedelta(seconds=1))
    assert await billing.finish_abandoned(till.cashier, now + timedelta(minutes=5)) == 2
    found = await known(till)
    assert (found[bad, "no_such_act"], found[good, "cancel"]) == ("unknown", "done")
    assert (await till.call("GET", "/subscription", token))[1]["cancel_at_period_end"] is True


@pytest.mark.parametrize("state", list(OperationState))
async def test_a_day_later_nothing_is_asked_under_its_key(till: Till, state: OperationState) -> None:
    user, token = await till.person()
    await till.buy(token)
    await till.becomes(user, "premium")
    old = datetime.now(UTC) - DAY
    operation = await begun(till, user, "change_plan", old, tier="vip")
    async with till.desk.database.writing() as session:
        await operations.close(session, operation.id, state, old)
    with pytest.raises(PaymentRefused) as refused:
        await billing.carry_out(till.cashier, operation, datetime.now(UTC))
    assert refused.value.code == "payment_refused"
    await till.settle()
    assert await till.tier(user) == "premium" and await till.entries() == 1


async def test_a_rolled_key_says_nothing_of_what_was_asked(till: Till) -> None:
    user, token = await till.person()
    await till.buy(token)
    await till.becomes(user, "premium")
    await begun(till, user, "cancel", datetime.now(UTC))
    till.payments._client._requestor._options.api_key = "sk_test_rolled0123456789abcdef"
    await billing.finish_abandoned(till.cashier, datetime.now(UTC) + timedelta(minutes=3))
    assert (await known(till))[user, "cancel"] == "unknown"
    till.payments._client._requestor._options.api_key = KEY
    await billing.finish_abandoned(till.cashier, datetime.now(UTC) + timedelta(minutes=6))
    assert (await known(till))[user, "cancel"] == "done"


async def test_an_order_of_a_provider_that_is_gone_bars_no_other(till: Till) -> None:
    user, token = await till.person()
    await begun(till, user, "checkout", datetime.now(UTC) - DAY, tier="premium", provider="telegram")
    assert (await till.call("POST", "/checkout", token, {"tier": "premium"}, "k1"))[0] == 409
    await billing.finish_abandoned(till.cashier, datetime.now(UTC))
    assert (await till.call("POST", "/checkout", token, {"tier": "premium"}, "k2"))[0] == 201


@asynccontextmanager
async def trickling(raw: bytes) -> AsyncIterator[str]:
    """A server that answers a byte at a time."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(raw))
        for byte in raw:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_an_answer_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe_provider, "ANSWER_SECONDS", 0.5)
    raw = json.dumps({"id": "du_1", "object": "dispute", "status": "won", "padding": "." * 40}).encode()
    async with trickling(raw) as base:
        payments = StripePayments(KEY, {}, api_base=base)
        with pytest.raises(OutcomeUnknown):
            await payments.dispute_status("du_1")
        await payments.close()


async def test_what_stripe_does_not_know_bars_nobody(till: Till) -> None:
    assert await till.payments.expire_checkout("cs_test_of_another_account") is None
    assert await till.payments.dispute_status("du_of_another_account") in conflicts.SETTLED
