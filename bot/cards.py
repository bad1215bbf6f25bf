"""Approval cards: what a signal looks like in the chat, before and after the decision."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from aiogram.types import InlineKeyboardMarkup

from bot import keyboards, numbers, texts
from bot.keyboards import Links
from models.account import Route
from models.approval import ApprovalStatus, Door
from models.order import Order, OrderStatus
from services import cards, terms
from services.approvals import ApprovalView
from services.cards import Outlook
from services.desk import Desk

DOORS = {Door.CHAT: "in the chat", Door.APP: "in the app", Door.MANDATE: "by your mandate"}
LABELS = 5
WIDTH = 34  # a code block of a narrow phone breaks longer lines in two


@dataclass(frozen=True, slots=True)
class Rendered:
    """A card as it would be sent; ``digest`` starts with the terms it shows, then covers text and buttons."""

    text: str
    keyboard: InlineKeyboardMarkup | None
    digest: str

    def shows(self, stored: str | None) -> bool:
        """Whether the chat already shows exactly this."""
        return stored == self.digest

    def same_terms(self, stored: str | None) -> bool:
        """Whether the chat shows a card of the same terms."""
        return stored is not None and stored.split(":")[0] == self.digest.split(":")[0]


async def render(desk: Desk, links: Links, view: ApprovalView, now: datetime) -> Rendered:
    """The card of an approval as things stand."""
    outlook = await cards.outlook(desk, view, now)
    keyboard = keyboards.decide(links, view.id, view.terms_hash) if view.status == ApprovalStatus.PENDING else None
    return _rendered(write(view, outlook, now), keyboard, view.terms_hash)


def replaced(view: ApprovalView) -> Rendered:
    """What is left of a card whose terms have changed."""
    text = f"↻ <b>{escape(view.levels.symbol)}</b>: the terms have changed. The new card is below."
    return _rendered(text, None, view.terms_hash)


def _rendered(text: str, keyboard: InlineKeyboardMarkup | None, terms_hash: str) -> Rendered:
    shape: Any = keyboard.model_dump_json(exclude_none=True) if keyboard else ""
    covered = hashlib.sha256(f"{text}\0{shape}".encode()).hexdigest()
    return Rendered(text, keyboard, f"{terms_hash[:16]}:{covered[:40]}")


def write(view: ApprovalView, outlook: Outlook, now: datetime) -> str:
    """The text, HTML; at most six lines before a decision, one more on top after it."""
    levels, pending = view.levels, view.status == ApprovalStatus.PENDING
    lines = [] if pending else [outcome(view, outlook.digits)]
    arrow = "▲" if levels.side == "buy" else "▼"
    head = f"<b>{escape(levels.symbol)}  {arrow} {levels.side.upper()}</b> {levels.order_type}"
    lines.append(f"{head} · ⏳ {numbers.span(view.expires_at - now)}" if pending else head)
    lines.append(f"<pre>{escape(_table(view, outlook))}</pre>")
    if pending:
        lines.append(_consequence(view, outlook))
        lines.append(f"{escape(view.provider_name)} · #{view.signal_id} · until {numbers.clock(view.expires_at)}")
    return "\n".join(lines)


def _table(view: ApprovalView, outlook: Outlook) -> str:
    levels, digits = view.levels, outlook.digits
    pending = view.status == ApprovalStatus.PENDING
    price_now = outlook.current_price if pending else None
    entry = terms.entry_edge(levels)
    start = entry if entry is not None else price_now
    if levels.entry_range is not None:
        shown = "–".join(numbers.price(end, digits) for end in levels.entry_range)
    else:
        shown = numbers.price(entry, digits) if entry is not None else "market"
    now = f"  now {numbers.price(price_now, digits)}" if price_now is not None else ""
    rows = [_row("Entry", shown + now, shown)]
    if levels.stop_loss is not None:
        stop, ratio = numbers.price(levels.stop_loss, digits), terms.risk_reward(levels, start)
        away = f"  {numbers.signed(levels.stop_loss - start, digits)}" if start is not None else ""
        reward = f"  R/R{numbers.GAP}{ratio}" if ratio is not None else ""
        rows.append(_row("Stop", stop + away + reward, stop + reward))
    if levels.take_profits:
        rows.append(_row("TP", *_targets([numbers.price(target, digits) for target in levels.take_profits])))
    return "\n".join(rows)


def _targets(prices: list[str]) -> Iterator[str]:
    """All targets, then ever fewer with the number of those left out; the app and /why have them all."""
    yield "  ".join(prices)
    for shown in range(len(prices) - 1, 0, -1):
        yield "  ".join([*prices[:shown], f"+{len(prices) - shown}{numbers.GAP}more"])


def _row(label: str, *fuller_first: str) -> str:
    """The fullest value that fits on a narrow phone, without its place in the column if that is what it takes."""
    written = [f"{head} {value}" for value in fuller_first for head in (f"{label:<{LABELS}}", label)]
    return next((line for line in written if len(line) <= WIDTH), written[-1])


def _consequence(view: ApprovalView, outlook: Outlook) -> str:
    """What approving would really do, in the account's money."""
    if outlook.refusal == "no_account" or outlook.account is None:
        return "No account to trade on: send /start"
    name = escape(outlook.account.label)
    if outlook.refusal:
        return f"⚠️ On {name}: {texts.reason(outlook.refusal)}"
    if outlook.volume is None and outlook.account.route == Route.DEVICE:
        return f"On {name} · sized when its device tells the price"
    if outlook.volume is None:
        return f"On {name} · the terminal does not answer now"
    text = f"{'≈ ' if outlook.is_estimate else ''}{numbers.lots(outlook.volume)} lots on {name}"
    if outlook.loss is not None:
        return f"{text} · {numbers.money(outlook.loss, outlook.account.currency)} at the stop"
    return text if view.levels.stop_loss is not None else f"{text} · no stop"


def outcome(view: ApprovalView, digits: int | None) -> str:
    """The line on top of a card that needs no answer any more."""
    at = numbers.clock(view.decided_at) if view.decided_at else ""
    if view.status == ApprovalStatus.APPROVED:
        text = f"<b>Approved by you</b> at {at} {DOORS[Door(view.decided_via or Door.APP)]}"
        mark, state = order_state(view.order, digits)
        return f"{mark} {text} · {state}"
    if view.status == ApprovalStatus.REJECTED:
        return f"✖️ <b>Rejected by you</b> at {at} {DOORS[Door(view.decided_via or Door.APP)]}"
    if view.status == ApprovalStatus.WITHDRAWN:
        return "↩️ <b>Withdrawn</b> by the provider. Nothing was traded."
    return "⌛ <b>Expired</b> without an answer. Nothing was traded."


def order_state(order: Order | None, digits: int | None) -> tuple[str, str]:
    """A mark, and what became of the order in words."""
    if order is None:
        return "✅", "sending the order"
    if order.status in texts.ORDER_STATES:
        return "⚠️" if order.status == OrderStatus.UNKNOWN else "✅", texts.ORDER_STATES[OrderStatus(order.status)]
    ticket = f" · #{order.ticket}" if order.ticket else ""
    volume = numbers.lots(order.volume) if order.volume is not None else ""
    if order.status == OrderStatus.FILLED and order.fill_price is not None:
        return "✅", f"filled {volume} @ {numbers.price(order.fill_price, digits)}{ticket}"
    if order.status == OrderStatus.PLACED:
        at = f" @ {numbers.price(order.entry_price, digits)}" if order.entry_price is not None else ""
        return "✅", f"{order.order_type} order {volume}{at} waits{ticket}"
    if order.status == OrderStatus.CLOSED:
        result = f", {numbers.signed(order.profit, 2)}" if order.profit is not None else ""
        return "🏁", f"closed: {texts.reason(order.reason)}{result}{ticket}"
    return "⚠️", f"not traded: {texts.reason(order.reason, order.error)}"
