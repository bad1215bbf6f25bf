"""Is the master key the one this database was sealed with? Asked at start, not at the first payment."""

import base64

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.audit import Canary
from services.vault import SealBroken, Vault

_TEXT, _PLACE = b"countersign", "key_canaries:sealed_text"


async def sings(session: AsyncSession, vault: Vault) -> bool:
    """Whether the key at hand opens the known text; True while there is none."""
    sealed = await session.scalar(select(Canary.sealed_text).order_by(Canary.id.desc()).limit(1))
    if sealed is None:
        return True
    try:
        return vault.open(base64.b64decode(sealed), _PLACE) == _TEXT
    except (SealBroken, ValueError):
        return False


async def renew(session: AsyncSession, vault: Vault) -> None:
    """Seal the known text under the current key, when that has not been done yet."""
    row = await session.scalar(select(Canary).order_by(Canary.id.desc()).limit(1))
    if row is not None and vault.is_current(base64.b64decode(row.sealed_text)):
        return
    sealed = base64.b64encode(vault.seal(_TEXT, _PLACE)).decode()
    if row is None:
        session.add(Canary(sealed_text=sealed))
    else:
        row.sealed_text = sealed
