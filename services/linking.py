"""Linking accounts, choosing the primary, and letting accounts go again.

What shows that an account is its user's is read before any transaction; what makes the link is one transaction in
which the changes of one user take turns and the indexes have the last word.
"""

import asyncio
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from pydantic import SecretStr
from sqlalchemy import exists, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, AccountStatus, Route
from services import accounts, audit, devices, reasons, reports, tiers, unlinking
from services.desk import Desk
from services.errors import AccountNotVerified, AlreadyLinked, InvalidRequest, LastAccount, LimitReached, NotFound
from terminal.protocol import AccountRef, AccountSnapshot, GatewayError, PasswordGateway

log = structlog.get_logger(__name__)

# The terminal has deadlines of its own; this is for one that waits in a long queue for its start.
PATIENCE_SECONDS = 150.0
FRESH = timedelta(minutes=5)
# No broker calls its server so. A terminal that took it would connect to wherever somebody wants.
_ADDRESS = re.compile(r".*[:/\\@].*|[0-9.]+|localhost", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """What a user says of the account; which fields are needed depends on the route."""

    route: str
    login: str | None = None
    server: str | None = None
    password: SecretStr | None = None
    device_id: str | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What has shown that the account is the user's, in the words of its terminal."""

    route: Route
    snapshot: AccountSnapshot
    password: SecretStr | None = None
    device_id: str | None = None
    is_kept: bool = False
    """Whether the terminal that was signed in serves the account from now on."""


async def link(desk: Desk, user_id: int, request: LinkRequest, now: datetime) -> Account:
    """Verify the account, then link it. A broken or former account of the user is taken up again as it was.

    AccountNotVerified with its reason, AlreadyLinked, LimitReached; NotFound for a device that is not theirs.
    """
    if request.route != Route.TERMINAL:
        return await _link(desk, user_id, request, now)
    # There are few terminals to try accounts in: nobody has more than one of them.
    async with desk.sign_ins.turn(user_id):
        return await _link(desk, user_id, request, now)


async def _link(desk: Desk, user_id: int, request: LinkRequest, now: datetime) -> Account:
    if request.route == Route.PAPER:
        proof = await _opened(desk, user_id, now)
    elif request.route == Route.DEVICE:
        proof = await _reported(desk, user_id, request, now)
    else:
        proof = await _signed_in(desk, user_id, request, now)
    try:
        async with desk.database.writing() as session:
            account = await _place(session, desk, user_id, proof, now)
    except Exception:
        # The terminal has been signed in with this password; whoever the account belongs to uses their own.
        if proof.is_kept:
            await _close_terminal(desk, accounts.ref_of(proof.snapshot))
        raise
    if proof.route == Route.TERMINAL and not proof.is_kept:
        # Who had it has let it go meanwhile: what served them was signed in with another password.
        await _close_terminal(desk, accounts.ref_of(proof.snapshot))
    await desk.positions.forget(account.id)
    log.info("account_linked", account_id=account.id, route=account.route)
    return account


async def _opened(desk: Desk, user_id: int, now: datetime) -> Proof:
    """The practice broker opens an account for whoever asks, and always the same one."""
    if desk.paper is None:
        raise _unverified("terminal_missing")
    terms = desk.onboarding
    try:
        ref = await desk.paper.open_account(accounts.paper_login(user_id), currency=terms.paper_currency,
                                            deposit=terms.paper_deposit, now=now)
        return Proof(Route.PAPER, await desk.paper.account(ref))
    except GatewayError as error:
        raise _unverified(error.code) from error


async def _reported(desk: Desk, user_id: int, request: LinkRequest, now: datetime) -> Proof:
    """The account that a device of the user has reported, signed, a moment ago."""
    if request.device_id is None:
        raise InvalidRequest("Say which device reports the account.")
    async with desk.database.reading() as session:
        device = await devices.owned(session, user_id, request.device_id)
    if device.revoked_at is not None:
        raise NotFound
    report = await reports.reported(desk.database, desk.redis, device.id)
    if report is None:
        raise _unverified("no_snapshot")
    if now - report.received_at > FRESH:
        raise _unverified("device_offline")
    _same_account(request, report.account)
    if request.server is not None and request.server.lower() != report.account.server.lower():
        raise _unverified("wrong_account")
    return Proof(Route.DEVICE, report.account, device_id=device.id)


async def _signed_in(desk: Desk, user_id: int, request: LinkRequest, now: datetime) -> Proof:
    """The account as the terminal shows it after signing in with the password."""
    if request.login is None or request.server is None or request.password is None:
        raise InvalidRequest("Say login, server and password.")
    if _ADDRESS.fullmatch(request.server):
        raise _unverified("broker_unknown")
    ref = AccountRef(request.login, request.server)
    async with desk.database.reading() as session:
        # Only what the user may know: whether somebody else has linked it is told to who has its password.
        await _may_link(session, desk, user_id, await _own(session, user_id, ref), Route.TERMINAL, now,
                        may_trade=True)
        is_kept = not await _serves_another(session, user_id, ref)
    gateway = desk.gateways.get(Route.TERMINAL)
    if not isinstance(gateway, PasswordGateway):
        raise _unverified("terminal_missing")
    if not desk.sign_ins.may_try(user_id, ref, now):
        raise _unverified("too_many_wrong_passwords")
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            snapshot = await gateway.verify(ref, request.password.get_secret_value(), keep=is_kept)
    except TimeoutError as error:
        raise _unverified("terminal_hangs") from error
    except GatewayError as error:
        log.info("account_not_verified", user_id=user_id, code=error.code)
        if error.code == "wrong_password":
            desk.sign_ins.was_wrong(user_id, ref, now)
        raise _unverified(error.code) from None  # the terminal's own words may repeat what it was given
    _same_account(request, snapshot)
    return Proof(Route.TERMINAL, snapshot, request.password, is_kept=is_kept)


async def _serves_another(session: AsyncSession, user_id: int, ref: AccountRef) -> bool:
    """Whether somebody else's link is served by the account's terminal: whoever knows a password leaves it alone."""
    return bool(await session.scalar(select(exists().where(
        func.lower(Account.server) == ref.server.lower(), Account.login == ref.login, Account.user_id != user_id,
        Account.route == Route.TERMINAL, Account.status == AccountStatus.VERIFIED, Account.unlinked_at.is_(None)))))


def _same_account(request: LinkRequest, snapshot: AccountSnapshot) -> None:
    if request.login is not None and request.login != snapshot.login:
        raise _unverified("wrong_account")


def _unverified(reason: str) -> AccountNotVerified:
    known = reason if reason in reasons.WORDS else "terminal_trouble"
    return AccountNotVerified(known, f"The account could not be verified: {reasons.WORDS[known]}.")


async def _own(session: AsyncSession, user_id: int, ref: AccountRef) -> Account | None:
    """The user's account of this name: the linked one, or else the one that was unlinked last."""
    return (await session.scalars(
        select(Account).where(Account.user_id == user_id, Account.login == ref.login, Account.server == ref.server)
        .order_by(Account.unlinked_at.is_not(None), Account.unlinked_at.desc(), Account.id.desc()).limit(1))).first()


async def _may_link(session: AsyncSession, desk: Desk, user_id: int, own: Account | None, route: str,
                    now: datetime, *, may_trade: bool = False) -> None:
    """AlreadyLinked or LimitReached; mending a link that is there needs no room.

    A link that can only be watched is mended by the password that trades.
    """
    if own is not None and own.unlinked_at is None:
        can_be_mended = own.status != AccountStatus.VERIFIED or (
            own.route == route == Route.TERMINAL and may_trade and not own.can_trade)
        if not can_be_mended:
            raise AlreadyLinked
        return
    if route == Route.PAPER:
        return
    tier = await tiers.tier_of(session, desk.catalogue, user_id, now)
    held = await live_accounts(session, user_id)
    if held >= tier.accounts:
        needed = next((more.name for more in desk.catalogue if more.accounts > held), None)
        raise LimitReached(needed, f"Your plan allows {tier.accounts} live account{'s' * (tier.accounts != 1)}.")


async def live_accounts(session: AsyncSession, user_id: int) -> int:
    """How many accounts count towards the plan's limit: the practice account does not."""
    return await session.scalar(select(func.count()).select_from(Account).where(
        Account.user_id == user_id, Account.unlinked_at.is_(None), Account.route != Route.PAPER)) or 0


async def _place(session: AsyncSession, desk: Desk, user_id: int, proof: Proof, now: datetime) -> Account:
    """Write the link. Everything that was looked at before is looked at again, now that nobody can change it."""
    await accounts.take_turn(session, user_id)
    if proof.device_id is not None:
        await devices.in_use(session, user_id, proof.device_id)  # it may have been revoked meanwhile
    told = proof.snapshot
    own = await _own(session, user_id, accounts.ref_of(told))
    await _may_link(session, desk, user_id, own, proof.route, now, may_trade=told.can_trade)
    is_new = own is None or own.unlinked_at is not None
    becomes_primary = is_new and await _takes_over(session, user_id, proof.route)
    if proof.route == Route.TERMINAL and told.can_trade:
        await _disprove(session, user_id, accounts.ref_of(told), now)
    if own is None:
        own = Account(user_id=user_id, login=told.login, server=told.server, label=_label(proof), sizing={},
                      is_primary=False, created_at=now)
    own.route, own.broker, own.currency = proof.route, told.broker[:64], told.currency
    own.can_trade, own.leverage, own.margin_mode = told.can_trade, told.leverage, told.margin_mode
    own.status, own.trouble, own.verified_at, own.unlinked_at = AccountStatus.VERIFIED, None, now, None
    own.device_id = proof.device_id
    session.add(own)
    try:
        await session.flush()
    except IntegrityError as error:  # the index says that somebody else has it
        raise AlreadyLinked from error
    # Its id is part of what the seal is bound to.
    own.sealed_password = None if proof.password is None else desk.vault.seal(
        proof.password.get_secret_value().encode(), accounts.password_place(own.id, user_id))
    if proof.device_id is not None:
        await devices.serve(session, proof.device_id, own, now)
    if becomes_primary:
        await _appoint(session, own)
    audit.record(session, now, "account_linked", "account", own.id, user_id=user_id, route=proof.route,
                 is_primary=own.is_primary, can_trade=own.can_trade)
    await session.flush()
    return own


async def _disprove(session: AsyncSession, user_id: int, ref: AccountRef, now: datetime) -> None:
    """A device says whatever its owner wants: its word does not stand against the password that trades."""
    claims = await session.scalars(select(Account.id).where(
        Account.login == ref.login, Account.server == ref.server, Account.route == Route.DEVICE,
        Account.user_id != user_id, Account.status == AccountStatus.VERIFIED, Account.unlinked_at.is_(None)))
    for account_id in claims.all():
        await accounts.mark_broken(session, account_id, "claimed_by_password", now)


def _label(proof: Proof) -> str:
    if proof.route == Route.PAPER:
        return "Paper"
    return f"{proof.snapshot.broker[:48].strip() or proof.snapshot.server[:48]} ·{proof.snapshot.login[-4:]}"


async def _takes_over(session: AsyncSession, user_id: int, route: str) -> bool:
    """The first account is the primary, and the first live one takes over from the practice account."""
    primary = await session.scalar(select(Account.route).where(
        Account.user_id == user_id, Account.is_primary, Account.unlinked_at.is_(None)))
    if primary is None:
        return True
    return primary == Route.PAPER and route != Route.PAPER and not await live_accounts(session, user_id)


async def _appoint(session: AsyncSession, account: Account) -> None:
    """One primary gives way to the other: first nobody is it, as the index demands, and nobody sees that moment."""
    await session.execute(update(Account).where(
        Account.user_id == account.user_id, Account.is_primary, Account.unlinked_at.is_(None),
        Account.id != account.id).values(is_primary=False))
    account.is_primary = True
    await session.flush()


async def make_primary(session: AsyncSession, user_id: int, account_id: int, now: datetime) -> Account:
    """Orders go to this account from now on; AccountNotVerified when its link is broken."""
    await accounts.take_turn(session, user_id)
    account = await accounts.owned(session, user_id, account_id)
    if account.status != AccountStatus.VERIFIED:
        raise _unverified(account.trouble or "terminal_trouble")
    if not account.is_primary:
        await _appoint(session, account)
        audit.record(session, now, "primary_chosen", "account", account_id, user_id=user_id)
    return account


async def unlink(desk: Desk, user_id: int, account_id: int, now: datetime) -> None:
    """Let an account go: its password is erased at once, its history stays. LastAccount for the only one."""
    async with desk.database.writing() as session:
        await accounts.take_turn(session, user_id)
        account = await accounts.owned(session, user_id, account_id)
        others = [row for row in await accounts.listed(session, user_id) if row.id != account_id]
        if not others:
            raise LastAccount
        was_primary, ref, is_terminal = account.is_primary, accounts.ref(account), account.route == Route.TERMINAL
        account.is_primary, account.unlinked_at = False, now
        account.sealed_password, account.device_id = None, None
        await session.flush()
        await unlinking.let_go(session, account, now)
        if was_primary:
            await _appoint(session, min(others, key=_claim))
        audit.record(session, now, "account_unlinked", "account", account_id, user_id=user_id)
        is_anothers = await session.scalar(select(exists().where(
            Account.login == ref.login, Account.server == ref.server, Account.route == Route.TERMINAL,
            Account.unlinked_at.is_(None))))
    desk.wakes.outbox.set()
    await desk.positions.forget(account_id)
    if is_terminal and not is_anothers:
        await _close_terminal(desk, ref)
    log.info("account_unlinked", account_id=account_id)


def _claim(account: Account) -> tuple[bool, bool, float, int]:
    """Who is primary next: a link that works, a live one, the one that has been there longest."""
    since = account.verified_at or account.created_at
    return account.status != AccountStatus.VERIFIED, account.route == Route.PAPER, since.timestamp(), account.id


async def _close_terminal(desk: Desk, ref: AccountRef) -> None:
    gateway = desk.gateways.get(Route.TERMINAL)
    if not isinstance(gateway, PasswordGateway):
        return
    try:
        await gateway.forget(ref)
    except GatewayError as error:
        log.warning("terminal_not_closed", code=error.code)
