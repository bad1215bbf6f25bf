"""What can go wrong between a device and its desk."""

from typing import Any


class Unreachable(Exception):
    """No answer that can be believed. ``retry_after`` is how long the desk asks to be left alone, in seconds."""

    def __init__(self, detail: str, retry_after: float = 0.0) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class NotGenuine(Unreachable):
    """Somebody answered who does not have the secret."""


class Unauthenticated(Unreachable):
    """The desk does not know this device by this secret, whatever the time is."""


class Refused(Exception):
    """The desk's own refusal: its problem's ``code``, and the members it brought."""

    def __init__(self, status: int, code: str, detail: str, members: dict[str, Any]) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status, self.code, self.detail, self.members = status, code, detail, members
