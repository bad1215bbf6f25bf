"""What a handler wants said: kept until the update is settled, then owed in the same transaction."""

from dataclasses import dataclass, field
from typing import Any

from aiogram.types import InlineKeyboardMarkup


@dataclass(slots=True)
class Replies:
    """Handed to every handler. Nothing is sent while handling, so a retried update says everything once."""

    chat_id: int
    items: list[dict[str, Any]] = field(default_factory=list)

    def say(self, text: str, keyboard: InlineKeyboardMarkup | None = None) -> None:
        """Owe the chat this HTML text."""
        payload: dict[str, Any] = {"text": text}
        if keyboard is not None:
            payload["keyboard"] = keyboard.model_dump(mode="json", exclude_none=True)
        self.items.append(payload)
