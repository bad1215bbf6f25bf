"""Bad weather on demand: the next calls of an account go wrong in a chosen way."""

from dataclasses import dataclass

ON_ANY_CALL = frozenset({"hang", "fail"})
ON_SENDING = frozenset({
    "timeout_after_fill", "no_answer", "requote", "price_off", "partial_fill", "altered_comment", "invalid_fill",
    "reject", "refuse", "late_fill", "lost_order", "placed_then_fill"})
KINDS = ON_ANY_CALL | ON_SENDING | {"disconnect"}

ANY = 0
"""Whichever account calls next."""
TIME_IS_OVER = 10012


@dataclass(slots=True)
class Fault:
    """What goes wrong for an account, or with login 0 for the next that comes.

    ``hang`` waits before it answers; ``fail`` answers with an error and does nothing; ``refuse`` answers with
    ``retcode`` and does nothing; ``timeout_after_fill`` fills, and answers with ``retcode`` all the same;
    ``no_answer`` fills and cuts the line; ``late_fill`` says that the time is over and fills some seconds later;
    ``lost_order`` says so and never fills; ``placed_then_fill`` answers that the order is placed and fills some
    seconds later; ``disconnect`` takes the trade server away for some seconds.
    """

    login: int
    kind: str
    times: int
    seconds: float = 2.0
    call: str | None = None
    retcode: int = TIME_IS_OVER

    def applies(self, login: int, call: str) -> bool:
        """Without a call of its own a hang or a failure strikes any call, everything else only orders that are sent."""
        if self.login not in (ANY, login):
            return False
        if self.call is not None:
            return call == self.call
        return self.kind in ON_ANY_CALL or call == "order_send"


class Faults:
    """Faults in the order they were asked for."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, login: int | str, kind: str, times: int = 1, *, seconds: float = 2.0, call: str | None = None,
            retcode: int = TIME_IS_OVER) -> None:
        """The next ``times`` calls of this account go wrong; ValueError for a kind there is not."""
        if kind not in KINDS:
            raise ValueError(f"unknown fault {kind}")
        self._waiting.append(Fault(int(login), kind, times, seconds, call, retcode))

    def clear(self) -> None:
        self._waiting.clear()

    def clear_for(self, login: int | str) -> None:
        """This account has fine weather again."""
        self._waiting = [fault for fault in self._waiting if fault.login != int(login)]

    def waiting(self) -> list[Fault]:
        return list(self._waiting)

    def take(self, login: int, call: str) -> Fault | None:
        """The fault that strikes this call, if any; counts it."""
        for fault in self._waiting:
            if fault.applies(login, call):
                fault.times -= 1
                if fault.times <= 0:
                    self._waiting.remove(fault)
                return fault
        return None
