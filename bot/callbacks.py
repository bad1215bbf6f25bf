"""What buttons carry: which approval, which answer, and the terms they were shown under."""

from enum import StrEnum
from typing import Annotated

from aiogram.filters.callback_data import CallbackData
from pydantic import Field

HASH_DIGITS = 12


class Answer(StrEnum):
    APPROVE = "a"
    REJECT = "r"


class Decide(CallbackData, prefix="d"):
    """Approve or reject: the owner is checked against who taps, the terms by a prefix of their hash (48 bits)."""

    answer: Answer
    approval_id: Annotated[int, Field(ge=1, lt=2**63)]
    terms: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{HASH_DIGITS}}}$")]


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
