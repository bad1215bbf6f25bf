"""The outbox: what is owed to chats, claimed under a lease, settled once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, cast, delete, exists, func, literal, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from models.approval import Approval
from models.message import OutboxItem, OutboxKind, OutboxState, Priority
from models.user import User
from services.upsert import insert

PRIORITIES = (Priority.ANSWER, Priority.CARD, Priority.HOUSEKEEPING)
CLAIMING = 0x6F757462  # "outb"
# Written out, not bound: only so is the index of what waits sure to be the one that is used.
WAITS = OutboxItem.state == literal_column(f"'{OutboxState.PENDING.value}'")
# Named one by one: "not pending" cannot use the index, and the janitor must not walk the whole table.
OVER = (OutboxState.SENT, OutboxState.SKIPPED, OutboxState.DEAD)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row under lease: what to say, to whom, and which asking (``version``) this is."""

    id: int
    kind: str
    chat_id: int
    approval_id: int | None
    payload: dict[str, Any] | None
    priority: int
    version: int
    attempts: int


async def say(session: AsyncSession, chat_id: int, key: str, payload: dict[str, Any], now: datetime, *,
              priority: int = Priority.ANSWER) -> None:
    """Owe a chat a text; ``key`` makes asking twice the same as asking once."""
    statement = insert(session, OutboxItem).values(
        kind=OutboxKind.TEXT, chat_id=chat_id, dedupe_key=key, payload=payload, priority=priority, version=1,
        state=OutboxState.PENDING, attempts=0, next_try_at=now, created_at=now)
    await session.execute(statement.on_conflict_do_nothing(index_elements=["dedupe_key"]))


async def edit_cards(session: AsyncSession, approval_ids: Sequence[int], at: datetime, *,
                     priority: int = Priority.ANSWER) -> None:
    """Owe the cards of these approvals an edit at ``at``; an edit already owed is moved there instead."""
    if not approval_ids:
        return
    key = literal("edit:") + cast(Approval.id, String)
    rows = (select(literal(OutboxKind.EDIT.value), User.telegram_id, Approval.id, key, literal(priority), literal(1),
                   literal(OutboxState.PENDING.value), literal(0), literal(at, OutboxItem.next_try_at.type),
                   literal(at, OutboxItem.created_at.type))
            .join(User, User.id == Approval.user_id)
            .where(Approval.id.in_(approval_ids), User.blocked_at.is_(None)).order_by(Approval.id))
    statement = insert(session, OutboxItem).from_select(
        ["kind", "chat_id", "approval_id", "dedupe_key", "priority", "version", "state", "attempts", "next_try_at",
         "created_at"], rows)
    await session.execute(statement.on_conflict_do_update(
        index_elements=["dedupe_key"],
        set_={"state": OutboxState.PENDING.value, "version": OutboxItem.version + 1, "attempts": 0,
              "priority": statement.excluded.priority, "next_try_at": statement.excluded.next_try_at}))


async def claim(session: AsyncSession, owner: str, now: datetime, lease: timedelta, limit: int,
                busy_chats: Sequence[int] = ()) -> list[Claimed]:
    """Lease due rows, most urgent first, at most one a chat and none of a chat that has one under lease."""
    if session.get_bind().dialect.name == "postgresql":
        # Claimers take turns: SKIP LOCKED alone would give two of them a row each of the same chat.
        await session.execute(select(func.pg_advisory_xact_lock(CLAIMING)))
    other = aliased(OutboxItem)
    free = or_(OutboxItem.lease_until.is_(None), OutboxItem.lease_until <= now)
    taken = exists().where(other.chat_id == OutboxItem.chat_id, other.state == OutboxState.PENDING,
                           other.lease_until > now)
    first_of_chat: dict[int, int] = {}
    for priority in PRIORITIES:
        # Each priority by itself: so the index leads straight to what is due, past all that waits for its time.
        due = (select(OutboxItem.id, OutboxItem.chat_id)
               .where(WAITS, OutboxItem.priority == priority, OutboxItem.next_try_at <= now, free, ~taken,
                      OutboxItem.chat_id.not_in(busy_chats))
               .order_by(OutboxItem.next_try_at, OutboxItem.id).limit(limit * 3)
               .with_for_update(skip_locked=True))
        for row in await session.execute(due):
            first_of_chat.setdefault(row.chat_id, row.id)
        if len(first_of_chat) >= limit:
            break
    ids = list(first_of_chat.values())[:limit]
    if not ids:
        return []
    rows = await session.execute(
        update(OutboxItem).where(OutboxItem.id.in_(ids), OutboxItem.state == OutboxState.PENDING, free)
        .values(lease_owner=owner, lease_until=now + lease)
        .returning(OutboxItem.id, OutboxItem.kind, OutboxItem.chat_id, OutboxItem.approval_id, OutboxItem.payload,
                   OutboxItem.priority, OutboxItem.version, OutboxItem.attempts))
    claimed = [Claimed(*row) for row in rows]
    return sorted(claimed, key=lambda item: (item.priority, item.id))


async def renew(session: AsyncSession, item: Claimed, owner: str, until: datetime) -> bool:
    """Keep a row longer; False when its lease was over and another has taken it."""
    kept = await session.scalar(
        update(OutboxItem).where(OutboxItem.id == item.id, OutboxItem.state == OutboxState.PENDING,
                                 OutboxItem.lease_owner == owner)
        .values(lease_until=until).returning(OutboxItem.id))
    return kept is not None


async def settle(session: AsyncSession, item: Claimed, owner: str, state: OutboxState, now: datetime, *,
                 message_id: int | None = None, error: str | None = None) -> None:
    """The row is done with, unless it was asked for again meanwhile: then it is only released."""
    mine = (OutboxItem.id == item.id, OutboxItem.lease_owner == owner)
    settled = await session.scalar(
        update(OutboxItem).where(*mine, OutboxItem.version == item.version)
        .values(state=state, settled_at=now, message_id=message_id, error=error, attempts=item.attempts + 1,
                lease_owner=None, lease_until=None).returning(OutboxItem.id))
    if settled is None:
        await session.execute(update(OutboxItem).where(*mine).values(lease_owner=None, lease_until=None))


async def postpone(session: AsyncSession, item: Claimed, owner: str, until: datetime, *, counts: bool,
                   error: str | None = None) -> None:
    """Try again later; ``counts`` says whether this was an attempt of its own or only bad timing."""
    await session.execute(
        update(OutboxItem).where(OutboxItem.id == item.id, OutboxItem.lease_owner == owner)
        .values(lease_owner=None, lease_until=None, error=error, attempts=item.attempts + (1 if counts else 0),
                next_try_at=until))


async def next_due(session: AsyncSession) -> datetime | None:
    """When the earliest row that nobody holds becomes due."""
    # One look into the index for each priority; the minimum over all of them would walk the whole backlog.
    earliest = [select(func.min(OutboxItem.next_try_at)).where(WAITS, OutboxItem.priority == priority)
                .scalar_subquery() for priority in PRIORITIES]
    found = (await session.execute(select(*earliest))).one()
    return min((due for due in found if due is not None), default=None)


async def card_is_owed(session: AsyncSession, approval_id: int) -> bool:
    """Whether a card of this approval has still to be sent; it will show the latest state by itself."""
    return bool(await session.scalar(select(exists().where(
        OutboxItem.approval_id == approval_id, OutboxItem.kind == OutboxKind.CARD,
        OutboxItem.state == OutboxState.PENDING))))


async def drop_settled(session: AsyncSession, before: datetime, limit: int) -> int:
    """Delete rows settled before ``before``; their effects stand elsewhere."""
    ids = list(await session.scalars(select(OutboxItem.id).where(
        OutboxItem.state.in_(OVER), OutboxItem.settled_at < before).limit(limit)))
    await session.execute(delete(OutboxItem).where(OutboxItem.id.in_(ids)))
    return len(ids)


async def backlog(session: AsyncSession) -> dict[str, dict[int, int]]:
    """How many rows wait or are dead, by priority."""
    rows = await session.execute(
        select(OutboxItem.state, OutboxItem.priority, func.count())
        .where(OutboxItem.state.in_([OutboxState.PENDING, OutboxState.DEAD]))
        .group_by(OutboxItem.state, OutboxItem.priority))
    found: dict[str, dict[int, int]] = {OutboxState.PENDING: {}, OutboxState.DEAD: {}}
    for state, priority, number in rows:
        found[state][priority] = number
    return found
