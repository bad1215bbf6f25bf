"""Sessions: access tokens that cannot be forged or outlive their time, refresh tokens that can be used once."""

import asyncio
import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from models.audit import AuditEvent
from models.user import RefreshToken
from services import auth
from services.auth import Pair, Tokens
from services.desk import Desk
from services.errors import Unauthenticated
from tests.services import stage

NOW = datetime(2026, 3, 1, 12, 0, 0, 400_000, tzinfo=UTC)
KEY, OTHER_KEY = bytes(range(32)), bytes(range(32, 64))
TOKENS = Tokens([KEY], 900, timedelta(days=7))
CLAIMS: dict[str, Any] = {"iss": "countersign", "aud": "miniapp", "sub": "42", "iat": int(NOW.timestamp()),
                          "exp": int(NOW.timestamp()) + 900, "jti": "a" * 32}


def is_refused(token: str, now: datetime = NOW) -> bool:
    try:
        TOKENS.verify(token, now)
    except Unauthenticated:
        return True
    return False


def made(key: bytes = KEY, headers: dict[str, Any] | None = None, without: str = "", **changes: Any) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if name != without}
    return jwt.encode(claims, key, algorithm="HS256", headers=headers)


def assembled(header: Any, claims: Any = None, key: bytes = KEY) -> str:
    """A token signed by hand, whatever its header says."""
    def written(part: bytes) -> bytes:
        return base64.urlsafe_b64encode(part).rstrip(b"=")

    text = written(json.dumps(header).encode()) + b"." + written(json.dumps(claims or CLAIMS).encode())
    return (text + b"." + written(hmac.new(key, text, hashlib.sha256).digest())).decode()


def test_an_issued_token_names_its_user_until_it_expires() -> None:
    token = TOKENS.issue(42, NOW)
    issued = int(NOW.timestamp())
    claims = jwt.decode(token, KEY, algorithms=["HS256"], audience="miniapp", options={"verify_exp": False})
    assert {**claims, "jti": "a" * 32} == CLAIMS and jwt.get_unverified_header(token)["alg"] == "HS256"
    assert TOKENS.verify(token, NOW) == 42
    assert TOKENS.verify(token, datetime.fromtimestamp(issued + 899.999, UTC)) == 42
    assert is_refused(token, datetime.fromtimestamp(issued + 900, UTC))
    assert TOKENS.verify(token, datetime.fromtimestamp(issued - 60, UTC)) == 42
    assert is_refused(token, datetime.fromtimestamp(issued - 61, UTC))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "exp", "jti"])
def test_every_claim_is_required(claim: str) -> None:
    assert not is_refused(made()) and is_refused(made(without=claim))


@pytest.mark.parametrize("changes", [
    {"iss": "someone"}, {"aud": "device"}, {"aud": ["miniapp"]}, {"aud": ["miniapp", "x"]}, {"sub": 42}, {"sub": ""},
    {"sub": "-1"}, {"sub": "4٢"}, {"sub": "1 "}, {"sub": "9" * 19}, {"sub": None}, {"exp": "soon"},
    {"exp": CLAIMS["exp"] + 1}, {"exp": 2**63}, {"exp": float(CLAIMS["exp"])}, {"exp": True},
    {"iat": float(CLAIMS["iat"])}, {"iat": str(CLAIMS["iat"])},
    {"iat": CLAIMS["iat"] + 3600, "exp": CLAIMS["exp"] + 3600},
    {"iat": CLAIMS["iat"] - 901, "exp": CLAIMS["exp"] - 901}, {"exp": 10**400},
], ids=lambda changes: str(changes)[:60])
def test_claims_out_of_form_are_refused(changes: dict[str, Any]) -> None:
    assert is_refused(made(**changes))


@pytest.mark.parametrize("header", [
    {"alg": "none"}, {"alg": "None"}, {"alg": "hs256"}, {"alg": "HS512"}, {"alg": "RS256"}, {"alg": ""}, {},
    {"alg": "HS256", "crit": ["exp"]}, {"alg": ["HS256"]}, {"alg": None}, [], "HS256",
], ids=str)
def test_the_header_chooses_nothing(header: Any) -> None:
    assert not is_refused(assembled({"alg": "HS256", "typ": "JWT"}))
    assert is_refused(assembled(header))
    assert is_refused(".".join([*assembled(header).split(".")[:2], ""]))


@pytest.mark.parametrize("key", [OTHER_KEY, b"", KEY[:-1], KEY + b"\x00x"])
def test_another_key_signs_nothing(key: bytes) -> None:
    assert is_refused(assembled({"alg": "HS256"}, key=key))


@pytest.mark.parametrize("token", ["", ".", "..", "...", "a.b.c", "é.é.é", "\ud800", "x" * 1_000_000,
                                   made() + ".", made() + ".x", "." + made(), made()[:-1], made() + "A", made() + "\n",
                                   " " + made(), "[" * 5000], ids=lambda token: ascii(token)[:20])
def test_texts_that_are_no_tokens_are_refused(token: str) -> None:
    assert is_refused(token)


@settings(max_examples=1000, deadline=None)
@given(st.integers(0, len(made()) - 1), st.characters() | st.text(max_size=3))
def test_no_altered_token_is_another_users(place: int, piece: str) -> None:
    token = made()
    altered = token[:place] + piece + token[place + 1:]
    # The last digit of base64 has spare bits, so another writing of the same bytes may pass; another meaning not.
    assert is_refused(altered) or (TOKENS.verify(altered, NOW) == 42 and altered.split(".")[:2] == token.split(".")[:2])


def test_the_key_of_before_a_rotation_is_still_known() -> None:
    rotated = Tokens([OTHER_KEY, KEY], 900, timedelta(days=7))
    assert rotated.verify(TOKENS.issue(42, NOW), NOW) == 42
    assert is_refused(rotated.issue(42, NOW))


# -- refresh tokens ----------------------------------------------------------------------------------------------------


async def sign_in(desk: Desk, user_id: int, now: datetime) -> Pair:
    async with desk.database.writing() as session:
        return await auth.open_session(session, desk.tokens, user_id, now)


async def refresh(desk: Desk, token: str, now: datetime) -> Pair | None:
    async with desk.database.writing() as session:
        return await auth.refresh(session, desk.tokens, token, now)


async def is_dead(desk: Desk, token: str, now: datetime) -> bool:
    """Whether a token opens nothing any more (this uses it, if it does)."""
    try:
        return await refresh(desk, token, now) is None
    except Unauthenticated:
        return True


async def test_refresh_tokens_rotate(desk: Desk, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    pair = await sign_in(desk, user_id, now)
    seen = {pair.refresh_token}
    for _ in range(5):
        following = await refresh(desk, pair.refresh_token, now)
        assert following is not None and following.expires_in == 900
        assert desk.tokens.verify(following.access_token, now) == user_id
        pair = following
        seen.add(pair.refresh_token)
    assert len(seen) == 6
    async with desk.database.reading() as session:
        rows = list(await session.scalars(select(RefreshToken)))
    assert len({row.family for row in rows}) == 1
    assert {row.token_hash for row in rows} == {hashlib.sha256(token.encode()).hexdigest() for token in seen}


async def test_reuse_revokes_the_family_and_no_other(desk: Desk, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    first, elsewhere = await sign_in(desk, user_id, now), await sign_in(desk, user_id, now)
    second = await refresh(desk, first.refresh_token, now)
    assert second is not None
    assert await refresh(desk, first.refresh_token, now) is None
    assert await is_dead(desk, second.refresh_token, now)
    with pytest.raises(Unauthenticated):
        await refresh(desk, first.refresh_token, now)
    assert await stage.count(desk.database, AuditEvent, AuditEvent.action == "refresh_token_reused") == 1
    assert await refresh(desk, elsewhere.refresh_token, now) is not None


async def test_thirty_parallel_refreshes_have_one_winner_and_no_survivor(desk: Desk, now: datetime) -> None:
    pair = await sign_in(desk, await stage.join(desk, now), now)
    results = await asyncio.gather(*(refresh(desk, pair.refresh_token, now) for _ in range(30)),
                                   return_exceptions=True)
    winners = [result for result in results if isinstance(result, Pair)]
    assert len(winners) == 1
    assert all(result is None or isinstance(result, Pair | Unauthenticated) for result in results)
    assert await stage.count(desk.database, RefreshToken, RefreshToken.revoked_at.is_(None)) == 0
    assert await is_dead(desk, winners[0].refresh_token, now)


async def test_a_successor_born_during_the_revocation_dies_too(desk: Desk, now: datetime) -> None:
    """Reuse is noticed while the newest token of the family is just being rotated."""
    first = await sign_in(desk, await stage.join(desk, now), now)
    second = await refresh(desk, first.refresh_token, now)
    assert second is not None
    async with desk.database.writing() as session:
        third = await auth.refresh(session, desk.tokens, second.refresh_token, now)
        reuse = asyncio.create_task(refresh(desk, first.refresh_token, now))
        await asyncio.wait([reuse], timeout=0.3)  # it waits for us; where it need not, the test is only easier
    assert third is not None and await reuse is None
    assert await is_dead(desk, third.refresh_token, now)


async def test_time_and_sign_out_end_a_session(desk: Desk, now: datetime) -> None:
    user_id, stranger = await stage.join(desk, now), await stage.join(desk, now)
    pair, elsewhere = await sign_in(desk, user_id, now), await sign_in(desk, user_id, now)
    with pytest.raises(Unauthenticated):
        await refresh(desk, pair.refresh_token, now + timedelta(days=7))
    async with desk.database.writing() as session:
        await auth.close_session(session, stranger, pair.refresh_token, now)
    following = await refresh(desk, pair.refresh_token, now + timedelta(days=6, hours=23))
    assert following is not None, "another's sign-out ends nothing"
    async with desk.database.writing() as session:
        await auth.close_session(session, user_id, following.refresh_token, now)
    assert await is_dead(desk, following.refresh_token, now)
    async with desk.database.writing() as session:
        await auth.close_session(session, user_id, None, now)
    assert await is_dead(desk, elsewhere.refresh_token, now)


async def test_unknown_refresh_tokens_are_refused(desk: Desk, now: datetime) -> None:
    for token in ("", "nonsense", "é" * 40, "\ud800", "x" * 100_000):
        with pytest.raises(Unauthenticated):
            await refresh(desk, token, now)


async def test_tokens_that_ran_out_are_swept(desk: Desk, now: datetime) -> None:
    user_id = await stage.join(desk, now)
    await sign_in(desk, user_id, now - timedelta(days=30))
    kept = await sign_in(desk, user_id, now)
    async with desk.database.writing() as session:
        assert await auth.drop_expired(session, now - timedelta(days=7), 100) == 1
    assert await refresh(desk, kept.refresh_token, now) is not None
