"""Profit, margin and the account's figures, by the product's own formulas."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from sandbox.mt5.book import BUY, HEDGING, ZERO, Account, Book, Position
from sandbox.mt5.market import Market
from sandbox.mt5.servers import Instrument
from terminal import maths
from terminal.protocol import Side


@dataclass(frozen=True, slots=True)
class Figures:
    """The account now; ``level`` is percent, 0 without margin in use."""

    profit: Decimal
    equity: Decimal
    margin: Decimal
    free: Decimal
    level: Decimal


class Reckoning:
    """``listed`` are the instruments of each server by name."""

    def __init__(self, book: Book, market: Market, listed: Mapping[str, Mapping[str, Instrument]]) -> None:
        self._book, self._market, self._listed = book, market, listed

    def instrument(self, account: Account, symbol: str) -> Instrument | None:
        return self._listed[account.server].get(symbol)

    def profit(self, account: Account, symbol: Instrument, kind: int, volume: Decimal, opened: Decimal,
               closed: Decimal) -> Decimal | None:
        """In the account's currency, rounded; None where no rate is known."""
        raw = maths.profit(symbol.mode, Side.BUY if kind == BUY else Side.SELL, volume, opened, closed,
                           symbol.contract_size, tick_value=symbol.tick_value, tick_size=symbol.tick_size)
        found = maths.to_deposit(raw, symbol.currency_profit, account.currency, base=symbol.currency_base,
                                 quote=symbol.currency_profit, close_price=closed, rate=self._market.rate)
        return None if found is None else maths.money(found, account.digits)

    def margin(self, account: Account, symbol: Instrument, volume: Decimal, price: Decimal) -> Decimal | None:
        """In the account's currency, unrounded."""
        needed = maths.margin(symbol.mode, volume, price, symbol.contract_size, account.leverage,
                              tick_value=symbol.tick_value, tick_size=symbol.tick_size,
                              initial_margin=symbol.margin_initial)
        rate = self._market.rate(symbol.currency_margin, account.currency)
        if symbol.currency_margin == symbol.currency_base != account.currency == symbol.currency_profit:
            rate = price  # the symbol's own price is the rate
        return None if rate is None else needed * rate

    def exit_price(self, account: Account, position: Position) -> Decimal:
        """What closing it would bring now; its own price where there is no quote."""
        symbol = self.instrument(account, position.symbol)
        quote = self._market.quote(symbol.listed) if symbol else None
        if quote is None:
            return position.price_open
        return quote.bid if position.type == BUY else quote.ask

    def floating(self, account: Account, position: Position) -> Decimal:
        symbol = self.instrument(account, position.symbol)
        if symbol is None:
            return ZERO
        return self.profit(account, symbol, position.type, position.volume, position.price_open,
                           self.exit_price(account, position)) or ZERO

    def figures(self, account: Account) -> Figures:
        held = self._book.positions_of(account.login)
        profit = sum((self.floating(account, position) + position.swap for position in held), ZERO)
        margin = self.used(account, held)
        equity = account.balance + account.credit + profit
        level = maths.margin_level(equity, margin)
        return Figures(profit, equity, margin, equity - margin, level or ZERO)

    def used(self, account: Account, held: Iterable[Position]) -> Decimal:
        """Margin of these positions. Opposite ones of a symbol cover each other: the larger side counts."""
        by_symbol: dict[str, dict[int, Decimal]] = {}
        for position in held:
            symbol = self.instrument(account, position.symbol)
            if symbol is not None:
                needed = self.margin(account, symbol, position.volume, position.price_open) or ZERO
                sides = by_symbol.setdefault(position.symbol, {})
                sides[position.type] = sides.get(position.type, ZERO) + needed
        return maths.money(sum((max(sides.values()) for sides in by_symbol.values()), ZERO), account.digits)

    def affordable(self, account: Account, symbol: Instrument, kind: int, volume: Decimal, price: Decimal) -> bool:
        """Whether the margin suffices with this much more (netting: with what is left after netting)."""
        held = list(self._book.positions_of(account.login))
        wanted = Position(0, account.login, symbol.name, kind, volume, price, ZERO, ZERO, 0, "", 0, 0, 0, 0)
        if account.mode != HEDGING:
            same = next((p for p in held if p.symbol == symbol.name), None)
            if same is not None and same.type != kind:
                held.remove(same)
                wanted.volume = abs(same.volume - volume)
        figures = self.figures(account)
        return figures.equity >= self.used(account, [*held, wanted])
