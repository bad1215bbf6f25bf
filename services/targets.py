"""Targets on netting accounts: the broker has an order's last one, and the desk closes the parts of the nearer ones.

The desk looks at such accounts every few seconds. Where the price stands at a target whose part is not closed yet, the
act is written, once for each target of an order; services/acting carries it out. A target that the price has touched
between two looks is not taken. What was refused is tried again, later and later, while the price is there.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy import Select, delete, exists, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, AccountStatus
from models.database import Database
from models.order import Order, OrderStatus
from models.position import ActKind, ActStatus, DealRecord, PositionAct
from services import accounts, audit, orders, shares
from services.acting import UNSEEN
from services.errors import TryLater
from services.positions import Reader
from services.shares import Share
from services.stopwatch import Stopwatch
from services.upsert import insert
from terminal.protocol import Gateway, GatewayError, Position, Side, SymbolSpec, TargetGateway

log = structlog.get_logger(__name__)

DOOR = "desk"
NETTING = "netting"
AT_ONCE = 16
# A price that was read longer ago is not traded on.
FRESH = timedelta(seconds=10)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(minutes=5)
# After an answer that never came, and no trace at the broker: longer than any broker takes to show a deal.
UNSEEN_PAUSE = timedelta(minutes=10)
MOST_FAILURES = 10


@dataclass(frozen=True, slots=True)
class Part:
    """What is to be closed now: so many lots at one of an order's targets, of which the first is 1."""

    target: int
    price: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class Record:
    """What is on record of an order: its share of the position, the position's others, and its targets so far."""

    own: Share
    others: Decimal
    taken: frozenset[int]
    not_before: Mapping[int, datetime]
    """When a target may be tried that was refused."""


def routes(gateways: Mapping[str, Gateway]) -> list[str]:
    """The routes on whose netting accounts the desk takes targets."""
    return [route for route, gateway in gateways.items() if gateway.executes and isinstance(gateway, TargetGateway)]


class Watcher:
    """Looks at accounts on which targets wait for the desk. Each process has its own; the database decides."""

    def __init__(self, database: Database, gateways: Mapping[str, Gateway], reader: Reader, every: timedelta) -> None:
        self._database = database
        self._gateways = gateways
        self._reader = reader
        self._every = every
        self._not_before: dict[int, datetime] = {}
        self._failures: dict[int, int] = {}

    async def due(self, now: datetime, limit: int, busy: Collection[int]) -> list[int]:
        """Accounts whose turn it is to be looked at; each is asked by itself, so one that hangs delays nobody."""
        watched = _watched(routes(self._gateways)).with_only_columns(Order.account_id).distinct()
        async with self._database.reading() as session:
            ids = set(await session.scalars(watched))
        for kept in (self._not_before, self._failures):
            for gone in kept.keys() - ids:
                del kept[gone]
        turns = sorted((self._not_before.get(account_id, now), account_id) for account_id in ids - set(busy))
        return [account_id for at, account_id in turns if at <= now][:limit]

    async def look(self, account_id: int, now: datetime) -> bool:
        """Look at an account's prices and write what is to be closed; whether anything was written."""
        watch = Stopwatch(now)
        self._not_before[account_id] = now + self._every  # also when this breaks: nobody is asked without a pause
        async with self._database.reading() as session:
            account = await session.get_one(Account, account_id)
        try:
            found = await self._reader.live(account, now, force=True)
        except TryLater:
            found = None
        if found is None or found.read_at <= watch.now() - FRESH:
            self._failures[account_id] = failures = min(self._failures.get(account_id, 0) + 1, MOST_FAILURES)
            self._not_before[account_id] = now + min(self._every * 2 ** failures, LONGEST_PAUSE)
            return False
        self._failures.pop(account_id, None)
        waiting, written = False, False
        for order, position in await self._held(account_id, found.positions):
            part = await self._part(account, order, position, watch.now())
            if part is None:
                continue
            waiting = True
            if found.read_at > watch.now() - FRESH:  # to learn of the symbol may have taken long
                written |= await self._write(account, order, position, part, watch.now())
        # Where more is to be closed, or the position is busy with something else, soon again.
        self._not_before[account_id] = now if waiting else found.read_at + self._every
        return written

    async def _held(self, account_id: int, positions: Sequence[Position]) -> list[tuple[Order, Position]]:
        """The watched orders of an account, each with the position it has a part in."""
        by_number = {position.identifier or position.ticket: position for position in positions}
        query = _watched(routes(self._gateways)).where(Order.account_id == account_id).order_by(Order.id)
        async with self._database.reading() as session:
            found = list(await session.scalars(query))
        return [(order, by_number[order.ticket]) for order in found if order.ticket in by_number
                and by_number[order.ticket].side == order.side]

    async def _part(self, account: Account, order: Order, position: Position, now: datetime) -> Part | None:
        """The nearest target that the price has reached and whose part is still to be closed."""
        gateway = self._gateways[account.route]
        assert isinstance(gateway, TargetGateway) and order.magic is not None
        targets = orders.by_distance(order)
        if not _is_reached(position, targets[0]):
            return None
        try:
            spec = await gateway.symbol(accounts.ref(account), position.symbol)
        except GatewayError as error:
            log.warning("target_symbol_unknown", account_id=account.id, code=error.code)
            return None
        if spec is None:
            return None
        async with self._database.reading() as session:
            record = await _record(session, order, position)  # last: meanwhile others may have tried, and have to pause
        if record is None:
            return None  # its deals are not on record yet
        nearer = gateway.portions(record.own.opened, targets, spec)[:-1]
        for number, (price, lots) in enumerate(nearer, start=1):
            if not _is_reached(position, price):
                return None
            if number not in record.taken and record.not_before.get(number, now) <= now:
                volume = _volume(lots, record, position, spec)
                return Part(number, price, volume) if volume > 0 else None
        return None

    async def _write(self, account: Account, order: Order, position: Position, part: Part, now: datetime) -> bool:
        """Write the intent, unless the target is taken, the position is busy, or there is nothing to act on."""
        async with self._database.writing() as session:
            act_id = await session.scalar(
                insert(session, PositionAct).from_select(*_intent(account, order, position, part, now))
                .on_conflict_do_nothing().returning(PositionAct.id))
            if act_id is None:
                return False
            await _drop_between(session, order.id, part.target)
            audit.record(session, now, "position_close", "position_act", act_id, user_id=order.user_id, door=DOOR,
                         account_id=account.id, ticket=position.ticket, order_id=order.id, target=part.target,
                         price=format(position.current_price, "f"))
        log.info("target_reached", act_id=act_id, order_id=order.id, target=part.target)
        return True


def _watched(on: Sequence[str]) -> Select[Order]:
    """Filled orders with several targets on netting accounts that can be traded on."""
    return select(Order).join(Account, Account.id == Order.account_id).where(
        Order.status == OrderStatus.FILLED, Order.magic.is_not(None), func.json_array_length(Order.take_profits) > 1,
        Account.route.in_(on), Account.margin_mode == NETTING, Account.status == AccountStatus.VERIFIED,
        Account.can_trade, Account.unlinked_at.is_(None))


def _is_reached(position: Position, target: Decimal) -> bool:
    """Whether the price at which the position would be closed has come to the target."""
    return position.current_price >= target if position.side == Side.BUY else position.current_price <= target


def _volume(lots: Decimal, record: Record, position: Position, spec: SymbolSpec) -> Decimal:
    """At most what is open of the order; nothing is left that the broker would not let stay."""
    if record.others and record.own.left + record.others > position.volume:
        return Decimal(0)  # something was closed that is not on record yet, and nobody knows whose it was
    volume = min(lots, record.own.left, position.volume)
    return position.volume if 0 < position.volume - volume < spec.volume_min and volume > 0 else volume


async def _record(session: AsyncSession, order: Order, position: Position) -> Record | None:
    # Sorted here: asked for in this order SQLite would walk all deals of the account.
    deals = sorted(await session.scalars(
        select(DealRecord).where(DealRecord.account_id == order.account_id, DealRecord.position_id == order.ticket)),
        key=lambda deal: deal.deal_id)
    held = shares.of_position(deals)
    own = held.pop(order.magic or 0, None)
    if own is None:
        return None
    acts = list(await session.scalars(select(PositionAct).where(PositionAct.order_id == order.id)))
    return Record(own, sum((share.left for share in held.values()), Decimal(0)),
                  frozenset(_taken(order, acts, deals)), _not_before(acts))


def _taken(order: Order, acts: Iterable[PositionAct], deals: Iterable[DealRecord]) -> set[int]:
    """Targets that are being taken or have been, also where the act was given up before its deal was heard of."""
    done = {act.target for act in acts if act.target is not None and act.status != ActStatus.REFUSED}
    seen = [shares.target_of(deal.magic) for deal in deals]
    return done | {target[1] for target in seen if target is not None and target[0] == order.magic}


def _not_before(acts: Iterable[PositionAct]) -> dict[int, datetime]:
    """After a refusal the pause is as long as it has been tried already."""
    refused: dict[int, list[PositionAct]] = {}
    for act in acts:
        if act.target is not None and act.status == ActStatus.REFUSED:
            refused.setdefault(act.target, []).append(act)
    return {target: _next_try(tries) for target, tries in refused.items()}


def _next_try(tries: Sequence[PositionAct]) -> datetime:
    ended = max(act.updated_at for act in tries)
    tried_for = ended - min(act.created_at for act in tries)
    # Where no position was shown either, what was sent may still show.
    is_unseen = any(act.reason == UNSEEN or (act.reason == "position_closed" and act.sent_at is not None)
                    for act in tries if act.updated_at == ended)
    return ended + (UNSEEN_PAUSE if is_unseen else min(max(tried_for, FIRST_PAUSE), LONGEST_PAUSE))


def _intent(account: Account, order: Order, position: Position, part: Part,
            now: datetime) -> tuple[list[str], Select[Any]]:
    """The row to be written, where the order is still open and no deal of the target is on record."""
    assert order.magic is not None
    values: dict[str, Any] = {
        "user_id": order.user_id, "account_id": account.id, "order_id": order.id, "target": part.target,
        "ticket": position.ticket, "symbol": position.symbol, "kind": ActKind.CLOSE.value, "door": DOOR,
        "status": ActStatus.QUEUED.value, "position_volume": position.volume, "volume": part.volume, "attempts": 0,
        "next_try_at": now, "created_at": now, "updated_at": now}
    columns = PositionAct.__table__.c
    is_open = exists().where(Order.id == order.id, Order.status == OrderStatus.FILLED)
    is_linked = exists().where(Account.id == account.id, Account.unlinked_at.is_(None),
                               Account.status == AccountStatus.VERIFIED, Account.can_trade)
    is_taken = exists().where(DealRecord.account_id == account.id,
                              DealRecord.magic == shares.target_magic(order.magic, part.target))
    row = select(*(literal(value, columns[name].type) for name, value in values.items()))
    return list(values), row.where(is_open, is_linked, ~is_taken)


async def _drop_between(session: AsyncSession, order_id: int, target: int) -> None:
    """Of the tries that were refused only the first is kept, which says since when; the audit log has them all."""
    refused = (PositionAct.order_id == order_id, PositionAct.target == target,
               PositionAct.status == ActStatus.REFUSED)
    first = select(func.min(PositionAct.id)).where(*refused).scalar_subquery()
    await session.execute(delete(PositionAct).where(*refused, PositionAct.id > first))
