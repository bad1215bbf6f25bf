"""Time that goes on while a terminal is asked: what is written afterwards bears the moment of afterwards."""

import time
from datetime import datetime, timedelta


class Stopwatch:
    """Runs from a moment that the door has handed in, and shows whole seconds."""

    def __init__(self, began: datetime) -> None:
        self._began = began
        self._start = time.monotonic()

    def now(self) -> datetime:
        return self._began + timedelta(seconds=int(time.monotonic() - self._start))
