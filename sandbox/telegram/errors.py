"""Failures in Telegram's own codes and words."""

import math


class BotApiError(Exception):
    """What Telegram answers instead of a result."""

    def __init__(self, code: int, description: str, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.retry_after = retry_after


def bad_request(text: str) -> BotApiError:
    return BotApiError(400, f"Bad Request: {text}")


def blocked() -> BotApiError:
    return BotApiError(403, "Forbidden: bot was blocked by the user")


def too_many_requests(seconds: float) -> BotApiError:
    """Telegram counts in whole seconds, at least one."""
    wait = max(1, math.ceil(seconds))
    return BotApiError(429, f"Too Many Requests: retry after {wait}", retry_after=wait)


def conflict(text: str) -> BotApiError:
    return BotApiError(409, f"Conflict: {text}")
