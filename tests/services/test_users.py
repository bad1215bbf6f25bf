"""People at the desk: entering is safe to repeat, tiers fold over grants, keys stay sealed."""

import asyncio
import base64
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

import commands
import config
from models.account import Account
from models.audit import AuditEvent
from models.provider import Follow, ProviderKey
from models.user import CardNotice, Role, User
from services import accounts, entry, providers, tiers, users
from services.desk import Desk
from services.errors import InvalidRequest, NoAccount, NotFound
from services.users import Person
from services.vault import SealBroken
from tests.services import stage

ANNA = Person(4711, "Anna <b>", "Ω", "anna", "de")


# -- users -------------------------------------------------------------------------------------------------------------


async def test_twenty_first_messages_at_once_are_one_user_with_one_account(desk: Desk, now: datetime) -> None:
    provider_ids = [await stage.found(desk, now, name) for name in ("One", "Two")]
    ids = await asyncio.gather(*(entry.enter(desk, ANNA, now) for _ in range(20)))
    assert len(set(ids)) == 1
    for table in (User, Account):
        assert await stage.count(desk.database, table) == 1
    for action in ("user_created", "account_opened"):
        assert await stage.count(desk.database, AuditEvent, AuditEvent.action == action) == 1
    async with desk.database.reading() as session:
        assert sorted(await session.scalars(select(Follow.provider_id))) == provider_ids
        account = await accounts.primary(session, ids[0])
    assert (account.route, account.status, account.currency) == ("paper", "verified", "USD")
    snapshot = await desk.gateways["paper"].account(accounts.ref(account))
    assert snapshot.balance == desk.onboarding.paper_deposit


async def test_entering_again_refreshes_names_and_follows_nobody_anew(desk: Desk, now: datetime) -> None:
    provider_id = await stage.found(desk, now)
    user_id = await entry.enter(desk, ANNA, now)
    async with desk.database.writing() as session:
        await providers.unfollow(session, user_id, provider_id)
    assert await entry.enter(desk, Person(4711, "Anne"), now + timedelta(days=1)) == user_id
    async with desk.database.reading() as session:
        user = await users.by_id(session, user_id)
        assert (await users.by_telegram_id(session, 4711)) is user
    assert (user.first_name, user.last_name, user.username, user.created_at) == ("Anne", None, None, now)
    assert await stage.count(desk.database, Follow) == 0


async def test_roles_come_from_the_table(desk: Desk, now: datetime) -> None:
    async with desk.database.writing() as session:
        admin = await users.enter(session, ANNA, now, auto_follow=True, admin_ids=(4711,))
        other = await users.enter(session, Person(4712, "admin", username="admin"), now, auto_follow=True,
                                  admin_ids=(4711,))
        assert await users.roles_of(session, admin) == ["admin"] and await users.roles_of(session, other) == []
        for _ in range(2):
            await users.name_admins(session, (4712, 999), now)
        assert await users.roles_of(session, other) == ["admin"]
    assert await stage.count(desk.database, Role) == 2


async def test_blocked_and_back(desk: Desk, now: datetime) -> None:
    user_id = await entry.enter(desk, ANNA, now)

    async def user() -> User:
        async with desk.database.reading() as session:
            return await users.by_id(session, user_id)

    for moment in (now, now + timedelta(days=1)):
        async with desk.database.writing() as session:
            await users.mark_blocked(session, 4711, moment)
        assert (await user()).blocked_at == now, "since when, not how often"
    async with desk.database.writing() as session:
        await users.mark_reachable(session, 4711)
        await users.set_card_notice(session, user_id, CardNotice.SILENT)
    assert ((await user()).blocked_at, (await user()).card_notice) == (None, "silent")
    async with desk.database.reading() as session:
        with pytest.raises(NotFound):
            await users.by_id(session, user_id + 1)


# -- accounts ----------------------------------------------------------------------------------------------------------


async def test_an_account_is_its_owners_alone(desk: Desk, now: datetime) -> None:
    owner, stranger = await stage.join(desk, now), await stage.join(desk, now)
    async with desk.database.writing() as session:
        (mine,) = await accounts.listed(session, owner)
        assert (await accounts.owned(session, owner, mine.id)).id == mine.id
        for user_id, account_id in ((stranger, mine.id), (owner, mine.id + 99)):
            with pytest.raises(NotFound):
                await accounts.change(session, user_id, account_id, label="x", sizing=None, now=now)
        changed = await accounts.change(session, owner, mine.id, label="Mine", sizing={"mode": "fixed",
                                        "volume": "0.10"}, now=now)
        with pytest.raises(NoAccount):
            await accounts.primary(session, 10**6)
    assert (changed.label, changed.sizing) == ("Mine", {"mode": "fixed", "volume": "0.10"})


# -- tiers -------------------------------------------------------------------------------------------------------------


async def test_the_tier_is_the_highest_grant_of_the_moment(desk: Desk, now: datetime) -> None:
    user_id, other = await stage.join(desk, now, "free"), await stage.join(desk, now, "free")

    async def tier(after: timedelta, who: int = user_id) -> str:
        async with desk.database.reading() as session:
            return (await tiers.tier_of(session, desk.catalogue, who, now + after)).name

    async with desk.database.writing() as session:
        for name, days in (("vip", 10), ("premium", 30), ("enterprise", 1)):
            tiers.grant(session, desk.catalogue.named(name), user_id, days, "manual", now)
    second, day = timedelta(seconds=1), timedelta(days=1)
    assert [await tier(moment) for moment in (-second, 0 * day, day - second, day, 10 * day - second, 10 * day,
                                              30 * day - second, 30 * day)] == [
        "free", "enterprise", "enterprise", "vip", "vip", "premium", "premium", "free"]
    assert await tier(0 * day, other) == "free"


def test_the_catalogue_is_the_contracts() -> None:
    catalogue = commands.catalogue(config.load({}))
    found = {tier.name: (tier.rank, tier.accounts, tier.devices, tier.live, tier.copy_trading, tier.card_delay_seconds)
             for tier in catalogue}
    assert found == {"free": (0, 1, 1, False, False, 900), "premium": (1, 1, 1, True, False, 0),
                     "vip": (2, 3, 3, True, True, 0), "enterprise": (3, 20, 20, True, True, 0)}
    assert catalogue.first_live.name == "premium" and catalogue.named("gold") is None


# -- providers ---------------------------------------------------------------------------------------------------------


async def test_a_providers_key_opens_for_its_id_alone(desk: Desk, now: datetime) -> None:
    async with desk.database.writing() as session:
        one = await providers.add(session, desk.vault, " One ", now)
        two = await providers.add(session, desk.vault, "Two", now)
    secret = base64.urlsafe_b64decode(one.secret + "=")
    async with desk.database.reading() as session:
        key = await providers.signing_key(session, desk.vault, one.key_id)
        first = await providers.first_key(session, desk.vault, "One")
        rows = {row.key_id: row.sealed_secret for row in await session.scalars(select(ProviderKey))}
        assert await providers.signing_key(session, desk.vault, "pk_unknown") is None
        assert await providers.first_key(session, desk.vault, "Nobody") is None
    assert key is not None and (key.provider_id, key.secret, len(secret)) == (one.provider_id, secret, 32)
    assert first == one and all(secret not in sealed for sealed in rows.values())
    async with desk.database.writing() as session:
        (await session.get_one(ProviderKey, one.key_id)).sealed_secret = rows[two.key_id]
    async with desk.database.reading() as session:
        with pytest.raises(SealBroken):
            await providers.signing_key(session, desk.vault, one.key_id)


async def test_revoked_keys_and_disabled_providers_sign_nothing(desk: Desk, now: datetime) -> None:
    async with desk.database.writing() as session:
        made = [await providers.add(session, desk.vault, name, now) for name in ("One", "Two")]
        (await session.get_one(ProviderKey, made[0].key_id)).revoked_at = now
        (await session.get_one(providers.Provider, made[1].provider_id)).disabled_at = now
    async with desk.database.reading() as session:
        for credentials in made:
            assert await providers.signing_key(session, desk.vault, credentials.key_id) is None


async def test_unusable_names_are_refused(desk: Desk, now: datetime) -> None:
    await stage.found(desk, now, "Taken")
    for name in ("", "  ", "a" * 65, "a\nb", "a\x00", "Taken", "Taken "):
        with pytest.raises(InvalidRequest):
            await stage.found(desk, now, name)


async def test_following_twice_is_following_once(desk: Desk, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    provider_id = await stage.found(desk, now, "zeta")
    await stage.found(desk, now, "Alpha")

    async def follow() -> None:
        async with desk.database.writing() as session:
            await providers.follow(session, user_id, provider_id, now)

    await asyncio.gather(*(follow() for _ in range(8)))
    async with desk.database.writing() as session:
        listed = [(row["name"], row["following"]) for row in await providers.listed(session, user_id)]
        assert listed == [("Alpha", False), ("zeta", True)]
        for _ in range(2):
            await providers.unfollow(session, user_id, provider_id)
        for act in (providers.follow(session, user_id, 10**6, now), providers.unfollow(session, user_id, 10**6)):
            with pytest.raises(NotFound):
                await act
    assert await stage.count(desk.database, Follow) == 0
