"""Bad weather on demand, for calls of the API and for webhooks."""

from dataclasses import asdict, dataclass
from typing import Any

API = frozenset({"429", "500", "500_after_commit", "cut_after_commit", "timeout", "slow"})
WEBHOOK = frozenset({"duplicate", "reorder", "delay", "drop", "tamper"})
KINDS = API | WEBHOOK


@dataclass(slots=True)
class Fault:
    """``on`` narrows it: the beginning of ``POST /v1/refunds`` for calls, an event's type for webhooks.

    Calls: ``429`` and ``500`` answer so and do nothing. ``500_after_commit`` does the work, and the 500 is what the
    idempotency key remembers. ``cut_after_commit`` does the work, remembers the true answer and cuts the line.
    ``timeout`` does nothing and never answers; ``slow`` waits ``seconds`` before it begins.
    Webhooks: ``duplicate`` sends twice, ``reorder`` lets the next event go first, ``delay`` waits ``seconds``,
    ``drop`` never sends, ``tamper`` changes a byte after signing (the next attempt is true again).
    """

    kind: str
    times: int = 1
    on: str | None = None
    seconds: float = 2.0


class Faults:
    """Faults in the order they were asked for."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._waiting.append(fault)

    def clear(self) -> None:
        self._waiting.clear()

    def waiting(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self._waiting]

    def take_for_call(self, method: str, path: str) -> Fault | None:
        """Unless it says where, a fault strikes what changes something."""
        return self._take(lambda fault: fault.kind in API and (
            method != "GET" if fault.on is None else f"{method} {path}".startswith(fault.on)))

    def take_for_event(self, kind: str) -> Fault | None:
        return self._take(lambda fault: fault.kind in WEBHOOK and fault.on in (None, kind))

    def _take(self, applies: Any) -> Fault | None:
        for fault in self._waiting:
            if applies(fault):
                fault.times -= 1
                if fault.times <= 0:
                    self._waiting.remove(fault)
                return fault
        return None
