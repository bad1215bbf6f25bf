"""/grant and the command line give through one service; both are on record."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from models.grant import Grant
from services import manual_grants
from services.manual_grants import Gift
from tests.admin.conftest import Office
from tests.billing.conftest import Till


async def test_a_tier_is_given_for_some_days_and_on_record(office: Office) -> None:
    admin, customer = await office.admin(), await office.chat.person("Bob & Co")
    told = await office.chat.reply(admin, f"/grant {customer} vip 30 lost a <b>bet</b>")
    until = datetime.now(UTC) + timedelta(days=30)
    assert told.startswith(f"Bob & Co ({customer}) has VIP until {until.day} {until:%b}")
    user = await office.id_of(customer)
    assert await office.till.tier(user) == "vip"
    event, = await office.audit("tier_granted")
    assert (event.user_id, event.door, event.detail["admin_id"], event.detail["days"], event.detail["reason"]) == (
        user, "chat", await office.id_of(admin), 30, "lost a <b>bet</b>")


@pytest.mark.parametrize("words", ["", "{who}", "{who} vip", "{who} vip 0", "{who} vip -1", "{who} vip 9999",
                                   "{who} free 30", "{who} gold 30", "{who} vip 1e2", "{who} vip ٣", "1 vip 30",
                                   "99999999999999999999 vip 30", "' vip 30"])
async def test_hostile_words_give_nothing(office: Office, words: str) -> None:
    admin, customer = await office.admin(), await office.chat.person("Bob")
    assert await office.chat.reply(admin, f"/grant {words.format(who=customer)}".strip())
    assert await office.audit("tier_granted") == [] and await office.till.grants() == []


async def test_a_message_handled_twice_counts_once(till: Till) -> None:
    await till.person(9001)
    tier, now = till.desk.catalogue.named("vip"), datetime.now(UTC)
    assert tier is not None
    for source_id, number in (("chat:1:1", 1), ("chat:1:1", 1), ("chat:1:2", 2)):
        async with till.desk.database.writing() as session:
            await manual_grants.give(session, Gift(9001, tier, 30, "chat", source_id=source_id), now)
        async with till.desk.database.reading() as session:
            assert await session.scalar(select(func.count()).select_from(Grant)) == number
