"""Orders in MetaTrader's words: sending, closing, moving levels, withdrawing. Nothing unclear is ever sent again."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from terminal import maths
from terminal.mt5 import checks, codes, convert, faults, lookup, sending
from terminal.mt5.checks import Leg, Market, Refused, Rules
from terminal.mt5.faults import refused
from terminal.mt5.library import CallFailed
from terminal.mt5.session import Session
from terminal.protocol import GatewayError, OrderRequest, OrderType, ResultStatus, Side, TradeResult

LONGEST_COMMENT = 29
LOOK_BACK = timedelta(days=3)
# A part at a target that was handed over and has left no trace for so long may be handed over once more.
UNCLEAR_SECONDS = 300.0
PLACED_LOOKS, PLACED_SECONDS = 8, 0.25
KINDS = {
    (OrderType.MARKET, Side.BUY): codes.BUY, (OrderType.MARKET, Side.SELL): codes.SELL,
    (OrderType.LIMIT, Side.BUY): codes.BUY_LIMIT, (OrderType.LIMIT, Side.SELL): codes.SELL_LIMIT,
    (OrderType.STOP, Side.BUY): codes.BUY_STOP, (OrderType.STOP, Side.SELL): codes.SELL_STOP}
EXIT_DEVIATION = 50

Fill = tuple[Decimal, Decimal]


class Trader:
    """Trades on one account. An order that it has handed over once it never hands over again, found or not."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._handed_over: dict[int, float] = {}

    # -- opening -------------------------------------------------------------------------------------------

    def send(self, request: OrderRequest, rules: Rules) -> TradeResult:
        """Execute an order once; what is there of it already is its result. GatewayError when nobody can say."""
        if not 0 <= request.magic < 1 << 64:
            raise GatewayError("invalid_request", "An order's number is a positive one of 64 bits.")
        return self._whole(lambda: self._once(request.magic, lambda: self._send_new(request, rules)))

    def _whole(self, work: Callable[[], TradeResult]) -> TradeResult:
        """A refusal is a result; whatever fails once something was handed over leaves the outcome open."""
        before = self._session.handed_over
        try:
            return work()
        except Refused as refusal:
            return refusal.result
        except (CallFailed, GatewayError) as failure:
            error = failure.as_error() if isinstance(failure, CallFailed) else failure
            raise (faults.as_ambiguous(error) if self._session.handed_over > before else error) from None

    def _once(self, magic: int, work: Callable[[], TradeResult], *, again: bool = False) -> TradeResult:
        """Hand over what bears this number, or find what is there of it; ``again`` where it may be tried later on."""
        # A target's number stays the same for as long as its order is open, and a desk may be told of it from a backup.
        since = None if codes.is_target(magic) else datetime.now(UTC) - LOOK_BACK
        known = lookup.find(self._session, magic, since)
        if known is not None and not (again and known.status == ResultStatus.REJECTED):
            return known
        handed_over = self._handed_over.get(magic)
        if handed_over is not None and not (again and time.monotonic() - handed_over > UNCLEAR_SECONDS):
            raise GatewayError("terminal_away", "What became of this order is not known yet.", retryable=True,
                               ambiguous=True)
        before = self._session.handed_over
        try:
            return work()
        finally:
            if self._session.handed_over > before:
                self._handed_over[magic] = time.monotonic()

    def _send_new(self, request: OrderRequest, rules: Rules) -> TradeResult:
        session = self._session
        account = checks.may_trade(session)
        at = checks.market(session, request.symbol, request.side, rules)
        parts = checks.legs(session, request, at, account.margin_mode == codes.HEDGING)
        start = at.entry(request.side) if request.price is None else request.price
        if request.order_type == OrderType.MARKET:
            checks.drift(request, at, start, rules)
        checks.price(request, at, datetime.now(UTC))
        self._check_levels(request, at)
        volume = sum((leg.volume for leg in parts), maths.ZERO)
        checks.margin(session, account, request, at, volume, rules.margin_buffer)
        if request.order_type != OrderType.MARKET:
            self._room_for(len(parts), account)
        return self._send_legs(request, rules, parts, at, start)

    def _check_levels(self, request: OrderRequest, at: Market) -> None:
        base = at.exit(request.side) if request.order_type == OrderType.MARKET else request.price
        assert base is not None
        checks.levels(request.side, base, request.stop_loss, request.take_profits, at)

    def _room_for(self, count: int, account: Any) -> None:
        if account.limit_orders and len(self._session.library.rows("orders_get")) + count > account.limit_orders:
            raise Refused(faults.LIMIT_ORDERS, "too_many_orders")

    def _send_legs(self, request: OrderRequest, rules: Rules, parts: Sequence[Leg], at: Market,
                   start: Decimal) -> TradeResult:
        fills: list[Fill] = []
        tickets: list[int] = []
        trouble: str | None = None
        for leg in parts:
            result = self._send_leg(request, rules, leg, len(parts), at, start)
            if result.status == ResultStatus.REJECTED:
                if not tickets:
                    return result
                trouble = f"Only {len(tickets)} of {len(parts)} parts were executed. {result.error}"
                break
            assert result.ticket is not None
            tickets.append(result.ticket)
            if result.volume is not None and result.price is not None:
                fills.append((result.volume, result.price))
            trouble = result.error or trouble
        if not fills:
            return TradeResult(ResultStatus.PLACED, faults.ORDER_PLACED, tickets[0], None, None, trouble)
        return TradeResult(ResultStatus.FILLED, faults.DONE if trouble is None else faults.DONE_PARTIAL, tickets[0],
                           convert.average(fills, at.spec.digits), sum((lots for lots, _ in fills), maths.ZERO),
                           trouble)

    def _send_leg(self, request: OrderRequest, rules: Rules, leg: Leg, count: int, at: Market,
                  start: Decimal) -> TradeResult:
        session, pending = self._session, request.order_type != OrderType.MARKET
        fields = self._fields(request, rules, leg, count, at)

        def refresh() -> None:
            if not pending:
                now = checks.market(session, request.symbol, request.side, rules)
                checks.drift(request, now, start, rules)
                fields["price"] = float(now.entry(request.side))

        kinds = sending.fillings(at.row, pending=pending)
        retcode = sending.check(session, fields, kinds)
        if retcode != 0 and retcode not in faults.NEW_PRICE:
            return refused(retcode)
        try:
            result = sending.send(session, fields, kinds or [codes.RETURN], refresh)
        except Refused as refusal:
            return refusal.result
        return self._read(result, leg.volume, pending, at)

    def _fields(self, request: OrderRequest, rules: Rules, leg: Leg, count: int, at: Market) -> sending.Fields:
        pending = request.order_type != OrderType.MARKET
        comment = request.comment if count == 1 else f"{request.comment}/{leg.number + 1}"
        price = request.price if pending and request.price is not None else at.entry(request.side)
        fields: sending.Fields = {
            "action": codes.PENDING if pending else codes.DEAL, "symbol": request.symbol, "volume": float(leg.volume),
            "type": KINDS[request.order_type, request.side], "price": float(at.level(price)),
            "sl": self._level(at, request.stop_loss), "tp": self._level(at, leg.target),
            "deviation": rules.deviation_points, "magic": codes.leg_magic(request.magic, leg.number),
            "comment": comment[:LONGEST_COMMENT], "type_time": codes.GTC}
        if pending and request.expires_at is not None:
            fields |= {"type_time": codes.SPECIFIED,
                       "expiration": int(self._session.clock.wall(request.expires_at).timestamp())}
        return fields

    @staticmethod
    def _level(at: Market, value: Decimal | None) -> float:
        return float(at.level(value)) if value is not None else 0.0

    def _read(self, result: Any, wanted: Decimal, pending: bool, at: Market) -> TradeResult:
        """A result of the trade server in our words."""
        if result.retcode not in faults.TAKEN:
            return refused(int(result.retcode))
        if pending:
            return TradeResult(ResultStatus.PLACED, faults.ORDER_PLACED, int(result.order), None, None, None)
        if result.retcode == faults.ORDER_PLACED or not result.deal or not result.price:
            return self._read_deals(result, wanted, at)
        ticket = self._position_of(result, at.spec.name)
        return _filled(ticket, convert.price(result.price, at.spec.digits), convert.exact(result.volume), wanted)

    def _read_deals(self, result: Any, wanted: Decimal, at: Market) -> TradeResult:
        """What the deals of an order say, where its result does not; ambiguous when none comes."""
        for look in range(PLACED_LOOKS if result.order else 0):
            deals = self._session.library.rows("history_deals_get", ticket=int(result.order))
            fills = [(convert.exact(row.volume), convert.price(row.price, at.spec.digits)) for row in deals]
            if fills:
                volume = sum((lots for lots, _ in fills), maths.ZERO)
                return _filled(int(deals[0].position_id), convert.average(fills, at.spec.digits), volume, wanted)
            if look < PLACED_LOOKS - 1:
                time.sleep(PLACED_SECONDS)
        raise GatewayError("terminal_busy", "The broker has taken the order and not filled it yet.", retryable=True,
                           ambiguous=True)

    def _position_of(self, result: Any, symbol: str) -> int:
        """The position an order opened or added to. It bears the order's number, if it is not a netting account's."""
        deals = self._session.library.rows("history_deals_get", ticket=int(result.order))
        if deals:
            return int(deals[0].position_id)
        held = [int(row.identifier) for row in self._session.library.rows("positions_get", symbol=symbol)]
        return held[0] if len(held) == 1 else int(result.order)

    # -- positions and orders that are there ---------------------------------------------------------------

    def close(self, ticket: int, volume: Decimal | None, magic: int | None = None) -> TradeResult:
        """Close a position or a part of it; one that is closed already is done.

        A number of the caller's is on the deal, and what bears it already is the result.
        """
        if magic is None:
            return self._whole(lambda: self._close(ticket, volume))
        if not codes.is_act(magic):
            raise GatewayError("invalid_request", "That is not the number of an act.")
        return self._whole(lambda: self._once(magic, lambda: self._close(ticket, volume, magic), again=True))

    def take_target(self, ticket: int, volume: Decimal, magic: int) -> TradeResult:
        """Close a part of a position at a target, whose number is on the deal; what bears it already is its result."""
        if not codes.is_target(magic):
            raise GatewayError("invalid_request", "That is not the number of a target.")
        return self._whole(lambda: self._once(magic, lambda: self._close(ticket, volume, magic), again=True))

    def _close(self, ticket: int, volume: Decimal | None, magic: int | None = None) -> TradeResult:
        session = self._session
        checks.may_trade(session)
        row = self._position(ticket)
        if row is None:
            return _done(faults.POSITION_CLOSED, ticket)
        side = convert.side(row.type)
        at = checks.exit_market(session, row.symbol)
        held = convert.exact(row.volume)
        lots = held if volume is None else volume
        checks.part(lots, held, at.spec)
        checks.frozen(at.exit(side), [convert.level(row.sl, at.spec.digits), convert.level(row.tp, at.spec.digits)],
                      at.spec)
        fields: sending.Fields = {
            "action": codes.DEAL, "symbol": row.symbol, "volume": float(lots), "position": int(row.ticket),
            "type": codes.SELL if side == Side.BUY else codes.BUY, "price": float(at.exit(side)),
            "deviation": EXIT_DEVIATION, "comment": "", "type_time": codes.GTC,
            "magic": codes.closing_magic(int(row.magic)) if magic is None else magic}

        def refresh() -> None:
            again = self._position(ticket)
            if again is None or convert.exact(again.volume) != held:
                raise Refused(faults.POSITION_CLOSED, "position_changed", "The position has changed meanwhile.")
            fields["price"] = float(checks.exit_market(session, row.symbol).exit(side))

        result = sending.send(session, fields, sending.fillings(at.row, pending=False), refresh)
        if result.retcode in (faults.POSITION_CLOSED, faults.NO_CHANGES):
            return _done(int(result.retcode), ticket)
        done = self._read(result, lots, False, at)
        return done if done.status == ResultStatus.REJECTED else TradeResult(
            done.status, done.retcode, ticket, done.price, done.volume, done.error)

    def modify(self, ticket: int, stop_loss: Decimal | None, take_profit: Decimal | None) -> TradeResult:
        """Set both levels of a position; None takes one away."""
        return self._whole(lambda: self._modify(ticket, stop_loss, take_profit))

    def _modify(self, ticket: int, stop_loss: Decimal | None, take_profit: Decimal | None) -> TradeResult:
        session = self._session
        checks.may_trade(session)
        row = self._position(ticket)
        if row is None:
            raise Refused(faults.POSITION_CLOSED, "position_closed")
        side, at = convert.side(row.type), checks.exit_market(session, row.symbol)
        now = [convert.level(row.sl, at.spec.digits), convert.level(row.tp, at.spec.digits)]
        wanted = [at.level(value) if value is not None else None for value in (stop_loss, take_profit)]
        if wanted == now:
            return _done(faults.NO_CHANGES, ticket)
        # Only what changes must keep its distance: the other level may have come near by itself.
        stop = wanted[0] if wanted[0] != now[0] else None
        target = wanted[1] if wanted[1] != now[1] else None
        checks.levels(side, at.exit(side), stop, [target], at)
        checks.frozen(at.exit(side), now, at.spec)
        # A level that is left out would be taken away: both are always named.
        fields = {"action": codes.SLTP, "symbol": row.symbol, "position": int(row.ticket),
                  "sl": self._level(at, stop_loss), "tp": self._level(at, take_profit)}
        return self._change(fields, ticket)

    def cancel(self, ticket: int) -> TradeResult:
        """Withdraw a waiting order; one that is withdrawn already is done."""
        return self._whole(lambda: self._cancel(ticket))

    def _cancel(self, ticket: int) -> TradeResult:
        checks.may_trade(self._session)
        if not self._session.library.rows("orders_get", ticket=ticket):
            return self._ended(ticket)
        return self._change({"action": codes.REMOVE, "order": ticket}, ticket)

    def _ended(self, ticket: int) -> TradeResult:
        rows = self._session.library.rows("history_orders_get", ticket=ticket)
        if rows and rows[0].state in (codes.CANCELED, codes.EXPIRED, codes.REJECTED):
            return _done(faults.DONE, ticket)
        error = "The order has been executed already." if rows else None
        return refused(faults.INVALID_ORDER, "order_executed" if rows else "order_unknown", error)

    def _change(self, fields: sending.Fields, ticket: int) -> TradeResult:
        result = sending.send(self._session, fields, [codes.FOK], lambda: None)
        if result.retcode in (faults.DONE, faults.ORDER_PLACED, faults.NO_CHANGES):
            return _done(int(result.retcode), ticket)
        return refused(int(result.retcode))

    def _position(self, ticket: int) -> Any | None:
        rows = self._session.library.rows("positions_get", ticket=ticket)
        return rows[0] if rows else None


def _done(retcode: int, ticket: int) -> TradeResult:
    return TradeResult(ResultStatus.FILLED, retcode, ticket, None, None, None)


def _filled(ticket: int, price: Decimal, volume: Decimal, wanted: Decimal) -> TradeResult:
    error = None if volume >= wanted else f"Only {volume:f} of {wanted:f} lots were filled."
    return TradeResult(ResultStatus.FILLED, faults.DONE if error is None else faults.DONE_PARTIAL, ticket, price,
                       volume, error)
