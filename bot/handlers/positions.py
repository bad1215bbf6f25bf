"""/positions and /accounts."""

from html import escape

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import Message

from bot import keyboards, numbers, texts
from bot.clock import now
from bot.keyboards import Links
from bot.replies import Replies
from services import accounts
from services.desk import Desk
from services.errors import NoAccount, TryLater
from services.positions import Portfolio
from terminal.protocol import Position

MOST_ROWS = 20


def router() -> Router:
    made = Router(name="positions")
    made.message.register(positions, Command("positions"))
    made.message.register(listed, Command("accounts"))
    return made


async def positions(_message: Message, desk: Desk, replies: Replies, links: Links, user_id: int) -> None:
    """The primary account's open positions."""
    async with desk.database.reading() as session:
        try:
            account = await accounts.primary(session, user_id)
        except NoAccount:
            replies.say(texts.NO_ACCOUNT)
            return
    found = await desk.positions.live(account, now(), force=True)
    replies.say(_written(account.label, found), keyboards.app(links, "/app/positions"))


def _written(label: str, found: Portfolio) -> str:
    snapshot = found.snapshot
    equity = numbers.money(snapshot.equity, snapshot.currency)
    lines = []
    if not found.positions:
        lines.append(texts.NO_POSITIONS.format(account=escape(label), equity=equity))
    else:
        total = numbers.signed_money(found.total_profit, snapshot.currency)
        lines.append(f"<b>{escape(label)}</b> · {equity} · {total}")
        lines += [_line(p, found.digits.get(p.symbol)) for p in found.positions[:MOST_ROWS]]
        if len(found.positions) > MOST_ROWS:
            lines.append(f"… and {len(found.positions) - MOST_ROWS} more in the app")
    if found.stale:
        lines.append(texts.POSITIONS_STALE.format(clock=numbers.clock(snapshot.taken_at)))
    return "\n".join(lines)


def _line(p: Position, digits: int | None) -> str:
    arrow = "▲" if p.side == "buy" else "▼"
    way = f"{numbers.price(p.entry_price, digits)} → {numbers.price(p.current_price, digits)}"
    swap = f" · swap {numbers.signed(p.swap, 2)}" if p.swap else ""
    return (f"{arrow} <b>{escape(p.symbol)}</b> {numbers.lots(p.volume)} · {way} · "
            f"<b>{numbers.signed(p.profit, 2)}</b>{swap}")


async def listed(_message: Message, desk: Desk, replies: Replies, links: Links, user_id: int) -> None:
    """Every account, the primary first."""
    async with desk.database.reading() as session:
        rows = await accounts.listed(session, user_id)
    if not rows:
        replies.say(texts.NO_ACCOUNT)
        return
    lines = [texts.ACCOUNTS_HEAD]
    for row in rows:
        star = "★ " if row.is_primary else ""
        try:
            snapshot = (await desk.positions.live(row, now())).snapshot
            figure = numbers.money(snapshot.equity, snapshot.currency)
        except TryLater:
            figure = "no answer"
        lines.append(f"{star}<b>{escape(row.label)}</b> · {escape(row.broker)} ·{row.login[-4:]} · {figure}")
    replies.say("\n".join(lines), keyboards.app(links))
