"""Everything the stand-in knows: Stripe's objects by id, what is due when, and the events that were made of it.

Objects are plain dicts shaped as Stripe sends them, references by id; keys that begin with ``_`` are the stand-in's
own and are never shown. Work on the world never awaits, so one call is one step; ``commit`` puts it on disk whole.
"""

import heapq
import json
import secrets
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.stripe.clock import Clock
from sandbox.stripe.errors import no_such
from sandbox.stripe.rendering import render
from sandbox.stripe.store import Store

API_VERSION = "2026-10-28.endive"
ALPHABET = string.ascii_letters + string.digits
SETTINGS = "settings"
Object = dict[str, Any]


@dataclass(slots=True)
class Origin:
    """The API request events are made by; None for what happens by itself."""

    id: str | None = None
    idempotency_key: str | None = None


class World:
    """The index in memory over the store. ``clock`` gives unix seconds; the own time is ahead of it by ``offset``."""

    def __init__(self, store: Store, clock: Clock, base: Callable[[], str]) -> None:
        self.store, self.clock, self._base = store, clock, base
        self.objects: dict[str, Object] = {}
        self.origin = Origin()
        self.on_event: Callable[[Object], None] = lambda event: None
        self.steps: dict[str, Callable[[Object], None]] = {}
        """What to do with an object of a kind when it is due."""
        self._by_kind: dict[str, dict[str, Object]] = {}
        self._places: dict[str, int] = {}
        self._dirty: dict[str, Object] = {}
        self._gone: list[str] = []
        self._due: list[tuple[int, int, str]] = []
        for object_id, _, place, body in store.rows():
            self._keep(object_id, json.loads(body), place)
        self.settings = self.objects.get(SETTINGS) or self.new("_settings", object_id=SETTINGS, offset=0, hold=False,
                                                               invoice_number=0)

    def base(self) -> str:
        """Where the stand-in listens, for the pages it links to."""
        return self._base()

    def now(self) -> int:
        return int(self.clock()) + int(self.settings["offset"])

    def new(self, kind: str, prefix: str = "", *, object_id: str | None = None, **facts: Any) -> Object:
        """Keep a new object; ``created`` is stamped where Stripe's has it in ``facts``."""
        made = {"id": object_id or new_id(prefix), "object": kind, **facts}
        self._keep(made["id"], made, next(reversed(self._places.values()), 0) + 1)
        self._dirty[made["id"]] = made
        return made

    def save(self, changed: Object) -> None:
        self._dirty[changed["id"]] = changed

    def forget(self, object_id: str) -> None:
        gone = self.objects.pop(object_id)
        del self._by_kind[gone["object"]][object_id], self._places[object_id]
        self._dirty.pop(object_id, None)
        self._gone.append(object_id)

    def of_kind(self, kind: str) -> Iterator[Object]:
        """Oldest first."""
        return iter(list(self._by_kind.get(kind, {}).values()))

    def place(self, known: Object) -> int:
        """The object's place in the order of creation."""
        return self._places[known["id"]]

    def find(self, kind: str, object_id: str, param: str | None = None) -> Object:
        found = self.objects.get(object_id)
        if found is None or found["object"] != kind or found.get("deleted"):
            raise no_such(kind, object_id, param)
        return found

    def get(self, object_id: str) -> Object:
        return self.objects[object_id]

    def emit(self, kind: str, subject: Object, before: Object | None = None) -> Object:
        """Record an event with the object as it is now; ``before`` is how ``shown`` gave it before the change."""
        shown = self.shown(subject)
        data: dict[str, Any] = {"object": shown}
        if before is not None:
            data["previous_attributes"] = {name: before.get(name) for name in shown if before.get(name) != shown[name]}
        event = self.new(
            "event", "evt_1", api_version=API_VERSION, created=self.now(), data=data, livemode=False,
            pending_webhooks=1, type=kind,
            request={"id": self.origin.id, "idempotency_key": self.origin.idempotency_key})
        self.on_event(event)
        return event

    def shown(self, subject: Object) -> Object:
        """The object as Stripe sends it, nothing expanded."""
        return render(self, subject)

    def schedule(self, subject: Object, at: int | None) -> None:
        """Have the object's step taken at this time and not at any set before."""
        subject["_due"] = at
        if at is not None:
            heapq.heappush(self._due, (at, self._places[subject["id"]], subject["id"]))
        self.save(subject)

    def catch_up(self, until: int | None = None) -> None:
        """Do all that is due, each thing at its own time; ``until`` moves the clock forward to there."""
        target = self.now() if until is None else until
        while self._due and self._due[0][0] <= target:
            at, _, object_id = heapq.heappop(self._due)
            subject = self.objects.get(object_id)
            if subject is None or subject.get("_due") != at:
                continue
            self._set(max(at, self.now()))
            subject["_due"] = None
            self.steps[subject["object"]](subject)
        self._set(max(target, self.now()))

    async def commit(self) -> None:
        """Put all changes on disk as one; returns when they are there."""
        rows = [(object_id, changed["object"], self._places[object_id], json.dumps(changed, separators=(",", ":")))
                for object_id, changed in self._dirty.items()]
        gone, self._gone = self._gone, []
        self._dirty = {}
        await self.store.write(rows, gone)

    def _set(self, now: int) -> None:
        offset = now - int(self.clock())
        if offset != self.settings["offset"]:
            self.settings["offset"] = offset
            self.save(self.settings)

    def _keep(self, object_id: str, known: Object, place: int) -> None:
        self.objects[object_id] = known
        self._by_kind.setdefault(known["object"], {})[object_id] = known
        self._places[object_id] = place
        if known.get("_due") is not None:
            heapq.heappush(self._due, (known["_due"], place, object_id))


def new_id(prefix: str, length: int = 23) -> str:
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))
