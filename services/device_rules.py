"""What is settled once about devices."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceRules:
    """``poll_seconds`` is how soon an idle device asks again. ``deviation_points`` is how far the market may be away
    from what was countersigned, in points, where no entry and stop say more."""

    poll_seconds: int
    deviation_points: int
