"""The control API's part for Stripe: what people and banks do, time, held events and the balance."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from sandbox.stripe import checkout, disputes, portal, refunds
from sandbox.stripe.clock import DAY
from sandbox.stripe.door import Door
from sandbox.stripe.errors import StripeError, invalid
from sandbox.stripe.payments import CARDS
from sandbox.stripe.report import balance
from sandbox.stripe.webhooks import Courier, delivery_view
from sandbox.stripe.world import Object, World

LONGEST_ADVANCE_DAYS = 3660
Handler = Callable[[web.Request], Awaitable[Any]]
CHECKOUT: dict[str, dict[str, Any]] = {
    "pay": {}, "decline": {"card": "decline"}, "insufficient_funds": {"card": "insufficient_funds"},
    "require_action": {"card": "require_action"}, "authenticate": {"card": "require_action", "authenticated": True},
    "pay_later": {"asynchronous": True},
}


class Steering:
    """Handlers over one world. Errors are ``{"error"}`` with Stripe's status."""

    def __init__(self, world: World, courier: Courier, door: Door, committed: Callable[[], Awaitable[None]]) -> None:
        self._world, self._courier, self._door, self._committed = world, courier, door, committed

    def register(self, app: web.Application) -> None:
        def add(method: str, path: str, handler: Handler) -> None:
            app.router.add_route(method, f"/control/stripe/{path}", self._answered(handler))
        add("POST", "checkout/{id}/{action}", self.checkout)
        add("POST", "advance", self.advance)
        add("POST", "settings", self.settings)
        add("POST", "subscriptions/{id}/card", self.card)
        add("POST", "customers/{id}/card", self.card)
        add("POST", "invoices/{id}/{action}", self.pay_invoice)
        add("POST", "charges/{id}/dispute", self.dispute)
        add("POST", "disputes/{id}/{action}", self.close_dispute)
        add("POST", "refunds/{id}/fail", self.fail_refund)
        add("GET", "events", self.events)
        add("POST", "events/{id}/redeliver", self.redeliver)
        add("POST", "hold", self.hold)
        add("POST", "release", self.release)
        add("GET", "report", self.report)
        add("GET", "calls", self.calls)

    async def checkout(self, request: web.Request) -> Any:
        session, action = self._find(request, "checkout.session"), request.match_info["action"]
        if action == "abandon":
            checkout.ensure_open(session)
        elif action in ("later_succeeds", "later_fails"):
            checkout.settle_later(self._world, session, worked=action == "later_succeeds")
        elif action in CHECKOUT:
            body = await _body(request)
            outcome = checkout.pay(self._world, session, promotion_code=body.get("promotion_code"),
                                   currency=body.get("currency"), **CHECKOUT[action])
            return {"outcome": outcome, "session": self._world.shown(session),
                    "return_url": checkout.return_url(session) if outcome == "paid" else session["url"]}
        else:
            raise StripeError(404, "There is no such action.")
        return {"outcome": action, "session": self._world.shown(session), "return_url": session["cancel_url"]}

    async def advance(self, request: web.Request) -> Any:
        """Move the clock; everything on the way happens at its time."""
        body, first = await _body(request), self._last_event()
        days, hours = body.get("days", 0), body.get("hours", 0)
        if not all(type(part) in (int, float) and part >= 0 for part in (days, hours)) or not (
                0 < days + hours / 24 <= LONGEST_ADVANCE_DAYS):
            raise invalid(f"days and hours must come to more than 0 and at most {LONGEST_ADVANCE_DAYS} days.")
        self._world.catch_up(self._world.now() + int(days * DAY + hours * DAY / 24))
        made = [event["type"] for event in self._world.of_kind("event") if self._world.place(event) > first]
        return {"now": self._world.now(), "events": made}

    async def settings(self, request: web.Request) -> Any:
        """``after_retries``: cancel or unpaid, what becomes of a subscription nobody pays."""
        wanted = (await _body(request)).get("after_retries")
        if wanted not in ("cancel", "unpaid"):
            raise invalid("after_retries must be cancel or unpaid.")
        self._world.settings["after_retries"] = wanted
        self._world.save(self._world.settings)
        return {"after_retries": wanted}

    async def card(self, request: web.Request) -> Any:
        known = self._find(request, "customer" if "/customers/" in request.path else "subscription")
        behaviour = (await _body(request)).get("behaviour")
        if behaviour not in CARDS:
            raise invalid(f"behaviour must be one of {', '.join(CARDS)}.")
        known["_card"] = behaviour
        self._world.save(known)
        return {"id": known["id"], "behaviour": behaviour}

    async def pay_invoice(self, request: web.Request) -> Any:
        invoice, action = self._find(request, "invoice"), request.match_info["action"]
        if action not in ("pay", "decline", "authenticate"):
            raise StripeError(404, "There is no such action.")
        card: Any = {"pay": "ok", "decline": "decline", "authenticate": "require_action"}[action]
        outcome = portal.pay_invoice(self._world, invoice, card, authenticated=action == "authenticate")
        return {"outcome": outcome, "invoice": self._world.shown(invoice)}

    async def dispute(self, request: web.Request) -> Any:
        kind = (await _body(request)).get("kind", "fraudulent")
        if kind not in disputes.KINDS:
            raise invalid(f"kind must be one of {', '.join(disputes.KINDS)}.")
        return self._world.shown(disputes.open_(self._world, self._find(request, "charge"), kind))

    async def close_dispute(self, request: web.Request) -> Any:
        dispute, action = self._find(request, "dispute"), request.match_info["action"]
        if action not in ("win", "lose"):
            raise StripeError(404, "There is no such action.")
        disputes.close(self._world, dispute, won=action == "win")
        return self._world.shown(dispute)

    async def fail_refund(self, request: web.Request) -> Any:
        refund = self._find(request, "refund")
        refunds.fail(self._world, refund)
        return self._world.shown(refund)

    async def events(self, request: web.Request) -> Any:
        """Every event, oldest first, with how its delivery stands."""
        state, kind = request.query.get("state"), request.query.get("type")
        return [delivery_view(event) for event in self._world.of_kind("event")
                if state in (None, event["_delivery"]["state"]) and kind in (None, event["type"])]

    async def redeliver(self, request: web.Request) -> Any:
        event = self._find(request, "event")
        return {"id": event["id"], "status": await self._courier.send(event)}

    async def hold(self, request: web.Request) -> Any:
        """Keep what happens from now on instead of sending it."""
        return self._hold(True)

    async def release(self, request: web.Request) -> Any:
        """Send what was held and stop holding. ``order`` is a list of ids or types: these only, in that order, each
        once for every time it is named, and holding goes on for the rest.
        """
        order = (await _body(request)).get("order")
        held = [event for event in self._world.of_kind("event") if event["_delivery"]["state"] == "held"]
        if order is None:
            self._hold(False)
        chosen = held if order is None else [event for name in order for event in self._named(held, name)]
        for event in chosen:
            event["_delivery"]["state"] = "pending"
            self._world.save(event)
        return [{"id": event["id"], "type": event["type"], "status": await self._courier.send(event)}
                for event in chosen]

    async def report(self, request: web.Request) -> Any:
        return balance(self._world)

    async def calls(self, request: web.Request) -> Any:
        return list(self._door.calls)

    def _named(self, held: list[Object], name: Any) -> list[Object]:
        """The event with this id, whatever its state, or the held ones of this type."""
        known = self._world.objects.get(name) if isinstance(name, str) else None
        found = [known] if known is not None and known["object"] == "event" else [
            event for event in held if event["type"] == name]
        if not found:
            raise StripeError(404, f"No held event is called {name}.")
        return found

    def _hold(self, hold: bool) -> dict[str, bool]:
        self._world.settings["hold"] = hold
        self._world.save(self._world.settings)
        return {"hold": hold}

    def _last_event(self) -> int:
        return max((self._world.place(event) for event in self._world.of_kind("event")), default=0)

    def _find(self, request: web.Request, kind: str) -> Object:
        self._world.catch_up()
        known = self._world.objects.get(request.match_info["id"])
        if known is None or known["object"] != kind:
            raise StripeError(404, f"There is no such {kind}.")
        return known

    def _answered(self, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            try:
                body, status = await handler(request), 200
            except StripeError as error:
                body, status = {"error": error.message}, error.status
            await self._committed()
            return web.json_response(body, status=status, headers={"Cache-Control": "no-store"})
        return answer


async def _body(request: web.Request) -> dict[str, Any]:
    """The JSON object sent, empty when nothing was."""
    raw = await request.read()
    try:
        body = json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise invalid("The body must be a JSON object.")
    return body
