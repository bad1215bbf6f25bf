"""The points of a purchase: ``python -m tests.e2e.points_of_purchase`` starts desks that die there.

Nothing reconciles here: webhook and worker alone have to bring a purchase to its end.
"""

from types import FrameType
from typing import Any

import stripe

import cashdesk
from services.desk import Desk
from tests.e2e import points
from tests.e2e.points import Watch, outwards

DOORS = {"webapp.idempotent": "checkout", "webapp.stripe_webhook": "webhook", "services.stripe_inbox": "inbox"}
PROVIDER = "services.payments.stripe_provider"
# The worker's own steps in that module: what else calls Stripe or writes there is no part of a purchase.
WORKER = ("drain", "_handle")
# The events a purchase hangs on; the others are told apart no further.
TOLD = ("checkout.session.completed", "customer.subscription.created", "invoice.paid")


def place_of(frame: FrameType) -> str | None:
    """``door: function (event)`` of the work under way; None when it is no purchase."""
    frames = [(module, name, _event_at_hand(module, found)) for module, name, found in outwards(frame)]
    door = next((DOORS[module] for module, name, _ in frames
                 if module in DOORS and (DOORS[module] != "inbox" or name in WORKER)), None)
    if door is None:
        return None
    function = next(name for module, name, _ in frames if module.startswith(("services.", "webapp."))
                    and not (module == PROVIDER and name == "_asked"))
    event = next((found for _, _, found in frames if found is not None), None)
    return f"{door}: {function}" + ("" if event is None else f" ({event if event in TOLD else 'another'})")


def _event_at_hand(module: str, frame: FrameType) -> str | None:
    kind = getattr(frame.f_locals.get("event"), "type", None)
    return kind if module in DOORS and isinstance(kind, str) else None


async def _rest(desk: Desk, *_: Any) -> None:
    await desk.supervisor.stopping.wait()


def main() -> None:
    watch = Watch(place_of)
    watch.lay_round_transactions()
    watch.lay_round_calls(stripe.HTTPXClient, "request_async")
    cashdesk._reconcile = _rest  # type: ignore[assignment]
    points.run()


if __name__ == "__main__":
    main()
