"""The paper terminal behind the gateway protocol: hedging and netting accounts, market, limit and stop orders.

An order and its effect are one transaction, keyed by ``magic``, so sending is idempotent. Stops and targets
are watched in memory and executed by guarded statements, so a position closes once.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import RowMapping, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from terminal import maths
from terminal.paper import book, checks, tables
from terminal.paper.book import Holding, Resting
from terminal.paper.floor import NETTING, Database, Floor, owner_of
from terminal.paper.market import Market, end_unfilled
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import (
    AccountRef,
    AccountSnapshot,
    Deal,
    DealReason,
    GatewayError,
    OrderRequest,
    OrderType,
    PendingOrder,
    Position,
    ResultStatus,
    Side,
    SymbolSpec,
    Tick,
    TradeResult,
)

SERVER, BROKER = "Countersign-Paper", "Countersign Paper"
HEDGING = "hedging"


class PaperGateway:
    """Accounts whose broker is this process."""

    route = "paper"
    resends_safely = True
    executes = True

    def __init__(self, database: Database, quotes: QuoteFeed, *, leverage: int, step_seconds: float) -> None:
        self._database = database
        self._quotes = quotes
        self._leverage = leverage
        self._floor = Floor(database, quotes, leverage)
        self.market = Market(self._floor, step_seconds)
        self._currencies: dict[str, str] = {}

    # -- accounts and market -------------------------------------------------------------------------------

    async def open_account(self, login: str, *, currency: str, deposit: Decimal, now: datetime,
                           margin_mode: str = HEDGING) -> AccountRef:
        """Open a practice account; an existing one is returned unchanged."""
        assert margin_mode in (HEDGING, NETTING)
        async with self._floor.writing() as session:
            if await book.account(session, login) is None:
                await session.execute(insert(tables.accounts).values(
                    login=login, currency=currency, leverage=self._leverage, deposit=deposit, balance=deposit,
                    margin_mode=margin_mode, created_at=now))
        return AccountRef(login, SERVER)

    async def account(self, ref: AccountRef) -> AccountSnapshot:
        async with self._database.reading() as session:
            owner = await book.account(session, ref.login)
            held = await book.holdings(session, ref.login)
        if owner is None or ref.server != SERVER:
            raise GatewayError("unknown_account", "There is no such paper account.")
        currency, balance, pricing = owner["currency"], owner["balance"], self._floor.pricing
        profit = sum((maths.money(pricing.floating(h, currency)) + h.swap for h in held), maths.ZERO)
        used = maths.money(pricing.margin(held, currency))
        equity = balance + profit
        level = maths.margin_level(equity, used)
        return AccountSnapshot(
            ref.login, SERVER, BROKER, currency, owner["leverage"], owner["margin_mode"], maths.money(balance),
            maths.money(equity), used, maths.money(equity - used), maths.money(level) if level is not None else None,
            datetime.now(UTC), net_deposits=maths.money(owner["deposit"]))

    async def positions(self, ref: AccountRef) -> Sequence[Position]:
        currency = await self._currency(ref.login)
        async with self._database.reading() as session:
            held = await book.holdings(session, ref.login)
        return [self._floor.pricing.position(holding, currency) for holding in held]

    async def orders(self, ref: AccountRef) -> Sequence[PendingOrder]:
        async with self._database.reading() as session:
            return await book.pending(session, ref.login)

    async def symbols(self, ref: AccountRef) -> Sequence[SymbolSpec]:
        return self._quotes.specs()

    async def symbol(self, ref: AccountRef, name: str) -> SymbolSpec | None:
        return self._quotes.spec(name)

    async def tick(self, ref: AccountRef, symbol: str) -> Tick | None:
        return self._quotes.tick(symbol)

    async def loss_at(self, ref: AccountRef, symbol: str, side: Side, volume: Decimal, open_price: Decimal,
                      close_price: Decimal) -> Decimal | None:
        """Profit (negative: loss) in the account's currency between two prices."""
        return self._floor.pricing.profit(symbol, side, volume, open_price, close_price,
                                          await self._currency(ref.login))

    async def _currency(self, login: str) -> str:
        """The account's currency. It never changes, so it is read once."""
        if login not in self._currencies:
            async with self._database.reading() as session:
                self._currencies[login] = (await owner_of(session, login))["currency"]
        return self._currencies[login]

    # -- trading -------------------------------------------------------------------------------------------

    async def send(self, ref: AccountRef, request: OrderRequest) -> TradeResult:
        """Execute once: the same magic again returns the first result and does nothing more."""
        async with self._floor.lock:
            now = datetime.now(UTC)
            async with self._floor.writing() as session:
                known = await book.result_of(session, ref.login, request.magic)
                if known is not None:
                    return known
                owner = await owner_of(session, ref.login)
                result, changed = await self._execute(session, owner, request, now)
                number = await book.write_order(session, ref.login, request, result, now)
            if changed:
                self._floor.remember(*changed)
            if result.status == ResultStatus.PLACED:
                result = TradeResult(result.status, result.retcode, number, None, None, None)
                assert request.price is not None
                self._floor.resting.setdefault(request.symbol, {})[number] = Resting(
                    number, ref.login, request.magic, request.symbol, request.side, request.order_type,
                    request.volume, request.price, request.stop_loss, request.take_profits, request.expires_at)
        return result

    async def _execute(self, session: AsyncSession, owner: RowMapping, request: OrderRequest,
                       now: datetime) -> tuple[TradeResult, list[Holding]]:
        spec, tick = self._quotes.spec(request.symbol), self._quotes.tick(request.symbol)
        committed = maths.ZERO
        if spec is not None and spec.volume_limit:
            committed = await _committed(session, owner["login"], request)
        refusal = checks.check(request, spec, tick, now, committed)
        if refusal is not None:
            return refusal, []
        assert spec is not None and tick is not None
        if request.order_type != OrderType.MARKET:
            return TradeResult(ResultStatus.PLACED, checks.PLACED, None, None, None, None), []
        price = checks.entry_quote(request.side, tick)
        wanted = self._floor.wanted(owner["login"], request, price, now)
        if not await self._floor.can_afford(session, owner, wanted):
            return checks.refused(checks.NO_MONEY, "There is not enough free margin."), []
        changed = await self._floor.fill(session, owner, wanted, now)
        return TradeResult(ResultStatus.FILLED, checks.DONE, changed[-1].ticket, price, request.volume, None), changed

    async def find(self, ref: AccountRef, magic: int, since: datetime | None = None) -> TradeResult | None:
        async with self._database.reading() as session:
            return await book.result_of(session, ref.login, magic)

    async def close(self, ref: AccountRef, ticket: int, volume: Decimal | None = None) -> TradeResult:
        """Close a position, or a part of it in whole steps, at the market."""
        async with self._floor.lock:
            async with self._floor.writing() as session:
                known = await book.holding(session, ref.login, ticket=ticket)
                if known is None:
                    return checks.refused(checks.POSITION_CLOSED, "The position is closed.")
                tick, spec = self._quotes.tick(known.symbol), self._quotes.spec(known.symbol)
                if tick is None or spec is None:
                    return checks.refused(checks.NO_QUOTE, "There is no price for this symbol.")
                part = known.volume if volume is None else volume
                if (refusal := checks.check_close(part, known.volume, spec)) is not None:
                    return refusal
                price = checks.exit_quote(known.side, tick)
                left = await self._floor.reduce(session, await owner_of(session, ref.login), known, part, price,
                                                DealReason.CLIENT, datetime.now(UTC))
                assert left is not None
            self._floor.remember(left)
        return TradeResult(ResultStatus.FILLED, checks.DONE, ticket, price, part, None)

    async def modify(self, ref: AccountRef, ticket: int, stop_loss: Decimal | None,
                     take_profit: Decimal | None) -> TradeResult:
        """Set both levels. A position with several targets keeps those beyond the new first one."""
        async with self._floor.lock:
            async with self._floor.writing() as session:
                known = await book.holding(session, ref.login, ticket=ticket)
                if known is None:
                    return checks.refused(checks.POSITION_CLOSED, "The position is closed.")
                first = known.targets[0][0] if known.targets else None
                if (known.stop_loss, first) == (stop_loss, take_profit):
                    return checks.refused(checks.NO_CHANGES, "There is nothing to change.")
                tick, spec = self._quotes.tick(known.symbol), self._quotes.spec(known.symbol)
                if tick is None or spec is None:
                    return checks.refused(checks.NO_QUOTE, "There is no price for this symbol.")
                # A level that stays may be nearer by now than a new one might be.
                refusal = checks.check_levels(
                    known.side, checks.exit_quote(known.side, tick),
                    stop_loss if stop_loss != known.stop_loss else None,
                    (take_profit,) if take_profit is not None and take_profit != first else (), spec)
                if refusal is not None:
                    return refusal
                changed = await book.change_position(session, known, stop_loss=stop_loss,
                                                     targets=_moved(known, take_profit))
                assert changed is not None
            self._floor.remember(changed)
        return TradeResult(ResultStatus.FILLED, checks.DONE, ticket, None, None, None)

    async def cancel(self, ref: AccountRef, ticket: int) -> TradeResult:
        """Withdraw a waiting order."""
        async with self._floor.lock:
            async with self._floor.writing() as session:
                order = next((o for o in await book.resting(session, ref.login) if o.id == ticket), None)
                if order is None:
                    return checks.refused(checks.INVALID_REQUEST, "There is no such waiting order.")
                await end_unfilled(session, order, "cancelled", DealReason.CANCELLED, datetime.now(UTC))
            self._floor.resting.get(order.symbol, {}).pop(order.id, None)
            self._floor.news.set()
        return TradeResult(ResultStatus.PLACED, checks.DONE, ticket, None, None, None)

    # -- deals ---------------------------------------------------------------------------------------------

    async def deals(self, ref: AccountRef, since: datetime) -> Sequence[Deal]:
        async with self._database.reading() as session:
            return await book.deals_of(session, ref.login, since, SERVER)

    async def deals_since(self, deal_id: int, limit: int) -> Sequence[Deal]:
        async with self._database.reading() as session:
            return await book.deals_after(session, deal_id, SERVER, limit)

    async def wait_for_deal(self) -> None:
        await self._floor.news.wait()
        self._floor.news.clear()

    # -- the market ----------------------------------------------------------------------------------------

    async def load(self, now: datetime) -> None:
        """Open the market where it stood, and remember what waits for a price."""
        async with self._database.reading() as session:
            rows = await session.execute(select(tables.quotes))
            last = {row.symbol: (row.bid, row.ask) for row in rows}
        await self._quotes.load(now, last)
        await self.reread()

    async def reread(self) -> None:
        """Watch what the book holds now."""
        await self._floor.reread()

    async def run(self, stopping: asyncio.Event) -> None:
        """Move the market and execute what its movement triggers, until told to stop."""
        await self.market.run(stopping)

    async def evaluate(self, symbols: set[str], now: datetime) -> None:
        """Execute what the current quotes of these symbols have reached."""
        await self.market.evaluate(symbols, now)


async def _committed(session: AsyncSession, login: str, request: OrderRequest) -> Decimal:
    """What is open or waits in an order's direction."""
    mine: list[Holding | Resting] = [*await book.holdings(session, login), *await book.resting(session, login)]
    return sum((of.volume for of in mine if (of.symbol, of.side) == (request.symbol, request.side)), maths.ZERO)


def _moved(known: Holding, take_profit: Decimal | None) -> tuple[tuple[Decimal, Decimal], ...]:
    """The targets with the first one moved; one that it passes is met with it."""
    if take_profit is None:
        return ()
    direction = maths.sign(known.side)
    beyond = tuple(target for target in known.targets[1:] if (target[0] - take_profit) * direction > 0)
    share = known.volume - sum((volume for _, volume in beyond), maths.ZERO)
    return ((take_profit, share), *beyond)
