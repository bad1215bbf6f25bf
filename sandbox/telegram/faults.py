"""Bad weather on demand: the next calls go wrong in a chosen way."""

from dataclasses import dataclass

KINDS = frozenset({"429", "502", "timeout", "403", "drop", "500_after_commit"})
WRITES = frozenset({"sendmessage", "editmessagetext", "editmessagereplymarkup", "deletemessage", "sendinvoice"})
ANSWERS = frozenset({"answercallbackquery", "sendchataction"})


@dataclass(slots=True)
class Fault:
    """``429`` and ``502`` answer so; ``403`` says blocked; ``timeout`` does nothing and never answers;
    ``drop`` does the work and cuts the line instead of answering, so that the caller cannot know;
    ``500_after_commit`` does it and answers with an internal error.
    """

    kind: str
    times: int
    method: str | None = None
    retry_after: int = 1

    def applies(self, method: str) -> bool:
        """Without a method of its own a fault strikes what the bot does in chats, never its polling."""
        if self.method is not None:
            return method == self.method
        return method in WRITES or (self.kind != "403" and method in ANSWERS)


class Faults:
    """Faults in the order they were asked for."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._waiting.append(fault)

    def clear(self) -> None:
        self._waiting.clear()

    def waiting(self) -> list[Fault]:
        return list(self._waiting)

    def take(self, method: str) -> Fault | None:
        """The fault that strikes this call, if any; counts it."""
        for fault in self._waiting:
            if fault.applies(method):
                fault.times -= 1
                if fault.times <= 0:
                    self._waiting.remove(fault)
                return fault
        return None
