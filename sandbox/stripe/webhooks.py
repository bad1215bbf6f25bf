"""Delivering events to the webhook endpoint: signed, in order, again and again until they are taken."""

import asyncio
import hashlib
import hmac
import json
from collections import deque
from contextlib import suppress
from typing import Any

import aiohttp

from sandbox.stripe.faults import Fault, Faults
from sandbox.stripe.world import Object, World

LONGEST_PAUSE = 60.0
REQUEST_SECONDS = 10
MOST_ATTEMPTS = 16
REORDER_SECONDS = 0.5
"""How long an event lets the next one go first before it goes alone."""


class Courier:
    """First attempts go one after the other; an event that was refused comes back later and holds up nobody."""

    def __init__(self, world: World, url: str, secrets: tuple[str, ...], faults: Faults, first_pause: float) -> None:
        self._world, self._url, self._secrets, self._faults = world, url, secrets, faults
        self._first_pause = first_pause
        self._session: aiohttp.ClientSession | None = None
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._fresh: deque[str] = deque()
        self._timers: set[asyncio.Task[None]] = set()
        self._worker: asyncio.Task[None] | None = None
        world.on_event = self._made

    def start(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS))
        for event in self._world.of_kind("event"):
            if event["_delivery"]["state"] == "pending":
                self._queue.put_nowait(event["id"])
        self._fresh.clear()
        self._worker = asyncio.create_task(self._work())

    async def stop(self) -> None:
        tasks = [*self._timers, *([self._worker] if self._worker else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def pump(self) -> None:
        """Set off with what was made since; only after it was committed."""
        while self._fresh:
            self._queue.put_nowait(self._fresh.popleft())

    async def send(self, event: Object) -> int:
        """One attempt now, whatever came before; the status, 0 for no answer."""
        status = await self._post(event)
        self._note(event, status)
        await self._world.commit()
        return status

    def _made(self, event: Object) -> None:
        held = bool(self._world.settings["hold"])
        event["_delivery"] = {"state": "held" if held else "pending", "attempts": 0, "last_status": None}
        if not held:
            self._fresh.append(event["id"])

    async def _work(self) -> None:
        while True:
            await self._deliver(await self._queue.get())

    async def _deliver(self, event_id: str) -> None:
        event = self._world.objects.get(event_id)
        if event is None or event["_delivery"]["state"] != "pending":
            return
        fault = self._faults.take_for_event(event["type"])
        if fault is not None and fault.kind == "drop":
            event["_delivery"]["state"] = "dropped"
            self._world.save(event)
            await self._world.commit()
            return
        if fault is not None and fault.kind == "delay":
            self._later(event_id, fault.seconds)
            return
        if fault is not None and fault.kind == "reorder":
            with suppress(TimeoutError):
                await self._deliver(await asyncio.wait_for(self._queue.get(), REORDER_SECONDS))
        await self._attempt(event, fault)

    async def _attempt(self, event: Object, fault: Fault | None) -> None:
        status = await self._post(event, tamper=fault is not None and fault.kind == "tamper")
        if fault is not None and fault.kind == "duplicate":
            await self._post(event)
        self._note(event, status)
        delivery = event["_delivery"]
        if delivery["state"] == "pending":
            self._later(event["id"], min(self._first_pause * 2 ** (delivery["attempts"] - 1), LONGEST_PAUSE))
        await self._world.commit()

    def _note(self, event: Object, status: int) -> None:
        delivery = event["_delivery"]
        delivery["attempts"] += 1
        delivery["last_status"] = status
        if 200 <= status < 300:
            delivery["state"] = "delivered"
        elif delivery["attempts"] >= MOST_ATTEMPTS:
            delivery["state"] = "failed"
        self._world.save(event)

    def _later(self, event_id: str, seconds: float) -> None:
        async def come_back() -> None:
            await asyncio.sleep(seconds)
            self._queue.put_nowait(event_id)
        timer = asyncio.create_task(come_back())
        self._timers.add(timer)
        timer.add_done_callback(self._timers.discard)

    async def _post(self, event: Object, *, tamper: bool = False) -> int:
        body = json.dumps(self._world.shown(event), indent=2).encode()
        headers = {"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-cache",
                   "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
                   "Stripe-Signature": sign(body, self._secrets, int(self._world.clock()))}
        if tamper:
            body = body[:-2] + bytes([body[-2] ^ 1]) + body[-1:]
        if self._session is None:
            return 0
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0


def sign(body: bytes, secrets: tuple[str, ...], timestamp: int) -> str:
    """The Stripe-Signature header: one ``v1`` for each secret that is in force."""
    signed = f"{timestamp}.".encode() + body
    parts = [f"v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}" for secret in secrets]
    return ",".join([f"t={timestamp}", *parts])


def delivery_view(event: Object) -> dict[str, Any]:
    """An event's way so far, as the control API shows it."""
    return {"id": event["id"], "type": event["type"], "created": event["created"],
            "object": event["data"]["object"]["id"], **event["_delivery"]}
