"""Providers: their signing keys and their followers."""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.provider import Follow, Provider, ProviderKey, UsedNonce
from services import audit
from services.errors import InvalidRequest, NotFound, Unauthenticated
from services.upsert import insert
from services.vault import Vault
from wire import signing


@dataclass(frozen=True, slots=True)
class Credentials:
    """A provider's new key; ``secret`` is base64url without padding and shown this once."""

    provider_id: int
    key_id: str
    secret: str


@dataclass(frozen=True, slots=True)
class SigningKey:
    key_id: str
    provider_id: int
    secret: bytes


async def add(session: AsyncSession, vault: Vault, name: str, now: datetime) -> Credentials:
    """Create a provider with its first key; InvalidRequest when the name is taken or unusable."""
    name = name.strip()
    if not 1 <= len(name) <= 64 or not name.isprintable():
        raise InvalidRequest("A provider's name has 1 to 64 printable characters.")
    statement = insert(session, Provider).values(name=name, created_at=now).on_conflict_do_nothing()
    provider_id: int | None = await session.scalar(statement.returning(Provider.id))
    if provider_id is None:
        raise InvalidRequest("A provider of this name exists.")
    audit.record(session, now, "provider_added", "provider", provider_id, name=name)
    return _new_key(session, vault, provider_id, now)


def _new_key(session: AsyncSession, vault: Vault, provider_id: int, now: datetime) -> Credentials:
    key_id, secret = f"pk_{secrets.token_hex(12)}", secrets.token_bytes(32)
    sealed = vault.seal(secret, secret_place(key_id))
    session.add(ProviderKey(key_id=key_id, provider_id=provider_id, sealed_secret=sealed, created_at=now))
    return Credentials(provider_id, key_id, base64.urlsafe_b64encode(secret).rstrip(b"=").decode())


async def signing_key(session: AsyncSession, vault: Vault, key_id: str) -> SigningKey | None:
    """The key by its public id; None when unknown, revoked, or its provider disabled."""
    row = (await session.execute(
        select(ProviderKey.provider_id, ProviderKey.sealed_secret).join(Provider).where(
            ProviderKey.key_id == key_id, ProviderKey.revoked_at.is_(None), Provider.disabled_at.is_(None))
    )).one_or_none()
    if row is None:
        return None
    return SigningKey(key_id, row.provider_id, vault.open(row.sealed_secret, secret_place(key_id)))


async def use_nonce(session: AsyncSession, key_id: str, nonce: str, now: datetime) -> None:
    """Spend a nonce in the transaction of what it signed; Unauthenticated when that has been done before.

    Redis answers first and faster, but forgets when it restarts; this row does not.
    """
    statement = insert(session, UsedNonce).values(
        key_id=key_id, nonce=nonce, expires_at=now + timedelta(seconds=signing.NONCE_SECONDS))
    if await session.scalar(statement.on_conflict_do_nothing().returning(UsedNonce.nonce)) is None:
        raise Unauthenticated


async def drop_nonces(session: AsyncSession, now: datetime, limit: int) -> int:
    """Forget nonces that no signature can use any more."""
    rows = (await session.execute(select(UsedNonce.key_id, UsedNonce.nonce).where(
        UsedNonce.expires_at < now).limit(limit))).all()
    for row in rows:
        await session.execute(delete(UsedNonce).where(UsedNonce.key_id == row.key_id, UsedNonce.nonce == row.nonce))
    return len(rows)


async def first_key(session: AsyncSession, vault: Vault, name: str) -> Credentials | None:
    """A live key of the provider of that name, for an operator's own tools on this machine."""
    row = (await session.execute(
        select(ProviderKey).join(Provider).where(Provider.name == name, ProviderKey.revoked_at.is_(None))
        .order_by(ProviderKey.created_at).limit(1))).scalar_one_or_none()
    if row is None:
        return None
    secret = vault.open(row.sealed_secret, secret_place(row.key_id))
    return Credentials(row.provider_id, row.key_id, base64.urlsafe_b64encode(secret).rstrip(b"=").decode())


def secret_place(key_id: str) -> str:
    """What a key's sealed secret is bound to."""
    return f"provider_keys:sealed_secret:{key_id}"


async def listed(session: AsyncSession, user_id: int) -> list[dict[str, Any]]:
    """Every provider with whether this user follows it, by name."""
    follows = exists().where(Follow.provider_id == Provider.id, Follow.user_id == user_id)
    rows = await session.execute(
        select(Provider.id, Provider.name, follows.label("following")).where(Provider.disabled_at.is_(None))
        .order_by(func.lower(Provider.name), Provider.id))
    return [{"id": str(row.id), "name": row.name, "following": bool(row.following)} for row in rows]


async def follow(session: AsyncSession, user_id: int, provider_id: int, now: datetime) -> None:
    """Follow a provider; following twice is following once. NotFound for an unknown provider."""
    provider = await session.get(Provider, provider_id)
    if provider is None or provider.disabled_at is not None:
        raise NotFound
    statement = insert(session, Follow).values(provider_id=provider_id, user_id=user_id, created_at=now)
    await session.execute(statement.on_conflict_do_nothing())


async def unfollow(session: AsyncSession, user_id: int, provider_id: int) -> None:
    """Stop following; NotFound for an unknown provider."""
    if await session.get(Provider, provider_id) is None:
        raise NotFound
    await session.execute(delete(Follow).where(Follow.provider_id == provider_id, Follow.user_id == user_id))
