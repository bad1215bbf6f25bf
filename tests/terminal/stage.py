"""A trader at the paper broker: sends orders, moves the market, and reads what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from terminal.paper.gateway import PaperGateway
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import AccountRef, Deal, OrderRequest, OrderType, Position, Side, TradeResult

D = Decimal
BID, ASK = D("1.10000"), D("1.10008")


def order(magic: int = 1, **changes: object) -> OrderRequest:
    """A market order for 0.10 lots of euros, as changed."""
    plain = OrderRequest(magic, "EURUSD", Side.BUY, OrderType.MARKET, D("0.10"), None, None, (), "test", None)
    return replace(plain, **changes)  # type: ignore[arg-type]


@dataclass
class Stage:
    gateway: PaperGateway
    quotes: QuoteFeed
    ref: AccountRef

    @classmethod
    async def open(cls, gateway: PaperGateway, quotes: QuoteFeed) -> "Stage":
        ref = await gateway.open_account("1001", currency="USD", deposit=D(10_000), now=datetime.now(UTC))
        quotes.set_price("EURUSD", BID, ASK)
        return cls(gateway, quotes, ref)

    async def send(self, magic: int = 1, **changes: object) -> TradeResult:
        return await self.gateway.send(self.ref, order(magic, **changes))

    async def move(self, bid: str, ask: str | None = None, *, symbol: str = "EURUSD",
                   after: timedelta = timedelta()) -> None:
        """The market jumps there, and what that triggers is executed."""
        self.quotes.set_price(symbol, D(bid), D(ask or bid))
        await self.gateway.evaluate({symbol}, datetime.now(UTC) + after)

    async def positions(self) -> Sequence[Position]:
        return await self.gateway.positions(self.ref)

    async def deals(self) -> Sequence[Deal]:
        return await self.gateway.deals_since(0, 100)

    async def balance(self) -> Decimal:
        return (await self.gateway.account(self.ref)).balance
