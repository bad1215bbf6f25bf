"""Sessions of the Mini App: short access tokens, rotating refresh tokens kept only as their hash.

Access tokens are HS256 JWTs (RFC 7519) with every claim required. Using a refresh token twice revokes its
whole family (RFC 9700, 4.14.2).
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.user import RefreshToken
from services import audit
from services.errors import Unauthenticated

ISSUER = "countersign"
AUDIENCE = "miniapp"
CLAIMS = ["iss", "aud", "sub", "iat", "exp", "jti"]
LONGEST = 2048


@dataclass(frozen=True, slots=True)
class Pair:
    """What a signed-in client holds."""

    access_token: str
    expires_in: int
    refresh_token: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whose access token it is, and from when until when it is good, by the seconds of its claims."""

    user_id: int
    issued: int
    expires: int

    def holds(self, moment: float) -> bool:
        """Whether the token is good now; the clocks of two replicas may be a minute apart."""
        return self.issued - 60 <= moment < self.expires


@dataclass(frozen=True, slots=True)
class Tokens:
    """Signs with the first key and accepts all of them, so that the master key can be rotated."""

    keys: list[bytes]
    access_seconds: int
    refresh_idle: timedelta

    def issue(self, user_id: int, now: datetime) -> str:
        """An access token for the user."""
        issued = int(now.timestamp())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": str(user_id), "iat": issued,
                  "exp": issued + self.access_seconds, "jti": secrets.token_hex(16)}
        return jwt.encode(claims, self.keys[0], algorithm="HS256")

    def verify(self, token: str, now: datetime) -> int:
        """The user id of a valid access token; Unauthenticated for every fault."""
        return self.judge(token, now).user_id

    def judge(self, token: str, now: datetime) -> Verdict:
        """The same, with how long the token is good."""
        if not token.isascii() or len(token) > LONGEST:
            raise Unauthenticated
        for key in self.keys:
            claims = self._decode(token, key)
            if claims is not None:
                return self._verdict(claims, now)
        raise Unauthenticated

    def _decode(self, token: str, key: bytes) -> dict[str, Any] | None:
        # Time is checked against the clock we are handed, not the library's own.
        options: Any = {"require": CLAIMS, "verify_exp": False, "verify_iat": False, "verify_nbf": False}
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") != "HS256" or "crit" in header:
                return None
            decoded: dict[str, Any] = jwt.decode(
                token, key, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER, options=options)
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError):
            return None
        return decoded

    def _verdict(self, claims: dict[str, Any], now: datetime) -> Verdict:
        issued, expires, subject = claims["iat"], claims["exp"], claims["sub"]
        is_whole = type(issued) is int and type(expires) is int and isinstance(subject, str)
        if not is_whole or expires - issued > self.access_seconds:
            raise Unauthenticated
        if not subject.isascii() or not subject.isdigit() or len(subject) > 18 or claims["aud"] != AUDIENCE:
            raise Unauthenticated
        verdict = Verdict(int(subject), issued, expires)
        if not verdict.holds(now.timestamp()):
            raise Unauthenticated
        return verdict


async def open_session(session: AsyncSession, tokens: Tokens, user_id: int, now: datetime,
                       family: str | None = None) -> Pair:
    """A new pair; without ``family`` the beginning of a new one."""
    secret = secrets.token_urlsafe(32)
    session.add(RefreshToken(user_id=user_id, family=family or secrets.token_hex(16), token_hash=_hash(secret),
                             created_at=now, expires_at=now + tokens.refresh_idle))
    return Pair(tokens.issue(user_id, now), tokens.access_seconds, secret)


async def refresh(session: AsyncSession, tokens: Tokens, token: str, now: datetime) -> Pair | None:
    """Rotate a refresh token. None, and its family revoked, when it had been used before.

    Unauthenticated when it is unknown, expired or revoked. The revocation must be committed, so reuse is
    an answer and not an exception.
    """
    hashed = _hash(token)
    row = (await session.execute(
        update(RefreshToken).where(RefreshToken.token_hash == hashed, RefreshToken.rotated_at.is_(None),
                                   RefreshToken.revoked_at.is_(None), RefreshToken.expires_at > now)
        .values(rotated_at=now).returning(RefreshToken.user_id, RefreshToken.family))).one_or_none()
    if row is not None:
        return await open_session(session, tokens, row.user_id, now, row.family)
    known = await session.scalar(select(RefreshToken).where(RefreshToken.token_hash == hashed))
    if known is None or known.rotated_at is None or known.revoked_at is not None:
        raise Unauthenticated
    await _revoke(session, RefreshToken.family == known.family, now)
    audit.record(session, now, "refresh_token_reused", "user", known.user_id, user_id=known.user_id)
    return None


async def close_session(session: AsyncSession, user_id: int, token: str | None, now: datetime) -> None:
    """Sign out: the family of this refresh token, or every session of the user when none is given."""
    if token is None:
        await _revoke(session, RefreshToken.user_id == user_id, now)
        return
    family = await session.scalar(select(RefreshToken.family).where(
        RefreshToken.token_hash == _hash(token), RefreshToken.user_id == user_id))
    if family is not None:
        await _revoke(session, RefreshToken.family == family, now)


async def _revoke(session: AsyncSession, which: ColumnElement[bool], now: datetime) -> None:
    """Revoke until none is left: while one statement waits for a rotation, its successor is written unseen."""
    while (await session.scalars(
            update(RefreshToken).where(which, RefreshToken.revoked_at.is_(None)).values(revoked_at=now)
            .returning(RefreshToken.id))).all():
        pass


async def drop_expired(session: AsyncSession, before: datetime, limit: int) -> int:
    """Delete refresh tokens that ran out before ``before``."""
    ids = list(await session.scalars(select(RefreshToken.id).where(RefreshToken.expires_at < before).limit(limit)))
    await session.execute(delete(RefreshToken).where(RefreshToken.id.in_(ids)))
    return len(ids)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
