"""What buttons carry: which approval, which answer, and the terms they were shown under."""

from enum import StrEnum
from typing import Annotated

from aiogram.filters.callback_data import CallbackData
from pydantic import Field

HASH_DIGITS = 12
# Whatever else a button carries, this much of its 64 bytes is left.
LONGEST_VOLUME = 13


class Answer(StrEnum):
    APPROVE = "a"
    REJECT = "r"


class Decide(CallbackData, prefix="d"):
    """Approve or reject: the owner is checked against who taps, the terms by a prefix of their hash (48 bits)."""

    answer: Answer
    approval_id: Annotated[int, Field(ge=1, lt=2**63)]
    terms: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{HASH_DIGITS}}}$")]


_Owner = Annotated[int, Field(ge=1, lt=10**13)]
_Account = Annotated[int, Field(ge=1, lt=10**12)]
_Ticket = Annotated[int, Field(ge=1, lt=2**64)]


class MakePrimary(CallbackData, prefix="mp"):
    """Send approved orders to this account from now on."""

    telegram_id: _Owner
    account_id: _Account


class Look(StrEnum):
    """Why positions are looked at: again, on another account, or to close one of them."""

    REFRESH = "r"
    SWITCH = "s"
    TO_CLOSE = "c"


class ShowPositions(CallbackData, prefix="sp"):
    """Show what is open on this account now."""

    telegram_id: _Owner
    account_id: _Account
    look: Look


class AskClose(CallbackData, prefix="ac"):
    """Ask whether to close a position."""

    telegram_id: _Owner
    account_id: _Account
    ticket: _Ticket


class Close(CallbackData, prefix="cl"):
    """Close these lots of a position, of which so many were open when it was asked."""

    telegram_id: _Owner
    account_id: _Account
    ticket: _Ticket
    volume: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]{1,8})?$", max_length=LONGEST_VOLUME)]


class Step(StrEnum):
    """How far a question whose yes cannot be undone has come."""

    ASK = "a"
    YES = "y"
    KEEP = "k"


class Revoke(CallbackData, prefix="rd"):
    """Shut a device out: ask whether to, do it, or leave it."""

    telegram_id: _Owner
    device_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,32}$")]
    step: Step


class AddDevice(CallbackData, prefix="ad"):
    """Make a pairing code."""

    telegram_id: _Owner


class Refund(CallbackData, prefix="rf"):
    """Confirm or cancel a refund: for the admin it was shown to, of this amount, as the payment stood then."""

    answer: Answer
    entry_id: Annotated[int, Field(ge=1, lt=10**15)]
    amount_minor: Annotated[int, Field(ge=1, lt=10**13)]
    number: Annotated[int, Field(ge=0, lt=1000)]
    telegram_id: Annotated[int, Field(ge=1, lt=10**15)]


class BuyPlan(CallbackData, prefix="bp"):
    """Buy this plan for Stars; ``is_change`` when it takes the place of one that runs."""

    tier: Annotated[str, Field(pattern=r"^[a-z]{1,16}$")]
    is_change: bool


class SetNotice(CallbackData, prefix="n"):
    """Whether new cards make a sound."""

    notice: str
