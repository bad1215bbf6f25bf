"""Rotation of the master key: all kinds of secrets, beside a desk that works, and killed in the middle."""

import asyncio
import base64
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from config import decode_key
from models.account import Account, AccountStatus
from models.database import Database
from models.device import Device
from models.provider import Provider, ProviderKey
from models.user import CardNotice, User
from services import accounts, canary, device_keys, providers, rotation
from services.vault import SealBroken, Vault
from terminal.protocol import AccountRef
from tests.running import ROOT

OLD, NEW = (base64.b64encode(bytes(range(start, start + 32))).decode() for start in (0, 64))
old, new, both = Vault(decode_key(OLD)), Vault(decode_key(NEW)), Vault(decode_key(NEW), decode_key(OLD))


async def fill(database: Database, number: int) -> None:
    """So many secrets of each kind under the old key; half of the devices have a previous one."""
    now = datetime.now(UTC)
    async with database.writing() as session:
        await canary.renew(session, old)
        await session.execute(insert(User), [
            {"id": n, "telegram_id": n, "first_name": "U", "card_notice": CardNotice.ON, "created_at": now}
            for n in range(1, number + 1)])
        await session.execute(insert(Provider).values(id=1, name="P", created_at=now))
        await session.execute(insert(ProviderKey), [
            {"key_id": f"pk_{n}", "provider_id": 1, "created_at": now,
             "sealed_secret": old.seal(f"key {n}".encode(), providers.secret_place(f"pk_{n}"))}
            for n in range(1, number + 1)])
        await session.execute(insert(Device), [
            {"id": f"dv_{n}", "user_id": n, "name": "D", "created_at": now,
             "sealed_secret": old.seal(f"device {n}".encode(), device_keys.secret_place(f"dv_{n}", n)),
             "sealed_previous_secret": old.seal(
                 f"before {n}".encode(), device_keys.previous_secret_place(f"dv_{n}", n)) if n % 2 else None}
            for n in range(1, number + 1)])
        await session.execute(insert(Account), [
            {"id": n, "user_id": n, "route": "terminal", "label": "A", "login": str(n), "server": "S", "broker": "B",
             "currency": "USD", "sizing": {}, "status": AccountStatus.VERIFIED, "is_primary": True, "created_at": now,
             "sealed_password": old.seal(f"password {n}".encode(), accounts.password_place(n, n))}
            for n in range(1, number + 1)])


async def readable(database: Database, vault: Vault) -> int:
    """How many secrets this vault opens, each in its place and each the right one."""
    async with database.reading() as session:
        keys = (await session.execute(select(ProviderKey.key_id, ProviderKey.sealed_secret))).all()
        held = (await session.execute(select(Device.id, Device.user_id, Device.sealed_secret))).all()
        former = (await session.execute(select(Device.id, Device.user_id, Device.sealed_previous_secret).where(
            Device.sealed_previous_secret.is_not(None)))).all()
        kept = (await session.execute(select(Account.id, Account.user_id, Account.sealed_password).where(
            Account.sealed_password.is_not(None)))).all()
    sealed = [(row[1], providers.secret_place(row[0]), f"key {row[0][3:]}") for row in keys]
    sealed += [(row[2], device_keys.secret_place(row[0], row[1]), f"device {row[0][3:]}") for row in held]
    sealed += [(row[2], device_keys.previous_secret_place(row[0], row[1]), f"before {row[0][3:]}") for row in former]
    sealed += [(row[2], accounts.password_place(row[0], row[1]), f"password {row[0]}") for row in kept]
    found = 0
    for box, place, text in sealed:
        try:
            assert vault.open(box, place).decode().split(" again")[0] == text
        except SealBroken:
            continue
        found += 1
    return found


async def test_every_kind_of_secret_is_sealed_anew(database: Database) -> None:
    await fill(database, 250)
    assert await rotation.rotate(database, both) == 875
    assert await readable(database, new) == 875
    assert await readable(database, old) == 0
    assert await rotation.rotate(database, both) == 0


async def test_one_that_no_key_opens_is_named_and_the_others_stay_readable(database: Database) -> None:
    await fill(database, 20)
    async with database.writing() as session:
        await session.execute(update(Account).where(Account.id == 7).values(sealed_password=b"\x01" + bytes(60)))
    with pytest.raises(SealBroken, match="accounts:sealed_password:7:7"):
        await rotation.rotate(database, both)
    assert await readable(database, both) == 69


async def test_beside_a_desk_that_works(database: Database) -> None:
    """Passwords are read and changed all the while; none is lost and no old one comes back."""
    await fill(database, 120)
    is_over = asyncio.Event()
    changed: dict[int, str] = {}

    async def work(first: int) -> None:
        while not is_over.is_set():
            for n in range(first, 121, 4):
                ref = AccountRef(str(n), "S")
                assert await accounts.password_of(database, both, ref) == changed.get(n, f"password {n}")
                word = f"password {n} again {len(changed)}"
                async with database.writing() as session:
                    await session.execute(update(Account).where(Account.id == n).values(
                        sealed_password=both.seal(word.encode(), accounts.password_place(n, n))))
                changed[n] = word
                if is_over.is_set():
                    return

    working = [asyncio.create_task(work(first)) for first in (1, 2, 3, 4)]
    await asyncio.sleep(0.02)
    await rotation.rotate(database, both)
    is_over.set()
    await asyncio.gather(*working)
    assert changed
    for n in range(1, 121):
        assert await accounts.password_of(database, new, AccountRef(str(n), "S")) == changed.get(n, f"password {n}")


async def test_two_rotations_at_once_end_well(database: Database) -> None:
    await fill(database, 150)
    assert sum(await asyncio.gather(*(rotation.rotate(database, both) for _ in range(2)))) == 525
    assert await readable(database, new) == 525


async def done(database: Database) -> int:
    """How many accounts and devices have been sealed anew, without opening them."""
    async with database.reading() as session:
        found = [*await session.scalars(select(Device.sealed_secret)),
                 *await session.scalars(select(Account.sealed_password))]
    return sum(box is not None and new.is_current(box) for box in found)


async def test_killed_in_the_middle_it_finishes_when_it_is_begun_again(database: Database, database_url: str,
                                                                       tmp_path: Path) -> None:
    await fill(database, 800)
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": database_url, "DATA": str(tmp_path / "data"),
                   "MASTER_KEY": NEW, "MASTER_KEY_PREVIOUS": OLD}

    async def begin() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", "rotate-keys", cwd=ROOT, env=environment, stdout=asyncio.subprocess.DEVNULL)

    child = await begin()
    while child.returncode is None and not await done(database):
        await asyncio.sleep(0.01)
    assert child.returncode is None, "it has not ended before it could be killed"
    child.send_signal(signal.SIGKILL)
    await child.wait()
    assert await readable(database, both) == 2_800, "wherever it dies, everything can be read"
    assert 0 < await done(database) < 1_600
    assert await (await begin()).wait() == 0
    assert await readable(database, new) == 2_800
    async with database.reading() as session:
        assert await canary.sings(session, new)
