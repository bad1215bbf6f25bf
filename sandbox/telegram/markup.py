"""Inline keyboards: what Telegram accepts in them and how it refuses the rest."""

from typing import Any
from urllib.parse import urlsplit

from sandbox.loopback import is_loopback
from sandbox.telegram.errors import bad_request

STYLES = {"danger", "success", "primary"}
ACTIONS = {"callback_data", "url", "web_app", "copy_text", "login_url", "switch_inline_query",
           "switch_inline_query_current_chat", "switch_inline_query_chosen_chat", "disabled", "pay"}
KEPT = {"text", "style", "icon_custom_emoji_id", *ACTIONS}
OTHER_KEYBOARDS = {"keyboard", "remove_keyboard", "force_reply"}
MOST_BUTTONS = 100


def parse(markup: Any) -> dict[str, Any] | None:
    """The inline keyboard to keep with the message; None for none and for the other kinds of keyboard."""
    if markup in (None, "", {}):
        return None
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    if OTHER_KEYBOARDS & markup.keys():
        return None
    rows = markup.get("inline_keyboard", [])
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request('field "inline_keyboard" must be an Array of Arrays')
    kept = [[_button(button) for button in row] for row in rows if row]
    if sum(map(len, kept)) > MOST_BUTTONS:
        raise bad_request("REPLY_MARKUP_TOO_LONG")
    return {"inline_keyboard": kept} if kept else None


def check_web_app(url: Any, what: str) -> None:
    """A Mini App's address: https, or http on this machine."""
    parts = _split(url)
    if parts is None or not parts.hostname:
        raise bad_request(f"{what} Web App URL '{url}' is invalid: Wrong HTTP URL")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise bad_request(f"{what} Web App URL '{url}' is invalid: Only HTTPS links are allowed")


def _button(button: Any) -> dict[str, Any]:
    if not isinstance(button, dict):
        raise _unparsable("InlineKeyboardButton must be an Object")
    button = {name: value for name, value in button.items() if value is not None}
    text = button.get("text")
    if not isinstance(text, str) or not text.strip():
        raise _unparsable('Field "text" must be a non-empty String')
    if str(button.get("style", "primary")) not in STYLES:
        raise _unparsable("invalid button style specified")
    actions = ACTIONS & button.keys()
    if not actions:
        raise _unparsable("Text buttons are unallowed in the inline keyboard")
    if len(actions) > 1:
        raise bad_request("BUTTON_TYPE_INVALID")
    _check_action(button)
    return {name: value for name, value in button.items() if name in KEPT}


def _check_action(button: dict[str, Any]) -> None:
    if "callback_data" in button:
        data = button["callback_data"]
        if not isinstance(data, str) or not 1 <= len(data.encode("utf-8", "replace")) <= 64:
            raise bad_request("BUTTON_DATA_INVALID")
    elif "url" in button:
        parts = _split(button["url"])
        if parts is None or not (parts.scheme == "tg" or (parts.scheme in ("http", "https") and parts.hostname)):
            raise bad_request(f"inline keyboard button URL '{button['url']}' is invalid: Wrong HTTP URL")
    elif "web_app" in button:
        app = button["web_app"]
        check_web_app(app.get("url") if isinstance(app, dict) else None, "inline keyboard button")


def _split(url: Any) -> Any:
    if not isinstance(url, str) or any(character.isspace() for character in url):
        return None
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _unparsable(text: str) -> Exception:
    return bad_request(f"can't parse inline keyboard button: {text}")
