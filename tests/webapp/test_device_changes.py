"""Changing devices over HTTP: new secrets with and without a time of grace, and which account a device serves."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from models.account import Account
from models.device import Device
from services import device_keys, devices, tiers
from tests.webapp import documented
from tests.webapp.conftest import Door
from tests.webapp.devices_stage import SNAPSHOT, Key, push, register, report

DEVICES, LINK = "/api/v1/devices", "/api/v1/accounts/link"


async def vip(door: Door, telegram_id: int = 7001) -> str:
    """A user with room for three devices; returns their token."""
    user_id, token = await door.person(telegram_id, f"U{telegram_id}")
    tier = door.desk.catalogue.named("vip")
    assert tier is not None
    async with door.desk.database.writing() as session:
        tiers.grant(session, tier, user_id, 30, "manual", datetime.now(UTC))
    return token


async def rotate(door: Door, token: str, key: Key, grace: int | None = None) -> Key:
    body = {} if grace is None else {"grace_seconds": grace}
    status, made, _ = await door.call("POST", f"{DEVICES}/{key[0]}/rotate", token=token, body=body)
    documented.check("POST", "/devices/{id}/rotate", status, made)
    assert status == 200 and made["device"]["has_previous_key"] is bool(grace), made
    return key[0], made["secret"]


async def change(door: Door, token: str, device_id: str, **body: Any) -> tuple[int, dict[str, Any]]:
    status, answer, _ = await door.call("PATCH", f"{DEVICES}/{device_id}", token=token, body=body)
    documented.check("PATCH", "/devices/{id}", status, answer)
    return status, answer


async def asks(door: Door, key: Key) -> int:
    """What a device is answered that asks with this secret."""
    return (await door.signed("POST", SNAPSHOT, key, report()))[0]


async def linked(door: Door, token: str, key: Key, **changes: Any) -> dict[str, Any]:
    """The account that the device has reported."""
    await push(door, key, **changes)
    status, account, _ = await door.call("POST", LINK, token=token, body={"route": "device", "device_id": key[0]})
    assert status == 201, account
    return dict(account)


async def account_of(door: Door, account_id: str) -> Account:
    async with door.desk.database.reading() as session:
        return await session.get_one(Account, int(account_id))


async def shown(door: Door, token: str, account_id: str) -> dict[str, Any]:
    return dict((await door.call("GET", f"/api/v1/accounts/{account_id}", token=token))[1])


class TestNewSecrets:
    async def test_without_grace_the_old_one_ends_at_once(self, door: Door) -> None:
        token = await vip(door)
        old = await register(door, token)
        assert await asks(door, old) == 204
        status, made, _ = await door.call("POST", f"{DEVICES}/{old[0]}/rotate", token=token)
        assert status == 200 and made["device"]["has_previous_key"] is False
        assert await asks(door, old) == 401
        assert await asks(door, (old[0], made["secret"])) == 204

    async def test_with_grace_it_is_good_until_the_new_one_is_used(self, door: Door) -> None:
        token = await vip(door)
        old = await register(door, token)
        new = await rotate(door, token, old, 600)
        assert [await asks(door, old) for _ in range(2)] == [204, 204]
        assert await asks(door, new) == 204
        assert await asks(door, old) == 401
        assert (await door.call("GET", DEVICES, token=token))[1]["items"][0]["has_previous_key"] is False

    async def test_with_grace_it_is_good_until_the_time_is_over(self, door: Door) -> None:
        token = await vip(door)
        old = await register(door, token)
        new = await rotate(door, token, old, 600)
        async with door.desk.database.writing() as session:
            await session.execute(update(Device).values(previous_until=datetime.now(UTC) - timedelta(seconds=1)))
            device_keys.note_change(session, old[0])
        assert (await door.call("GET", DEVICES, token=token))[1]["items"][0]["has_previous_key"] is False
        assert (await asks(door, old), await asks(door, new)) == (401, 204)

    async def test_a_second_one_does_not_cut_off_a_terminal_that_has_had_neither(self, door: Door) -> None:
        token = await vip(door)
        old = await register(door, token)
        lost = await rotate(door, token, old, 600)
        new = await rotate(door, token, old, 600)
        assert (await asks(door, old), await asks(door, lost), await asks(door, new)) == (204, 401, 204)
        assert await asks(door, old) == 401
        await rotate(door, token, new, 600)
        await rotate(door, token, new)
        assert await asks(door, new) == 401, "without grace every older one ends"

    async def test_a_revoked_device_has_no_good_secret(self, door: Door) -> None:
        token = await vip(door)
        old = await register(door, token)
        new = await rotate(door, token, old, 3600)
        await door.call("POST", f"{DEVICES}/{old[0]}/revoke", token=token)
        assert (await asks(door, old), await asks(door, new)) == (401, 401)
        async with door.desk.database.reading() as session:
            row = await session.get_one(Device, old[0])
        assert (row.sealed_previous_secret, row.previous_until) == (None, None)

    async def test_many_at_once_leave_one_that_is_good(self, door: Door) -> None:
        token = await vip(door)
        old = await register(door, token)
        made = await asyncio.gather(*(door.call("POST", f"{DEVICES}/{old[0]}/rotate", token=token)
                                      for _ in range(6)))
        secrets = {answer["secret"] for status, answer, _ in made if status == 200}
        assert len(secrets) == 6
        assert sorted([await asks(door, (old[0], secret)) for secret in secrets]) == [204] + [401] * 5

    @pytest.mark.parametrize("body", [{"grace_seconds": -1}, {"grace_seconds": 3601}, {"grace_seconds": "60"},
                                      {"grace_seconds": None}, {"grace": 1}, {"grace_seconds": 1.5}])
    async def test_the_time_has_bounds(self, door: Door, body: dict[str, Any]) -> None:
        token = await vip(door)
        key = await register(door, token)
        status, refused, _ = await door.call("POST", f"{DEVICES}/{key[0]}/rotate", token=token, body=body)
        documented.check("POST", "/devices/{id}/rotate", status, refused)
        assert status == 422 and await asks(door, key) == 204


class TestChanges:
    @pytest.mark.parametrize("body", [{}, {"name": None}, {"requires_envelope": None}, {"requires_envelope": "yes"},
                                      {"account_id": 5}, {"account_id": "0"}, {"account_id": "x"}, {"secret": "x"},
                                      {"name": "a\u202eb"}])
    async def test_a_change_says_something_that_can_be(self, door: Door, body: dict[str, Any]) -> None:
        token = await vip(door)
        key = await register(door, token)
        status, refused = await change(door, token, key[0], **body)
        assert (status, refused["code"]) == (422, "invalid_request")

    async def test_what_is_not_named_stays(self, door: Door) -> None:
        token = await vip(door)
        key = await register(door, token)
        account = await linked(door, token, key)
        for body, expected in (({"requires_envelope": True}, ("VPS", True)), ({"name": "Home"}, ("Home", True)),
                               ({"requires_envelope": False}, ("Home", False))):
            status, answer = await change(door, token, key[0], **body)
            assert status == 200
            assert (answer["name"], answer["requires_envelope"]) == expected
            assert answer["account_id"] == account["id"]

    async def test_a_device_that_must_seal_is_refused_when_it_does_not(self, door: Door) -> None:
        token = await vip(door)
        key = await register(door, token)
        assert await asks(door, key) == 204
        assert (await change(door, token, key[0], requires_envelope=True))[0] == 200
        status, refused, headers = await door.signed("POST", SNAPSHOT, key, report())
        assert (status, refused["code"]) == (403, "envelope_required") and "X-Signature" in headers

    async def test_what_it_tells_of_its_terminal_is_shown(self, door: Door) -> None:
        token = await vip(door)
        key = await register(door, token)
        _, made = await change(door, token, key[0], name="A")
        assert (made["version"], made["is_trading_allowed"]) == (None, None)
        told = {"version": "1.2.3", "trade_allowed": True, "expert_allowed": True, "account_allowed": True}
        for off in (None, "trade_allowed", "expert_allowed", "account_allowed"):
            async with door.desk.database.writing() as session:
                await session.execute(update(Device).values(terminal={**told, **({off: False} if off else {})}))
            _, listed, _ = await door.call("GET", DEVICES, token=token)
            [device] = listed["items"]
            assert (device["version"], device["is_trading_allowed"]) == ("1.2.3", off is None)


class TestAccounts:
    async def test_a_second_device_serves_and_takes_over(self, door: Door) -> None:
        token = await vip(door)
        first, second = await register(door, token), await register(door, token, "Second")
        account = await linked(door, token, first)
        await push(door, second, equity="2700.00")
        status, answer = await change(door, token, second[0], account_id=account["id"])
        assert (status, answer["account_id"]) == (200, account["id"])
        assert (await account_of(door, account["id"])).device_id == first[0], "the first one still vouches for it"
        await door.call("POST", f"{DEVICES}/{first[0]}/revoke", token=token)
        row = await account_of(door, account["id"])
        assert (row.device_id, row.status) == (second[0], "verified")
        assert (await shown(door, token, account["id"]))["info"]["equity"] == "2700.00"

    async def test_one_that_is_revoked_meanwhile_links_nothing(self, door: Door) -> None:
        for turn in range(8):
            token = await vip(door, 7100 + turn)
            key = await register(door, token)
            await push(door, key, login=str(70_200_000 + turn))
            revoked, (status, account, _) = await asyncio.gather(
                door.call("POST", f"{DEVICES}/{key[0]}/revoke", token=token),
                door.call("POST", LINK, token=token, body={"route": "device", "device_id": key[0]}))
            assert revoked[0] == 200 and status in (201, 404, 422), account
            if status == 201:
                assert (await account_of(door, account["id"])).status == "broken"

    async def test_one_that_links_another_account_vouches_no_more_for_the_first(self, door: Door) -> None:
        token = await vip(door)
        key, other = await register(door, token), await register(door, token, "Second")
        first = await linked(door, token, key)
        second = await linked(door, token, key, login="70054321")
        told = [await account_of(door, made["id"]) for made in (first, second)]
        assert [(row.device_id, row.status, row.trouble) for row in told] == [
            (None, "broken", "device_unbound"), (key[0], "verified", None)]
        again = await linked(door, token, other)
        assert (again["id"], again["status"]) == (first["id"], "verified")
        assert (await account_of(door, second["id"])).device_id == key[0]

    async def test_revoking_ends_also_what_was_linked_while_it_waited_for_its_turn(self, door: Door) -> None:
        token = await vip(door)
        key, asked_at = await register(door, token), datetime.now(UTC)
        account = await linked(door, token, key)
        user_id = (await account_of(door, account["id"])).user_id
        async with door.desk.database.writing() as session:
            await devices.revoke(session, user_id, key[0], asked_at)
        row = await account_of(door, account["id"])
        assert (row.device_id, row.status, row.trouble) == (None, "broken", "device_revoked")

    async def test_one_that_reports_another_account_does_not_take_over(self, door: Door) -> None:
        token = await vip(door)
        first, second = await register(door, token), await register(door, token, "Second")
        account = await linked(door, token, first)
        await push(door, second, login="70099999")
        await change(door, token, second[0], account_id=account["id"])
        await door.call("POST", f"{DEVICES}/{first[0]}/revoke", token=token)
        row = await account_of(door, account["id"])
        assert (row.device_id, row.status, row.trouble) == (None, "broken", "device_revoked")

    async def test_registering_for_an_account_leaves_who_vouches_for_it(self, door: Door) -> None:
        token = await vip(door)
        first = await register(door, token)
        account = await linked(door, token, first)
        await register(door, token, "Second", account_id=account["id"])
        assert (await account_of(door, account["id"])).device_id == first[0]
        assert (await shown(door, token, account["id"]))["info"] is not None

    async def test_taking_its_only_device_away_breaks_the_link_until_it_reports_and_links_again(
            self, door: Door) -> None:
        token = await vip(door)
        key = await register(door, token)
        account = await linked(door, token, key)
        status, answer = await change(door, token, key[0], account_id=None)
        assert (status, answer["account_id"]) == (200, None)
        told = await shown(door, token, account["id"])
        assert (told["status"], told["trouble"]) == ("broken", "device_unbound")
        await change(door, token, key[0], account_id=account["id"])
        assert (await shown(door, token, account["id"]))["status"] == "broken", "to say so is no proof"
        again = await linked(door, token, key, equity="2511.00")
        assert (again["id"], again["status"]) == (account["id"], "verified")

    async def test_the_same_account_again_changes_nothing(self, door: Door) -> None:
        token = await vip(door)
        key = await register(door, token)
        account = await linked(door, token, key)
        await change(door, token, key[0], account_id=account["id"])
        row = await account_of(door, account["id"])
        assert (row.device_id, row.status) == (key[0], "verified")

    async def test_anothers_account_is_not_there(self, door: Door) -> None:
        ada, eve = await vip(door), await vip(door, 7002)
        hers = await register(door, eve)
        mine = (await door.call("GET", "/api/v1/accounts", token=ada))[1]["items"][0]["id"]
        for named in (mine, "999999"):
            status, refused = await change(door, eve, hers[0], account_id=named)
            assert (status, refused["code"]) == (404, "not_found")
        async with door.desk.database.reading() as session:
            assert (await session.scalars(select(Device.account_id))).all() == [None]
