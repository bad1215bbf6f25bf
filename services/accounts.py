"""Trading accounts: opening the paper account, listing, and how volumes are sized on them."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, AccountStatus, Route
from models.database import Database
from services import audit
from services.errors import NoAccount, NotFound
from services.upsert import insert
from terminal.protocol import AccountRef, PracticeGateway

PAPER_LOGIN_BASE = 50_000_000


def ref(account: Account) -> AccountRef:
    """How the account is called at its terminal."""
    return AccountRef(account.login, account.server)


async def primary(session: AsyncSession, user_id: int) -> Account:
    """The account that orders go to; NoAccount when there is none."""
    account = await session.scalar(select(Account).where(
        Account.user_id == user_id, Account.is_primary, Account.unlinked_at.is_(None),
        Account.status == AccountStatus.VERIFIED))
    if account is None:
        raise NoAccount
    return account


async def listed(session: AsyncSession, user_id: int) -> list[Account]:
    """The user's linked accounts, the primary first."""
    return list(await session.scalars(
        select(Account).where(Account.user_id == user_id, Account.unlinked_at.is_(None))
        .order_by(Account.is_primary.desc(), Account.id)))


async def owned(session: AsyncSession, user_id: int, account_id: int) -> Account:
    """The user's account; NotFound when there is none or it is another's."""
    account = await session.scalar(select(Account).where(
        Account.id == account_id, Account.user_id == user_id, Account.unlinked_at.is_(None)))
    if account is None:
        raise NotFound
    return account


async def open_paper(database: Database, gateway: PracticeGateway, user_id: int, now: datetime, *, currency: str,
                     deposit: Decimal) -> None:
    """See to it that the user has a paper account; the first account becomes the primary. Safe to repeat."""
    async with database.reading() as session:
        if await session.scalar(select(exists().where(Account.user_id == user_id, Account.route == Route.PAPER))):
            return
    opened = await gateway.open_account(str(PAPER_LOGIN_BASE + user_id), currency=currency, deposit=deposit, now=now)
    broker = (await gateway.account(opened)).broker
    async with database.writing() as session:
        has_primary = await session.scalar(select(exists().where(
            Account.user_id == user_id, Account.is_primary, Account.unlinked_at.is_(None))))
        statement = insert(session, Account).values(
            user_id=user_id, route=Route.PAPER, label="Paper", login=opened.login, server=opened.server, broker=broker,
            currency=currency, sizing={}, status=AccountStatus.VERIFIED, is_primary=not has_primary, verified_at=now,
            created_at=now)
        account_id = await session.scalar(statement.on_conflict_do_nothing().returning(Account.id))
        if account_id is not None:
            audit.record(session, now, "account_opened", "account", account_id, user_id=user_id, route=Route.PAPER)


async def change(session: AsyncSession, user_id: int, account_id: int, *, label: str | None,
                 sizing: dict[str, Any] | None, now: datetime) -> Account:
    """Rename an account or size its volumes another way."""
    account = await owned(session, user_id, account_id)
    if label is not None:
        account.label = label
    if sizing is not None:
        account.sizing = sizing
    audit.record(session, now, "account_changed", "account", account_id, user_id=user_id, sizing=sizing)
    return account
