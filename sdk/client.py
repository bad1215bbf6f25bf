"""The device client: polls, trades, follows and reports, until it is told to stop."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from runtime.lock import DirectoryLock, InUse
from runtime.supervision import Supervisor, Wake
from sdk.clock import DeskClock, Stopwatch
from sdk.desk import Desk
from sdk.errors import Refused, Unauthenticated, Unreachable
from sdk.following import Follower, read
from sdk.http import Backoff, SignedLine
from sdk.keys import Key
from sdk.messages import Offer, Unreadable
from sdk.policy import Fence, Policy
from sdk.reports import Reporter
from sdk.rules import Rules
from sdk.sealing import Sealing
from sdk.state import Identity, State, StateBroken
from sdk.terminals import Terminal
from sdk.trading import Trader
from sdk.transport import Transport, pair
from terminal.protocol import AccountRef, GatewayError

log = structlog.get_logger(__name__)

VERSION = "1.0.0"
TROUBLE = (Unreachable, Refused, GatewayError, Unreadable)
NEVER = frozenset({404, 422})
"""The desk does not know the order, or does not take these words: neither will change."""
AT_LAST = 60.0
"""How long a device that the desk does not know waits at least before it asks again."""


class NotPaired(Exception):
    """The device has no secret and could not get one; the message says why."""


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """What a device needs to know.

    ``url`` is the desk's address, ``data`` the folder of its memory. Give ``key``, or a pairing ``code`` that is used
    once: what it brings is kept. ``envelope`` seals what is said besides TLS.
    """

    url: str
    data: Path
    account: AccountRef
    key: Key | None = None
    code: str | None = None
    envelope: bool = False
    policy: Policy = field(default_factory=Policy)
    rules: Rules = field(default_factory=Rules)


class DeviceClient:
    """Serves one account at one terminal for one desk: ``await DeviceClient(settings, terminal).run(stopping)``."""

    def __init__(self, settings: DeviceSettings, terminal: Terminal) -> None:
        self._settings, self._terminal, self._rules = settings, terminal, settings.rules
        self._clock, self._transport = DeskClock(), Transport(settings.url)
        self._state = State(settings.data / "device.db")
        self._supervisor = Supervisor()
        self._owing, self._report_now, self._first_report = Wake(), Wake(), Wake()
        self._has_told_all = False
        self._wanted: tuple[bool, Sequence[str]] = False, ()
        self._broken: StateBroken | None = None
        self._ended = asyncio.Event()
        self._trader: Trader
        self._fence: Fence
        self._follower: Follower
        self._reporter: Reporter
        self._desk: Desk

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until ``stopping`` is set. What is under way then is brought to an end or left so that it is found.

        StateBroken, NotPaired, runtime.lock.InUse.
        """
        self._settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = DirectoryLock(self._settings.data)
        try:
            lock.take()
        except InUse as error:
            raise InUse(f"another client is running on {self._settings.data}") from error
        try:
            await self._serve(stopping)
        finally:
            await self._state.close()
            await self._transport.close()
            lock.release()

    async def _serve(self, stopping: asyncio.Event) -> None:
        account = self._settings.account
        await self._state.open(Identity(account.login, account.server))
        self._build(await self._own_key())
        start = self._supervisor.start
        start("poll", lambda: self._again_and_again(self._poll))
        start("acknowledge", lambda: self._again_and_again(self._acknowledge))
        start("look", lambda: self._again_and_again(self._look))
        start("report", lambda: self._again_and_again(self._report))
        waits = [asyncio.create_task(event.wait()) for event in (stopping, self._ended)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            self._trader.is_stopping = True
            self._owing.set()
            self._report_now.set()
            await self._supervisor.stop(self._rules.drain_seconds)
            await self._last_words()
        if self._broken is not None:
            raise self._broken

    def _build(self, key: Key) -> None:
        account, clock, terminal = self._settings.account, self._clock, self._terminal
        sealing = Sealing(key, self._state) if self._settings.envelope else None
        self._desk = Desk(SignedLine(self._transport, key, clock, sealing))
        self._fence = Fence(self._settings.policy, self._state, clock)
        self._trader = Trader(self._desk, terminal, self._state, self._fence, clock, account, self._rules,
                              self._has_settled)
        self._follower = Follower(terminal, self._state, self._trader, account)
        self._reporter = Reporter(self._desk, terminal, clock, account, VERSION)

    def _has_settled(self) -> None:
        self._owing.set()
        self._report_now.set()

    async def _own_key(self) -> Key:
        """The key that was given, or kept, or that the code brings. NotPaired."""
        if self._settings.key is not None:
            return self._settings.key
        kept = await self._state.credentials()
        if kept is not None:
            return Key.of(*kept)
        if self._settings.code is None:
            raise NotPaired("This device has no secret. Ask the desk for a pairing code.")
        account = self._settings.account
        try:
            device_id, secret = await pair(self._transport, self._settings.code, account.login, account.server, VERSION)
            key = Key.of(device_id, secret)
        except (Refused, Unreachable, ValueError) as error:
            raise NotPaired(f"The desk does not pair this device: {error}.") from error
        await self._state.keep_credentials(device_id, secret)
        log.info("paired", device_id=device_id)
        return key

    async def _last_words(self) -> None:
        """What was settled on the way out is said now rather than at the next start, if that is soon done."""
        with suppress(*TROUBLE, TimeoutError, StateBroken):
            async with asyncio.timeout(self._rules.last_word_seconds):
                await self._pay()

    # -- loops ---------------------------------------------------------------------------------------------

    async def _again_and_again(self, turn: Callable[[], Awaitable[None]]) -> None:
        """Turn after turn; after trouble with desk or terminal a pause that grows."""
        backoff = Backoff()
        while not self._supervisor.stopping.is_set():
            try:
                await turn()
                backoff.succeeded()
            except StateBroken as error:
                self._broken = error
                self._ended.set()
                return
            except TROUBLE as error:
                pause = backoff.failed(_at_least(error))
                log.warning("trouble", part=turn.__name__.strip("_"), error=str(error), pause=round(pause, 1))
                await self._supervisor.sleep(pause)

    async def _poll(self) -> None:
        if self._fence.is_silent:  # an order that is fetched now would only lie here
            await self._first_report.wait(self._rules.poll_seconds)
            return
        asked = Stopwatch()
        offer = await self._desk.poll()
        for what in offer.unreadable:
            log.error("order_unreadable", order=what)
        await self._trader.take(offer, asked)
        is_new = await self._tell(offer)
        if not is_new:
            await self._supervisor.sleep(offer.next_poll_seconds or self._rules.poll_seconds)

    async def _tell(self, offer: Offer) -> bool:
        """Tell what the desk wants to know; whether it had not asked for the same just before."""
        if offer.wants_all:
            await self._reporter.tell_all()
        if offer.wanted:
            await self._reporter.tell(offer.wanted)
        before, self._wanted = self._wanted, (offer.wants_all, offer.wanted)
        return (offer.wants_all or bool(offer.wanted)) and self._wanted != before

    async def _acknowledge(self) -> None:
        await self._pay()
        await self._owing.wait(self._rules.idle_seconds)

    async def _pay(self) -> None:
        """Say what is owed, in the order in which it happened."""
        for owed in await self._state.owed():
            try:
                recorded = await self._desk.acknowledge(owed.body)
            except Refused as refused:
                if refused.status not in NEVER:
                    raise
                log.error("acknowledgement_refused", magic=owed.magic, code=refused.code)
            else:
                log.info("acknowledged", magic=owed.magic, recorded=recorded)
            await self._state.paid(owed)

    async def _look(self) -> None:
        await self._trader.look()
        await self._supervisor.sleep(self._rules.look_seconds)

    async def _report(self) -> None:
        reading = await read(self._terminal, self._settings.account)
        await self._follower.follow(reading)
        await self._desk.know_time()
        await self._fence.look(reading.account)
        await self._reporter.report(reading)
        self._fence.heard()
        self._first_report.set()
        if not self._has_told_all:
            await self._reporter.tell_all()
            self._has_told_all = True
        await self._report_now.wait(self._rules.open_seconds if reading.is_open else self._rules.idle_seconds)


def _at_least(error: Exception) -> float:
    """How long to leave the desk alone."""
    if isinstance(error, Unauthenticated):
        return max(error.retry_after, AT_LAST)
    return error.retry_after if isinstance(error, Unreachable) else 0.0
