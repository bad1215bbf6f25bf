"""Tables, column types and the database. No behaviour."""

from models import account, approval, audit, billing, grant, message, order, provider, signal, user
from models.base import Base

__all__ = ["Base", "account", "approval", "audit", "billing", "grant", "message", "order", "provider", "signal", "user"]
