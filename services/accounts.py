"""Trading accounts: opening the paper account, listing, how volumes are sized, and whether their links hold."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy import exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, AccountStatus, Route
from models.database import Database
from models.user import User
from services import audit, outbox
from services.errors import NoAccount, NotFound
from services.upsert import insert
from services.vault import SealBroken, Vault
from terminal.protocol import AccountRef, AccountSnapshot, GatewayError, PracticeGateway

log = structlog.get_logger(__name__)

CHANGED = "users_whose_accounts_changed"
PAPER_LOGIN_BASE = 50_000_000


def paper_login(user_id: int) -> str:
    """The login of a user's practice account, always the same."""
    return str(PAPER_LOGIN_BASE + user_id)


def ref(account: Account) -> AccountRef:
    """How the account is called at its terminal."""
    return AccountRef(account.login, account.server)


def ref_of(snapshot: AccountSnapshot) -> AccountRef:
    """The account's name in the words of its terminal."""
    return AccountRef(snapshot.login, snapshot.server)


async def take_turn(session: AsyncSession, user_id: int) -> None:
    """Changes of which accounts a user has, and which is the primary, are made one after the other.

    Whoever remembers the user's accounts hears of it at the commit.
    """
    await session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
    # In the order in which others write several accounts at once, or each could wait for the other.
    await session.execute(select(Account.id).where(Account.user_id == user_id).order_by(Account.id)
                          .with_for_update(key_share=True))
    _note_change(session, user_id)


def _note_change(session: AsyncSession, user_id: int) -> None:
    session.info.setdefault(CHANGED, set()).add(user_id)


async def primary_to_trade(session: AsyncSession, user_id: int) -> Account:
    """The primary account, which stays it and stays linked until this transaction has written its order."""
    await session.execute(select(User.id).where(User.id == user_id).with_for_update(read=True))
    return await primary(session, user_id)


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
    opened = await gateway.open_account(paper_login(user_id), currency=currency, deposit=deposit, now=now)
    broker = (await gateway.account(opened)).broker
    async with database.writing() as session:
        await take_turn(session, user_id)
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


async def mark_broken(session: AsyncSession, account_id: int, trouble: str, now: datetime, *,
                      tells: bool = True) -> bool:
    """The link no longer works until its owner does something; ``trouble`` is a code of services/reasons.

    ``now`` is when what showed it was begun: a link verified since then has a new password, and is not meant. Told
    once for each time it breaks. False when it was broken or unlinked before.
    """
    account = (await session.execute(
        update(Account).where(Account.id == account_id, Account.unlinked_at.is_(None),
                              Account.status == AccountStatus.VERIFIED, Account.verified_at <= now)
        .values(status=AccountStatus.BROKEN, trouble=trouble).returning(Account.user_id, Account.label))).one_or_none()
    if account is None:
        return False
    _note_change(session, account.user_id)
    audit.record(session, now, "account_broken", "account", account_id, user_id=account.user_id, trouble=trouble)
    chat_id = await session.scalar(select(User.telegram_id).where(User.id == account.user_id,
                                                                  User.blocked_at.is_(None)))
    if tells and chat_id is not None:
        await outbox.say(session, chat_id, f"broken:{account_id}:{now.timestamp():.6f}",
                         {"template": "link_broken", "account": account.label, "reason": trouble}, now)
    return True


async def mark_sound(session: AsyncSession, account_id: int, snapshot: AccountSnapshot, now: datetime) -> bool:
    """The account has answered: keep what it says of itself, and mend its link.

    False when it is unlinked, or somebody else has linked the same broker account since it broke.
    """
    told = {"can_trade": snapshot.can_trade, "leverage": snapshot.leverage, "margin_mode": snapshot.margin_mode,
            "broker": snapshot.broker[:64]}
    sound = {"status": AccountStatus.VERIFIED, "trouble": None, "verified_at": now}
    try:
        async with session.begin_nested():
            mended = await session.scalar(
                update(Account).where(Account.id == account_id, Account.unlinked_at.is_(None),
                                      Account.status == AccountStatus.BROKEN)
                .values(**told, **sound).returning(Account.user_id))
    except IntegrityError:
        return False
    if mended is not None:
        _note_change(session, mended)
        audit.record(session, now, "account_mended", "account", account_id, user_id=mended)
        return True
    kept = await session.scalar(update(Account).where(Account.id == account_id, Account.unlinked_at.is_(None))
                                .values(**told).returning(Account.id))
    return kept is not None


def password_place(account_id: int, user_id: int) -> str:
    """What an account's sealed password is bound to."""
    return f"accounts:sealed_password:{account_id}:{user_id}"


async def password_of(database: Database, vault: Vault, named: AccountRef) -> str:
    """The password of a linked account, for the terminal that signs in with it and for nothing else."""
    async with database.reading() as session:
        row = (await session.execute(
            select(Account.id, Account.user_id, Account.sealed_password).where(
                Account.route == Route.TERMINAL, Account.login == named.login, Account.server == named.server,
                Account.status == AccountStatus.VERIFIED, Account.unlinked_at.is_(None)))).one_or_none()
    if row is None or row.sealed_password is None:
        raise GatewayError("not_linked", "No linked account has this login.", permanent=True)
    try:
        return vault.open(row.sealed_password, password_place(row.id, row.user_id)).decode()
    except SealBroken as error:
        log.error("password_unreadable", account_id=row.id)
        raise GatewayError("password_unreadable", "The account's password cannot be read.") from error
