"""What the application carries, by typed key."""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from config import Settings
from services.billing import Cashier
from services.desk import Desk
from webapp.claims import Answer, Claims
from webapp.hints import Hints
from webapp.limits import Limits
from webapp.verdicts import Verdicts

desk = web.AppKey("desk", Desk)
settings = web.AppKey("settings", Settings)
limits = web.AppKey("limits", Limits)
verdicts = web.AppKey("verdicts", Verdicts)
claims = web.AppKey("claims", Claims)
hints = web.AppKey("hints", Hints)
cashier: web.AppKey[Cashier | None] = web.AppKey("cashier")
cashiers: web.AppKey[Mapping[str, Cashier]] = web.AppKey("cashiers")
ready: web.AppKey[Callable[[], Awaitable[bool]]] = web.AppKey("ready")
console_origin: web.AppKey[str | None] = web.AppKey("console_origin")
bot_username: web.AppKey[Callable[[], str | None]] = web.AppKey("bot_username")
answers_to = web.RequestKey("answers_to", bytes)
"""The secret of the device that asks, once it has proved to have it."""
claimed: web.RequestKey[Answer | Exception] = web.RequestKey("claimed")
"""What Redis has said of a device's request already, or why it has not."""
answered_at = web.RequestKey("answered_at", float)
"""When the head of an answer went out that is told for as long as somebody listens."""
request_id = web.RequestKey("request_id", str)
