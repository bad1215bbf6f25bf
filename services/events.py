"""What has just changed for whom, told to those who listen: noted in a transaction, sent after its commit, or never.

An event says which thing has changed and what its status is now; whoever hears it fetches the rest. It may be lost
with Redis or with this process, so nobody may depend on one: clients also look by themselves.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

NOTED = "events"


class EventKind(StrEnum):
    APPROVAL_CREATED = "approval.created"
    APPROVAL_REVISED = "approval.revised"
    APPROVAL_DECIDED = "approval.decided"
    APPROVAL_WITHDRAWN = "approval.withdrawn"
    APPROVAL_EXPIRED = "approval.expired"
    ORDER_UPDATED = "order.updated"
    POSITIONS_UPDATED = "positions.updated"
    SUBSCRIPTION_UPDATED = "subscription.updated"


@dataclass(frozen=True, slots=True)
class Event:
    """``due`` is when its user may hear of it, None for at once."""

    user_id: int
    kind: EventKind
    data: dict[str, str]
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Several:
    """The same for many approvals, which ``rows`` finds after the commit: the writer need not wait for that."""

    kind: EventKind
    status: str
    rows: Select[int, int, datetime]
    now: datetime

    def told(self, found: Iterable[tuple[int, int, datetime]]) -> list[Event]:
        """The events of (id, user, when it may be seen). One that is not to be seen yet is told then."""
        return [Event(user_id, self.kind, {"approval_id": str(approval_id), "status": self.status},
                      visible_at if visible_at > self.now else None) for approval_id, user_id, visible_at in found]


def note(session: AsyncSession, user_id: int, kind: EventKind, **data: str) -> None:
    """Tell this user once the transaction has committed."""
    _noted(session).append(Event(user_id, kind, data))


def note_approvals(session: AsyncSession, kind: EventKind, status: str,
                   rows: Select[int, int, datetime], now: datetime) -> None:
    """The same for the approvals that ``rows`` finds: id, user, when it may be seen."""
    _noted(session).append(Several(kind, status, rows, now))


def note_order(session: AsyncSession, user_id: int, order_id: int, approval_id: int, status: str) -> None:
    """An order has another status now, or another volume or profit in it."""
    note(session, user_id, EventKind.ORDER_UPDATED, order_id=str(order_id), approval_id=str(approval_id),
         status=status)


def noted(session: AsyncSession) -> list[Event | Several]:
    """What the transaction has noted so far."""
    found: list[Event | Several] = session.info.get(NOTED, [])
    return found


def _noted(session: AsyncSession) -> list[Event | Several]:
    found: list[Event | Several] = session.info.setdefault(NOTED, [])
    return found
