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


class SetNotice(CallbackData, prefix="n"):
    """Whether new cards make a sound."""

    notice: str
