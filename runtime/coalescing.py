"""Many small questions of one turn of the event loop, asked of Redis as one.

A round trip costs the process much more than what is asked in it: under load dozens of requests ask in the same turn.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")
MOST_AT_ONCE = 256


class Coalesced(Generic[Question, Answer]):
    """``ask`` collects questions until the turn is over; ``answer`` gets them all and answers in their order."""

    def __init__(self, answer: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]]) -> None:
        self._answer = answer
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, question: Question) -> Answer:
        """The answer to this question; what goes wrong with the whole turn goes wrong for each of it."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._send)
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((question, future))
        return await future

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), MOST_AT_ONCE):
            task = asyncio.create_task(self._resolve(waiting[start:start + MOST_AT_ONCE]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _resolve(self, waiting: list[tuple[Question, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._answer([question for question, _ in waiting])
            if len(answers) != len(waiting):
                raise RuntimeError("as many answers as questions are needed")
        except BaseException as error:
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else ConnectionError("given up"))
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), answer in zip(waiting, answers, strict=True):
            if not future.done():  # whoever asked may have gone away
                future.set_result(answer)
