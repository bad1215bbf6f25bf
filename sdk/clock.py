"""The desk's clock, as a device knows it, and how much time has passed since something."""

import time
from datetime import UTC, datetime


class Stopwatch:
    """How long ago it was made. Whichever of this machine's clocks says more is believed: one stands still while the
    machine sleeps, the other may be put back."""

    def __init__(self) -> None:
        self._wall, self._steady = time.time(), time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return max(time.time() - self._wall, time.monotonic() - self._steady)


class DeskClock:
    """What time it is at the desk. This machine's own clock may be wrong and may be moved meanwhile."""

    def __init__(self) -> None:
        self._ahead: float | None = None

    @property
    def is_set(self) -> bool:
        """Whether the desk has been asked yet."""
        return self._ahead is not None

    def set(self, server_time: int, asked: float, heard: float) -> None:
        """The desk said these whole seconds between two moments of ``time.monotonic``."""
        self._ahead = server_time + 0.5 - (asked + heard) / 2

    def timestamp(self) -> int:
        """Whole seconds since 1970 for a signature."""
        return int(self._seconds())

    def now(self) -> datetime:
        """For comparing with what the desk says."""
        return datetime.fromtimestamp(self._seconds(), UTC)

    def _seconds(self) -> float:
        assert self._ahead is not None  # nothing is signed or compared before
        return time.monotonic() + self._ahead
