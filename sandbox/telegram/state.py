"""Everything Telegram would know: people, messages, waiting updates, taps and the bot's settings.

Kept whole in memory and written through to the store. Ids only ever grow, also across restarts.
"""

import json
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.events import Hub
from sandbox.telegram.store import Store

FIRST_USER_ID = 5000000001
FIRST_UPDATE_ID = 810000001


@dataclass(slots=True)
class Person:
    """A user and their private chat with the bot, which have one id."""

    id: int
    first_name: str
    username: str | None = None
    language_code: str = "en"
    started: bool = False
    blocked: bool = False


@dataclass(slots=True)
class Message:
    """One message of a chat. ``texts`` is every text it ever had, oldest first; ``edits`` counts accepted edits.

    ``service`` is what it has instead of a text, by its name in the Bot API: an invoice, a payment, a refund. An
    invoice has its ``slug`` and may be ``paid``.
    """

    message_id: int
    chat_id: int
    from_bot: bool
    date: int
    text: str
    entities: list[dict[str, Any]] = field(default_factory=list)
    reply_markup: dict[str, Any] | None = None
    reply_to: int | None = None
    protected: bool = False
    edit_date: int | None = None
    edits: int = 0
    texts: list[str] = field(default_factory=list)
    deleted: bool = False
    service: dict[str, Any] | None = None
    slug: str | None = None
    paid: bool = False


@dataclass(slots=True)
class CallbackQuery:
    """One tap on an inline button. ``asked_at`` in unix seconds."""

    id: str
    user_id: int
    message_id: int
    data: str
    asked_at: float
    answered: bool = False
    answer: str = ""
    show_alert: bool = False


@dataclass(slots=True)
class Webhook:
    """Where updates are delivered; an empty url means they wait for getUpdates."""

    url: str = ""
    secret_token: str = ""
    max_connections: int = 40
    last_error_date: int | None = None
    last_error_message: str | None = None


class State:
    """The index in memory over the store."""

    def __init__(self, store: Store, hub: Hub) -> None:
        self.store, self.hub = store, hub
        self.people = {key: Person(**json.loads(body)) for key, body in store.rows("users")}
        self.messages = {key: Message(**json.loads(body)) for key, body in store.rows("messages")}
        self.updates: dict[int, dict[str, Any]] = {key: json.loads(body) for key, body in store.rows("updates")}
        self.callback_queries = {key: CallbackQuery(**json.loads(body))
                                 for key, body in store.rows("callback_queries")}
        self.settings: dict[str, Any] = {key: json.loads(body) for key, body in store.rows("settings")}
        self.webhook = Webhook(**self.settings.get("webhook", {}))
        self._chats: dict[int, list[int]] = {}
        for message in self.messages.values():
            self._chats.setdefault(message.chat_id, []).append(message.message_id)

    def add_person(self, first_name: str, username: str | None) -> Person:
        person = Person(next(reversed(self.people), FIRST_USER_ID - 1) + 1, first_name, username)
        self.save_person(person)
        return person

    def save_person(self, person: Person) -> None:
        self.people[person.id] = person
        self.store.put("users", person.id, _dump(asdict(person)))
        self.hub.publish("user", user=asdict(person))

    def add_message(self, chat_id: int, *, from_bot: bool, text: str, entities: list[dict[str, Any]],
                    date: int | None = None, **facts: Any) -> Message:
        """Keep a new message under the next id, sent now unless ``date`` says when."""
        message = Message(next(reversed(self.messages), 0) + 1, chat_id, from_bot, date or int(time.time()), text,
                          entities, texts=[text], **facts)
        self._chats.setdefault(chat_id, []).append(message.message_id)
        self.save_message(message)
        return message

    def save_message(self, message: Message) -> None:
        self.messages[message.message_id] = message
        self.store.put("messages", message.message_id, _dump(asdict(message)))
        self.hub.publish("message", chat_id=message.chat_id, message_id=message.message_id)

    def message(self, chat_id: int, message_id: int) -> Message | None:
        """The message with this id in this chat, unless it was deleted."""
        message = self.messages.get(message_id)
        return message if message and message.chat_id == chat_id and not message.deleted else None

    def chat(self, chat_id: int) -> list[Message]:
        """Every message of the chat, deleted ones too, oldest first."""
        return [self.messages[message_id] for message_id in self._chats.get(chat_id, ())]

    def add_update(self, kind: str, payload: dict[str, Any]) -> int:
        """Queue an update under the next id, which no update ever had before."""
        update_id: int = self.settings.get("last_update_id", FIRST_UPDATE_ID - 1) + 1
        self.save_setting("last_update_id", update_id)
        self.updates[update_id] = {"update_id": update_id, kind: payload}
        self.store.put("updates", update_id, _dump(self.updates[update_id]))
        return update_id

    def forget_update(self, update_id: int) -> None:
        if self.updates.pop(update_id, None) is not None:
            self.store.delete("updates", update_id)

    def save_callback_query(self, query: CallbackQuery) -> None:
        self.callback_queries[query.id] = query
        self.store.put("callback_queries", query.id, _dump(asdict(query)))

    def save_webhook(self, webhook: Webhook) -> None:
        self.webhook = webhook
        self.save_setting("webhook", asdict(webhook))

    def save_setting(self, name: str, value: Any) -> None:
        self.settings[name] = value
        self.store.put("settings", name, _dump(value))


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
