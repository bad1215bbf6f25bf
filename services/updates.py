"""Telegram updates on their way into the inbox: stored raw, told apart by id, kept in order per chat."""

from typing import Any

from runtime import strict_json
from runtime.strict_json import InvalidJson
from services.inbox import Delivery

SOURCE = "telegram"
_BIG = 2**53


def parse(raw: bytes) -> Delivery:
    """One update as received by webhook; InvalidJson when it is not one."""
    return of_value(strict_json.loads(raw, max_depth=64), raw)


def of_value(update: Any, raw: bytes) -> Delivery:
    """One update that is parsed already, with the bytes to keep."""
    update_id = update.get("update_id") if isinstance(update, dict) else None
    if type(update_id) is not int or not 0 <= update_id < _BIG:
        raise InvalidJson("not an update")
    return Delivery(str(update_id), _lane(update, update_id), raw)


def _lane(update: dict[str, Any], update_id: int) -> str:
    """Who is about to pay waits ten seconds at most, so that question waits behind nothing else of its chat."""
    chat_id = _chat_id(update) or update_id
    return f"asked:{update_id}:{chat_id}" if "pre_checkout_query" in update else f"chat:{chat_id}"


def _chat_id(update: dict[str, Any]) -> int | None:
    """The chat an update belongs to; taps count to the chat of their message, else to who tapped."""
    for body in update.values():
        if not isinstance(body, dict):
            continue
        message = body.get("message") if isinstance(body.get("message"), dict) else body
        for place, field in ((message, "chat"), (body, "from"), (body, "user")):
            owner = place.get(field) if isinstance(place, dict) else None
            if isinstance(owner, dict) and type(owner.get("id")) is int:
                return int(owner["id"])
    return None
