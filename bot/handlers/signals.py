"""/signals and /why."""

from html import escape

from aiogram import Router
from aiogram.filters import Command, CommandObject
from aiogram.types import Message

from bot import keyboards, numbers, texts
from bot.clock import now
from bot.keyboards import Links
from bot.replies import Replies
from services import signals
from services.desk import Desk
from services.signals import SignalView

LATEST = 8
MOST_DIGITS = 15


def router() -> Router:
    made = Router(name="signals")
    made.message.register(latest, Command("signals"))
    made.message.register(why, Command("why"))
    return made


async def latest(_message: Message, desk: Desk, replies: Replies, links: Links, user_id: int) -> None:
    """The last few signals this user was asked about, and how each question stands."""
    async with desk.database.reading() as session:
        found = await signals.recent(session, user_id, now(), LATEST)
    if not found:
        replies.say(texts.NO_SIGNALS, keyboards.app(links))
        return
    lines = [_line(view, status) for _, view, status in found]
    replies.say("\n".join([texts.SIGNALS_HEAD, *lines]), keyboards.app(links, "/app/approvals"))


def _line(view: SignalView, status: str) -> str:
    arrow = "▲" if view.levels.side == "buy" else "▼"
    head = f"#{view.id} <b>{escape(view.levels.symbol)}</b> {arrow} {view.levels.side}"
    return f"{head} · {escape(view.provider_name)} · {texts.SIGNAL_STATES[status]}"


async def why(_message: Message, command: CommandObject, desk: Desk, replies: Replies, user_id: int) -> None:
    """The provider's reasoning for one of this user's signals."""
    wanted = (command.args or "").strip().lstrip("#")
    if not wanted.isascii() or not wanted.isdigit() or len(wanted) > MOST_DIGITS:
        replies.say(texts.WHY_WHICH)
        return
    async with desk.database.reading() as session:
        found = await signals.seen_by(session, user_id, int(wanted), now())
    if found is None:
        replies.say(texts.WHY_UNKNOWN)
        return
    levels = found.levels
    targets = " · ".join(numbers.price(target, None) for target in levels.take_profits)
    note = f"<blockquote>{escape(levels.note)}</blockquote>" if levels.note else texts.WHY_NO_NOTE
    replies.say(f"<b>{escape(levels.symbol)} {levels.side.upper()}</b> · {escape(found.provider_name)} · "
                f"{numbers.clock(found.published_at)}\n{note}" + (f"\nTargets: {targets}" if targets else ""))
