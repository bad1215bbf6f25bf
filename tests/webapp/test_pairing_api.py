"""Pairing over HTTP: a code makes one device, once, for whoever has it, and is nowhere to be found."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import func, select, update

from models.base import Base
from models.device import Device, PairingCode
from models.message import OutboxItem
from models.user import User
from services import pairing, tiers
from services.vault import Vault
from tests.webapp import documented
from tests.webapp.conftest import Door
from tests.webapp.devices_stage import push, register
from webapp import qr

OFFER, PAIR = "/api/v1/devices/pairing", "/api/v1/ea/pair"


@pytest.fixture
def overlay(overlay: dict[str, Any]) -> dict[str, Any]:
    return {**overlay, "limits": {**overlay["limits"], "pairings": 100_000}}


async def offered(door: Door, token: str, name: str = "MT5-home") -> dict[str, Any]:
    """A code that is good."""
    status, made, _ = await door.call("POST", OFFER, token=token, body={"name": name})
    documented.check("POST", "/devices/pairing", status, made)
    assert status == 201, made
    return dict(made)


async def use(door: Door, code: str, **more: Any) -> tuple[int, Any]:
    """What a terminal is answered to a code."""
    body = {"code": code, "login": "70012345", "server": "Harbour-Live", "version": "1.0.0", **more}
    status, answer, _ = await door.call("POST", PAIR, body=body)
    documented.check("POST", "/ea/pair", status, answer)
    return status, answer


async def vip(door: Door, user_id: int, name: str = "vip") -> None:
    tier = door.desk.catalogue.named(name)
    assert tier is not None
    async with door.desk.database.writing() as session:
        tiers.grant(session, tier, user_id, 30, "manual", datetime.now(UTC))


async def everything(door: Door) -> str:
    """Every row of every table, as text."""
    async with door.desk.database.reading() as session:
        rows = [repr((await session.execute(select(table))).all()) for table in Base.metadata.sorted_tables]
    return "\n".join(rows)


async def test_a_code_makes_a_device_that_can_sign(door: Door) -> None:
    _, token = await door.person()
    made = await offered(door, token)
    assert re.fullmatch(f"[{pairing.ALPHABET}]{{5}}-[{pairing.ALPHABET}]{{5}}", made["code"])
    left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=8) < left <= timedelta(minutes=10)
    status, waiting, _ = await door.call("GET", f"{OFFER}/{made['id']}", token=token)
    documented.check("GET", "/devices/pairing/{id}", status, waiting)
    assert waiting["device"] is None and "code" not in waiting
    status, paired = await use(door, made["code"])
    assert status == 201
    await push(door, (paired["device"]["id"], paired["secret"]))
    status, done, _ = await door.call("GET", f"{OFFER}/{made['id']}", token=token)
    documented.check("GET", "/devices/pairing/{id}", status, done)
    assert done["device"]["id"] == paired["device"]["id"] and done["device"]["name"] == "MT5-home"
    assert paired["device"]["account_id"] is None, "nothing is linked before it has reported"
    _, listed, _ = await door.call("GET", "/api/v1/devices", token=token)
    assert [each["id"] for each in listed["items"]] == [paired["device"]["id"]]


async def test_the_picture_holds_address_and_code_and_nothing_that_runs(door: Door) -> None:
    made = await offered(door, (await door.person())[1])
    assert made["qr_svg"] == qr.svg(f"{door.settings.public_url}\n{made['code']}")
    assert re.fullmatch(r'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \d+ \d+"><path [^<>]*/></svg>',
                        made["qr_svg"])



@pytest.mark.parametrize("write", [str.lower, lambda code: code.replace("-", ""), lambda code: code.replace("-", "—"),
                                   lambda code: f" {code[:3]} {code[3:]}\t"])
async def test_a_code_is_read_as_people_write_it(door: Door, write: Any) -> None:
    made = await offered(door, (await door.person())[1])
    assert (await use(door, write(made["code"]), login=70012345, version=None))[0] == 201


async def test_used_by_many_at_once_it_makes_one_device(door: Door) -> None:
    user_id, token = await door.person()
    await vip(door, user_id, "enterprise")
    made = await offered(door, token)
    answers = await asyncio.gather(*(use(door, made["code"]) for _ in range(10)))
    assert sorted(status for status, _ in answers) == [201] + [401] * 9
    async with door.desk.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Device)) == 1
    assert (await use(door, made["code"]))[0] == 401


async def test_every_code_that_is_not_good_gets_the_same_answer(door: Door) -> None:
    user_id, token = await door.person()
    await vip(door, user_id)
    used, ended = await offered(door, token, "A"), await offered(door, token, "B")
    assert (await use(door, used["code"]))[0] == 201
    latest = [await offered(door, token, name) for name in ("C", "D", "E")]
    expired = latest.pop(0)
    async with door.desk.database.writing() as session:
        await session.execute(update(PairingCode).where(PairingCode.id == int(expired["id"]))
                              .values(expires_at=datetime.now(UTC)))
    codes = [used["code"], ended["code"], expired["code"], "AAAAA-AAAAA", "", "x", "☃" * 10, "0" * 64, "ＡＡＡＡＡ"]
    answers = [await use(door, code) for code in codes]
    assert [status for status, _ in answers] == [401] * len(codes)
    assert len({json.dumps(answer | {"request_id": ""}) for _, answer in answers}) == 1
    assert (await door.call("GET", f"{OFFER}/{ended['id']}", token=token))[0] == 404
    for made in latest:
        assert (await use(door, made["code"]))[0] == 201


async def test_the_plan_is_asked_when_a_code_is_made_and_when_it_is_used(door: Door) -> None:
    _, token = await door.person()
    made = await offered(door, token)
    device_id, _ = await register(door, token, "Other")
    status, refused, _ = await door.call("POST", OFFER, token=token, body={"name": "More"})
    documented.check("POST", "/devices/pairing", status, refused)
    assert (status, refused["code"], refused["needed_tier"]) == (403, "limit_reached", "vip")
    assert (await use(door, made["code"]))[0] == 401
    assert (await door.call("POST", f"/api/v1/devices/{device_id}/revoke", token=token))[0] == 200
    assert (await use(door, made["code"]))[0] == 201, "a refusal has not used it up"


async def test_a_name_that_is_taken_is_refused_or_numbered(door: Door) -> None:
    user_id, token = await door.person()
    await vip(door, user_id)
    long = "M" * 64
    codes = [(await offered(door, token, long))["code"] for _ in range(3)]
    names = [(await use(door, code))[1]["device"]["name"] for code in codes]
    assert names == [long, "M" * 60 + " 2", "M" * 60 + " 3"]
    async with door.desk.database.writing() as session:
        await session.execute(update(Device).where(Device.name != long).values(revoked_at=datetime.now(UTC)))
    status, refused, _ = await door.call("POST", OFFER, token=token, body={"name": long})
    documented.check("POST", "/devices/pairing", status, refused)
    assert (status, refused["code"]) == (409, "name_taken")


async def test_its_owner_hears_of_it_in_the_chat(door: Door) -> None:
    user_id, token = await door.person()
    await vip(door, user_id)
    _, paired = await use(door, (await offered(door, token))["code"], server="<b>Harbour</b>")
    async with door.desk.database.reading() as session:
        [told] = await session.scalars(select(OutboxItem).where(OutboxItem.dedupe_key.like("paired:%")))
    assert told.chat_id == 7001 and told.payload == {
        "template": "device_paired", "device_id": paired["device"]["id"], "name": "MT5-home", "login": "70012345",
        "server": "<b>Harbour</b>"}
    async with door.desk.database.writing() as session:
        await session.execute(update(User).values(blocked_at=datetime.now(UTC)))
    assert (await use(door, (await offered(door, token, "B"))["code"]))[0] == 201
    async with door.desk.database.reading() as session:
        assert len((await session.scalars(select(OutboxItem))).all()) == 1, "who has left is told nothing"


async def test_anothers_code_is_not_there(door: Door) -> None:
    made = await offered(door, (await door.person())[1])
    _, eve = await door.person(7002, "Eve")
    for named in (made["id"], "999999", "x", "%00"):
        status, answer, _ = await door.call("GET", f"{OFFER}/{named}", token=eve)
        assert (status, answer["code"]) == (404, "not_found")
    for method, path in (("POST", OFFER), ("GET", f"{OFFER}/{made['id']}")):
        assert (await door.call(method, path, body={"name": "x"} if method == "POST" else None))[0] == 401


@pytest.mark.parametrize(("path", "body"), [
    (OFFER, {}), (OFFER, {"name": ""}), (OFFER, {"name": " x"}), (OFFER, {"name": "x", "code": "y"}),
    (PAIR, {"code": "x"}), (PAIR, {"code": 5, "login": "1", "server": "S"}),
    (PAIR, {"code": "x" * 65, "login": "1", "server": "S"}), (PAIR, {"code": "x", "login": "0", "server": "S"}),
    (PAIR, {"code": "x", "login": "1", "server": "a\nb"}), (PAIR, {"code": "x", "login": "1", "server": "S", "a": 1}),
    (PAIR, {"code": "x", "login": "1", "server": "S", "version": "v" * 33})])
async def test_a_body_of_another_form_is_refused(door: Door, path: str, body: dict[str, Any]) -> None:
    _, token = await door.person()
    status, refused, _ = await door.call("POST", path, token=token if path == OFFER else None, body=body)
    documented.check("POST", "/devices/pairing" if path == OFFER else "/ea/pair", status, refused)
    assert status == 422


async def test_codes_and_secrets_are_nowhere_to_be_found(door: Door) -> None:
    user_id, token = await door.person()
    await vip(door, user_id)
    with structlog.testing.capture_logs() as logs:
        made = await offered(door, token)
        _, refused, _ = await door.call("POST", PAIR, body={"code": made["code"], "login": "x"})
        _, paired = await use(door, made["code"])
        _, again = await use(door, made["code"])
        key = await register(door, token, "Other")
        path = f"/api/v1/devices/{key[0]}/rotate"
        headers = {"Idempotency-Key": "the-same-key"}
        rotated = [(await door.call("POST", path, token=token, headers=headers, body={"grace_seconds": 60}))[1]
                   for _ in range(2)]
        answers = [refused, again, (await door.call("GET", f"{OFFER}/{made['id']}", token=token))[1],
                   (await door.call("GET", "/api/v1/devices", token=token))[1],
                   (await door.call("PATCH", f"/api/v1/devices/{key[0]}", token=token, body={"name": "Third"}))[1],
                   (await door.call("POST", f"/api/v1/devices/{key[0]}/revoke", token=token))[1]]
        page = (await door.call("GET", "/app/fragments/accounts", token=token))[1].decode()
    assert rotated[0]["secret"] != rotated[1]["secret"], "no answer with a secret is kept to be given again"
    kept = await everything(door) + json.dumps([answers, logs], default=repr) + page
    async with door.desk.redis.pipeline() as asked:
        for name in await door.desk.redis.keys():
            asked.dump(name)
        kept += repr(await asked.execute())
    canaries = [made["code"], made["code"].replace("-", ""), paired["secret"], key[1], *(r["secret"] for r in rotated)]
    for canary in canaries:
        assert canary not in kept, canary
    assert "MT5-home" in kept and paired["device"]["id"] in kept


async def test_a_stolen_database_does_not_give_codes_away(door: Door) -> None:
    """The digest depends on the master key; one made under the key before is still good."""
    made = await offered(door, (await door.person())[1])
    async with door.desk.database.reading() as session:
        digest = (await session.scalars(select(PairingCode.digest))).one()
    code = made["code"].replace("-", "")
    old, new = bytes(range(32)), bytes(range(32, 64))
    assert digest == pairing._digests(door.desk.vault, code)[0]
    under_old, under_both = pairing._digests(Vault(old), code), pairing._digests(Vault(new, old), code)
    assert len({digest, *under_old, *under_both}) == 3 and under_old[0] == under_both[1]


class TestLimits:
    @pytest.fixture
    def overlay(self, overlay: dict[str, Any]) -> dict[str, Any]:
        return {**overlay, "limits": {**overlay["limits"], "pairings": 5}}

    async def test_codes_cannot_be_tried_out(self, door: Door) -> None:
        made = await offered(door, (await door.person())[1])
        assert [(await use(door, "AAAAA-AAAAA"))[0] for _ in range(5)] == [401] * 5
        status, refused, headers = await door.call("POST", PAIR, body={"code": made["code"], "login": "1",
                                                                       "server": "S"})
        documented.check("POST", "/ea/pair", status, refused)
        assert status == 429 and int(headers["Retry-After"]) > 0
        async with door.desk.database.reading() as session:
            assert await session.scalar(select(PairingCode.used_at)) is None


async def test_old_codes_are_swept(door: Door) -> None:
    user_id, token = await door.person()
    await vip(door, user_id)
    await use(door, (await offered(door, token, "A"))["code"])
    await offered(door, token, "B")
    now = datetime.now(UTC)
    async with door.desk.database.writing() as session:
        assert await pairing.drop_expired(session, now, 500) == 0
        assert await pairing.drop_expired(session, now + timedelta(minutes=11), 1) == 1
        assert await pairing.drop_expired(session, now + timedelta(minutes=11), 500) == 1
