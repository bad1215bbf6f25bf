"""Stars where things go wrong: paid twice, upgraded twice, no longer sold, given back, told late."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from bot.callbacks import BuyPlan
from models.billing import LedgerKind, Operation
from models.user import Role
from services import billing, stars, stars_reconciliation
from services.payments.protocol import Money
from tests.stars.conftest import DAY, Kiosk


async def finish(kiosk: Kiosk, minutes: int = 2) -> None:
    """What the loop of the cashier does in a round."""
    now = datetime.now(UTC) + timedelta(minutes=minutes)
    async with kiosk.chat.desk.database.writing() as session:
        await stars.settle(session, kiosk.chat.desk.catalogue, now)
    await billing.finish_abandoned(kiosk.cashier, now)


async def renewing(kiosk: Kiosk) -> list[str]:
    """The charges whose subscriptions Telegram would renew."""
    told = (await kiosk.chat.console.get("/stars"))["subscriptions"]
    return [found["charge_id"] for found in told if found["state"] != "canceled"]


async def upgrade(kiosk: Kiosk, telegram_id: int, user: int, token: str, tier: str) -> str:
    _, made = await kiosk.call("POST", "/change-plan", token, {"tier": tier})
    done = await kiosk.pay(made["url"].removeprefix("https://t.me/$"), telegram_id)
    await kiosk.becomes(user, tier)
    return str(done["charge_id"])


async def test_where_stars_are_sold_no_more_what_was_sold_still_renews(kiosk: Kiosk) -> None:
    kiosk.open()
    ada, user, token = await kiosk.person()
    slug = await kiosk.link(token)
    charge = await kiosk.buy(ada, token)
    await kiosk.becomes(user, "premium")
    kiosk.cashier.prices.clear()  # type: ignore[attr-defined]
    await kiosk.steer(charge, "renew")
    await kiosk.booked(2)
    assert await kiosk.pay(slug, ada) == {"paid": False, "error": "Plans cannot be bought here."}


async def test_two_upgrades_in_a_row_leave_one_that_renews(kiosk: Kiosk) -> None:
    kiosk.open()
    ada, user, token = await kiosk.person()
    await kiosk.buy(ada, token)
    await kiosk.becomes(user, "premium")
    await upgrade(kiosk, ada, user, token, "vip")
    best = await upgrade(kiosk, ada, user, token, "enterprise")
    for minutes in (2, 5, 8):
        await finish(kiosk, minutes)
    assert await renewing(kiosk) == [best]
    async with kiosk.chat.desk.database.reading() as session:
        assert await stars.doubled(session) == []


async def test_every_second_payment_of_an_order_goes_back(kiosk: Kiosk) -> None:
    ada, user, token = await kiosk.person_unheard()
    slug = await kiosk.link(token)
    kiosk.open()
    await kiosk.chat.console.start(ada)
    paid = [(await kiosk.pay(slug, ada, unheard=True))["charge_id"] for _ in range(3)]
    await stars_reconciliation.read(kiosk.payments, kiosk.cashier, 0, datetime.now(UTC))
    assert len(await kiosk.entries()) == 3
    for minutes in (2, 5, 8):
        await finish(kiosk, minutes)
    await kiosk.booked(2, LedgerKind.REFUND)
    assert await renewing(kiosk) == paid[:1]
    row = await kiosk.row(user)
    assert row is not None and row.provider_subscription_id == paid[0] and row.current_period_end is not None
    assert row.current_period_end < datetime.now(UTC) + stars.PERIOD + timedelta(hours=1)


async def test_a_plan_heard_of_late_does_not_end_the_better_one(kiosk: Kiosk) -> None:
    kiosk.open()
    ada, user, token = await kiosk.person()
    await kiosk.buy(ada, token, unheard=True)
    best = await kiosk.buy(ada, token, "vip")
    await kiosk.becomes(user, "vip")
    await stars_reconciliation.read(kiosk.payments, kiosk.cashier, 0, datetime.now(UTC))
    await finish(kiosk)
    assert await renewing(kiosk) == [best]


async def test_an_old_link_and_an_old_price_are_refused(kiosk: Kiosk) -> None:
    kiosk.open()
    ada, _, token = await kiosk.person()
    slug, other = await kiosk.link(token), await kiosk.link(token, "vip")
    kiosk.cashier.prices["premium"] = Money(3000, "xtr")  # type: ignore[index]
    assert (await kiosk.pay(slug, ada))["error"] == "The price has changed. Please choose the plan again."
    async with kiosk.chat.desk.database.writing() as session:
        await session.execute(update(Operation).values(created_at=datetime.now(UTC) - timedelta(hours=25)))
    assert (await kiosk.pay(other, ada))["error"] == "This invoice is out of date. Please choose the plan again."


async def test_who_got_the_present_period_back_may_buy_again(kiosk: Kiosk) -> None:
    kiosk.open()
    ada, user, token = await kiosk.person()
    charge = await kiosk.buy(ada, token)
    await kiosk.becomes(user, "premium")
    await kiosk.payments.refund(charge, None, key="op_x:refund")
    await kiosk.booked(1, LedgerKind.REFUND)
    await kiosk.becomes(user, "free")
    assert await kiosk.row(user) is None
    again = await kiosk.buy(ada, token)
    await kiosk.becomes(user, "premium")
    await finish(kiosk)
    assert await renewing(kiosk) == [again]


async def test_a_plan_that_failed_is_not_taken_up_again_beside_a_new_one(kiosk: Kiosk) -> None:
    kiosk.open()
    ada, user, token = await kiosk.person()
    old = await kiosk.buy(ada, token)
    await kiosk.becomes(user, "premium")
    await kiosk.steer(old, "fail")
    await kiosk.stands(user, "past_due", False)
    async with kiosk.chat.desk.database.writing() as session:
        assert await stars.close_over(session, datetime.now(UTC) + stars.PERIOD + DAY, DAY) == 1
    again = await kiosk.buy(ada, token)
    await kiosk.booked(2)
    await finish(kiosk)
    assert await renewing(kiosk) == [again] and await kiosk.entries(LedgerKind.REFUND) == []


async def test_a_plan_that_runs_has_no_invoice(kiosk: Kiosk) -> None:
    kiosk.open()
    ada, user, token = await kiosk.person()
    await kiosk.chat.reply(ada, "/plan")
    *_, shown = await kiosk.chat.console.messages(ada)
    await kiosk.buy(ada, token)
    await kiosk.becomes(user, "premium")
    tapped = await kiosk.chat.console.tap(ada, shown["message_id"], BuyPlan(tier="premium", is_change=True).pack())
    assert tapped == "You have this plan already."


async def test_admins_hear_of_stars_without_an_order(kiosk: Kiosk) -> None:
    kiosk.open()
    boss, user, _ = await kiosk.person("Boss")
    async with kiosk.chat.desk.database.writing() as session:
        session.add(Role(user_id=user, name="admin", granted_at=datetime.now(UTC)))
    lost = stars.Payment("stx_lost", boss, "nobody", 7, datetime.now(UTC), is_first=True, update_id=1)
    for _ in range(2):
        async with kiosk.chat.desk.database.writing() as session:
            await stars.paid(session, kiosk.cashier.rules, lost, datetime.now(UTC))
    kiosk.chat.desk.wakes.outbox.set()
    await kiosk.chat.shows(boss, "⚠️ Stars were paid that belong to no order. They are in the books and opened no plan.")
