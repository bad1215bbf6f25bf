"""Tables, column types and the database. No behaviour."""

from models import (
    account,
    approval,
    audit,
    billing,
    device,
    grant,
    message,
    order,
    position,
    provider,
    signal,
    symbol,
    user,
)
from models.base import Base

__all__ = ["Base", "account", "approval", "audit", "billing", "device", "grant", "message", "order", "position",
           "provider", "signal", "symbol", "user"]
