"""What people do: write to the bot, tap its buttons, block it."""

import asyncio
import secrets
import time
from typing import Any

from sandbox.telegram import entities, views
from sandbox.telegram.api import Telegram
from sandbox.telegram.state import CallbackQuery, Message, Person


def write(telegram: Telegram, person: Person, text: str) -> Message:
    """The person sends a message; a first one starts the chat, one to a blocked bot unblocks it first."""
    plain, found = entities.parse(text, "")
    if person.blocked:
        set_blocked(telegram, person, False)
    if not person.started:
        person.started = True
        telegram.state.save_person(person)
    message = telegram.state.add_message(person.id, from_bot=False, text=plain, entities=found)
    telegram.updates.add("message", views.message(telegram.state, message))
    return message


async def tap(telegram: Telegram, person: Person, message: Message, data: str) -> CallbackQuery:
    """The person taps a button; returns when the bot has answered or it is too late, ``answered`` says which.

    Like Telegram, which trusts no client, it does not check that the message has such a button.
    """
    query = CallbackQuery(str(secrets.randbits(62)), person.id, message.message_id, data, time.time())
    telegram.state.save_callback_query(query)
    answered = telegram.taps[query.id] = asyncio.Event()
    telegram.updates.add("callback_query", {
        "id": query.id, "from": views.user(person), "message": views.message(telegram.state, message),
        "chat_instance": views.chat_instance(person), "data": data})
    try:
        await telegram.committed()
        await asyncio.wait_for(answered.wait(), telegram.limits.callback_query_seconds)
    except TimeoutError:
        return query
    finally:
        del telegram.taps[query.id]
    return query


def set_blocked(telegram: Telegram, person: Person, is_blocked: bool) -> None:
    """The person blocks or unblocks the bot, and the bot is told."""
    if person.blocked == is_blocked:
        return
    person.blocked = is_blocked
    telegram.state.save_person(person)
    old, new = ("member", "kicked") if is_blocked else ("kicked", "member")
    telegram.updates.add("my_chat_member", {
        "chat": views.chat(person), "from": views.user(person), "date": int(time.time()),
        "old_chat_member": _membership(old), "new_chat_member": _membership(new)})


def _membership(status: str) -> dict[str, Any]:
    member = {"user": views.BOT, "status": status}
    return {**member, "until_date": 0} if status == "kicked" else member
