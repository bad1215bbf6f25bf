"""Verifying the launch data Telegram signs for a Mini App.

Scheme: https://core.telegram.org/bots/webapps#validating-data-received-via-the-mini-app. The secret is
HMAC-SHA256(key="WebAppData", message=bot token); the hash is over all fields but ``hash``, sorted, one
``key=value`` a line. What the scheme leaves open is closed here: age in both directions, one reading of
duplicate keys (none), and no control characters, which would make the lines ambiguous.
"""

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote_to_bytes

from services.errors import InvalidInitData

MAX_BYTES = 4096
MAX_FIELDS = 32
_KEY = re.compile(r"[a-z_]{1,64}")
_HASH = re.compile(rb"[0-9a-f]{64}")
_DATE = re.compile(r"[1-9][0-9]{0,10}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class LaunchUser:
    """Who opened the Mini App, as Telegram says."""

    telegram_id: int
    first_name: str
    last_name: str | None
    username: str | None
    language_code: str | None


@dataclass(frozen=True, slots=True)
class LaunchParams:
    user: LaunchUser
    auth_date: int
    start_param: str | None


def verify(raw: str, bot_token: str, now: datetime, *, max_age_seconds: int, max_future_seconds: int) -> LaunchParams:
    """The verified launch data; InvalidInitData for every fault, whatever it is."""
    fields = _parse(raw)
    _check_hash(fields, bot_token)
    age = int(now.timestamp()) - _auth_date(fields)
    if age > max_age_seconds or age < -max_future_seconds:
        raise InvalidInitData
    return LaunchParams(_user(fields), _auth_date(fields), fields.get("start_param"))


def _parse(raw: str) -> dict[str, str]:
    if not raw or len(raw) > MAX_BYTES or not raw.isascii() or _CONTROL.search(raw):
        raise InvalidInitData
    parts = raw.split("&")
    if len(parts) > MAX_FIELDS:
        raise InvalidInitData
    fields: dict[str, str] = {}
    for part in parts:
        key, separator, value = part.partition("=")
        key, value = _decode(key), _decode(value)
        if not separator or not _KEY.fullmatch(key) or key in fields or _CONTROL.search(value):
            raise InvalidInitData
        fields[key] = value
    return fields


def _decode(text: str) -> str:
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInitData from error


def _check_hash(fields: dict[str, str], bot_token: str) -> None:
    given = fields.get("hash", "").encode("utf-8", "replace")
    lines = "\n".join(f"{key}={fields[key]}" for key in sorted(fields) if key != "hash")
    secret = hmac.new(b"WebAppData", bot_token.encode(), hashlib.sha256).digest()
    expected = hmac.new(secret, lines.encode(), hashlib.sha256).hexdigest().encode()
    if not _HASH.fullmatch(given) or not hmac.compare_digest(given, expected):
        raise InvalidInitData


def _auth_date(fields: dict[str, str]) -> int:
    text = fields.get("auth_date", "")
    if not _DATE.fullmatch(text):
        raise InvalidInitData
    return int(text)


def _user(fields: dict[str, str]) -> LaunchUser:
    try:
        user = json.loads(fields.get("user", ""), parse_int=_bounded_int)
    except (ValueError, RecursionError) as error:
        raise InvalidInitData from error
    if not isinstance(user, dict) or user.get("is_bot"):
        raise InvalidInitData
    telegram_id = user.get("id")
    if type(telegram_id) is not int or not 0 < telegram_id < 2**52:
        raise InvalidInitData
    name = _text(user, "first_name", 256)
    if name is None:
        raise InvalidInitData
    return LaunchUser(telegram_id, name, _text(user, "last_name", 256), _text(user, "username", 64),
                      _text(user, "language_code", 16))


def _text(user: dict[str, object], key: str, longest: int) -> str | None:
    value = user.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > longest or any("\ud800" <= c <= "\udfff" for c in value):
        raise InvalidInitData
    return value.replace("\x00", "")


def _bounded_int(text: str) -> int:
    if len(text) > 20:
        raise ValueError("too many digits")
    return int(text)
