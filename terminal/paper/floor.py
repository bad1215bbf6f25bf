"""The paper broker's trading floor: what is open and waits, in memory and in the book, and how both change.

An order and its effect are one transaction. What is remembered only says what to look at: every change names the
revision it knows, and the book refuses one that is not the last.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from terminal import maths
from terminal.paper import book
from terminal.paper.book import Fact, Holding, Resting
from terminal.paper.pricing import Pricing
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import DealEntry, DealReason, GatewayError, OrderRequest, Side

NETTING = "netting"


class Database(Protocol):
    """What the book needs of a database; the block that opens a session ends its transaction."""
    def writing(self) -> AbstractAsyncContextManager[AsyncSession]: ...
    def reading(self) -> AbstractAsyncContextManager[AsyncSession]: ...


class Floor:
    """Positions and waiting orders of every account. Whoever changes them holds ``lock``."""

    def __init__(self, database: Database, quotes: QuoteFeed, leverage: int) -> None:
        self.database = database
        self.quotes = quotes
        self.pricing = Pricing(quotes, leverage)
        self.lock = asyncio.Lock()
        self.open: dict[str, dict[int, Holding]] = {}
        self.resting: dict[str, dict[int, Resting]] = {}
        self.news = asyncio.Event()
        self._read_up_to: tuple[int, int, int] | None = None

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """A transaction of the book; they follow one another."""
        async with self.database.writing() as session:
            await book.lock(session)
            yield session

    async def reread(self) -> None:
        """Watch what the book holds: another process, or a commit whose answer was lost, may have changed it."""
        async with self.lock, self.database.reading() as session:
            if (last := await book.last_change(session)) == self._read_up_to:
                return
            held, resting = await book.holdings(session), await book.resting(session)
            self.open, self.resting, self._read_up_to = {}, {}, last
            for holding in held:
                self.open.setdefault(holding.symbol, {})[holding.ticket] = holding
            for order in resting:
                self.resting.setdefault(order.symbol, {})[order.id] = order

    def remember(self, *held: Holding) -> None:
        """What has just been committed; a position without volume is closed."""
        for holding in held:
            here = self.open.setdefault(holding.symbol, {})
            if holding.volume:
                here[holding.ticket] = holding
            else:
                here.pop(holding.ticket, None)
        self.news.set()

    def forget(self, holding: Holding) -> None:
        """It is not as it was remembered; the next reading of the book says how it is."""
        self.open.get(holding.symbol, {}).pop(holding.ticket, None)
        self._read_up_to = None

    def wanted(self, login: str, request: OrderRequest | Resting, price: Decimal, now: datetime) -> Holding:
        """The position an order asks for, at this price."""
        spec = self.quotes.spec(request.symbol)
        assert spec is not None
        shares = maths.spread_over(request.volume, request.take_profits, spec.volume_step)
        return Holding(0, login, request.magic, request.symbol, request.side, request.volume, price,
                       request.stop_loss, tuple(shares), now)

    async def can_afford(self, session: AsyncSession, owner: RowMapping, wanted: Holding) -> bool:
        """Whether the margin of all that would be open then is covered."""
        held, currency = await book.holdings(session, owner["login"]), owner["currency"]
        worth = sum((self.pricing.floating(h, currency) + h.swap for h in held), maths.ZERO)
        after = _netted(held, wanted) if owner["margin_mode"] == NETTING else [*held, wanted]
        return bool(owner["balance"] + worth >= self.pricing.margin(after, currency))

    async def fill(self, session: AsyncSession, owner: RowMapping, wanted: Holding, now: datetime) -> list[Holding]:
        """Open what is wanted, on a netting account against what is open; returns what has changed, the fill last."""
        known = await book.holding(session, owner["login"], symbol=wanted.symbol)
        if owner["margin_mode"] != NETTING or known is None:
            opened = await book.open_position(session, wanted)
            await self._deal(session, owner, opened, wanted, DealEntry.IN, wanted.volume, opened.volume, now)
            return [opened]
        if known.side == wanted.side:
            return [await self._add(session, owner, known, wanted, now)]
        if wanted.volume <= known.volume:
            left = await self.reduce(session, owner, known, wanted.volume, wanted.entry_price, DealReason.SIGNAL, now,
                                     magic=wanted.magic)
            assert left is not None
            return [left]
        return await self._reverse(session, owner, known, wanted, now)

    async def _add(self, session: AsyncSession, owner: RowMapping, known: Holding, wanted: Holding,
                   now: datetime) -> Holding:
        spec = self.quotes.spec(known.symbol)
        assert spec is not None
        total = known.volume + wanted.volume
        entry = maths.vwap([(known.volume, known.entry_price), (wanted.volume, wanted.entry_price)])
        prices = [price for price, _ in wanted.targets or known.targets]
        grown = await book.change_position(
            session, known, volume=total, entry_price=entry.quantize(spec.point.scaleb(-5)),
            stop_loss=known.stop_loss if wanted.stop_loss is None else wanted.stop_loss,
            targets=tuple(maths.spread_over(total, prices, spec.volume_step)))
        assert grown is not None
        await self._deal(session, owner, grown, wanted, DealEntry.IN, wanted.volume, total, now)
        return grown

    async def _reverse(self, session: AsyncSession, owner: RowMapping, known: Holding, wanted: Holding,
                       now: datetime) -> list[Holding]:
        """Close all that is open and open the rest the other way: one deal, and the identifier stays."""
        spec = self.quotes.spec(wanted.symbol)
        assert spec is not None
        rest = wanted.volume - known.volume
        closed = await book.close_position(session, known, now)
        assert closed is not None
        prices = [price for price, _ in wanted.targets]
        opened = await book.open_position(session, replace(
            wanted, volume=rest, identifier=known.identifier or known.ticket,
            targets=tuple(maths.spread_over(rest, prices, spec.volume_step))))
        await self._deal(session, owner, opened, wanted, DealEntry.INOUT, wanted.volume, rest, now, closes=known)
        return [closed, opened]

    async def _deal(self, session: AsyncSession, owner: RowMapping, position: Holding, wanted: Holding,
                    entry: DealEntry, volume: Decimal, remaining: Decimal, now: datetime,
                    closes: Holding | None = None) -> None:
        """Book the deal of a fill, with its commission and the result of what it has closed."""
        profit, swap = maths.ZERO, maths.ZERO
        if closes is not None:
            profit, swap = self._gained(closes, closes.volume, wanted.entry_price, owner), closes.swap
        commission = self._commission(position.symbol, volume)
        await book.book_money(session, owner["login"], profit + swap + commission)
        await book.write_deal(session, position, Fact(
            wanted.side, entry, DealReason.SIGNAL, volume, wanted.entry_price, remaining, profit, swap, commission),
            now, magic=wanted.magic)

    async def reduce(self, session: AsyncSession, owner: RowMapping, known: Holding, volume: Decimal, price: Decimal,
                     reason: DealReason, now: datetime, *, magic: int | None = None) -> Holding | None:
        """Close part or all of a position once: its profit, its share of the swap, its deal. None: not as known."""
        rest = known.volume - volume
        swap = known.swap if rest == 0 else maths.money(known.swap * volume / known.volume)
        if rest == 0:
            left = await book.close_position(session, known, now)
        else:
            targets = known.targets[1:] if reason == DealReason.TAKE_PROFIT else known.targets
            left = await book.change_position(session, known, volume=rest, swap=known.swap - swap, targets=targets)
        if left is None:
            return None
        profit, commission = self._gained(known, volume, price, owner), self._commission(known.symbol, volume)
        await book.book_money(session, known.login, profit + swap + commission)
        opposite = Side.SELL if known.side == Side.BUY else Side.BUY
        await book.write_deal(session, known, Fact(
            opposite, DealEntry.OUT, reason, volume, price, rest, profit, swap, commission), now, magic=magic)
        return left

    def _gained(self, known: Holding, volume: Decimal, price: Decimal, owner: RowMapping) -> Decimal:
        gained = self.pricing.profit(known.symbol, known.side, volume, known.entry_price, price, owner["currency"])
        return maths.money(gained or maths.ZERO)

    def _commission(self, symbol: str, volume: Decimal) -> Decimal:
        listing = self.quotes.listing(symbol)
        return maths.ZERO if listing is None else -maths.money(listing.commission * volume)


async def owner_of(session: AsyncSession, login: str) -> RowMapping:
    """The account's row; GatewayError when nobody has opened it."""
    owner = await book.account(session, login)
    if owner is None:
        raise GatewayError("unknown_account", "There is no such paper account.")
    return owner


def _netted(held: Sequence[Holding], wanted: Holding) -> list[Holding]:
    """What would be open after an order on a netting account, as far as margin is concerned."""
    others = [holding for holding in held if holding.symbol != wanted.symbol]
    known = next((holding for holding in held if holding.symbol == wanted.symbol), None)
    if known is None:
        return [*others, wanted]
    if known.side == wanted.side:
        return [*others, known, wanted]
    rest = known.volume - wanted.volume
    if rest == 0:
        return others
    return [*others, replace(known, volume=rest) if rest > 0 else replace(wanted, volume=-rest)]
