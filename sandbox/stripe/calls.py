"""One API call as its handler gets it, and the table the handlers stand in."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.stripe.shapes import EXPAND, Shape, fields, metadata
from sandbox.stripe.world import Object, World

IDS = re.compile(r"\{\w+\}")


@dataclass(frozen=True, slots=True)
class Call:
    """``ids`` are the path's, in order; ``params`` have been read by the route's shapes."""

    world: World
    ids: tuple[str, ...]
    params: dict[str, Any]
    path: str


Handler = Callable[[Call], dict[str, Any]]
"""Returns a complete answer, or an object of the world, which is then rendered with what was to be expanded."""


@dataclass(frozen=True, slots=True)
class Route:
    """One address of the API: its method, its path's pattern and what parameters it takes."""

    method: str
    pattern: re.Pattern[str]
    shape: Shape
    handler: Handler


def route(method: str, path: str, handler: Handler, *required: str, **shapes: Shape) -> Route:
    """``path`` as documented: ``/v1/customers/{id}``."""
    pattern = re.compile(IDS.sub("([^/]+)", path))
    return Route(method, pattern, fields(*required, **(EXPAND | shapes)), handler)


def fill(subject: Object, params: dict[str, Any], *names: str) -> None:
    """Take over the named parameters that were given."""
    for name in names:
        if name in params:
            subject[name] = params[name]


def fill_metadata(subject: Object, given: dict[str, str] | None, *, present: bool) -> None:
    """Merge; an empty value unsets its key, and nothing at all unsets every key."""
    if not present:
        return
    if given is None:
        subject["metadata"] = {}
        return
    merged = {**subject.get("metadata", {}), **given}
    subject["metadata"] = {key: value for key, value in merged.items() if value != ""}


def updated(call: Call, kind: str, event: str, *names: str) -> Object:
    """The usual update: take over ``names`` and the metadata, and tell of it if anything changed."""
    subject = call.world.find(kind, call.ids[0])
    before = call.world.shown(subject)
    fill(subject, call.params, *names)
    fill_metadata(subject, call.params.get("metadata"), present="metadata" in call.params)
    call.world.save(subject)
    if call.world.shown(subject) != before:
        call.world.emit(event, subject, before)
    return subject


def within(moment: int, bounds: dict[str, int] | None) -> bool:
    """Whether a time lies within ``gt``, ``gte``, ``lt`` and ``lte``."""
    asked = bounds or {}
    return (moment > asked.get("gt", -1) and moment >= asked.get("gte", 0)
            and moment < asked.get("lt", moment + 1) and moment <= asked.get("lte", moment))


METADATA = {"metadata": metadata}
