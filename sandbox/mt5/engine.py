"""The trade server: takes requests, fills, nets, closes, watches levels. Codes are MetaTrader's retcodes."""

from dataclasses import dataclass, replace
from decimal import Decimal

from sandbox.mt5 import rules
from sandbox.mt5.book import BUY, HEDGING, SELL, ZERO, Account, Book, Deal, Order, Position
from sandbox.mt5.market import Market, Quote, now_msc
from sandbox.mt5.reckoning import Reckoning
from sandbox.mt5.rules import Refused, Request
from sandbox.mt5.servers import Instrument, ServerSpec
from terminal import maths

DONE, PLACED, PARTIAL, NO_CHANGES, INVALID, CLOSED, INVALID_ORDER = 10009, 10008, 10010, 10025, 10013, 10036, 10035
STOP_OUT_LEVEL = Decimal(50)
IN, OUT, INOUT, OUT_BY = range(4)
STARTED, WAITING, CANCELED, PARTLY, FILLED, REJECTED, EXPIRED = range(7)
EXPERT, STOP_LOSS, TAKE_PROFIT, STOP_OUT = 3, 4, 5, 6


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the trade server says to a request."""

    retcode: int
    deal: int = 0
    order: int = 0
    volume: Decimal = ZERO
    price: Decimal = ZERO
    quote: Quote | None = None


class Engine:
    def __init__(self, book: Book, market: Market, reckoning: Reckoning, servers: dict[str, ServerSpec]) -> None:
        self._book, self._market, self._reckoning, self._servers = book, market, reckoning, servers

    # -- requests ------------------------------------------------------------------------------------------

    def check(self, account: Account, request: Request) -> int:
        """0, or why a request would be refused."""
        try:
            self._verify(account, request)
        except Refused as refused:
            return refused.retcode
        return 0

    def execute(self, account: Account, request: Request, *, part: Decimal | None = None) -> Outcome:
        """Do what a request asks; ``part`` fills only so much of a market order."""
        try:
            self._verify(account, request)
        except Refused as refused:
            return Outcome(refused.retcode, quote=self._quote_of(account, request.symbol))
        with self._book.together():
            match request.action:
                case rules.DEAL:
                    return self._deal(account, request, part)
                case rules.PENDING:
                    return self._place(account, request)
                case rules.SLTP:
                    return self._set_levels(account, request)
                case rules.MODIFY:
                    return self._modify(account, request)
                case rules.REMOVE:
                    order = self._book.pending[request.order]
                    self._end(order, CANCELED)
                    return Outcome(DONE, order=order.ticket)
                case _:
                    return self._close_by(account, request)

    def accept(self, account: Account, request: Request) -> Outcome:
        """Take a market order without filling it yet; ``complete`` does."""
        try:
            self._verify(account, request)
        except Refused as refused:
            return Outcome(refused.retcode)
        order = self._order(account, request, request.type, STARTED)
        order.volume_current, order.done_msc = request.volume, 0
        self._book.put("pending", order)
        return Outcome(PLACED, order=order.ticket)

    def complete(self, account: Account, number: int, request: Request) -> None:
        """Fill what was accepted."""
        order, symbol = self._book.pending[number], self._reckoning.instrument(account, request.symbol)
        quote = self._quote_of(account, request.symbol)
        assert symbol is not None and quote is not None
        with self._book.together():
            price = quote.ask if request.type == BUY else quote.bid
            order.volume_current, order.price_open = ZERO, price
            order.position_id = self.fill(account, symbol, order, request.volume, price, request.position).position_id
            self._end(order, FILLED)

    def _verify(self, account: Account, request: Request) -> None:
        symbol = self._reckoning.instrument(account, request.symbol)
        quote = self._market.quote(symbol.listed) if symbol is not None else None
        rules.verify(self._book, self._reckoning, account, request, symbol, quote)

    def _quote_of(self, account: Account, name: str) -> Quote | None:
        symbol = self._reckoning.instrument(account, name)
        return self._market.quote(symbol.listed) if symbol is not None else None

    def _deal(self, account: Account, request: Request, part: Decimal | None) -> Outcome:
        symbol = self._reckoning.instrument(account, request.symbol)
        quote = self._quote_of(account, request.symbol)
        assert symbol is not None and quote is not None
        price = quote.ask if request.type == BUY else quote.bid
        volume = request.volume if part is None else part
        order = self._order(account, request, request.type, FILLED if part is None else PARTLY)
        order.volume_current, order.price_open, order.done_msc = request.volume - volume, price, now_msc()
        deal = self.fill(account, symbol, order, volume, price, request.position)
        order.position_id = deal.position_id
        self._book.put("ended", order)
        return Outcome(DONE if part is None else PARTIAL, deal.ticket, order.ticket, volume, price, quote)

    def _order(self, account: Account, request: Request, kind: int, state: int) -> Order:
        now = now_msc()
        return Order(self._book.next_ticket(), account.login, request.symbol, kind, state, request.volume, ZERO,
                     request.price, request.sl, request.tp, request.magic, request.comment, request.reason,
                     request.filling, request.type_time, request.expires_msc, now, now, position_by=request.position_by)

    def _place(self, account: Account, request: Request) -> Outcome:
        order = self._order(account, request, request.type, WAITING)
        order.volume_current, order.done_msc = request.volume, 0
        self._book.put("pending", order)
        return Outcome(DONE, order=order.ticket, volume=request.volume, price=request.price)

    def _set_levels(self, account: Account, request: Request) -> Outcome:
        position = self._book.positions[request.position]
        if (position.sl, position.tp) == (request.sl, request.tp):
            return Outcome(NO_CHANGES)
        position.sl, position.tp, position.updated_msc = request.sl, request.tp, now_msc()
        self._book.put("positions", position)
        return Outcome(DONE)

    def _modify(self, account: Account, request: Request) -> Outcome:
        order = self._book.pending[request.order]
        if (order.price_open, order.sl, order.tp) == (request.price, request.sl, request.tp):
            return Outcome(NO_CHANGES)
        order.price_open, order.sl, order.tp = request.price, request.sl, request.tp
        self._book.put("pending", order)
        return Outcome(DONE, order=order.ticket)

    def _close_by(self, account: Account, request: Request) -> Outcome:
        first, second = self._book.positions[request.position], self._book.positions[request.position_by]
        symbol = self._reckoning.instrument(account, first.symbol)
        assert symbol is not None
        volume = min(first.volume, second.volume)
        order = self._order(account, replace(request, symbol=first.symbol, volume=volume), 8, FILLED)
        self._book.put("ended", order)
        deal = self._reduce(account, symbol, first, order, volume, second.price_open, OUT_BY)
        self._reduce(account, symbol, second, order, volume, second.price_open, OUT_BY)
        return Outcome(DONE, deal.ticket, order.ticket, volume, second.price_open)

    # -- fills ---------------------------------------------------------------------------------------------

    def fill(self, account: Account, symbol: Instrument, order: Order, volume: Decimal, price: Decimal,
             ticket: int = 0) -> Deal:
        """Execute so much of an order: open, add, reduce or turn round, as the account's kind has it."""
        direction = BUY if order.type in rules.BUYING else SELL
        held = self._book.positions.get(ticket)
        if held is None and account.mode != HEDGING:
            held = next((p for p in self._book.positions_of(account.login) if p.symbol == symbol.name), None)
        if held is None:
            return self._open(account, symbol, order, direction, volume, price)
        if held.type == direction:
            return self._add(account, symbol, held, order, volume, price)
        if volume <= held.volume:
            return self._reduce(account, symbol, held, order, volume, price, OUT)
        return self._turn(account, symbol, held, order, direction, volume, price)

    def _open(self, account: Account, symbol: Instrument, order: Order, direction: int, volume: Decimal,
              price: Decimal) -> Deal:
        now = now_msc()
        position = Position(order.ticket, account.login, symbol.name, direction, volume, price, order.sl, order.tp,
                            order.magic, order.comment, order.reason, now, now, order.ticket)
        self._book.put("positions", position)
        return self._write(account, order, symbol, direction, IN, position.identifier, volume, price, ZERO)

    def _add(self, account: Account, symbol: Instrument, held: Position, order: Order, volume: Decimal,
             price: Decimal) -> Deal:
        held.price_open = maths.vwap([(held.volume, held.price_open), (volume, price)])
        held.volume += volume
        held.updated_msc = now_msc()
        held.sl, held.tp = order.sl or held.sl, order.tp or held.tp
        self._book.put("positions", held)
        return self._write(account, order, symbol, held.type, IN, held.identifier, volume, price, ZERO)

    def _reduce(self, account: Account, symbol: Instrument, held: Position, order: Order, volume: Decimal,
                price: Decimal, entry: int) -> Deal:
        profit = self._reckoning.profit(account, symbol, held.type, volume, held.price_open, price) or ZERO
        held.volume -= volume
        held.updated_msc = now_msc()
        if held.volume == 0:
            self._book.drop("positions", held.ticket)
        else:
            self._book.put("positions", held)
        return self._write(account, order, symbol, SELL if held.type == BUY else BUY, entry, held.identifier, volume,
                           price, profit)

    def _turn(self, account: Account, symbol: Instrument, held: Position, order: Order, direction: int,
              volume: Decimal, price: Decimal) -> Deal:
        profit = self._reckoning.profit(account, symbol, held.type, held.volume, held.price_open, price) or ZERO
        held.type, held.volume, held.price_open = direction, volume - held.volume, price
        held.sl, held.tp, held.magic, held.updated_msc = order.sl, order.tp, order.magic, now_msc()
        self._book.put("positions", held)
        return self._write(account, order, symbol, direction, INOUT, held.identifier, volume, price, profit)

    def _write(self, account: Account, order: Order, symbol: Instrument, kind: int, entry: int, position_id: int,
               volume: Decimal, price: Decimal, profit: Decimal) -> Deal:
        per_lot = self._servers[account.server].commission_per_lot
        deal = Deal(self._book.next_ticket(), order.ticket, account.login, symbol.name, kind, entry, order.magic,
                    position_id, order.reason, volume, price, profit, order.comment, now_msc(),
                    commission=-maths.money(per_lot * volume, account.digits))
        self._book.put("deals", deal)
        account.balance += deal.profit + deal.commission
        self._book.put("accounts", account)
        return deal

    def _end(self, order: Order, state: int) -> None:
        order.state, order.done_msc = state, now_msc()
        self._book.drop("pending", order.ticket)
        self._book.put("ended", order)

    # -- what prices do ------------------------------------------------------------------------------------

    def evaluate(self, listed: str) -> None:
        """Execute every waiting order, stop and target the price of this thing has reached."""
        now = now_msc()
        for order in list(self._book.pending.values()):
            account, symbol = self._account_and_symbol(order.login, order.symbol)
            if 0 < order.expires_msc <= now:
                self._end(order, EXPIRED)
            elif symbol is not None and symbol.listed == listed:
                self._trigger_order(account, symbol, order)
        for position in list(self._book.positions.values()):
            account, symbol = self._account_and_symbol(position.login, position.symbol)
            if symbol is not None and symbol.listed == listed:
                self._trigger_levels(account, symbol, position)
        for login in {position.login for position in self._book.positions.values()}:
            self._stop_out(self._book.accounts[login])

    def _account_and_symbol(self, login: int, name: str) -> tuple[Account, Instrument | None]:
        account = self._book.accounts[login]
        return account, self._reckoning.instrument(account, name)

    def _trigger_order(self, account: Account, symbol: Instrument, order: Order) -> None:
        quote = self._market.quote(symbol.listed)
        if order.state != WAITING or quote is None or not rules.is_reached(order, quote):
            return
        buying = order.type in rules.BUYING
        price = quote.ask if buying else quote.bid
        kind = BUY if buying else SELL
        if not self._reckoning.affordable(account, symbol, kind, order.volume_current, price):
            self._end(order, REJECTED)
            return
        with self._book.together():
            volume, order.volume_current = order.volume_current, ZERO
            order.position_id = self.fill(account, symbol, order, volume, price).position_id
            self._end(order, FILLED)

    def _trigger_levels(self, account: Account, symbol: Instrument, position: Position) -> None:
        price, sign = self._reckoning.exit_price(account, position), 1 if position.type == BUY else -1
        if position.sl and (price - position.sl) * sign <= 0:
            self.close(account, symbol, position, STOP_LOSS, f"[sl {position.sl}]")
        elif position.tp and (price - position.tp) * sign >= 0:
            self.close(account, symbol, position, TAKE_PROFIT, f"[tp {position.tp}]")

    def close(self, account: Account, symbol: Instrument, position: Position, reason: int, comment: str) -> Deal:
        """The trade server itself closes a position."""
        now, price = now_msc(), self._reckoning.exit_price(account, position)
        order = Order(self._book.next_ticket(), account.login, symbol.name, SELL if position.type == BUY else BUY,
                      FILLED, position.volume, ZERO, price, ZERO, ZERO, position.magic, comment, reason, 0, 0, 0, now,
                      now, position_id=position.identifier)
        with self._book.together():
            self._book.put("ended", order)
            return self._reduce(account, symbol, position, order, position.volume, price, OUT)

    def _stop_out(self, account: Account) -> None:
        while held := self._book.positions_of(account.login):
            figures = self._reckoning.figures(account)
            if figures.margin == 0 or figures.level > STOP_OUT_LEVEL:
                return
            worst = min(held, key=lambda position: self._reckoning.floating(account, position))
            symbol = self._reckoning.instrument(account, worst.symbol)
            if symbol is None:
                return
            self.close(account, symbol, worst, STOP_OUT, f"[so {figures.level:.2f}%]")
