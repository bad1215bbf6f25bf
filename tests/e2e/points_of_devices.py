"""The points of orders that devices fetch: ``python -m tests.e2e.points_of_devices`` starts desks that die there."""

from types import FrameType

from tests.e2e import points
from tests.e2e.points import Watch, outwards

DOORS = {("webapp.api.ea_orders", "_poll"): "poll", ("webapp.api.ea_orders", "_begin"): "begin",
         ("webapp.api.ea_orders", "_acknowledge"): "ack", ("services.device_orders", "offer"): "poll"}


def place_of(frame: FrameType) -> str | None:
    """What the device had asked for; None when it is something else's work."""
    frames = ((module, name) for module, name, _ in outwards(frame))
    return next((DOORS[place] for place in frames if place in DOORS), None)


def main() -> None:
    Watch(place_of).lay_round_transactions()
    points.run()


if __name__ == "__main__":
    main()
