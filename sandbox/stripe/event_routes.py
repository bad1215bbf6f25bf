"""Events by API: the last 30 days of them."""

from typing import Any

from sandbox.stripe.calls import Call, Route, route, within
from sandbox.stripe.clock import DAY
from sandbox.stripe.rendering import page
from sandbox.stripe.shapes import PAGE, flag, list_of, span, text
from sandbox.stripe.world import Object

KEPT_SECONDS = 30 * DAY


def _list(call: Call) -> dict[str, Any]:
    asked, oldest = call.params, call.world.now() - KEPT_SECONDS
    types = asked.get("types")
    found = [event for event in call.world.of_kind("event")
             if event["created"] >= oldest and within(event["created"], asked.get("created"))
             and _is(event["type"], asked.get("type")) and (types is None or event["type"] in types)]
    return page(call.world, found, call.path, asked)


def _is(kind: str, asked: str | None) -> bool:
    return asked is None or kind == asked or (asked.endswith("*") and kind.startswith(asked[:-1]))


def _retrieve(call: Call) -> Object:
    event = call.world.find("event", call.ids[0])
    return event if event["created"] >= call.world.now() - KEPT_SECONDS else call.world.find("event", "")


ROUTES: list[Route] = [
    route("GET", "/v1/events", _list, type=text(), types=list_of(text(), 20), created=span, delivery_success=flag,
          **PAGE),
    route("GET", "/v1/events/{id}", _retrieve),
]
