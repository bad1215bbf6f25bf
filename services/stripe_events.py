"""Verifying and reading what Stripe sends us.

Scheme: https://docs.stripe.com/webhooks#verify-manually. The header names a time and one or more signatures;
``v1`` is the hex HMAC-SHA256 of ``<t>.<raw body>``. The vendor's own check accepts times in the future and
fails with assorted exceptions on odd input; here every fault is one refusal.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from runtime import strict_json
from runtime.strict_json import InvalidJson
from services.errors import InvalidSignature

MAX_AGE_SECONDS, MAX_FUTURE_SECONDS = 300, 60
LONGEST_HEADER = 4096
_TIME = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"evt_[A-Za-z0-9_]{1,250}")


@dataclass(frozen=True, slots=True)
class Event:
    """A verified event. ``object`` is what it is about, as it was when the event was made: maybe stale by now.

    ``account`` is the connected account it happened on; None for our own.
    """

    id: str
    type: str
    created_at: datetime
    api_version: str | None
    livemode: bool
    account: str | None
    object: dict[str, Any]

    @property
    def subject(self) -> str:
        """The id of what must be handled in order: the subscription where there is one, else the object's own."""
        details = ((self.object.get("parent") or {}).get("subscription_details") or {})
        found = details.get("subscription") or self.object.get("subscription") or self.object.get("id")
        return str(found or self.id)


def verify(raw: bytes, header: str, secrets: Sequence[str], now: datetime) -> None:
    """InvalidSignature unless one of the secrets signed exactly these bytes at about this time."""
    if not header or len(header) > LONGEST_HEADER or not header.isascii():
        raise InvalidSignature
    pairs = [part.partition("=")[::2] for part in header.split(",")]
    times = [value for name, value in pairs if name == "t"]
    given = [value for name, value in pairs if name == "v1" and _SIGNATURE.fullmatch(value)]
    if len(times) != 1 or not _TIME.fullmatch(times[0]) or not given:
        raise InvalidSignature
    age = now.timestamp() - int(times[0])
    if age > MAX_AGE_SECONDS or age < -MAX_FUTURE_SECONDS:
        raise InvalidSignature
    signed = times[0].encode() + b"." + raw
    wanted = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets if secret]
    if not any(hmac.compare_digest(mine, theirs) for mine in wanted for theirs in given):
        raise InvalidSignature


def parse(raw: bytes) -> Event:
    """The event in the body; InvalidJson when it is none."""
    value = strict_json.loads(raw, max_depth=64)
    body = value if isinstance(value, dict) else {}
    data = body.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    is_event = (isinstance(body.get("id"), str) and _ID.fullmatch(body["id"]) and isinstance(body.get("type"), str)
                and type(body.get("created")) is int and 0 < body["created"] < 10**11 and isinstance(subject, dict))
    if not is_event:
        raise InvalidJson("not an event")
    assert isinstance(subject, dict)
    version, account = body.get("api_version"), body.get("account")
    return Event(body["id"], body["type"][:128], datetime.fromtimestamp(body["created"], UTC),
                 version if isinstance(version, str) else None, body.get("livemode") is True,
                 str(account) if account else None, subject)
