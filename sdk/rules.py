"""How long a device waits for what."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """All in seconds but ``tries``.

    ``lease_seconds`` is how long an order is a device's own, counted from before it asked; with less than
    ``least_lease_seconds`` left nothing is begun. An order that does not show at the broker within
    ``shows_within_seconds`` has not been executed. A terminal that is busy is tried again after ``busy_seconds``.
    The account is reported every ``open_seconds`` while something is open, every ``idle_seconds`` otherwise.
    At the end what is under way may take ``drain_seconds``, and what is owed to the desk ``last_word_seconds`` more.
    """

    lease_seconds: float = 15.0
    least_lease_seconds: float = 5.0
    shows_within_seconds: float = 30.0
    look_seconds: float = 2.0
    busy_seconds: float = 3.0
    tries: int = 4
    poll_seconds: float = 2.0
    open_seconds: float = 5.0
    idle_seconds: float = 30.0
    drain_seconds: float = 5.0
    last_word_seconds: float = 2.0
