"""Approvals: one guarded statement decides, the first answer wins from whatever door.

The signal's own row is the truth about its terms and whether it is still open, so a revision or a
cancellation counts from the moment it commits, however far its fan-out has come.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Row, Select, and_, exists, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account
from models.approval import Approval, ApprovalStatus, Door
from models.message import Priority
from models.order import Order
from models.provider import Provider
from models.signal import Signal, SignalStatus, Terms
from models.user import User
from services import accounts, audit, events, orders, outbox, terms, waiting_orders
from services.errors import (
    AlreadyDecided,
    ApprovalExpired,
    ApprovalWithdrawn,
    NotFound,
    TermsChanged,
    TierTooLow,
)
from services.events import EventKind
from services.terms import Levels
from services.tiers import Catalogue, tier_of

# 48 bits of a hash: what fits on a button and is not met by chance.
SHORTEST_PREFIX = 12


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """An approval as its owner sees it now."""

    id: int
    signal_id: int
    user_id: int
    status: str
    levels: Levels
    terms_hash: str
    version: int
    provider_id: int
    provider_name: str
    published_at: datetime
    visible_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    decided_via: str | None
    reason: str | None
    order: Order | None
    account: Account | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What deciding has to know besides the rows. ``card_settle`` is how long a card waits for its fill."""

    catalogue: Catalogue
    card_settle: timedelta
    execute_within: timedelta


async def approve(session: AsyncSession, rules: Rules, user_id: int, approval_id: int, terms_hash: str | None,
                  door: Door, now: datetime, *, hash_prefix: str | None = None) -> tuple[ApprovalView, bool]:
    """Countersign exactly these terms and write the order; returns the approval and whether this decided it.

    The chat door names the terms by a prefix of their hash, which is what fits on a button.
    """
    matches = Terms.terms_hash == terms_hash
    if hash_prefix is not None:
        is_long_enough = literal(len(hash_prefix) >= SHORTEST_PREFIX)
        matches = and_(Terms.terms_hash.startswith(hash_prefix, autoescape=True), is_long_enough)
    decided = await _decide(session, user_id, approval_id, ApprovalStatus.APPROVED, None, door, now, matches)
    if not decided:
        return await _explain(session, user_id, approval_id, ApprovalStatus.APPROVED, now), False
    account = await accounts.primary_to_trade(session, user_id)
    tier = await tier_of(session, rules.catalogue, user_id, now)
    if account.route != "paper" and not tier.live:
        raise TierTooLow(rules.catalogue.first_live.name)
    current = await view(session, user_id, approval_id, now)
    row = await session.get_one(Terms, await _terms_id(session, approval_id))
    order = orders.intend(row, approval_id, user_id, account.id, current.expires_at, rules.execute_within, now)
    session.add(order)
    waiting_orders.note(session, account.id)
    audit.record(session, now, "approved", "approval", approval_id, user_id=user_id, door=door,
                 terms_hash=current.terms_hash, account_id=account.id)
    await session.flush()
    events.note_order(session, user_id, order.id, approval_id, order.status)
    await outbox.edit_cards(session, [approval_id], now + rules.card_settle)
    return await view(session, user_id, approval_id, now), True


async def reject(session: AsyncSession, user_id: int, approval_id: int, reason: str | None, door: Door,
                 now: datetime) -> tuple[ApprovalView, bool]:
    """Turn a signal down; returns the approval and whether this decided it."""
    decided = await _decide(session, user_id, approval_id, ApprovalStatus.REJECTED, reason, door, now, None)
    if not decided:
        return await _explain(session, user_id, approval_id, ApprovalStatus.REJECTED, now), False
    found = await view(session, user_id, approval_id, now)
    audit.record(session, now, "rejected", "approval", approval_id, user_id=user_id, door=door,
                 terms_hash=found.terms_hash)
    await outbox.edit_cards(session, [approval_id], now)
    return found, True


async def _decide(session: AsyncSession, user_id: int, approval_id: int, status: ApprovalStatus, reason: str | None,
                  door: Door, now: datetime, matches: ColumnElement[bool] | None) -> bool:
    """The one statement that decides; every condition is in it.

    PostgreSQL shows a statement that had to wait for its row other rows as they were before: the signal is
    locked first, so that none of its changes can commit between what the statement sees and its own commit.
    """
    await session.execute(
        select(Signal.id).join(Approval, Approval.signal_id == Signal.id)
        .where(Approval.id == approval_id, Approval.user_id == user_id).with_for_update(read=True, of=Signal))
    current = select(Signal.terms_id).where(Signal.id == Approval.signal_id).scalar_subquery()
    is_open = exists().where(Signal.id == Approval.signal_id, Signal.status == SignalStatus.OPEN)
    conditions = [Approval.id == approval_id, Approval.user_id == user_id, Approval.status == ApprovalStatus.PENDING,
                  Approval.visible_at <= now, Approval.expires_at > now, is_open]
    if matches is not None:
        conditions.append(exists().where(Signal.id == Approval.signal_id, Terms.id == Signal.terms_id, matches))
    decided = await session.scalar(
        update(Approval).where(*conditions)
        .values(status=status, decided_at=now, decided_via=door, reason=reason, terms_id=current)
        .returning(Approval.id).execution_options(synchronize_session=False))
    if decided is None:
        return False
    events.note(session, user_id, EventKind.APPROVAL_DECIDED, approval_id=str(approval_id), status=status)
    return True


async def _explain(session: AsyncSession, user_id: int, approval_id: int, wanted: ApprovalStatus,
                   now: datetime) -> ApprovalView:
    """Why the statement decided nothing: the same answer again is a success, all else an error."""
    found = await view(session, user_id, approval_id, now)
    if found.status == wanted:
        return found
    if found.status in (ApprovalStatus.APPROVED, ApprovalStatus.REJECTED):
        raise AlreadyDecided
    if found.status == ApprovalStatus.WITHDRAWN:
        raise ApprovalWithdrawn
    if found.status == ApprovalStatus.EXPIRED:
        raise ApprovalExpired
    raise TermsChanged


async def _terms_id(session: AsyncSession, approval_id: int) -> int:
    found = await session.scalar(select(Approval.terms_id).where(Approval.id == approval_id))
    assert found is not None
    return found


def _query() -> Select[Approval, Signal, Terms, str, Order, Account]:
    # A pending card shows the signal's current terms; a decided one the terms it was decided on.
    shown = or_(and_(Approval.status == ApprovalStatus.PENDING, Terms.id == Signal.terms_id),
                and_(Approval.status != ApprovalStatus.PENDING, Terms.id == Approval.terms_id))
    return (select(Approval, Signal, Terms, Provider.name, Order, Account)
            .join(Signal, Signal.id == Approval.signal_id).join(Terms, shown)
            .join(Provider, Provider.id == Signal.provider_id)
            .outerjoin(Order, Order.approval_id == Approval.id).outerjoin(Account, Account.id == Order.account_id)
            .execution_options(populate_existing=True))


def _seen(row: Row[Approval, Signal, Terms, str, Order, Account], now: datetime) -> ApprovalView:
    approval, signal, shown, provider_name, order, account = row
    return ApprovalView(
        approval.id, approval.signal_id, approval.user_id, _status(approval, signal, now), terms.of(shown),
        shown.terms_hash, shown.version, signal.provider_id, provider_name, signal.published_at, approval.visible_at,
        approval.expires_at, approval.decided_at, approval.decided_via, approval.reason, order, account)


def _status(approval: Approval, signal: Signal, now: datetime) -> str:
    if approval.status != ApprovalStatus.PENDING:
        return approval.status
    if signal.status != SignalStatus.OPEN:
        return ApprovalStatus.WITHDRAWN
    return ApprovalStatus.EXPIRED if approval.expires_at <= now else ApprovalStatus.PENDING


async def view(session: AsyncSession, user_id: int, approval_id: int, now: datetime) -> ApprovalView:
    """One approval; NotFound when there is none, it is another user's, or its time has not come."""
    row = (await session.execute(_query().where(
        Approval.id == approval_id, Approval.user_id == user_id, Approval.visible_at <= now))).one_or_none()
    if row is None:
        raise NotFound
    return _seen(row, now)


async def by_id(session: AsyncSession, approval_id: int, now: datetime) -> ApprovalView | None:
    """One approval whoever owns it, for the notifier."""
    row = (await session.execute(_query().where(Approval.id == approval_id))).one_or_none()
    return _seen(row, now) if row else None


async def pending(session: AsyncSession, user_id: int, now: datetime, limit: int = 100) -> list[ApprovalView]:
    """What waits for this user's answer, the one that expires first on top."""
    rows = await session.execute(
        _query().where(Approval.user_id == user_id, Approval.status == ApprovalStatus.PENDING,
                       Approval.visible_at <= now, Approval.expires_at > now, Signal.status == SignalStatus.OPEN)
        .order_by(Approval.expires_at, Approval.id).limit(limit))
    return [_seen(row, now) for row in rows]


async def history(session: AsyncSession, user_id: int, now: datetime, *, statuses: tuple[str, ...],
                  before_id: int | None, limit: int) -> tuple[list[ApprovalView], int | None]:
    """Approvals, the newest first, and the cursor of the next page."""
    query = _query().where(Approval.user_id == user_id, Approval.visible_at <= now, _having(statuses, now))
    if before_id is not None:
        query = query.where(Approval.id < before_id)
    rows = (await session.execute(query.order_by(Approval.id.desc()).limit(limit + 1))).all()
    found = [_seen(row, now) for row in rows[:limit]]
    return found, found[-1].id if len(rows) > limit else None


def _having(statuses: tuple[str, ...], now: datetime) -> ColumnElement[bool]:
    """SQL for the status as its owner sees it, whether or not a sweep has written it yet."""
    waiting = Approval.status == ApprovalStatus.PENDING
    is_open, is_over = Signal.status == SignalStatus.OPEN, Approval.expires_at <= now
    derived = {ApprovalStatus.PENDING: and_(waiting, is_open, ~is_over),
               ApprovalStatus.EXPIRED: or_(Approval.status == ApprovalStatus.EXPIRED, and_(waiting, is_open, is_over)),
               ApprovalStatus.WITHDRAWN: or_(Approval.status == ApprovalStatus.WITHDRAWN, and_(waiting, ~is_open))}
    return or_(*(derived.get(ApprovalStatus(s), Approval.status == s) for s in statuses))


async def expire_due(session: AsyncSession, now: datetime, limit: int) -> int:
    """Mark approvals whose time is over and owe their cards an edit; returns how many."""
    ids = list(await session.scalars(
        select(Approval.id).where(Approval.status == ApprovalStatus.PENDING, Approval.expires_at <= now)
        .order_by(Approval.expires_at).limit(limit)))
    if not ids:
        return 0
    done = list(await session.scalars(
        update(Approval).where(Approval.id.in_(ids), Approval.status == ApprovalStatus.PENDING,
                               Approval.expires_at <= now)
        .values(status=ApprovalStatus.EXPIRED, decided_at=now).returning(Approval.id)))
    events.note_approvals(
        session, EventKind.APPROVAL_EXPIRED, ApprovalStatus.EXPIRED,
        select(Approval.id, Approval.user_id, Approval.visible_at).where(Approval.id.in_(done)), now)
    await outbox.edit_cards(session, done, now, priority=Priority.HOUSEKEEPING)
    return len(done)


async def card_sent(session: AsyncSession, approval_id: int, message_id: int, card_hash: str) -> None:
    """Remember what the chat shows."""
    await session.execute(update(Approval).where(Approval.id == approval_id).values(
        card_message_id=message_id, card_hash=card_hash))


async def card_of(session: AsyncSession, approval_id: int) -> tuple[int | None, str | None, str]:
    """The chat message of an approval's card, the hash of what it shows, and how its owner wants to be told."""
    row = (await session.execute(
        select(Approval.card_message_id, Approval.card_hash, User.card_notice).join(User, User.id == Approval.user_id)
        .where(Approval.id == approval_id))).one()
    return row.card_message_id, row.card_hash, row.card_notice
