"""Bot tokens only the sandbox issues and accepts, so that a real bot's token can never end up in it."""

import re
import secrets

BOT_ID = 7000000001
_TOKEN = re.compile(rf"{BOT_ID}:SANDBOX[A-Za-z0-9_-]{{28,64}}")


def new_token() -> str:
    """A fresh random token, as long as Telegram's."""
    return f"{BOT_ID}:SANDBOX{secrets.token_urlsafe(21)}"


def is_sandbox_token(token: str) -> bool:
    """Whether the token has the sandbox's own shape."""
    return _TOKEN.fullmatch(token) is not None
