"""Sealing every secret anew under the current master key, a little at a time, beside a desk that runs.

Each chunk is a transaction of its own and leaves every secret readable, so it may be killed anywhere and begun
again. A secret that was changed in between is left alone: whoever changed it sealed it under the current key.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from models.account import Account
from models.database import Database
from models.device import Device
from models.provider import ProviderKey
from services import accounts, device_keys, providers
from services.vault import Vault

CHUNK = 100
LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A column of sealed secrets: the key of its rows, what else names their place, and how."""

    key: InstrumentedAttribute[Any]
    sealed: InstrumentedAttribute[Any]
    named_by: Sequence[InstrumentedAttribute[Any]]
    place: Callable[..., str]


COLUMNS = (
    Kept(ProviderKey.key_id, ProviderKey.sealed_secret, (ProviderKey.key_id,), providers.secret_place),
    Kept(Device.id, Device.sealed_secret, (Device.id, Device.user_id), device_keys.secret_place),
    Kept(Device.id, Device.sealed_previous_secret, (Device.id, Device.user_id), device_keys.previous_secret_place),
    Kept(Account.id, Account.sealed_password, (Account.id, Account.user_id), accounts.password_place),
)


async def rotate(database: Database, vault: Vault) -> int:
    """Walk every column until a whole walk finds nothing to do; returns how many secrets were sealed anew.

    SealBroken names the place of one that neither key opens.
    """
    total = 0
    while True:
        done = 0
        for kept in COLUMNS:
            done += await _walk(database, vault, kept)
        total += done
        if not done:
            return total


async def _walk(database: Database, vault: Vault, kept: Kept) -> int:
    done, after = 0, None
    while True:
        async with database.reading() as session:
            rows = await _next(session, kept, after)
        if not rows:
            return done
        after = rows[-1].key
        stale = [row for row in rows if not vault.is_current(row.sealed)]
        for start in range(0, len(stale), CHUNK):
            async with database.writing() as session:
                done += await _reseal(session, vault, kept, stale[start:start + CHUNK])


async def _next(session: AsyncSession, kept: Kept, after: Any) -> Sequence[Row[Any]]:
    query = select(kept.key.label("key"), kept.sealed.label("sealed"), *(
        column.label(f"part_{number}") for number, column in enumerate(kept.named_by))).where(kept.sealed.is_not(None))
    if after is not None:
        query = query.where(kept.key > after)
    return (await session.execute(query.order_by(kept.key).limit(LOOKED_AT))).all()


async def _reseal(session: AsyncSession, vault: Vault, kept: Kept, rows: Sequence[Row[Any]]) -> int:
    done = 0
    for row in rows:
        place = kept.place(*(getattr(row, f"part_{number}") for number in range(len(kept.named_by))))
        fresh = vault.seal(vault.open(row.sealed, place), place)
        changed = await session.scalar(
            update(kept.key.class_).where(kept.key == row.key, kept.sealed == row.sealed)
            .values({kept.sealed: fresh}).returning(kept.key))
        done += changed is not None
    return done
