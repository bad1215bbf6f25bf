"""The paper terminal behind the gateway protocol: hedging accounts, market, limit and stop orders.

An order and its effect are one transaction, keyed by ``magic``, so sending is idempotent. Stops and targets
are watched in memory and executed by guarded statements, so a position closes once.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from sqlalchemy import RowMapping, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from terminal import maths
from terminal.paper import book, checks, tables
from terminal.paper.book import Holding, Resting
from terminal.paper.pricing import Pricing
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import (
    AccountRef,
    AccountSnapshot,
    Deal,
    DealEntry,
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
STOP_OUT_LEVEL = Decimal(50)
KEEP_QUOTES_EVERY = timedelta(seconds=10)
YIELD_EVERY = 100


class Database(Protocol):
    """What the book needs of a database; the block that opens a session ends its transaction."""
    def writing(self) -> AbstractAsyncContextManager[AsyncSession]: ...
    def reading(self) -> AbstractAsyncContextManager[AsyncSession]: ...


class PaperGateway:
    """Accounts whose broker is this process."""

    route = "paper"
    resends_safely = True
    executes = True

    def __init__(self, database: Database, quotes: QuoteFeed, *, leverage: int, step_seconds: float) -> None:
        self._database = database
        self._quotes = quotes
        self._leverage = leverage
        self._pricing = Pricing(quotes, leverage)
        self._step_seconds = step_seconds
        self._lock = asyncio.Lock()
        self._open: dict[str, dict[int, Holding]] = {}
        self._resting: dict[str, dict[int, Resting]] = {}
        self._deal = asyncio.Event()
        self._read_up_to: tuple[int, int] | None = None
        self._currencies: dict[str, str] = {}

    # -- accounts and market -------------------------------------------------------------------------------

    async def open_account(self, login: str, *, currency: str, deposit: Decimal, now: datetime) -> AccountRef:
        """Open a practice account; an existing one is returned unchanged."""
        async with self._writing() as session:
            if await book.account(session, login) is None:
                await session.execute(insert(tables.accounts).values(
                    login=login, currency=currency, leverage=self._leverage, deposit=deposit, balance=deposit,
                    created_at=now))
        return AccountRef(login, SERVER)

    async def account(self, ref: AccountRef) -> AccountSnapshot:
        async with self._database.reading() as session:
            owner = await book.account(session, ref.login)
            held = await book.holdings(session, ref.login)
        if owner is None or ref.server != SERVER:
            raise GatewayError("unknown_account", "There is no such paper account.")
        currency, balance = owner["currency"], owner["balance"]
        profit = sum((maths.money(self._pricing.floating(h, currency)) for h in held), maths.ZERO)
        used = maths.money(self._pricing.margin(held, currency))
        equity = balance + profit
        level = maths.margin_level(equity, used)
        return AccountSnapshot(
            ref.login, SERVER, BROKER, currency, owner["leverage"], "hedging", maths.money(balance),
            maths.money(equity), used, maths.money(equity - used), maths.money(level) if level is not None else None,
            datetime.now(UTC))

    async def positions(self, ref: AccountRef) -> Sequence[Position]:
        currency = await self._currency(ref.login)
        async with self._database.reading() as session:
            held = await book.holdings(session, ref.login)
        return [self._pricing.position(holding, currency) for holding in held]

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
        return self._pricing.profit(symbol, side, volume, open_price, close_price, await self._currency(ref.login))

    async def _currency(self, login: str) -> str:
        """The account's currency. It never changes, so it is read once."""
        if login not in self._currencies:
            async with self._database.reading() as session:
                owner = await book.account(session, login)
            if owner is None:
                raise GatewayError("unknown_account", "There is no such paper account.")
            self._currencies[login] = owner["currency"]
        return self._currencies[login]

    # -- trading -------------------------------------------------------------------------------------------

    async def send(self, ref: AccountRef, request: OrderRequest) -> TradeResult:
        """Execute once: the same magic again returns the first result and does nothing more."""
        async with self._lock:
            now = datetime.now(UTC)
            async with self._writing() as session:
                known = await book.result_of(session, ref.login, request.magic)
                if known is not None:
                    return known
                owner = await book.account(session, ref.login)
                if owner is None:
                    raise GatewayError("unknown_account", "There is no such paper account.")
                result, opened = await self._execute(session, ref.login, owner["currency"], request, now)
                number = await book.write_order(session, ref.login, request, result, now)
            self._remember(opened)
            if result.status == ResultStatus.PLACED:
                result = TradeResult(result.status, result.retcode, number, None, None, None)
                self._rest(ref.login, number, request)
        return result

    async def find(self, ref: AccountRef, magic: int, since: datetime | None = None) -> TradeResult | None:
        async with self._database.reading() as session:
            return await book.result_of(session, ref.login, magic)

    async def close(self, ref: AccountRef, ticket: int, volume: Decimal | None = None) -> TradeResult:
        """Close a position, or a part of it in whole steps, at the market."""
        found = [held[ticket] for held in self._open.values() if ticket in held]
        holding = found[0] if found and found[0].login == ref.login else None
        tick = self._quotes.tick(holding.symbol) if holding else None
        spec = self._quotes.spec(holding.symbol) if holding else None
        if holding is None or tick is None or spec is None:
            return checks.refused(10036, "The position is closed.")
        part = holding.volume if volume is None else volume
        if not 0 < part <= holding.volume or maths.floor_to_step(part, spec.volume_step) != part:
            return checks.refused(10038, "The volume to close is not possible.")
        price = checks.exit_quote(holding.side, tick)
        if not await self._reduce(holding, part, price, DealReason.CLIENT, datetime.now(UTC)):
            return checks.refused(10036, "The position is closed.")
        return TradeResult(ResultStatus.FILLED, checks.DONE, ticket, price, part, None)

    async def modify(self, ref: AccountRef, ticket: int, stop_loss: Decimal | None,
                     take_profit: Decimal | None) -> TradeResult:
        raise GatewayError("unsupported", "The paper broker cannot do this yet.")

    async def cancel(self, ref: AccountRef, ticket: int) -> TradeResult:
        raise GatewayError("unsupported", "The paper broker cannot do this yet.")

    async def deals(self, ref: AccountRef, since: datetime) -> Sequence[Deal]:
        async with self._database.reading() as session:
            return await book.deals_of(session, ref.login, since, SERVER)

    async def deals_since(self, deal_id: int, limit: int) -> Sequence[Deal]:
        async with self._database.reading() as session:
            return await book.deals_after(session, deal_id, SERVER, limit)

    async def wait_for_deal(self) -> None:
        await self._deal.wait()
        self._deal.clear()

    async def load(self, now: datetime) -> None:
        """Open the market where it stood, and remember what waits for a price."""
        async with self._database.reading() as session:
            rows = await session.execute(select(tables.quotes))
            last = {row.symbol: (row.bid, row.ask) for row in rows}
        await self._quotes.load(now, last)
        await self.reread()

    async def reread(self) -> None:
        """Watch what the book holds: another process, or a commit whose answer was lost, may have changed it."""
        async with self._lock, self._database.reading() as session:
            if (last := await book.last_change(session)) == self._read_up_to:
                return
            held, resting = await book.holdings(session), await book.resting(session)
            self._open, self._resting, self._read_up_to = {}, {}, last
            for holding in held:
                self._open.setdefault(holding.symbol, {})[holding.ticket] = holding
            for order in resting:
                self._resting.setdefault(order.symbol, {})[order.id] = order

    async def run(self, stopping: asyncio.Event) -> None:
        """Move the market and execute what its movement triggers, until told to stop."""
        loop = asyncio.get_running_loop()
        next_step, kept_at = loop.time(), datetime.now(UTC)
        while not stopping.is_set():
            moved = await self._quotes.moved(max(next_step - loop.time(), 0.0))
            now = datetime.now(UTC)
            if loop.time() >= next_step:
                next_step = loop.time() + self._step_seconds
                self._quotes.step(now)
                await self._expire(now)
                await self._stop_out(now)
            await self.evaluate(moved, now)
            if now - kept_at >= KEEP_QUOTES_EVERY:
                kept_at = now
                await self._keep_quotes(now)
                await self.reread()
        await self._keep_quotes(datetime.now(UTC))

    async def evaluate(self, symbols: set[str], now: datetime) -> None:
        """Execute every stop, target and resting order that the current quotes have reached."""
        for symbol in symbols:
            tick = self._quotes.tick(symbol)
            if tick is None:
                continue
            for order in list(self._resting.get(symbol, {}).values()):
                if order.expires_at is not None and order.expires_at <= now:
                    continue  # its time is over, even if nobody has cleared it away yet
                if checks.is_reached(order.order_type, order.side, order.price, tick):
                    await self._fill_resting(order, tick, now)
            for holding in list(self._open.get(symbol, {}).values()):
                await self._trigger(holding, tick, now)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncSession]:
        async with self._database.writing() as session:
            await book.lock(session)
            yield session

    async def _execute(self, session: AsyncSession, login: str, currency: str, request: OrderRequest,
                       now: datetime) -> tuple[TradeResult, Holding | None]:
        spec, tick = self._quotes.spec(request.symbol), self._quotes.tick(request.symbol)
        refusal = checks.check(request, spec, tick, now)
        if refusal is not None:
            return refusal, None
        assert spec is not None and tick is not None
        if request.order_type != OrderType.MARKET:
            return TradeResult(ResultStatus.PLACED, checks.PLACED, None, None, None, None), None
        price = checks.entry_quote(request.side, tick)
        wanted = self._holding(0, login, request.magic, request.symbol, request.side, request.volume, price,
                               request.stop_loss, request.take_profits, now)
        if not await self._can_afford(session, login, currency, wanted):
            return checks.refused(checks.NO_MONEY, "There is not enough free margin."), None
        opened = await book.open_position(session, wanted, DealReason.SIGNAL)
        return TradeResult(ResultStatus.FILLED, checks.DONE, opened.ticket, price, request.volume, None), opened

    def _holding(self, ticket: int, login: str, magic: int, symbol: str, side: Side, volume: Decimal, price: Decimal,
                 stop_loss: Decimal | None, targets: tuple[Decimal, ...], now: datetime) -> Holding:
        spec = self._quotes.spec(symbol)
        assert spec is not None
        shares = maths.spread_over(volume, targets, spec.volume_step)
        return Holding(ticket, login, magic, symbol, side, volume, price, stop_loss, tuple(shares), now)

    async def _can_afford(self, session: AsyncSession, login: str, currency: str, wanted: Holding) -> bool:
        owner, held = await book.account(session, login), await book.holdings(session, login)
        assert owner is not None
        floating = sum((self._pricing.floating(h, currency) for h in held), maths.ZERO)
        return bool(owner["balance"] + floating >= self._pricing.margin([*held, wanted], currency))

    def _remember(self, holding: Holding | None) -> None:
        if holding is not None:
            self._open.setdefault(holding.symbol, {})[holding.ticket] = holding
            self._deal.set()

    def _rest(self, login: str, number: int, request: OrderRequest) -> None:
        assert request.price is not None
        self._resting.setdefault(request.symbol, {})[number] = Resting(
            number, login, request.magic, request.symbol, request.side, request.order_type, request.volume,
            request.price, request.stop_loss, request.take_profits, request.expires_at)

    async def _trigger(self, holding: Holding, tick: Tick, now: datetime) -> None:
        price, direction = checks.exit_quote(holding.side, tick), maths.sign(holding.side)
        if holding.stop_loss is not None and (price - holding.stop_loss) * direction <= 0:
            await self._reduce(holding, holding.volume, price, DealReason.STOP_LOSS, now)
            return
        while holding.targets and (price - holding.targets[0][0]) * direction >= 0:
            share = min(holding.targets[0][1], holding.volume)
            if not await self._reduce(holding, share, price, DealReason.TAKE_PROFIT, now):
                return
            left = self._open.get(holding.symbol, {}).get(holding.ticket)
            if left is None:
                return
            holding = left

    async def _reduce(self, holding: Holding, volume: Decimal, price: Decimal, reason: DealReason,
                      now: datetime) -> bool:
        async with self._lock:
            async with self._writing() as session:
                owner = await book.account(session, holding.login)
                assert owner is not None
                gained = self._pricing.profit(holding.symbol, holding.side, volume, holding.entry_price, price,
                                      owner["currency"])
                left = await book.reduce_position(session, holding, volume, price,
                                                  maths.money(gained or maths.ZERO), reason, now)
            if left is None or left.volume == 0:
                self._open.get(holding.symbol, {}).pop(holding.ticket, None)
            else:
                self._open[holding.symbol][holding.ticket] = left
            self._deal.set()
        return left is not None

    async def _fill_resting(self, order: Resting, tick: Tick, now: datetime) -> None:
        price = checks.entry_quote(order.side, tick)
        async with self._lock:
            async with self._writing() as session:
                owner = await book.account(session, order.login)
                assert owner is not None
                wanted = self._holding(0, order.login, order.magic, order.symbol, order.side, order.volume, price,
                                       order.stop_loss, order.take_profits, now)
                opened = None
                if not await self._can_afford(session, order.login, owner["currency"], wanted):
                    await self._end_unfilled(session, order, "rejected", DealReason.REJECTED, now)
                elif await book.end_resting(session, order.id, "filled", retcode=checks.DONE, price=price):
                    opened = await book.open_position(session, wanted, DealReason.SIGNAL)
                    await book.name_position(session, order.id, opened.ticket)
            self._resting.get(order.symbol, {}).pop(order.id, None)
            self._remember(opened)
            self._deal.set()

    async def _end_unfilled(self, session: AsyncSession, order: Resting, status: str, reason: DealReason,
                            now: datetime) -> None:
        if await book.end_resting(session, order.id, status, error=reason.value):
            await book.write_deal(session, order, order.side, DealEntry.IN, reason, maths.ZERO, order.price,
                                  maths.ZERO, maths.ZERO, now)

    async def _expire(self, now: datetime) -> None:
        for waiting in list(self._resting.values()):
            for order in [o for o in waiting.values() if o.expires_at is not None and o.expires_at <= now]:
                async with self._lock:
                    async with self._writing() as session:
                        await self._end_unfilled(session, order, "expired", DealReason.EXPIRED, now)
                    waiting.pop(order.id, None)
                    self._deal.set()

    async def _stop_out(self, now: datetime) -> None:
        """Close the worst position of every account whose margin level has fallen to the stop-out level."""
        by_login: dict[str, list[Holding]] = {}
        for holding in [holding for held in self._open.values() for holding in held.values()]:
            by_login.setdefault(holding.login, []).append(holding)
        async with self._database.reading() as session:
            owners = await book.owners(session)
        for number, login in enumerate(by_login.keys() & owners.keys()):
            await self._stop_out_one(owners[login], by_login[login], now)
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)

    async def _stop_out_one(self, owner: RowMapping, mine: list[Holding], now: datetime) -> None:
        worth = {h.ticket: self._pricing.floating(h, owner["currency"]) for h in mine}
        equity = owner["balance"] + sum(worth.values(), maths.ZERO)
        level = maths.margin_level(equity, self._pricing.margin(mine, owner["currency"]))
        if level is None or level > STOP_OUT_LEVEL:
            return
        worst = min(mine, key=lambda h: worth[h.ticket])
        tick = self._quotes.tick(worst.symbol)
        if tick is not None:
            await self._reduce(worst, worst.volume, checks.exit_quote(worst.side, tick), DealReason.STOP_OUT, now)

    async def _keep_quotes(self, now: datetime) -> None:
        rows = [{"symbol": name, "bid": bid, "ask": ask, "at": now} for name, (bid, ask) in self._quotes.last().items()]
        async with self._writing() as session:
            await session.execute(delete(tables.quotes))
            await session.execute(insert(tables.quotes), rows)
