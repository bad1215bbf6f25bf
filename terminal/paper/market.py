"""What the paper market does by itself: it moves, and executes what its movement and the hour trigger."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import RowMapping, delete, insert
from sqlalchemy.ext.asyncio import AsyncSession

from terminal import maths
from terminal.paper import book, checks, tables
from terminal.paper.book import Fact, Holding, Resting
from terminal.paper.floor import Floor, owner_of
from terminal.protocol import DealEntry, DealReason, Side, Tick

STOP_OUT_LEVEL = Decimal(50)
KEEP_QUOTES_EVERY = timedelta(seconds=10)
YIELD_EVERY = 100
DAY = timedelta(days=1)
WEDNESDAY, SATURDAY = 2, 5


class Market:
    """Stops, targets and waiting orders, time limits, margins, nights."""

    def __init__(self, floor: Floor, step_seconds: float) -> None:
        self.step_seconds = step_seconds
        self._floor = floor
        self._night: datetime | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Move and execute until told to stop."""
        loop, quotes = asyncio.get_running_loop(), self._floor.quotes
        next_step, kept_at = loop.time(), datetime.now(UTC)
        while not stopping.is_set():
            moved = await quotes.moved(max(next_step - loop.time(), 0.0))
            now = datetime.now(UTC)
            if loop.time() >= next_step:
                next_step = loop.time() + self.step_seconds
                quotes.step(now)
                await self.expire(now)
                await self.roll_over(now)
                await self.stop_out(now)
            await self.evaluate(moved, now)
            if now - kept_at >= KEEP_QUOTES_EVERY:
                kept_at = now
                await self.keep_quotes(now)
                await self._floor.reread()
        await self.keep_quotes(datetime.now(UTC))

    async def evaluate(self, symbols: set[str], now: datetime) -> None:
        """Execute every stop, target and resting order that the current quotes have reached."""
        for symbol in symbols:
            tick = self._floor.quotes.tick(symbol)
            if tick is None:
                continue
            for order in list(self._floor.resting.get(symbol, {}).values()):
                if order.expires_at is not None and order.expires_at <= now:
                    continue  # its time is over, even if nobody has cleared it away yet
                if checks.is_reached(order.order_type, order.side, order.price, tick):
                    await self._fill_resting(order, tick, now)
            for holding in list(self._floor.open.get(symbol, {}).values()):
                await self._trigger(holding, tick, now)

    async def _trigger(self, holding: Holding, tick: Tick, now: datetime) -> None:
        price, direction = checks.exit_quote(holding.side, tick), maths.sign(holding.side)
        if holding.stop_loss is not None and (price - holding.stop_loss) * direction <= 0:
            await self._reduce(holding, holding.volume, price, DealReason.STOP_LOSS, now)
            return
        while holding.targets and (price - holding.targets[0][0]) * direction >= 0:
            share = min(holding.targets[0][1], holding.volume)
            left = await self._reduce(holding, share, price, DealReason.TAKE_PROFIT, now)
            if left is None or not left.volume:
                return
            holding = left

    async def _reduce(self, holding: Holding, volume: Decimal, price: Decimal, reason: DealReason,
                      now: datetime) -> Holding | None:
        async with self._floor.lock:
            async with self._floor.writing() as session:
                owner = await owner_of(session, holding.login)
                left = await self._floor.reduce(session, owner, holding, volume, price, reason, now)
            if left is None:
                self._floor.forget(holding)
            else:
                self._floor.remember(left)
        return left

    async def _fill_resting(self, order: Resting, tick: Tick, now: datetime) -> None:
        price = checks.entry_quote(order.side, tick)
        async with self._floor.lock:
            changed: list[Holding] = []
            async with self._floor.writing() as session:
                owner = await owner_of(session, order.login)
                wanted = self._floor.wanted(order.login, order, price, now)
                if not await self._floor.can_afford(session, owner, wanted):
                    await end_unfilled(session, order, "rejected", DealReason.REJECTED, now)
                elif await book.end_resting(session, order.id, "filled", retcode=checks.DONE, price=price):
                    changed = await self._floor.fill(session, owner, wanted, now)
                    await book.name_position(session, order.id, changed[-1].ticket)
            self._floor.resting.get(order.symbol, {}).pop(order.id, None)
            self._floor.remember(*changed)

    async def expire(self, now: datetime) -> None:
        """End the orders whose time is over."""
        for waiting in list(self._floor.resting.values()):
            for order in [o for o in waiting.values() if o.expires_at is not None and o.expires_at <= now]:
                async with self._floor.lock:
                    async with self._floor.writing() as session:
                        await end_unfilled(session, order, "expired", DealReason.EXPIRED, now)
                    waiting.pop(order.id, None)
                    self._floor.news.set()

    async def stop_out(self, now: datetime) -> None:
        """Close the worst position of every account whose margin level has fallen to the stop-out level."""
        by_login: dict[str, list[Holding]] = {}
        for holding in [holding for held in self._floor.open.values() for holding in held.values()]:
            by_login.setdefault(holding.login, []).append(holding)
        async with self._floor.database.reading() as session:
            owners = await book.owners(session)
        for number, login in enumerate(by_login.keys() & owners.keys()):
            await self._stop_out_one(owners[login], by_login[login], now)
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)

    async def _stop_out_one(self, owner: RowMapping, mine: list[Holding], now: datetime) -> None:
        pricing = self._floor.pricing
        worth = {h.ticket: pricing.floating(h, owner["currency"]) + h.swap for h in mine}
        equity = owner["balance"] + sum(worth.values(), maths.ZERO)
        level = maths.margin_level(equity, pricing.margin(mine, owner["currency"]))
        if level is None or level > STOP_OUT_LEVEL:
            return
        worst = min(mine, key=lambda h: worth[h.ticket])
        tick = self._floor.quotes.tick(worst.symbol)
        if tick is not None:
            await self._reduce(worst, worst.volume, checks.exit_quote(worst.side, tick), DealReason.STOP_OUT, now)

    async def roll_over(self, now: datetime) -> None:
        """Charge every position the swap of the nights it has been open through, each night once."""
        night = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if night == self._night:
            return
        due = [holding for held in self._floor.open.values() for holding in held.values()
               if (holding.rolled_until or holding.opened_at) < night]
        for start in range(0, len(due), YIELD_EVERY):
            async with self._floor.lock:
                async with self._floor.writing() as session:
                    charged = [await self._charge(session, holding, night)
                               for holding in due[start:start + YIELD_EVERY]]
                self._floor.remember(*(holding for holding in charged if holding is not None))
        self._night = night

    async def _charge(self, session: AsyncSession, known: Holding, night: datetime) -> Holding | None:
        nights, listing = nights_between(known.rolled_until or known.opened_at, night), None
        if nights:
            listing = self._floor.quotes.listing(known.symbol)
        swap, tick = maths.ZERO, self._floor.quotes.tick(known.symbol)
        if listing is not None and tick is not None:
            owner = await owner_of(session, known.login)
            points = listing.swap_long if known.side == Side.BUY else listing.swap_short
            spec = listing.spec
            raw = maths.swap(known.volume, points, spec.point, spec.contract_size, nights)
            swap = maths.money(maths.to_deposit(
                raw, spec.currency_profit, owner["currency"], base=spec.currency_base, quote=spec.currency_profit,
                close_price=checks.exit_quote(known.side, tick), rate=self._floor.quotes.rate) or maths.ZERO)
        return await book.change_position(session, known, swap=known.swap + swap, rolled_until=night)

    async def keep_quotes(self, now: datetime) -> None:
        """Write down where the market stands, to go on from there."""
        last = self._floor.quotes.last().items()
        rows = [{"symbol": name, "bid": bid, "ask": ask, "at": now} for name, (bid, ask) in last]
        async with self._floor.writing() as session:
            await session.execute(delete(tables.quotes))
            await session.execute(insert(tables.quotes), rows)


async def end_unfilled(session: AsyncSession, order: Resting, status: str, reason: DealReason,
                       now: datetime) -> bool:
    """A waiting order ends without a fill, and a deal without volume says so; False when it had ended before."""
    if not await book.end_resting(session, order.id, status, error=reason.value):
        return False
    await book.write_deal(session, order, Fact(order.side, DealEntry.IN, reason, maths.ZERO, order.price, maths.ZERO),
                          now)
    return True


def nights_between(since: datetime, until: datetime) -> int:
    """How many nights of swap lie between: none at the weekend, three on Wednesday, which pays for it."""
    midnight, nights = since.replace(hour=0, minute=0, second=0, microsecond=0) + DAY, 0
    while midnight <= until:
        ended = (midnight - DAY).weekday()
        nights += 0 if ended >= SATURDAY else maths.SWAP_TRIPLE if ended == WEDNESDAY else 1
        midnight += DAY
    return nights
