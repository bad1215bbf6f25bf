"""One account's terminal: started when it is needed, asked one thing at a time, ended when it does not answer."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from terminal.mt5.calls import LOST, TRADING, WRONG_CREDENTIALS, SupervisionRules
from terminal.mt5.conversation import Broken
from terminal.mt5.directory import name_of
from terminal.mt5.opening import GOODBYE_SECONDS, Terminal
from terminal.mt5.pacing import Breaker, Clock
from terminal.protocol import AccountRef, GatewayError

log = logging.getLogger(__name__)
T = TypeVar("T")


class Call(Generic[T]):
    """What somebody asked. ``is_asked``: it has been written to the worker. It is answered once."""

    __slots__ = ("answer", "args", "is_answered", "is_asked", "op", "read")

    def __init__(self, op: str, args: dict[str, Any], read: Callable[[Any], Awaitable[T]]) -> None:
        self.op, self.args, self.read = op, args, read
        self.is_asked = self.is_answered = False
        self.answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    @property
    def matters(self) -> bool:
        """Whether something may be done by it that nobody is told of."""
        return self.is_asked and self.op in TRADING

    def finish(self, value: T) -> None:
        """Answer; nobody may be there to hear it."""
        if not self.answer.done():
            self.answer.set_result(value)
        elif self.matters and not self.is_answered:
            log.warning("nobody waited for the outcome of %s, which was done", self.op)
        self.is_answered = True

    def fail(self, error: GatewayError) -> None:
        """Answer with an error; nobody may be there to hear it."""
        if not self.answer.done():
            self.answer.set_exception(error)
        elif self.matters and not self.is_answered:
            log.warning("nobody waited for the outcome of %s: %s", self.op, error)
        self.is_answered = True


class AccountTerminal:
    """Serves one account's calls in their order, by a terminal that is started, watched and replaced as needed.

    ``start`` brings a signed-in terminal; it waits its turn and finds a place. A call is served to its end even when
    its caller has gone meanwhile; one that still waits is dropped with its caller.
    """

    def __init__(self, ref: AccountRef, rules: SupervisionRules, start: Callable[[AccountRef], Awaitable[Terminal]],
                 breaker: Breaker, *, clock: Clock = time.monotonic) -> None:
        self._ref, self._rules, self._start, self._breaker, self._clock = ref, rules, start, breaker, clock
        self._name = name_of(ref)
        self._waiting: deque[Call[Any]] = deque()
        self._current: Call[Any] | None = None
        self._terminal: Terminal | None = None
        self._adopted: list[Terminal] = []
        self._rested: asyncio.Future[None] | None = None
        self._opened_at = self.used_at = clock()
        self._stir, self._at_rest = asyncio.Event(), asyncio.Event()
        self._is_closed = False
        self._runner = asyncio.create_task(self._run(), name=f"terminal {self._name}")

    async def call(self, op: str, args: dict[str, Any], read: Callable[[Any], Awaitable[T]]) -> T:
        """What ``read`` makes of the worker's answer. GatewayError; at once when too many wait already."""
        if self._is_closed:
            raise GatewayError("terminal_away", "The terminal is being stopped.", retryable=True)
        if len(self._waiting) >= self._rules.queue:
            raise GatewayError("terminal_busy", "Too much waits for this terminal.", retryable=True)
        call = Call(op, args, read)
        self._waiting.append(call)
        self._stir.set()
        try:
            return await call.answer
        finally:
            with suppress(ValueError):
                self._waiting.remove(call)

    def adopt(self, terminal: Terminal) -> None:
        """Go on with this terminal, which has just signed in, once the call under way is done."""
        terminal.conversation.on_end = self._stir.set
        self._breaker.reset()
        self._adopted.append(terminal)
        self._stir.set()

    def is_idle(self) -> bool:
        """Whether it runs and nobody has asked for it for a while."""
        return (self._terminal is not None and self._current is None and not self._waiting
                and self._clock() - self.used_at >= self._rules.idle_seconds)

    async def rest(self) -> None:
        """Stop the terminal if it is still idle; it is started again when it is needed."""
        if self._rested is None:
            self._rested = asyncio.get_running_loop().create_future()
            self._stir.set()
        await asyncio.wait([self._rested])

    async def close(self, seconds: float) -> None:
        """Take nothing more, let what has been asked end within so long, then end the terminal."""
        self._is_closed = True
        for call in self._waiting:
            call.fail(GatewayError("terminal_away", "The terminal is being stopped.", retryable=True))
        self._waiting.clear()
        if self._current is not None and self._current.is_asked:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._at_rest.wait()
        self._runner.cancel()
        await asyncio.gather(self._runner, return_exceptions=True)
        await self._dismiss()
        self._have_rested()

    async def _run(self) -> None:
        while True:
            self._stir.clear()
            try:
                await self._tend()
                if self._waiting:
                    await self._serve(self._waiting.popleft())
                else:
                    await self._pause()
            except Exception:
                log.exception("terminal %s: a fault of the supervisor", self._name)
                await asyncio.sleep(1.0)

    async def _tend(self) -> None:
        """What is to be done between two calls."""
        if self._terminal is not None and self._terminal.is_over:
            await self._lose()
        if self._adopted:
            former = [*([self._terminal] if self._terminal else []), *self._adopted[:-1]]
            self._terminal, self._opened_at = self._adopted[-1], self._clock()
            self._adopted.clear()
            for terminal in former:
                await terminal.close(GOODBYE_SECONDS)
        is_old = self._clock() - self._opened_at >= self._rules.recycle_seconds
        if self._terminal is not None and not self._waiting and (is_old or self._rested is not None):
            await self._dismiss()
        self._have_rested()

    def _have_rested(self) -> None:
        if self._rested is not None:
            self._rested.set_result(None)
            self._rested = None

    async def _pause(self) -> None:
        self.used_at = self._clock()
        self._at_rest.set()
        left = self._opened_at + self._rules.recycle_seconds - self._clock()
        with suppress(TimeoutError):
            async with asyncio.timeout(None if self._terminal is None else left):
                await self._stir.wait()

    async def _serve(self, call: Call[Any]) -> None:
        if call.answer.done():
            return
        self._current = call
        self._at_rest.clear()
        try:
            terminal = await self._ready()
            if not call.answer.done():  # its caller may have gone while the terminal started
                call.finish(await self._exchange(terminal, call))
        except GatewayError as error:
            call.fail(error)
        except BaseException as error:
            call.fail(_broken(call, "terminal_lost", "The terminal was stopped."))
            if not isinstance(error, asyncio.CancelledError):
                await self._lose()
            raise
        finally:
            self._current = None

    async def _ready(self) -> Terminal:
        """The running terminal, or a new one; GatewayError while it is to be left alone."""
        if self._terminal is not None:
            return self._terminal
        self._breaker.check()
        try:
            terminal = await self._start(self._ref)
        except GatewayError as error:
            self._count(error)
            raise
        terminal.conversation.on_end = self._stir.set
        self._terminal, self._opened_at = terminal, self._clock()
        if not terminal.is_of(self._ref):
            stranger = GatewayError("bad_answer", "The terminal is signed in to another account.", retryable=True)
            await self._lose(stranger)
            raise stranger
        if self._breaker.is_open:
            probe = Call("account", {}, _as_it_is)
            probe.answer.cancel()  # the breaker hears of it, nobody else
            await self._exchange(terminal, probe)
        return terminal

    async def _exchange(self, terminal: Terminal, call: Call[T]) -> T:
        """Ask, and read the answer. A terminal that fails at either is ended here."""
        call.is_asked = True
        try:
            answer = await terminal.conversation.ask(call.op, call.args, self._rules.seconds_for(call.op))
            value = await call.read(answer)
        except Broken as error:
            call.is_asked = error.asked
            broken = _broken(call, error.code, error.detail)
        except ValueError:
            broken = _broken(call, "bad_answer", "The worker's answer cannot be read.")
        except GatewayError as error:
            if error.code not in LOST | WRONG_CREDENTIALS:
                self._breaker.succeeded()
                raise
            broken = error
        else:
            self._breaker.succeeded()
            return value
        call.fail(broken)  # before the worker is buried, which may take a moment
        await self._lose(broken)
        raise broken

    def _count(self, error: GatewayError) -> None:
        if error.code == "terminal_busy":
            return
        if error.permanent and error.code != "terminal_missing":  # that one is mended here, not by the user
            self._breaker.hold(error)
        else:
            self._breaker.failed()

    async def _lose(self, error: GatewayError | None = None) -> None:
        """The terminal is of no more use."""
        lost, self._terminal = self._terminal, None
        if lost is None:
            return
        why = error or lost.conversation.broken
        log.warning("terminal %s: %s", self._name, why)
        if error is not None:
            self._count(error)
        else:
            self._breaker.failed()
        await lost.close()

    async def _dismiss(self) -> None:
        """Stop the terminal, which has done nothing wrong."""
        dismissed = [*([self._terminal] if self._terminal else []), *self._adopted]
        self._terminal = None
        self._adopted.clear()
        for terminal in dismissed:
            await terminal.close(GOODBYE_SECONDS)


def _broken(call: Call[Any], code: str, detail: str) -> GatewayError:
    """What its caller hears of a terminal that failed: whether to try again, or to find out first."""
    return GatewayError(code, detail, retryable=not call.matters, ambiguous=call.matters)


async def _as_it_is(answer: Any) -> Any:
    return answer
