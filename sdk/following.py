"""Following what was traded to its end: waiting orders that fill or lapse, positions that close."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import structlog

from sdk.messages import Ack
from sdk.state import Phase, Remembered, State
from sdk.terminals import Terminal
from sdk.trading import LOOK_BACK, Trader, acknowledged
from terminal import maths
from terminal.protocol import (
    AccountRef,
    AccountSnapshot,
    Deal,
    DealEntry,
    GatewayError,
    PendingOrder,
    Position,
    ResultStatus,
)

log = structlog.get_logger(__name__)

OUT = (DealEntry.OUT, DealEntry.INOUT)
IN = (DealEntry.IN, DealEntry.INOUT)
REASONS = frozenset({"stop_loss", "take_profit", "stop_out", "client"})


@dataclass(frozen=True, slots=True)
class Reading:
    """An account as its terminal shows it."""

    account: AccountSnapshot
    positions: Sequence[Position]
    orders: Sequence[PendingOrder]

    @property
    def is_open(self) -> bool:
        """Whether there is anything on it that moves."""
        return bool(self.positions or self.orders)


async def read(terminal: Terminal, ref: AccountRef) -> Reading:
    """Ask the terminal. GatewayError."""
    return Reading(await terminal.account(ref), await terminal.positions(ref), await terminal.orders(ref))


class Follower:
    """Compares what is remembered with what the terminal shows."""

    def __init__(self, terminal: Terminal, state: State, trader: Trader, ref: AccountRef) -> None:
        self._terminal, self._state, self._trader, self._ref = terminal, state, trader, ref

    async def follow(self, reading: Reading) -> None:
        """Let the desk hear of every order that has come further."""
        for order in await self._state.orders_in(Phase.PLACED, Phase.FILLED):
            try:
                if order.phase == Phase.PLACED:
                    await self._follow_waiting(order, reading)
                elif not _is_held(order, reading):
                    await self._follow_closed(order)
            except GatewayError as error:
                log.warning("order_not_followed", order_id=order.order_id, code=error.code)
        await self._believe(reading)

    async def _follow_waiting(self, order: Remembered, reading: Reading) -> None:
        """Its parts may fill one after the other: it is told when none waits any more."""
        if any(waiting.magic == order.magic for waiting in reading.orders):
            return
        found = await self._terminal.find(self._ref, order.magic, order.began_at - LOOK_BACK)
        if found is None or found.status == ResultStatus.PLACED:
            return
        if found.status == ResultStatus.FILLED:
            await self._trader.settle(order, Phase.FILLED, acknowledged(order.order_id, found), found.ticket)
            return
        await self._trader.settle(order, Phase.OVER, Ack(
            order.order_id, "failed", retcode=found.retcode, error=found.reason or found.error))

    async def _follow_closed(self, order: Remembered) -> None:
        """It is closed when its deals say so; a position that only does not show is not."""
        ack = closed(order, await self._terminal.deals(self._ref, order.began_at - LOOK_BACK))
        if ack is not None:
            await self._trader.settle(order, Phase.OVER, ack)

    async def _believe(self, reading: Reading) -> None:
        """An order that was given up as not executed, and is there after all."""
        for magic in {position.magic for position in reading.positions if position.magic}:
            order = await self._state.order(magic)
            if order is None or order.phase != Phase.OVER:
                continue
            found = await self._terminal.find(self._ref, magic, order.began_at - LOOK_BACK)
            if found is not None and found.status == ResultStatus.FILLED:
                log.warning("order_executed_late", order_id=order.order_id)
                await self._trader.settle(order, Phase.FILLED, acknowledged(order.order_id, found), found.ticket)


def _is_held(order: Remembered, reading: Reading) -> bool:
    return any(position.magic == order.magic or order.ticket in (position.ticket, position.identifier)
               for position in reading.positions)


def closed(order: Remembered, deals: Sequence[Deal]) -> Ack | None:
    """What to say of an order whose positions are closed; None while its deals do not say so.

    Where others had a part in its positions (netting), price and profit are not its own and are left out.
    """
    tickets = {deal.position_id or deal.ticket for deal in deals if deal.magic == order.magic and deal.entry in IN}
    tickets |= {order.ticket} if order.ticket is not None else set()
    theirs = [deal for deal in deals if (deal.position_id or deal.ticket) in tickets]
    ended = [deal for deal in theirs if deal.entry in OUT]
    if not ended or sum((deal.volume * maths.sign(deal.side) for deal in theirs), maths.ZERO) != 0:
        return None
    last = ended[-1]
    reason = last.reason.value if last.reason.value in REASONS else None
    ticket = order.ticket if order.ticket is not None else last.position_id or last.ticket
    if any(deal.magic != order.magic for deal in theirs if deal.entry in IN):
        return Ack(order.order_id, "closed", ticket, reason=reason)
    fills = [(deal.volume, deal.price) for deal in ended]
    profit = sum((deal.profit + deal.swap + deal.commission + deal.fee for deal in theirs), maths.ZERO)
    return Ack(order.order_id, "closed", ticket, _average(fills), sum((lots for lots, _ in fills), maths.ZERO),
               profit=profit, reason=reason)


def _average(fills: Sequence[tuple[Decimal, Decimal]]) -> Decimal:
    """Of lots and prices, with no more digits than a figure may have."""
    return maths.vwap(fills).quantize(Decimal("1E-8")).normalize()
