"""One conversation with one worker: a question, its answer, the next question."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from terminal.mt5 import frames
from terminal.mt5.calls import refusal
from terminal.mt5.launch import Channel
from terminal.protocol import GatewayError


class Broken(Exception):
    """The conversation is over. ``asked``: the question had gone out, so it may have been acted on."""

    def __init__(self, code: str, detail: str, *, asked: bool = False) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail, self.asked = code, detail, asked


class Conversation:
    """Asks one thing at a time and listens all the while, so the end of a worker is noticed when it comes.

    Once broken it stays so, and the worker is killed in the same breath.
    """

    def __init__(self, channel: Channel, on_end: Callable[[], None] = lambda: None) -> None:
        self._channel = channel
        self.on_end = on_end
        self.broken: Broken | None = None
        self._number = 0
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[dict[str, Any]] = self._loop.create_future()  # the hello is not asked for
        self._listener = self._loop.create_task(self._listen())

    async def hello(self) -> None:
        """Wait for the worker's first words. Broken, or GatewayError where it could not be started."""
        message = await self._heard()
        if "error" in message:
            self.kill()
            raise self._refusal(message["error"])
        hello = message.get("hello")
        if not isinstance(hello, dict) or hello.get("protocol") != frames.PROTOCOL:
            raise self._end("bad_answer", "The worker speaks another protocol.")

    async def ask(self, op: str, args: dict[str, Any], seconds: float) -> Any:
        """The worker's answer. GatewayError when it refuses; Broken when it hangs, dies or talks nonsense."""
        if self.broken is not None:
            raise Broken(self.broken.code, self.broken.detail)
        self._number += 1
        number, self._waiting = self._number, self._loop.create_future()
        try:
            self._channel.writer.write(frames.encode({"id": number, "op": op, "args": args}))
        except ValueError as error:
            raise GatewayError("invalid_request", "The request cannot be put into words.") from error
        except (OSError, RuntimeError) as error:
            raise self._end("terminal_lost", "The terminal has gone.") from error
        try:
            async with asyncio.timeout(seconds):
                message = await self._heard()
        except TimeoutError:
            raise self._end("terminal_hangs", f"The terminal did not answer in {seconds:g} seconds.",
                            asked=True) from None
        except Broken as error:
            raise Broken(error.code, error.detail, asked=True) from None
        if message.get("id") != number or ("ok" in message) == ("error" in message):
            raise self._end("bad_answer", "The worker answered something else.", asked=True)
        if "error" in message:
            raise self._refusal(message["error"])
        return message["ok"]

    @property
    def path(self) -> str:
        """Where the terminal's program is."""
        return self._channel.path

    def cover(self, password: str) -> None:
        """Keep this password out of everything that is told of the worker."""
        self._channel.veil.cover(password)

    def kill(self) -> None:
        """End the worker at once."""
        if self.broken is None:
            self.broken = Broken("terminal_lost", "The terminal was stopped.")
        self._channel.kill()

    async def close(self, seconds: float = 0.0) -> None:
        """Ask the worker to go, for so long, then see that it is gone."""
        if seconds and self.broken is None:
            with suppress(Broken, GatewayError):
                await self.ask("shutdown", {}, seconds)
        self.kill()
        self._listener.cancel()
        await asyncio.gather(self._listener, return_exceptions=True)
        await self._channel.gone()

    async def _heard(self) -> dict[str, Any]:
        if self.broken is not None:
            raise Broken(self.broken.code, self.broken.detail)
        return await self._waiting

    async def _listen(self) -> None:
        """Hand each message to whoever waits. One that nobody waits for is nonsense: the order is lost."""
        try:
            while True:
                message = await frames.read(self._channel.reader)
                if self._waiting.done():
                    raise frames.BadFrame("nobody asked")
                self._waiting.set_result(message)
        except frames.BadFrame:
            self._end("bad_answer", "The worker sent something that is no answer.")
        except (frames.Ended, OSError, RuntimeError):
            self._end("terminal_lost", "The terminal has gone.")

    def _end(self, code: str, detail: str, *, asked: bool = False) -> Broken:
        error = Broken(code, detail, asked=asked)
        if self.broken is None:
            self.broken = error
        self._channel.kill()
        if not self._waiting.done():
            self._waiting.set_exception(self.broken)
            self._waiting.exception()  # it is not lost when nobody waits
        self.on_end()
        return error

    def _refusal(self, error: Any) -> GatewayError | Broken:
        try:
            return refusal(error, self._channel.veil)
        except ValueError:
            return self._end("bad_answer", "The worker's refusal cannot be read.", asked=True)
