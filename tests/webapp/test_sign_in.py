"""Signing in, staying in, and being kept out."""

import asyncio
import base64
import json
import random
import string
import time
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

import jwt

from services import auth
from tests.webapp.conftest import Door

FORGERIES = 3_000
SIGN_IN = "/api/v1/auth/telegram"


async def test_launch_data_opens_a_session(door: Door) -> None:
    status, pair, _ = await door.call("POST", SIGN_IN, body={"init_data": door.launch(4711)})
    assert status == 200
    assert (pair["token_type"], pair["expires_in"]) == ("Bearer", 900)
    claims = jwt.decode(pair["access_token"], door.desk.vault.jwt_keys[0], algorithms=["HS256"], audience="miniapp")
    assert set(claims) == {"iss", "aud", "sub", "iat", "exp", "jti"}
    status, me, _ = await door.call("GET", "/api/v1/me", token=pair["access_token"])
    assert status == 200
    assert (me["telegram_id"], me["first_name"], me["tier"], me["roles"]) == (4711, "Ada", "free", [])
    assert me["id"] == claims["sub"]


async def test_age_is_checked_in_both_directions(door: Door) -> None:
    now = int(time.time())
    for offset, expected in ((-3560, 200), (-3601, 401), (58, 200), (90, 401), (-now + 1, 401)):
        status, answer, _ = await door.call("POST", SIGN_IN, body={"init_data": door.launch(auth_date=now + offset)})
        assert status == expected, (offset, answer)
        assert expected == 200 or answer["code"] == "invalid_init_data"


async def test_three_thousand_forgeries_open_nothing(door: Door) -> None:
    """Mutated launch data and tokens: refused each time, and never a server error."""
    chance = random.Random(20261123)
    _, token = await door.person()
    genuine = door.launch()
    tries = [(_mutated(genuine, chance), None) for _ in range(FORGERIES // 2)]
    tries += [(None, _forged_token(token, chance)) for _ in range(FORGERIES // 2)]
    gate = asyncio.Semaphore(16)

    async def attempt(launch: str | None, bearer: str | None) -> tuple[int, str]:
        async with gate:
            if launch is not None:
                status, answer, _ = await door.call("POST", SIGN_IN, body={"init_data": launch})
            else:
                status, answer, _ = await door.call("GET", "/api/v1/me", token=bearer)
            return status, answer.get("code", "")

    outcomes = await asyncio.gather(*(attempt(*one) for one in tries))
    assert set(outcomes) <= {(401, "invalid_init_data"), (401, "unauthenticated"), (422, "invalid_request")}
    status, _, _ = await door.call("POST", SIGN_IN, body={"init_data": genuine})
    assert status == 200, "the genuine one still opens"


def _mutated(genuine: str, chance: random.Random) -> str:
    """Launch data that differs from the genuine in one of the ways a forger would try."""
    fields = parse_qsl(genuine)
    way = chance.randrange(9)
    if way == 0:
        name = chance.randrange(len(fields))
        fields[name] = (fields[name][0], fields[name][1] + chance.choice("0aZ~\x00\n"))
    elif way == 1:
        del fields[chance.randrange(len(fields))]
    elif way == 2:
        fields.insert(chance.randrange(len(fields)), ("user", '{"id":1,"first_name":"Eve"}'))
    elif way == 3:
        fields = [(k, v if k != "hash" else "é" * 64) for k, v in fields]
    elif way == 4:
        fields = [(k, v if k != "hash" else "".join(chance.choices("0123456789abcdef", k=64))) for k, v in fields]
    elif way == 5:
        fields.append((chance.choice(string.ascii_lowercase), "1"))
    elif way == 6:
        at = chance.randrange(len(genuine))
        swapped = genuine[:at] + chance.choice("!%&=+;\x7f") + genuine[at + 1:]
        return swapped if swapped != genuine else genuine + "&"
    elif way == 7:
        return genuine[:chance.randrange(len(genuine))]
    else:
        return genuine + "&" + chance.choice(["hash=", "auth_date=9999999999", "user=%00", "&&", "%ff=%ff"])
    return urlencode(fields)


def _forged_token(token: str, chance: random.Random) -> str:
    """An access token that was altered, resigned or made up."""
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    way = chance.randrange(6)
    if way == 0:
        at = chance.randrange(len(signature) - 1)
        letter = chance.choice([c for c in string.ascii_letters if c != signature[at]])
        return f"{head}.{body}.{signature[:at]}{letter}{signature[at + 1:]}"
    if way == 1:
        return f"{head}.{_encoded(claims | {'sub': '1', 'jti': str(chance.random())})}.{signature}"
    if way == 2:
        return f"{_encoded({'alg': chance.choice(['none', 'HS512', 'RS256']), 'typ': 'JWT'})}.{body}.{signature}"
    if way == 3:
        return jwt.encode(claims, "k" * 32 + str(chance.random()), algorithm="HS256")
    if way == 4:
        return token[:chance.randrange(1, len(token) - 1)]
    return "".join(chance.choices(string.ascii_letters + string.digits + "._-", k=chance.randrange(1, 400)))


def _encoded(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def test_a_token_must_have_every_claim_and_be_for_us(door: Door) -> None:
    user_id, _ = await door.person()
    now = int(time.time())
    good = {"iss": "countersign", "aud": "miniapp", "sub": str(user_id), "iat": now, "exp": now + 900, "jti": "x"}
    wrong = [{k: v for k, v in good.items() if k != name} for name in good]
    wrong += [good | {"aud": "ea"}, good | {"iss": "evil"}, good | {"exp": now - 1}, good | {"iat": now + 600},
              good | {"exp": now + 10**6}, good | {"sub": user_id}, good | {"sub": "1 OR 1=1"},
              good | {"aud": ["miniapp", "ea"]}]
    for claims in wrong:
        token = jwt.encode(claims, door.desk.vault.jwt_keys[0], algorithm="HS256")
        status, _, _ = await door.call("GET", "/api/v1/me", token=token)
        assert status == 401, claims
    token = jwt.encode(good, door.desk.vault.jwt_keys[0], algorithm="HS256")
    assert (await door.call("GET", "/api/v1/me", token=token))[0] == 200


async def test_tokens_are_taken_from_the_header_alone(door: Door) -> None:
    _, token = await door.person()
    assert (await door.call("GET", f"/api/v1/me?access_token={token}&token={token}"))[0] == 401
    assert (await door.call("GET", "/api/v1/me", headers={"Cookie": f"access_token={token}"}))[0] == 401
    assert (await door.call("GET", "/api/v1/me", headers={"Authorization": f"bearer {token}"}))[0] == 401


async def test_a_refresh_token_used_twice_ends_its_family(door: Door) -> None:
    _, pair, _ = await door.call("POST", SIGN_IN, body={"init_data": door.launch()})
    first = pair["refresh_token"]
    status, second, _ = await door.call("POST", "/api/v1/auth/refresh", body={"refresh_token": first})
    assert status == 200 and second["refresh_token"] != first
    assert (await door.call("POST", "/api/v1/auth/refresh", body={"refresh_token": first}))[0] == 401
    status, problem, _ = await door.call("POST", "/api/v1/auth/refresh",
                                         body={"refresh_token": second["refresh_token"]})
    assert (status, problem["code"]) == (401, "unauthenticated")


async def test_two_refreshes_at_once_give_one_pair(door: Door) -> None:
    _, pair, _ = await door.call("POST", SIGN_IN, body={"init_data": door.launch()})
    body = {"refresh_token": pair["refresh_token"]}
    answers = await asyncio.gather(*(door.call("POST", "/api/v1/auth/refresh", body=body) for _ in range(8)))
    assert sorted(status for status, _, _ in answers) == [200] + [401] * 7


async def test_signing_out_ends_the_session(door: Door) -> None:
    _, pair, _ = await door.call("POST", SIGN_IN, body={"init_data": door.launch()})
    status, body, _ = await door.call("POST", "/api/v1/auth/logout", token=pair["access_token"],
                                      body={"refresh_token": pair["refresh_token"]})
    assert (status, body) == (204, b"")
    assert (await door.call("POST", "/api/v1/auth/refresh", body={"refresh_token": pair["refresh_token"]}))[0] == 401


async def test_tokens_survive_a_rotation_of_the_master_key(door: Door) -> None:
    user_id, _ = await door.person()
    older = auth.Tokens([b"o" * 32], 900, door.desk.tokens.refresh_idle).issue(user_id, datetime.now(UTC))
    assert (await door.call("GET", "/api/v1/me", token=older))[0] == 401
    door.desk.tokens.keys.append(b"o" * 32)
    assert (await door.call("GET", "/api/v1/me", token=older))[0] == 200
