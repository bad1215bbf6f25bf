"""A user with a position to act on, and what the tests of acts ask of both."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from models.account import Account
from models.approval import Door
from models.message import OutboxItem, OutboxKind
from models.position import PositionAct
from services import accounts, acts
from services.acting import Actor
from services.desk import Desk
from terminal.paper.gateway import PaperGateway
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import OrderRequest, OrderType, Position, Side
from tests.services import stage
from tests.services.gateways import TroubledLine

D = Decimal
STOP, TARGET = D("1.06500"), D("1.08000")


@dataclass
class Trader:
    """A user with a position of 0.10 lots of euros on their paper account."""

    desk: Desk
    line: TroubledLine
    user_id: int
    account: Account
    ticket: int
    now: datetime

    async def close(self, volume: str | None = None) -> PositionAct:
        return self._caught_up(await acts.close(self.desk, self.user_id, self.account.id, self.ticket,
                                                None if volume is None else D(volume), Door.APP, self.now))

    async def modify(self, **levels: Decimal | None) -> PositionAct:
        return self._caught_up(await acts.modify(self.desk, self.user_id, self.account.id, self.ticket, levels,
                                                 Door.APP, self.now))

    def _caught_up(self, act: PositionAct) -> PositionAct:
        """The act, which took time on its own clock: what is counted from its end is counted from there."""
        self.now = max(self.now, act.updated_at)
        return act

    async def position(self) -> Position | None:
        held = await PaperGateway.positions(self.line, accounts.ref(self.account))
        return next((position for position in held if position.ticket == self.ticket), None)

    async def volume(self) -> Decimal:
        found = await self.position()
        return D(0) if found is None else found.volume

    async def loop(self, after: timedelta = timedelta(), owner: str = "heir") -> int:
        """What the loop does when it looks."""
        actor, moment = Actor(self.desk.database, self.desk.gateways, owner), self.now + after
        leased = await actor.take(moment, 50)
        for item in leased:
            await actor.go_on(item, moment)
        return len(leased)

    async def act(self) -> PositionAct:
        """The only act there is."""
        async with self.desk.database.reading() as session:
            return (await session.scalars(select(PositionAct))).one()

    async def told(self) -> list[dict[str, Any]]:
        async with self.desk.database.reading() as session:
            return [payload for payload in await session.scalars(
                select(OutboxItem.payload).where(OutboxItem.kind == OutboxKind.TEXT)) if payload is not None]


async def opened(desk: Desk, quotes: QuoteFeed, now: datetime) -> Trader:
    """The position, bought a moment ago."""
    quotes.set_price("EURUSD", *stage.EURUSD)
    line = TroubledLine(desk.database, quotes)
    desk = replace(desk, gateways={"paper": line})
    user_id = await stage.join(desk, now)
    async with desk.database.reading() as session:
        account = await accounts.primary(session, user_id)
    result = await line.send(accounts.ref(account), OrderRequest(
        7, "EURUSD", Side.BUY, OrderType.MARKET, D("0.10"), None, STOP, (TARGET,), "test", None))
    assert result.ticket is not None
    line.calls.clear()
    return Trader(desk, line, user_id, account, result.ticket, now)
