"""Trading what the desk offers: written down, begun, sent once, and then said what became of it.

Between writing down and sending, and between sending and its result, this process may die at any moment. What may have
been sent is looked for at the broker by its number and never sent again.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import structlog

from sdk import checks
from sdk.checks import Market, NotTraded
from sdk.clock import DeskClock, Stopwatch
from sdk.desk import Desk, spoken
from sdk.errors import Refused, Unreachable
from sdk.messages import Ack, EaOrder, Offer, Unreadable
from sdk.policy import Fence
from sdk.rules import Rules
from sdk.state import Phase, Remembered, State
from sdk.terminals import Terminal
from terminal.judging import Outcome, outcome_of
from terminal.protocol import (
    AccountRef,
    GatewayError,
    OrderRequest,
    OrderType,
    PendingOrder,
    Position,
    ResultStatus,
    TradeResult,
)

log = structlog.get_logger(__name__)

LOOK_BACK = timedelta(days=1)
PHASES = {ResultStatus.PLACED: Phase.PLACED, ResultStatus.FILLED: Phase.FILLED, ResultStatus.REJECTED: Phase.OVER}


@dataclass(frozen=True, slots=True)
class Ready:
    """What would be sent now: so many lots, and so many points the price may slip."""

    lots: Decimal
    slip: int


class Trader:
    """Takes orders one after the other. ``settled`` is called when there is something new to say."""

    def __init__(self, desk: Desk, terminal: Terminal, state: State, fence: Fence, clock: DeskClock, ref: AccountRef,
                 rules: Rules, settled: Callable[[], None]) -> None:
        self._desk, self._terminal, self._state, self._fence = desk, terminal, state, fence
        self._clock, self._ref, self._rules, self._settled = clock, ref, rules, settled
        self._in_hand: set[int] = set()
        self._missed: dict[int, float] = {}
        self.is_stopping = False

    async def take(self, offer: Offer, asked: Stopwatch) -> None:
        """Bring every offered order as far as it can be brought; ``asked`` was started before the desk was."""
        for order in offer.orders:
            if self.is_stopping:
                return
            if order.magic in self._in_hand:
                continue
            self._in_hand.add(order.magic)
            try:
                await self._take(order, asked)
            except NotTraded as refusal:
                await self._refuse(order, refusal)
            except GatewayError as error:
                await self._cannot(order, error)
            except Unreachable as error:
                log.warning("order_not_begun", order_id=order.order_id, error=str(error))
            finally:
                self._in_hand.discard(order.magic)

    async def _take(self, order: EaOrder, asked: Stopwatch) -> None:
        known = await self._state.order(order.magic)
        if known is not None and known.phase not in (Phase.BEGAN, Phase.SENT):
            await self._state.say_again(order.magic)
            self._settled()
        elif known is not None and known.phase == Phase.SENT:
            return  # it is being looked for
        elif not self._is_ours(order):
            if order.began_at is None:
                raise NotTraded("wrong_terminal")
        elif order.began_at is not None:
            await self._look_for(order)
        elif known is None and order.seq <= await self._state.highest_forgotten():
            raise NotTraded("order_executed")
        else:
            await self._trade(order, asked)

    def _is_ours(self, order: EaOrder) -> bool:
        server, login = order.server or self._ref.server, order.login or self._ref.login
        return login == self._ref.login and server.casefold() == self._ref.server.casefold()

    async def _look_for(self, order: EaOrder) -> None:
        """Somebody has begun it: what there is of it at the broker is found, what there is not is never sent."""
        await self._state.begin(self._remembered(order))
        await self._state.hand_over(order.magic, order.began_at or self._clock.now())

    # -- one order -----------------------------------------------------------------------------------------

    async def _trade(self, order: EaOrder, asked: Stopwatch) -> None:
        if order.expires_at <= self._clock.now():
            return  # the desk says so by itself
        ready = await self._checked(order)
        if asked.seconds > self._rules.lease_seconds - self._rules.least_lease_seconds:
            log.warning("lease_nearly_over", order_id=order.order_id, seconds=round(asked.seconds, 1))
            return
        await self._state.begin(self._remembered(order, ready.lots))
        if await self._begun(order):
            await self._state.hand_over(order.magic, self._clock.now())
            await self._send(order, asked)

    async def _begun(self, order: EaOrder) -> bool:
        """Whether the desk knows now that it is being sent. Without its yes it is not."""
        try:
            until = min(await self._desk.begin(order.order_id), order.expires_at)
        except Refused as refused:
            log.warning("order_not_to_be_begun", order_id=order.order_id, code=refused.code)
            if refused.code == "already_begun":
                await self._state.hand_over(order.magic, self._clock.now())
            else:
                await self._state.forget(order.magic)
            return False
        except Unreadable as error:
            raise Unreachable(f"what cannot be read: {error}") from error
        if until <= self._clock.now():
            await self._too_late(order)
            return False
        return True

    async def _too_late(self, order: EaOrder) -> None:
        await self.settle(self._remembered(order), Phase.OVER,
                          Ack(order.order_id, "failed", error="not_executed_in_time"))

    async def _checked(self, order: EaOrder) -> Ready:
        """What would be sent now; NotTraded when nothing would."""
        market = await self._market(order)
        slip, lots = checks.levels(order, market), checks.volume(order, market)
        checks.targets(order, market, lots)
        code = await self._fence.refusal(market.account, market.spec, market.tick, lots, order.stop_loss,
                                         await self._held(order.magic), order.magic)
        if code is not None:
            raise NotTraded(code, for_now=code == "policy_no_heartbeat")
        return Ready(lots, slip)

    async def _held(self, own: int) -> Decimal:
        """The lots that are open or wait, but for the order's ``own``, where the fence wants to know: what was handed
        over a moment ago, or is being looked for, counts although the terminal does not show it yet."""
        if not self._fence.counts_lots:
            return Decimal(0)
        shown: list[Position | PendingOrder] = [
            *await self._terminal.positions(self._ref), *await self._terminal.orders(self._ref)]
        magics = {one.magic for one in shown} | {own}
        since = self._clock.now() - timedelta(seconds=self._rules.shows_within_seconds)
        hidden = [one.volume for one in await self._state.executed_since(since) if one.magic not in magics]
        return sum((*(one.volume for one in shown), *hidden), Decimal(0))

    async def _market(self, order: EaOrder) -> Market:
        account, spec = await self._terminal.account(self._ref), await self._terminal.symbol(self._ref, order.symbol)
        if not account.can_trade:
            raise NotTraded("view_only")
        if spec is None:
            raise NotTraded("unknown_symbol")
        tick = await self._terminal.tick(self._ref, order.symbol)
        if tick is None:
            raise NotTraded("no_quote", for_now=True)
        market = Market(account, spec, tick)
        if order.stop_loss is None or order.risk is None:
            return market
        result = await self._terminal.loss_at(self._ref, order.symbol, order.side, Decimal(1),
                                              checks.start_of(order, market), order.stop_loss)
        if result is None:
            raise NotTraded("no_conversion_rate")
        return replace(market, loss_per_lot=-result)

    async def _send(self, order: EaOrder, asked: Stopwatch) -> None:
        """Hand it over, as everything stands by now: the desk was asked meanwhile. What was surely not done may be
        tried again while the lease lasts, and by nobody else."""
        pause, tried = self._rules.busy_seconds, 1
        while True:
            ready = await self._checked(order)
            if self._is_late(order, asked, 0.0):
                await self._too_late(order)
                return
            refusal = await self._handed_over(order, ready)
            if refusal is None:
                return
            if tried == self._rules.tries or self._is_late(order, asked, pause) or self.is_stopping:
                await self.settle(self._remembered(order), Phase.OVER, refusal)
                return
            await asyncio.sleep(pause)
            tried += 1

    def _is_late(self, order: EaOrder, asked: Stopwatch, later: float) -> bool:
        """Whether the order is not to be handed over any more, so many seconds later."""
        return (asked.seconds + later >= self._rules.lease_seconds
                or self._clock.now() + timedelta(seconds=later) >= order.expires_at)

    async def _handed_over(self, order: EaOrder, ready: Ready) -> Ack | None:
        """None when nothing more is to be done here; otherwise what to say if it is not tried again."""
        try:
            result = await self._terminal.send(self._ref, _request(order, ready.lots), deviation_points=ready.slip)
        except GatewayError as error:
            if error.ambiguous:
                log.warning("order_outcome_unknown", order_id=order.order_id, code=error.code)
                return None
            if not error.retryable:
                raise
            return Ack(order.order_id, "failed", error=error.code)
        outcome = outcome_of(result, order.order_type)
        if outcome == Outcome.BUSY:
            return acknowledged(order.order_id, result)
        if outcome != Outcome.UNCLEAR:
            await self._record(self._remembered(order), result)
        return None

    async def _cannot(self, order: EaOrder, error: GatewayError) -> None:
        """The terminal could not be asked, or could not do it: either is over soon, or the desk is told."""
        if error.ambiguous or error.retryable:
            log.warning("terminal_away", order_id=order.order_id, code=error.code)
            return
        await self.settle(self._remembered(order), Phase.OVER, Ack(order.order_id, "failed", error=error.code))

    async def _refuse(self, order: EaOrder, refusal: NotTraded) -> None:
        """Tell the desk why, unless the order will be offered again and may fare better then."""
        known, left = await self._state.order(order.magic), order.expires_at - self._clock.now()
        # One that was begun is offered again to be looked for only.
        is_free = known is None or known.phase == Phase.BEGAN
        another = timedelta(seconds=self._rules.lease_seconds + self._rules.least_lease_seconds)
        if refusal.for_now and is_free and left > another:
            log.warning("order_waits", order_id=order.order_id, code=refusal.code)
            return
        await self.settle(self._remembered(order), Phase.OVER, Ack(order.order_id, "rejected", error=refusal.code))

    # -- what became of it ---------------------------------------------------------------------------------

    async def look(self) -> None:
        """Look at the broker for orders whose outcome nobody knows."""
        for order in await self._state.orders_in(Phase.SENT):
            if order.magic in self._in_hand:
                continue
            try:
                await self._look(order)
            except GatewayError as error:
                self._missed.pop(order.magic, None)  # who cannot look has not found nothing
                log.warning("order_not_looked_for", order_id=order.order_id, code=error.code)

    async def _look(self, order: Remembered) -> None:
        found = await self._terminal.find(self._ref, order.magic, (order.sent_at or order.began_at) - LOOK_BACK)
        if found is not None:
            self._missed.pop(order.magic, None)
            if outcome_of(found, _type(order)) != Outcome.UNCLEAR:
                await self._record(order, found)
            return
        # Counted from the first look that found nothing: a broker may show an order late.
        missed = self._missed.setdefault(order.magic, time.monotonic())
        if time.monotonic() - missed >= self._rules.shows_within_seconds:
            await self.settle(order, Phase.OVER, Ack(order.order_id, "failed", error="not_executed"))
            self._missed.pop(order.magic)

    async def _record(self, order: Remembered, result: TradeResult) -> None:
        await self.settle(order, PHASES[result.status], acknowledged(order.order_id, result), result.ticket)

    async def settle(self, order: Remembered, phase: Phase, ack: Ack, ticket: int | None = None) -> None:
        """Write down what became of an order and that the desk is to hear of it."""
        await self._state.settle(order, phase, spoken(ack), ticket)
        log.info("order_settled", order_id=order.order_id, status=ack.status, error=ack.error)
        self._settled()

    def _remembered(self, order: EaOrder, lots: Decimal | None = None) -> Remembered:
        return Remembered(order.magic, order.order_id, order.seq, Phase.BEGAN, order.symbol,
                          order.order_type == OrderType.MARKET, self._clock.now(),
                          volume=order.volume if lots is None else lots)


def _type(order: Remembered) -> OrderType:
    return OrderType.MARKET if order.is_market else OrderType.LIMIT


def _request(order: EaOrder, lots: Decimal) -> OrderRequest:
    is_market = order.order_type == OrderType.MARKET
    return OrderRequest(
        magic=order.magic, symbol=order.symbol, side=order.side, order_type=order.order_type, volume=lots,
        price=None if is_market else order.entry_price, stop_loss=order.stop_loss, take_profits=order.take_profits,
        comment=order.comment, expires_at=None if is_market else order.expires_at)


def acknowledged(order_id: str, result: TradeResult) -> Ack:
    """A terminal's answer in the words of an acknowledgement."""
    if result.status == ResultStatus.REJECTED:
        return Ack(order_id, "rejected", retcode=result.retcode, error=result.reason or result.error)
    return Ack(order_id, result.status.value, result.ticket, result.price, result.volume, result.retcode, result.error)
