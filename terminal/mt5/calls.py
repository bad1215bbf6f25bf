"""The rules of supervision, and what a worker's refusals mean."""

import json
from dataclasses import dataclass
from typing import Any

from terminal.protocol import GatewayError

TRADING = frozenset({"send", "close", "take_target", "modify", "cancel"})
"""Operations that change something at the broker: unanswered, nobody knows whether they were done."""
LOST = frozenset({"terminal_lost", "bad_answer"})
"""Refusals after which a worker is of no more use."""
WRONG_CREDENTIALS = frozenset({"wrong_password", "otp_required"})
LONGEST_DETAIL = 300


@dataclass(frozen=True, slots=True)
class SupervisionRules:
    """How long a terminal may take, how many calls may wait for it, and how many terminals run at once."""

    start_seconds: float = 45.0
    call_seconds: float = 5.0
    send_seconds: float = 15.0
    queue: int = 32
    start_every_seconds: float = 2.0
    recycle_seconds: float = 86_400.0
    terminals: int = 30
    verifications: int = 4
    idle_seconds: float = 30.0
    """A terminal unused for so long gives way when another needs its place."""
    farewell_seconds: float = 1.5
    """What is under way at the end may take so long."""

    def seconds_for(self, op: str) -> float:
        """The deadline of one call."""
        return self.send_seconds if op in TRADING else self.call_seconds


class Veil:
    """Hides the password of one worker in whatever is told of it."""

    __slots__ = ("_forms",)

    def __init__(self) -> None:
        self._forms: tuple[str, ...] = ()

    def cover(self, password: str) -> None:
        """From now on this password, and the ways it is written inside JSON and Python, read ``[hidden]``."""
        quoted = password.replace("\\", "\\\\")
        forms = {password, quoted, quoted.replace('"', '\\"'), quoted.replace("'", "\\'"), ascii(password)[1:-1],
                 json.dumps(password)[1:-1]}
        self._forms = tuple(sorted((form for form in forms if form), key=len, reverse=True))

    def over(self, text: str) -> str:
        """The text without the password."""
        for form in self._forms:
            text = text.replace(form, "[hidden]")
        return text

    @property
    def widest(self) -> int:
        """The length of the longest form of the password."""
        return len(self._forms[0]) if self._forms else 0

    def __repr__(self) -> str:
        return "Veil()"


def refusal(error: Any, veil: Veil) -> GatewayError:
    """The error a worker answered with; ValueError when that is not what this is."""
    if not isinstance(error, dict):
        raise ValueError("not an error")
    code, detail = error.get("code"), error.get("detail")
    flags = {name: error.get(name, False) for name in ("retryable", "ambiguous", "permanent")}
    are_flags = all(isinstance(flag, bool) for flag in flags.values())
    if not isinstance(code, str) or not isinstance(detail, str) or not are_flags:
        raise ValueError("not an error")
    return GatewayError(code[:40], veil.over(detail)[:LONGEST_DETAIL], **flags)


def spelled(error: GatewayError) -> dict[str, Any]:
    """An error as it travels."""
    return {"code": error.code, "detail": error.detail, "retryable": error.retryable, "ambiguous": error.ambiguous,
            "permanent": error.permanent}
