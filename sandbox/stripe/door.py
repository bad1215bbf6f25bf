"""The API's HTTP door: keys, parameters, idempotency, faults, and answers as Stripe gives them."""

import asyncio
import hmac
import json
import logging
from base64 import b64decode
from binascii import Error as NotBase64
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from sandbox.stripe import (
    catalog,
    checkout,
    customers,
    disputes,
    errors,
    event_routes,
    invoices,
    params,
    payments,
    portal,
    refunds,
    subscription_routes,
)
from sandbox.stripe.calls import Call, Route
from sandbox.stripe.errors import StripeError
from sandbox.stripe.faults import Fault, Faults
from sandbox.stripe.idempotency import Keys
from sandbox.stripe.rendering import render
from sandbox.stripe.world import API_VERSION, Origin, World, new_id

log = logging.getLogger(__name__)
SILENCE_SECONDS = 120
MOST_REMEMBERED = 10_000
ROUTES: list[Route] = [
    *catalog.ROUTES, *customers.ROUTES, *payments.ROUTES, *subscription_routes.ROUTES, *invoices.ROUTES,
    *checkout.ROUTES, *portal.ROUTES, *refunds.ROUTES, *disputes.ROUTES, *event_routes.ROUTES,
]
Answer = tuple[int, str, dict[str, str]]


class Door:
    """Takes calls for one secret key. ``committed`` puts on disk what a call did before it is answered."""

    def __init__(self, world: World, secret_key: str, faults: Faults, committed: Callable[[], Awaitable[None]]) -> None:
        self._world, self._secret, self._faults, self._committed = world, secret_key.encode(), faults, committed
        self._keys = Keys(world)
        self.calls: deque[dict[str, Any]] = deque(maxlen=MOST_REMEMBERED)
        """The latest calls: method, path, status, key and whether the answer was a kept one."""

    def register(self, app: web.Application) -> None:
        app.router.add_route("*", "/v1/{rest:.*}", self.handle)
        app.router.add_route("*", "/v2/{rest:.*}", self.handle)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        request_id, key = new_id("req_", 14), request.headers.get("Idempotency-Key", "")
        fault: Fault | None = None
        try:
            self._check(request)
            encoded = request.query_string if request.method != "POST" else await _form(request)
            fault = self._faults.take_for_call(request.method, request.path)
            if fault is not None and fault.kind == "timeout":
                return await _say_nothing(request)
            _strike(fault)
            key = key if request.method == "POST" else ""
            status, body, more = await self._answer(request, params.decode(encoded), key, request_id, fault)
        except StripeError as error:
            status, body, more = error.status, _text(error.body()), {}
        self.calls.append({"method": request.method, "path": request.path, "status": status, "idempotency_key": key,
                           "replayed": "Idempotent-Replayed" in more, "request_id": request_id,
                           "fault": fault.kind if fault else None})
        if fault is not None and fault.kind == "cut_after_commit":
            return _hang_up(request)
        headers = {"Request-Id": request_id, "Stripe-Version": API_VERSION, "Cache-Control": "no-cache, no-store",
                   **({"Idempotency-Key": key} if key else {}), **more}
        return web.Response(text=body, status=status, content_type="application/json", headers=headers)

    def _check(self, request: web.Request) -> None:
        given = _secret_of(request)
        if not given:
            raise StripeError(401, "You did not provide an API key. You need to provide your API key in the "
                                   "Authorization header, using Bearer auth (e.g. 'Authorization: Bearer "
                                   "YOUR_SECRET_KEY').")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._secret):
            raise StripeError(401, f"Invalid API Key provided: {given[:8]}{'*' * 12}{given[-4:]}")
        version = request.headers.get("Stripe-Version", API_VERSION)
        if version != API_VERSION:
            raise errors.invalid(f"Invalid Stripe API version: {version}. This stand-in speaks {API_VERSION} only.")

    async def _answer(self, request: web.Request, given: dict[str, Any], key: str, request_id: str,
                      fault: Fault | None) -> Answer:
        """Read the call, replay it or carry it out; what it did is on disk when this returns."""
        route, ids = _find(request.method, request.path)
        read = route.shape(given, "")
        self._world.catch_up()
        kept = self._keys.claim(key, request.path, given) if key else None
        if kept is not None:
            # The effects may still be on their way to the disk.
            await self._committed()
            return kept["status"], kept["body"], {"Idempotent-Replayed": "true", "Original-Request":
                                                  kept["request_id"]}
        try:
            if fault is not None and fault.kind == "slow":
                await asyncio.sleep(fault.seconds)
            status, body, executed = self._run(route, ids, read, request.path, Origin(request_id, key or None))
            if fault is not None and fault.kind == "500_after_commit":
                status, body = 500, _text(errors.broken().body())
            if key and executed:
                self._keys.keep(key, request.path, given, status, body, request_id)
            await self._committed()
        finally:
            self._keys.release(key)
        return status, body, {}

    def _run(self, route: Route, ids: tuple[str, ...], read: dict[str, Any], path: str,
             origin: Origin) -> tuple[int, str, bool]:
        """Status, body, and whether it was executed: what was refused before that is not kept."""
        self._world.origin = origin
        try:
            answer = route.handler(Call(self._world, ids, read, path))
            expand = [] if answer["object"] == "list" else read.get("expand") or []
            return 200, _text(render(self._world, answer, expand)), True
        except StripeError as error:
            return error.status, _text(error.body()), error.executed
        except Exception:
            log.exception("the Stripe stand-in failed at %s %s", route.method, path)
            return 500, _text(errors.broken().body()), True
        finally:
            self._world.origin = Origin()


def _find(method: str, path: str) -> tuple[Route, tuple[str, ...]]:
    for route in ROUTES:
        match = route.pattern.fullmatch(path)
        if match is not None and route.method == method:
            return route, match.groups()
    raise errors.unknown_url(method, path)


def _secret_of(request: web.Request) -> str:
    """The key from Bearer, or the user name of Basic."""
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(rest, validate=True).decode().partition(":")[0]
    except (NotBase64, UnicodeDecodeError):
        return ""


async def _form(request: web.Request) -> str:
    body = (await request.read()).decode("utf-8", "replace")
    if body and request.content_type != "application/x-www-form-urlencoded":
        raise errors.invalid("Invalid request (check that your POST content type is "
                             "application/x-www-form-urlencoded).")
    return body


def _strike(fault: Fault | None) -> None:
    if fault is not None and fault.kind == "429":
        raise errors.rate_limited()
    if fault is not None and fault.kind == "500":
        raise errors.broken()


def _text(answer: dict[str, Any]) -> str:
    return json.dumps(answer, indent=2)


async def _say_nothing(request: web.Request) -> web.StreamResponse:
    for _ in range(SILENCE_SECONDS * 10):
        if request.transport is None:
            break
        await asyncio.sleep(0.1)
    return _hang_up(request)


def _hang_up(request: web.Request) -> web.StreamResponse:
    """Cut the line without a word."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
