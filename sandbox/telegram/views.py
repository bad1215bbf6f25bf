"""Telegram's objects as the Bot API writes them."""

import hashlib
from dataclasses import replace
from typing import Any

from sandbox.telegram.books import CURRENCY, Invoice, Transaction
from sandbox.telegram.state import Message, Person, State
from sandbox.tokens import BOT_ID

USERNAME = "countersign_sandbox_bot"
FIRST_NAME = "Countersign"
BOT = {"id": BOT_ID, "is_bot": True, "first_name": FIRST_NAME, "username": USERNAME}
ME = {**BOT, "can_join_groups": False, "can_read_all_group_messages": False, "supports_inline_queries": False,
      "can_connect_to_business": False, "has_main_web_app": True}


def user(person: Person) -> dict[str, Any]:
    return {"id": person.id, "is_bot": False, **_names(person), "language_code": person.language_code}


def chat(person: Person) -> dict[str, Any]:
    return {"id": person.id, "type": "private", **_names(person)}


def launch_user(person: Person) -> dict[str, Any]:
    """The user as launch data has it. Before /start the bot may not write."""
    facts = {"id": person.id, **_names(person), "language_code": person.language_code}
    return {**facts, "allows_write_to_pm": True} if person.started and not person.blocked else facts


def message(state: State, found: Message) -> dict[str, Any]:
    person = state.people[found.chat_id]
    view: dict[str, Any] = {
        "message_id": found.message_id, "from": BOT if found.from_bot else user(person), "chat": chat(person),
        "date": found.date,
    }
    if found.edit_date is not None:
        view["edit_date"] = found.edit_date
    original = state.message(found.chat_id, found.reply_to) if found.reply_to else None
    if original is not None:
        view["reply_to_message"] = message(state, replace(original, reply_to=None))
    view |= found.service if found.service is not None else {"text": found.text}
    if found.entities:
        view["entities"] = found.entities
    if found.protected:
        view["has_protected_content"] = True
    if found.reply_markup:
        view["reply_markup"] = found.reply_markup
    return view


def invoice(found: Invoice) -> dict[str, Any]:
    return {"title": found.title, "description": found.description, "start_parameter": found.start_parameter,
            "currency": CURRENCY, "total_amount": found.amount}


def transaction(state: State, found: Transaction) -> dict[str, Any]:
    """Incoming Stars have a source, outgoing ones a receiver."""
    partner: dict[str, Any] = {"type": "user", "transaction_type": "invoice_payment",
                               "user": user(state.people[found.user_id]), "invoice_payload": found.payload}
    if found.subscription_period is not None:
        partner["subscription_period"] = found.subscription_period
    return {"id": found.charge_id, "amount": found.amount, "date": found.date,
            "receiver" if found.is_refund else "source": partner}


def chat_instance(person: Person) -> str:
    """A number that stays the same for one chat."""
    return str(int.from_bytes(hashlib.sha256(f"chat {person.id}".encode()).digest()[:8], "big", signed=True))


def _names(person: Person) -> dict[str, Any]:
    names: dict[str, Any] = {"first_name": person.first_name}
    return {**names, "username": person.username} if person.username else names
