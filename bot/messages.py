"""Turning what is owed to a chat into a Bot API call, at the moment its turn comes."""

from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Any

from aiogram import Bot
from aiogram.types import InlineKeyboardMarkup

from bot import cards, devices, keyboards, numbers, positions, texts
from bot.cards import Rendered
from bot.clock import now
from bot.keyboards import Links
from models.approval import ApprovalStatus
from models.message import OutboxKind
from models.user import CardNotice
from services import approvals, outbox
from services.approvals import ApprovalView
from services.desk import Desk
from services.outbox import Claimed

LONGEST = 4096
UNFILLED = {"expired": "not_reached_in_time", "rejected": "not_enough_money", "cancelled": "cancelled"}
SKIPPED_UNSENT = (ApprovalStatus.REJECTED, ApprovalStatus.EXPIRED, ApprovalStatus.WITHDRAWN)


@dataclass(frozen=True, slots=True)
class Message:
    """A call that is ready to be made: a new text, or with ``edits`` the change of an old one.

    ``card`` is set when the message is an approval's card; ``replaces`` is the old card that gives way to it.
    """

    text: str
    keyboard: InlineKeyboardMarkup | None
    edits: int | None = None
    silent: bool = False
    card: Rendered | None = None
    replaces: int | None = None
    farewell: Rendered | None = None


async def prepare(desk: Desk, links: Links, item: Claimed) -> Message | None:
    """What to say for this row now; None when there is nothing left to say."""
    if item.kind == OutboxKind.TEXT:
        return _text(links, item.payload or {}, item.chat_id)
    if item.approval_id is None:
        return None
    moment = now()
    async with desk.database.reading() as session:
        view = await approvals.by_id(session, item.approval_id, moment)
        if view is None:
            return None
        message_id, stored, notice = await approvals.card_of(session, item.approval_id)
        is_owed = item.kind == OutboxKind.EDIT and await outbox.card_is_owed(session, item.approval_id)
    card = await cards.render(desk, links, view, moment)
    if item.kind == OutboxKind.CARD:
        return _card(view, card, message_id, stored, notice)
    if message_id is None or is_owed or card.shows(stored):
        # A card still owed will show the latest state by itself.
        return None
    return Message(card.text, card.keyboard, edits=message_id, card=card)


def _card(view: ApprovalView, card: Rendered, message_id: int | None, stored: str | None,
          notice: str) -> Message | None:
    if message_id is None and view.status in SKIPPED_UNSENT:
        return None
    if message_id is not None and view.status != ApprovalStatus.PENDING:
        # There is nothing left to ask, so no new card: the old one says how it ended.
        return None if card.shows(stored) else Message(card.text, card.keyboard, edits=message_id, card=card)
    if message_id is not None and card.same_terms(stored):
        return None
    return Message(card.text, card.keyboard, card=card, silent=notice == CardNotice.SILENT, replaces=message_id,
                   farewell=cards.replaced(view) if message_id is not None else None)


def _text(links: Links, payload: dict[str, Any], chat_id: int) -> Message | None:
    template = payload.get("template")
    if template == "deal":
        return Message(deal(payload), None)
    if template == "act":
        return Message(positions.told_act(payload), None)
    if template == "link_broken":
        return Message(texts.LINK_BROKEN.format(account=escape(payload["account"]),
                                                why=texts.reason(payload["reason"])), None)
    if template == "device_paired":
        return Message(*devices.paired(payload, chat_id, links))
    if template in ("devices_quiet", "devices_back"):
        text = devices.quiet(payload) if template == "devices_quiet" else devices.back(payload)
        return Message(text, keyboards.app(links, "/app/accounts"))
    if template in texts.MONEY:
        url = payload.get("url")
        return Message(texts.MONEY[template], keyboards.link(texts.OPEN_INVOICE, url) if url else None)
    keyboard = payload.get("keyboard")
    return Message(str(payload["text"])[:LONGEST], InlineKeyboardMarkup.model_validate(keyboard) if keyboard else None)


def deal(of: dict[str, Any]) -> str:
    """What happened on the account while nobody looked."""
    head = f"<b>{escape(of['symbol'])}</b> · {escape(of['account'])}"
    volume, price = numbers.lots(Decimal(of["volume"])), numbers.price(Decimal(of["price"]), None)
    if not Decimal(of["volume"]):
        why = UNFILLED.get(of["reason"], "rejected_by_terminal")
        return f"⌛ {head}\nThe waiting order is gone: {texts.reason(why)}. Nothing was traded."
    if of["entry"] == "in":
        return f"✅ {head}\nThe waiting order was filled: {of['side']} {volume} @ {price}"
    result = Decimal(of["profit"])
    left = Decimal(of["remaining"])
    rest = f" · {numbers.lots(left)} still open" if left else ""
    mark = "🟢" if result >= 0 else "🔴"
    why = texts.TARGET_REACHED.format(target=of["target"], targets=of["targets"]) if of.get("target") \
        else f"{texts.reason(of['reason']).capitalize()}:"
    return (f"{mark} {head}\n{why} {volume} @ {price} · "
            f"<b>{numbers.signed_money(result, of['currency'])}</b>{rest}")


async def send(bot: Bot, chat_id: int, message: Message) -> int:
    """Make the call; returns the id of the message that now shows it. Raises aiogram's errors."""
    if message.edits is not None:
        await bot.edit_message_text(message.text, chat_id=chat_id, message_id=message.edits,
                                    reply_markup=message.keyboard)
        return message.edits
    sent = await bot.send_message(chat_id, message.text, reply_markup=message.keyboard,
                                  disable_notification=message.silent or None)
    return sent.message_id
