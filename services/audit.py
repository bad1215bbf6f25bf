"""Writing the audit log, in the transaction of the act itself."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from models.audit import AuditEvent


def record(session: AsyncSession, now: datetime, action: str, subject: str, subject_id: int | None, *,
           user_id: int | None = None, door: str | None = None, **detail: Any) -> None:
    """Add one event; it stands or falls with the caller's transaction."""
    session.add(AuditEvent(at=now, action=action, subject=subject, subject_id=subject_id, user_id=user_id,
                           door=door, detail=detail))
