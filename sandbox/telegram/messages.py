"""The methods a bot writes with: messages, edits, deletions, answers to taps."""

import time
from typing import Any

from sandbox.telegram import entities, markup, views
from sandbox.telegram.api import Telegram
from sandbox.telegram.errors import bad_request, blocked
from sandbox.telegram.params import Params
from sandbox.telegram.state import Message, Person

LONGEST_ANSWER = 200
EDITABLE_SECONDS = 48 * 3600
ACTIONS = frozenset({"typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice",
                     "upload_document", "choose_sticker", "find_location", "record_video_note", "upload_video_note"})
NOT_MODIFIED = ("message is not modified: specified new message content and reply markup are exactly the same "
                "as a current content and reply markup of the message")
TOO_OLD = "query is too old and response timeout expired or query ID is invalid"


async def send_message(telegram: Telegram, params: Params) -> dict[str, Any]:
    person = chat_of(telegram, params)
    text, found = _text(params)
    keyboard = markup.parse(params.object("reply_markup", "reply keyboard markup"))
    reply_to = reply_to_of(telegram, params, person)
    spend(telegram, person)
    message = telegram.state.add_message(
        person.id, from_bot=True, text=text, entities=found, reply_markup=keyboard, reply_to=reply_to,
        protected=params.flag("protect_content"))
    return views.message(telegram.state, message)


async def edit_message_text(telegram: Telegram, params: Params) -> dict[str, Any]:
    person = chat_of(telegram, params)
    text, found = _text(params)
    keyboard = markup.parse(params.object("reply_markup", "reply keyboard markup"))
    message = _own_message(telegram, params, person, "edit")
    if message.service is not None:
        raise bad_request("there is no text in the message to edit")
    spend(telegram, person)
    if (text, found, keyboard) == (message.text, message.entities, message.reply_markup):
        raise bad_request(NOT_MODIFIED)
    if text != message.text:
        message.texts.append(text)
    message.text, message.entities = text, found
    return _edited(telegram, message, keyboard)


async def edit_message_reply_markup(telegram: Telegram, params: Params) -> dict[str, Any]:
    person = chat_of(telegram, params)
    keyboard = markup.parse(params.object("reply_markup", "reply keyboard markup"))
    message = _own_message(telegram, params, person, "edit")
    spend(telegram, person)
    if keyboard == message.reply_markup:
        raise bad_request(NOT_MODIFIED)
    return _edited(telegram, message, keyboard)


async def delete_message(telegram: Telegram, params: Params) -> bool:
    person = chat_of(telegram, params)
    message = _find(telegram, params, person, "delete")
    if time.time() - message.date > EDITABLE_SECONDS:
        raise bad_request("message can't be deleted for everyone")
    message.deleted = True
    telegram.state.save_message(message)
    return True


async def answer_callback_query(telegram: Telegram, params: Params) -> bool:
    query = telegram.state.callback_queries.get(params.text("callback_query_id"))
    if query is None or query.answered or time.time() - query.asked_at > telegram.limits.callback_query_seconds:
        raise bad_request(TOO_OLD)
    text = params.text("text")
    if len(text) > LONGEST_ANSWER:
        raise bad_request("MESSAGE_TOO_LONG")
    query.answered, query.answer, query.show_alert = True, text, params.flag("show_alert")
    telegram.state.save_callback_query(query)
    if query.id in telegram.taps:
        telegram.taps[query.id].set()
    telegram.hub.publish("answer", chat_id=query.user_id, query_id=query.id, text=text, show_alert=query.show_alert)
    return True


async def send_chat_action(telegram: Telegram, params: Params) -> bool:
    person = chat_of(telegram, params)
    action = params.text("action")
    if action not in ACTIONS:
        raise bad_request("wrong parameter action in request")
    if person.blocked:
        raise blocked()
    telegram.hub.publish("action", chat_id=person.id, action=action)
    return True


def chat_of(telegram: Telegram, params: Params) -> Person:
    """The private chat meant. Whoever never wrote to the bot is unknown to it."""
    if not params.text("chat_id"):
        raise bad_request("chat_id is empty")
    person = telegram.state.people.get(params.integer("chat_id"))
    if person is None or not person.started:
        raise bad_request("chat not found")
    return person


def _text(params: Params) -> tuple[str, list[dict[str, Any]]]:
    given = params.object("entities", "entities")
    if given and not params.text("parse_mode"):
        if not isinstance(given, list) or not all(_is_entity(entity) for entity in given):
            raise bad_request("can't parse entities: expected an Array of MessageEntity")
        entities.parse(params.text("text"), "")
        return entities.finish(params.text("text"), given)
    return entities.parse(params.text("text"), params.text("parse_mode"))


def _is_entity(entity: Any) -> bool:
    return (isinstance(entity, dict) and isinstance(entity.get("type"), str)
            and all(type(entity.get(name)) is int and entity[name] >= 0 for name in ("offset", "length")))


def reply_to_of(telegram: Telegram, params: Params, person: Person) -> int | None:
    """The message of this chat that is answered."""
    reply = params.object("reply_parameters", "reply parameters") or {}
    message_id = reply.get("message_id") if isinstance(reply, dict) else None
    if message_id is None:
        return None
    if not isinstance(message_id, int) or telegram.state.message(person.id, message_id) is None:
        if reply.get("allow_sending_without_reply"):
            return None
        raise bad_request("message to be replied not found")
    return message_id


def _find(telegram: Telegram, params: Params, person: Person, what: str) -> Message:
    message_id = params.integer("message_id")
    if message_id <= 0:
        raise bad_request("message identifier is not specified")
    message = telegram.state.message(person.id, message_id)
    if message is None:
        raise bad_request(f"message to {what} not found")
    return message


def _own_message(telegram: Telegram, params: Params, person: Person, what: str) -> Message:
    message = _find(telegram, params, person, what)
    if not message.from_bot:
        raise bad_request(f"message can't be {what}ed")
    return message


def spend(telegram: Telegram, person: Person) -> None:
    """Count one message to this person, or refuse it as Telegram would."""
    if person.blocked:
        raise blocked()
    telegram.limiter.spend(person.id)


def _edited(telegram: Telegram, message: Message, keyboard: dict[str, Any] | None) -> dict[str, Any]:
    message.reply_markup = keyboard
    message.edits += 1
    message.edit_date = int(time.time())
    telegram.state.save_message(message)
    return views.message(telegram.state, message)
