"""Signing the launch data of a Mini App exactly as Telegram does.

Scheme: https://core.telegram.org/bots/webapps#validating-data-received-via-the-mini-app. ``hash`` is
hex HMAC-SHA256 over every other field, keyed by HMAC-SHA256("WebAppData", bot token); ``signature`` is
Ed25519 over "<bot id>:WebAppData" and every field but those two. Telegram's own Ed25519 key is not ours
to have, so each sandbox signs with a key derived from its token; ``public_key`` is the other half.
"""

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def sign(user: dict[str, Any], *, bot_token: str, auth_date: int, chat_instance: str,
         start_param: str | None = None) -> str:
    """The launch data as a query string. ``auth_date`` in unix seconds."""
    fields = {
        "query_id": "AAH" + secrets.token_urlsafe(15), "user": _compact(user), "auth_date": str(auth_date),
        "chat_instance": chat_instance, "chat_type": "sender",
    }
    if start_param:
        fields["start_param"] = start_param
    fields["signature"] = _signature(fields, bot_token)
    fields["hash"] = _hash(fields, bot_token)
    return urlencode(fields, quote_via=quote, safe="")


def public_key(bot_token: str) -> bytes:
    """The 32 bytes that verify ``signature`` for this bot."""
    return _key(bot_token).public_key().public_bytes_raw()


def _signature(fields: dict[str, str], bot_token: str) -> str:
    bot_id = bot_token.partition(":")[0]
    message = f"{bot_id}:WebAppData\n{_lines(fields)}".encode()
    return base64.urlsafe_b64encode(_key(bot_token).sign(message)).decode().rstrip("=")


def _hash(fields: dict[str, str], bot_token: str) -> str:
    secret = hmac.new(b"WebAppData", bot_token.encode(), hashlib.sha256).digest()
    return hmac.new(secret, _lines(fields).encode(), hashlib.sha256).hexdigest()


def _key(bot_token: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"init data of {bot_token}".encode()).digest())


def _lines(fields: dict[str, str]) -> str:
    return "\n".join(f"{name}={fields[name]}" for name in sorted(fields))


def _compact(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
