"""All terminals of one desk: who runs, who starts when, who makes room."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from terminal.mt5.calls import SupervisionRules
from terminal.mt5.launch import Launcher
from terminal.mt5.opening import GOODBYE_SECONDS, Terminal, signed_in
from terminal.mt5.pacing import Breaker, Clock, Stagger
from terminal.mt5.supervisor import AccountTerminal
from terminal.protocol import AccountRef, AccountSnapshot, GatewayError

log = logging.getLogger(__name__)
T = TypeVar("T")
PasswordOf = Callable[[AccountRef], Awaitable[str]]


class Pool:
    """One supervised terminal for each account that is asked for, started one after the other."""

    def __init__(self, launcher: Launcher, password_of: PasswordOf, rules: SupervisionRules, *,
                 clock: Clock = time.monotonic, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._launcher, self._password_of, self._rules, self._clock = launcher, password_of, rules, clock
        self._stagger = Stagger(rules.start_every_seconds, clock=clock, sleep=sleep)
        self._terminals: dict[tuple[str, str], AccountTerminal] = {}
        self._running = 0
        self._verifying: set[asyncio.Task[Terminal]] = set()
        self._is_closed = False

    async def call(self, ref: AccountRef, op: str, args: dict[str, Any], read: Callable[[Any], Awaitable[T]]) -> T:
        """Ask the account's terminal."""
        return await self._of(ref).call(op, args, read)

    async def verify(self, ref: AccountRef, password: str, *, keep: bool = True) -> AccountSnapshot:
        """Sign in with this password in a terminal of its own, which becomes the account's if it is to be kept.

        Whoever tries a stranger's account, with whatever password, therefore disturbs nobody.
        """
        if len(self._verifying) >= self._rules.verifications:
            raise GatewayError("terminal_busy", "Too many accounts are being signed in to.", retryable=True)
        terminal = await self._tried(asyncio.create_task(self._start(ref, password, fresh=True)))
        if keep and terminal.is_of(ref) and not terminal.is_over and not self._is_closed:
            # By the names it is linked under, not as somebody has spelled them: its password is looked for by these.
            self._of(AccountRef(terminal.snapshot.login, terminal.snapshot.server)).adopt(terminal)
        else:
            await terminal.close(GOODBYE_SECONDS)
        return terminal.snapshot

    async def forget(self, ref: AccountRef) -> None:
        """End the account's terminal and remove what it kept."""
        terminal = self._terminals.pop(_key(ref), None)
        if terminal is not None:
            await terminal.close(self._rules.farewell_seconds)
        await self._launcher.forget(ref)

    async def close(self) -> None:
        """End every terminal; what is under way has a moment to finish."""
        self._is_closed = True
        for attempt in self._verifying:
            attempt.cancel()
        ended = await asyncio.gather(*self._verifying, *(terminal.close(self._rules.farewell_seconds)
                                                         for terminal in self._terminals.values()),
                                     return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, GatewayError):
                log.error("a terminal did not end well: %r", error)
        self._terminals.clear()
        await self._launcher.close()

    async def _tried(self, attempt: asyncio.Task[Terminal]) -> Terminal:
        """What comes of an attempt, which ends with its caller and with the pool."""
        self._verifying.add(attempt)
        try:
            return await attempt
        except asyncio.CancelledError:
            if self._is_closed and attempt.cancelled():
                raise GatewayError("terminal_away", "The terminals are being stopped.", retryable=True) from None
            raise
        finally:
            self._verifying.discard(attempt)

    def _of(self, ref: AccountRef) -> AccountTerminal:
        if self._is_closed:
            raise GatewayError("terminal_away", "The terminals are being stopped.", retryable=True)
        known = self._terminals.get(_key(ref))
        if known is None:
            known = AccountTerminal(ref, self._rules, self._start_known, Breaker(clock=self._clock), clock=self._clock)
            self._terminals[_key(ref)] = known
        return known

    async def _start_known(self, ref: AccountRef) -> Terminal:
        return await self._start(ref, None)

    async def _start(self, ref: AccountRef, password: str | None, *, fresh: bool = False) -> Terminal:
        """In its turn, when there is room. Without a password the account's own is fetched, no sooner than needed."""
        await self._make_room()
        self._running += 1
        try:
            await self._stagger.turn()
            secret = password if password is not None else await self._password(ref)
            return await signed_in(self._launcher, ref, secret, self._rules, self._release, fresh=fresh)
        except BaseException:
            self._release()
            raise

    async def _password(self, ref: AccountRef) -> str:
        try:
            return await self._password_of(ref)
        except GatewayError:
            raise
        except Exception as error:
            log.error("the password of an account cannot be read: %s", type(error).__name__)
            raise GatewayError("terminal_away", "The account's password cannot be read.", retryable=True) from None

    async def _make_room(self) -> None:
        """Let the terminal go that has been idle for longest, where as many run as may."""
        while self._running >= self._rules.terminals:
            idle = [terminal for terminal in self._terminals.values() if terminal.is_idle()]
            if not idle:
                raise GatewayError("terminal_busy", "As many terminals run as there is room for.", retryable=True)
            await min(idle, key=lambda terminal: terminal.used_at).rest()

    def _release(self) -> None:
        self._running -= 1


def _key(ref: AccountRef) -> tuple[str, str]:
    return ref.server.casefold(), ref.login
