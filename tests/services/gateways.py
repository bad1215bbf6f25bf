"""The paper broker with a bad line: real accounts and real fills, but calls can be counted, held up, or cut."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import func, select

from models.database import Database
from terminal.paper import tables
from terminal.paper.gateway import PaperGateway
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import AccountRef, AccountSnapshot, Deal, GatewayError, OrderRequest, Position, TradeResult

AWAY = GatewayError("terminal_away", "The terminal does not answer.", retryable=True)
BROKEN = GatewayError("terminal_broken", "The terminal refuses to talk.")
NO_ANSWER = GatewayError("no_answer", "The answer never came.", ambiguous=True)

T = TypeVar("T")


class TroubledLine(PaperGateway):
    """``before`` and ``after`` are raised around the broker's own work; ``held`` blocks every call until it is set.

    ``ahead`` is how far its clock is in the future of ours, where the test is; ``first`` is awaited before a call, and
    ``then`` between its work and its answer.
    """

    def __init__(self, database: Database, quotes: QuoteFeed) -> None:
        super().__init__(database, quotes, leverage=100, step_seconds=1.0)
        self.calls: Counter[str] = Counter()
        self.before: dict[str, GatewayError] = {}
        self.after: dict[str, GatewayError] = {}
        self.held: asyncio.Event | None = None
        self.on_send: Callable[[OrderRequest], Awaitable[None]] | None = None
        self.ahead = timedelta()
        self.first: dict[str, Callable[[], Awaitable[None]]] = {}
        self.then: dict[str, Callable[[], Awaitable[None]]] = {}
        self._book = database

    async def account(self, ref: AccountRef) -> AccountSnapshot:
        snapshot = await self._call("account", super().account(ref))
        return replace(snapshot, taken_at=snapshot.taken_at + self.ahead)

    async def positions(self, ref: AccountRef) -> Sequence[Position]:
        return await self._call("positions", super().positions(ref))

    async def find(self, ref: AccountRef, magic: int, since: datetime | None = None) -> TradeResult | None:
        return await self._call("find", super().find(ref, magic, since))

    async def send(self, ref: AccountRef, request: OrderRequest) -> TradeResult:
        if self.on_send is not None:
            await self.on_send(request)
        return await self._call("send", super().send(ref, request))

    async def close(self, ref: AccountRef, ticket: int, volume: Decimal | None = None) -> TradeResult:
        return await self._call("close", super().close(ref, ticket, volume))

    async def modify(self, ref: AccountRef, ticket: int, stop_loss: Decimal | None,
                     take_profit: Decimal | None) -> TradeResult:
        return await self._call("modify", super().modify(ref, ticket, stop_loss, take_profit))

    async def deals(self, ref: AccountRef, since: datetime) -> Sequence[Deal]:
        return await self._call("deals", super().deals(ref, since))

    async def _call(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        self.calls[name] += 1
        try:
            if self.held is not None:
                await self.held.wait()
            if name in self.first:
                await self.first[name]()
            if name in self.before:
                raise self.before[name]
        except BaseException:
            work.close()
            raise
        result = await work
        if name in self.then:
            await self.then[name]()
        if name in self.after:
            raise self.after[name]
        return result

    async def fills(self) -> int:
        """How many positions the broker has ever opened."""
        async with self._book.reading() as session:
            return await session.scalar(select(func.count()).select_from(tables.positions)) or 0
