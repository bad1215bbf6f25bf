"""Processes of the desk that read one account, over a terminal that tells what it is given to tell."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from redis.asyncio import Redis

from models.account import Account
from services.desk import Desk
from services.positions import Portfolio, Reader
from terminal.protocol import AccountRef, AccountSnapshot, Position, Side, SymbolSpec
from tests.services.gateways import TroubledLine

D = Decimal
CACHE, FORCE = timedelta(seconds=30), timedelta(seconds=5)


class Scripted(TroubledLine):
    """A terminal that tells what it is given to tell."""

    told: AccountSnapshot | None = None
    open: Sequence[Position] = ()
    knows_symbols = True

    async def account(self, ref: AccountRef) -> AccountSnapshot:
        snapshot = await super().account(ref)
        return snapshot if self.told is None else replace(self.told, taken_at=snapshot.taken_at)

    async def positions(self, ref: AccountRef) -> Sequence[Position]:
        return self.open or await super().positions(ref)

    async def symbol(self, ref: AccountRef, name: str) -> SymbolSpec | None:
        return await super().symbol(ref, name) if self.knows_symbols else None


class Replica:
    """A process of the desk, reading over a line."""

    def __init__(self, desk: Desk, account: Account, line: Scripted, redis: Redis,
                 patience: float = 5.0) -> None:
        self.line, self.account, self.database = line, account, desk.database
        self.reader = Reader(desk.database, redis, {"paper": line}, cache=CACHE, force_after=FORCE,
                             patience=timedelta(seconds=patience))

    async def read(self, seconds: float = 0, *, force: bool = False) -> Portfolio:
        return await self.reader.live(self.account, datetime.now(UTC) + timedelta(seconds=seconds), force=force)


def position(ticket: int = 1, **changes: object) -> Position:
    plain = Position(ticket, "EURUSD", Side.BUY, D("0.10"), D("1.07000"), D("1.07000"), None, None, D(0), D(0), D(0), 0,
                     datetime.now(UTC))
    return replace(plain, **changes)  # type: ignore[arg-type]


def snapshot(equity: str, balance: str = "10000.00", **changes: object) -> AccountSnapshot:
    plain = AccountSnapshot("1", "S", "B", "USD", 100, "hedging", D(balance), D(equity), D(0), D(equity), None,
                            datetime.now(UTC))
    return replace(plain, **changes)  # type: ignore[arg-type]
