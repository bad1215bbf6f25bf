"""The methods that describe the bot: who it is, its commands, its menu button, its texts."""

import json
import re
from typing import Any

from sandbox.telegram import markup, views
from sandbox.telegram.api import Telegram
from sandbox.telegram.errors import bad_request
from sandbox.telegram.params import Params

MOST_COMMANDS = 100
_COMMAND = re.compile(r"/?([a-z0-9_]{1,32})")
DEFAULT_MENU_BUTTON = {"type": "commands"}


async def get_me(telegram: Telegram, params: Params) -> dict[str, Any]:
    return views.ME


async def get_chat(telegram: Telegram, params: Params) -> dict[str, Any]:
    person = telegram.state.people.get(params.integer("chat_id"))
    if person is None or not person.started:
        raise bad_request("chat not found")
    return {**views.chat(person), "accent_color_id": 0, "max_reaction_count": 11,
            "accepted_gift_types": {"unlimited_gifts": False, "limited_gifts": False, "unique_gifts": False,
                                    "premium_subscription": False, "gifts_from_channels": False}}


async def set_my_commands(telegram: Telegram, params: Params) -> bool:
    given = params.object("commands", "commands")
    if not isinstance(given, list):
        raise bad_request("can't parse commands JSON object")
    if len(given) > MOST_COMMANDS:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    _save_commands(telegram, params, [_command(command) for command in given])
    return True


async def get_my_commands(telegram: Telegram, params: Params) -> list[dict[str, str]]:
    found: list[dict[str, str]] = telegram.state.settings.get("commands", {}).get(_scope(params), [])
    return found


async def delete_my_commands(telegram: Telegram, params: Params) -> bool:
    _save_commands(telegram, params, [])
    return True


async def set_chat_menu_button(telegram: Telegram, params: Params) -> bool:
    button = params.object("menu_button", "menu button") or {"type": "default"}
    if not isinstance(button, dict) or button.get("type") not in ("default", "commands", "web_app"):
        raise bad_request("can't parse menu button: MenuButton has unsupported type")
    if button["type"] == "web_app":
        app = button.get("web_app")
        markup.check_web_app(app.get("url") if isinstance(app, dict) else None, "menu button")
        if not button.get("text"):
            raise bad_request("menu button text must be non-empty")
    buttons = {**telegram.state.settings.get("menu_buttons", {}), params.text("chat_id"): button}
    telegram.state.save_setting("menu_buttons", buttons)
    telegram.hub.publish("profile")
    return True


async def get_chat_menu_button(telegram: Telegram, params: Params) -> dict[str, Any]:
    return menu_button(telegram, params.text("chat_id"))


async def set_my_description(telegram: Telegram, params: Params) -> bool:
    return _set_text(telegram, params, "description", 512)


async def get_my_description(telegram: Telegram, params: Params) -> dict[str, str]:
    return {"description": _text_of(telegram, params, "description")}


async def set_my_short_description(telegram: Telegram, params: Params) -> bool:
    return _set_text(telegram, params, "short_description", 120)


async def get_my_short_description(telegram: Telegram, params: Params) -> dict[str, str]:
    return {"short_description": _text_of(telegram, params, "short_description")}


def menu_button(telegram: Telegram, chat_id: str) -> dict[str, Any]:
    """The chat's own button, else the one for all chats."""
    buttons: dict[str, dict[str, Any]] = telegram.state.settings.get("menu_buttons", {})
    for key in (chat_id, ""):
        if key in buttons and buttons[key]["type"] != "default":
            return buttons[key]
    return DEFAULT_MENU_BUTTON


def commands_for(telegram: Telegram, chat_id: int) -> list[dict[str, str]]:
    """What this chat's clients suggest: the narrowest scope that has commands."""
    commands: dict[str, list[dict[str, str]]] = telegram.state.settings.get("commands", {})
    scopes = (f'{{"type":"chat","chat_id":{chat_id}}}|', '{"type":"all_private_chats"}|', '{"type":"default"}|')
    return next((commands[scope] for scope in scopes if commands.get(scope)), [])


def _save_commands(telegram: Telegram, params: Params, commands: list[dict[str, str]]) -> None:
    saved = {**telegram.state.settings.get("commands", {}), _scope(params): commands}
    telegram.state.save_setting("commands", saved)
    telegram.hub.publish("profile")


def _scope(params: Params) -> str:
    scope = params.object("scope", "BotCommandScope") or {"type": "default"}
    if not isinstance(scope, dict) or not isinstance(scope.get("type"), str):
        raise bad_request("can't parse BotCommandScope: Object expected")
    ordered = {"type": scope["type"], **{key: scope[key] for key in ("chat_id", "user_id") if scope.get(key)}}
    return json.dumps(ordered, separators=(",", ":")) + "|" + params.text("language_code")


def _command(given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        raise bad_request("can't parse BotCommand: expected an Object")
    match = _COMMAND.fullmatch(str(given.get("command", "")))
    if match is None:
        raise bad_request("BOT_COMMAND_INVALID")
    description = str(given.get("description", ""))
    if not 1 <= len(description) <= 256:
        raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    return {"command": match.group(1), "description": description}


def _set_text(telegram: Telegram, params: Params, name: str, longest: int) -> bool:
    text = params.text(name)
    if len(text) > longest:
        raise bad_request(f"bot {name.replace('_', ' ')} is too long")
    texts = {**telegram.state.settings.get(name, {}), params.text("language_code"): text}
    telegram.state.save_setting(name, texts)
    telegram.hub.publish("profile")
    return True


def _text_of(telegram: Telegram, params: Params, name: str) -> str:
    texts: dict[str, str] = telegram.state.settings.get(name, {})
    return texts.get(params.text("language_code")) or texts.get("", "")
