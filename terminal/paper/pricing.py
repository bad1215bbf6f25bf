"""What positions are worth at the paper market's quotes, in an account's money."""

from collections.abc import Sequence
from decimal import Decimal

from terminal import maths
from terminal.paper import checks
from terminal.paper.book import Holding
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import Position, Side


class Pricing:
    """Reads the quotes and changes nothing."""

    def __init__(self, quotes: QuoteFeed, leverage: int) -> None:
        self._quotes = quotes
        self._leverage = leverage

    def profit(self, symbol: str, side: Side, volume: Decimal, open_price: Decimal, close_price: Decimal,
               currency: str) -> Decimal | None:
        """Of a move between two prices, unrounded; None where there is no rate for it."""
        spec = self._quotes.spec(symbol)
        if spec is None:
            return None
        raw = maths.profit(spec.calc_mode, side, volume, open_price, close_price, spec.contract_size)
        return maths.to_deposit(raw, spec.currency_profit, currency, base=spec.currency_base,
                                quote=spec.currency_profit, close_price=close_price, rate=self._quotes.rate)

    def floating(self, holding: Holding, currency: str) -> Decimal:
        """What closing it now would gain, unrounded and without swap; 0 while there is no quote."""
        tick = self._quotes.tick(holding.symbol)
        if tick is None:
            return maths.ZERO
        return self.profit(holding.symbol, holding.side, holding.volume, holding.entry_price,
                           checks.exit_quote(holding.side, tick), currency) or maths.ZERO

    def margin(self, held: Sequence[Holding], currency: str) -> Decimal:
        """What the positions bind, unrounded."""
        total = maths.ZERO
        for holding in held:
            spec = self._quotes.spec(holding.symbol)
            if spec is None:
                continue
            needed = maths.margin(spec.calc_mode, holding.volume, holding.entry_price, spec.contract_size,
                                  self._leverage)
            total += needed * (self._quotes.rate(spec.currency_margin, currency) or Decimal(1))
        return total

    def position(self, holding: Holding, currency: str) -> Position:
        """The position as its owner sees it."""
        tick, spec = self._quotes.tick(holding.symbol), self._quotes.spec(holding.symbol)
        price = checks.exit_quote(holding.side, tick) if tick else holding.entry_price
        point = spec.point if spec else Decimal(1)
        return Position(
            holding.ticket, holding.symbol, holding.side, holding.volume, holding.entry_price, price,
            holding.stop_loss, holding.targets[0][0] if holding.targets else None,
            maths.money(self.floating(holding, currency)),
            maths.points(holding.side, holding.entry_price, price, point), holding.swap, holding.magic,
            holding.opened_at, holding.identifier or holding.ticket)
