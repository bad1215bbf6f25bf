"""Stand-ins that speak the vendors' real protocols over real sockets, on this machine only."""

from sandbox.errors import RefusedToStart
from sandbox.server import Sandbox
from sandbox.telegram.limits import Limits
from sandbox.tokens import BOT_ID, new_token

__all__ = ["BOT_ID", "Limits", "RefusedToStart", "Sandbox", "new_token"]
