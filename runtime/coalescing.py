"""Many small questions, asked of Redis as one.

A round trip costs the process much more than what is asked in it. What is asked while one is under way waits for it to
end and goes together in the next: the busier the process, the fewer trips it makes for each question.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")
MOST_AT_ONCE = 256


class Coalesced(Generic[Question, Answer]):
    """Collects questions; ``answer`` gets those that wait, again and again, and answers in their order."""

    def __init__(self, answer: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]]) -> None:
        self._answer = answer
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._trips: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop

    def ask(self, question: Question) -> "asyncio.Future[Answer]":
        """The answer to this question, to be awaited; what goes wrong goes wrong for everyone who waits."""
        if self._trips is None:
            # Once for each row of trips: to find the running loop costs a system call.
            self._loop = asyncio.get_running_loop()
            self._trips = self._loop.create_task(self._travel())
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting.append((question, future))
        return future

    async def _travel(self) -> None:
        """Make trips as long as somebody waits."""
        try:
            while self._waiting:
                asked, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                try:
                    answers = await self._answer([question for question, _ in asked])
                    if len(answers) != len(asked):
                        raise RuntimeError("as many answers as questions are needed")
                except Exception as error:
                    asked, self._waiting = asked + self._waiting, []
                    _fail(asked, error)
                else:
                    for (_, future), answer in zip(asked, answers, strict=True):
                        if not future.done():  # whoever asked may have gone away
                            future.set_result(answer)
        finally:
            self._trips = None
            left, self._waiting = self._waiting, []
            _fail(left, ConnectionError("given up"))


def _fail(asked: "Sequence[tuple[Question, asyncio.Future[Answer]]]", error: Exception) -> None:
    for _, future in asked:
        if not future.done():
            future.set_exception(error)
            future.exception()  # whoever asked may not be waiting any more
