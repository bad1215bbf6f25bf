"""Carrying out acts on positions: the statements, and what is done about each answer of a terminal.

queued -> sent -> done | refused | unknown; unknown -> done | refused. ``sent`` is committed before the terminal
hears of an act. What may have been done is found out by looking, and never done again: for the deal that bears the
act's number where the terminal can mark deals, at the position otherwise. The number of a part that is closed at an
order's target is the target's (services/targets).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, AccountStatus
from models.database import Database
from models.order import Order
from models.position import ActKind, ActStatus, PositionAct
from models.user import User
from services import accounts, outbox, shares
from services.stopwatch import Stopwatch
from terminal.protocol import (
    Gateway,
    GatewayError,
    MarkingGateway,
    Position,
    ResultStatus,
    TargetGateway,
    TradeResult,
)

log = structlog.get_logger(__name__)

LEASE, SPARE = timedelta(seconds=30), timedelta(seconds=5)
RETRY = timedelta(seconds=2)
LOOK_AGAIN = timedelta(seconds=5)
GIVE_UP = timedelta(seconds=30)
# So far before it was sent a deal is looked for: clocks differ.
LOOK_BACK = timedelta(seconds=60)
UNSEEN = "not_executed"
OPEN = (ActStatus.QUEUED, ActStatus.SENT, ActStatus.UNKNOWN)
NO_CHANGES, POSITION_CLOSED = 10025, 10036
# Nothing was done, and in a moment it may be: too many requests, locked, frozen, a price that moved.
LATER = (10004, 10015, 10020, 10021, 10023, 10024, 10028, 10029, 10041)
# It may have been done: an error on the way, no answer in time, the connection lost.
AMBIGUOUS = (10011, 10012, 10031)


@dataclass(frozen=True, slots=True)
class Leased:
    """An act under lease with the account it is on; ``order`` is the one whose target it is for."""

    act: PositionAct
    account: Account
    order: Order | None = None


async def lease(session: AsyncSession, routes: Sequence[str], owner: str, now: datetime, limit: int) -> list[Leased]:
    """Take acts that are due: those that wait, and those whose holder has vanished."""
    due = (select(PositionAct.id).join(Account, Account.id == PositionAct.account_id)
           .where(Account.route.in_(routes), Account.unlinked_at.is_(None), _is_free(now),
                  or_(PositionAct.status == ActStatus.SENT,
                      and_(PositionAct.status.in_([ActStatus.QUEUED, ActStatus.UNKNOWN]),
                           PositionAct.next_try_at <= now)))
           .order_by(PositionAct.id).limit(limit).with_for_update(skip_locked=True, of=PositionAct))
    ids = list(await session.scalars(due))
    values = {"lease_owner": owner, "lease_until": now + LEASE}
    await session.execute(update(PositionAct).where(
        PositionAct.id.in_(ids), PositionAct.status == ActStatus.QUEUED).values(**values))
    await session.execute(update(PositionAct).where(
        PositionAct.id.in_(ids), PositionAct.status.in_([ActStatus.SENT, ActStatus.UNKNOWN]))
        .values(**values, status=ActStatus.UNKNOWN))
    rows = await session.execute(
        select(PositionAct, Account, Order).join(Account, Account.id == PositionAct.account_id)
        .outerjoin(Order, Order.id == PositionAct.order_id)
        .where(PositionAct.id.in_(ids)).order_by(PositionAct.id).execution_options(populate_existing=True))
    return [Leased(row.PositionAct, row.Account, row.Order) for row in rows]


async def is_due(session: AsyncSession, now: datetime) -> bool:
    """Look without taking the writer."""
    waits = exists().where(PositionAct.status.in_([ActStatus.QUEUED, ActStatus.UNKNOWN]),
                           PositionAct.next_try_at <= now, _is_free(now))
    lost = exists().where(PositionAct.status == ActStatus.SENT, _is_free(now))
    return bool(await session.scalar(select(waits | lost)))


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(PositionAct.lease_until.is_(None), PositionAct.lease_until <= now)


async def mark_sent(session: AsyncSession, act_id: int, owner: str, position_volume: Decimal, volume: Decimal | None,
                    now: datetime) -> bool:
    """Write what is open, and what of it is to be closed, before the terminal hears, and begin the lease anew.

    False when it is not ours, or the account's link is not: somebody else may have it by now.
    """
    is_linked = exists().where(Account.id == PositionAct.account_id, Account.unlinked_at.is_(None),
                               Account.status == AccountStatus.VERIFIED)
    sent = await session.scalar(
        update(PositionAct).where(PositionAct.id == act_id, PositionAct.status == ActStatus.QUEUED,
                                  PositionAct.lease_owner == owner, is_linked)
        .values(status=ActStatus.SENT, position_volume=position_volume, volume=volume, sent_at=now, updated_at=now,
                lease_until=now + LEASE, attempts=PositionAct.attempts + 1).returning(PositionAct.id))
    return sent is not None


async def finish(session: AsyncSession, act_id: int, values: Mapping[str, Any], now: datetime, *,
                 tell: bool) -> bool:
    """Write how an act ended, once; ``tell`` owes the chat a word on it. False when it was over already."""
    ended = (await session.scalars(
        update(PositionAct).where(PositionAct.id == act_id, PositionAct.status.in_(OPEN))
        .values(**values, lease_owner=None, lease_until=None, updated_at=now).returning(PositionAct),
        execution_options={"populate_existing": True})).one_or_none()
    if ended is not None and tell:
        await _tell(session, ended, now)
    return ended is not None


async def give_back(session: AsyncSession, act_id: int, status: ActStatus, until: datetime, error: str,
                    now: datetime) -> None:
    """Nothing is known yet, or nothing was done yet: look again at ``until``."""
    was = [ActStatus.QUEUED, ActStatus.SENT] if status == ActStatus.QUEUED else [ActStatus.SENT, ActStatus.UNKNOWN]
    await session.execute(
        update(PositionAct).where(PositionAct.id == act_id, PositionAct.status.in_(was))
        .values(status=status, next_try_at=until, error=error[:256], lease_owner=None, lease_until=None,
                updated_at=now))


async def _tell(session: AsyncSession, act: PositionAct, now: datetime) -> None:
    """Of a target that was taken its deal tells, and of one that cannot be taken a word is said once."""
    if act.target is not None and (act.status == ActStatus.DONE or act.reason == "position_closed"):
        return
    row = (await session.execute(
        select(User.telegram_id, Account.label, Order.take_profits).join(Account, Account.user_id == User.id)
        .outerjoin(Order, Order.id == act.order_id)
        .where(Account.id == act.account_id, User.blocked_at.is_(None)))).one_or_none()
    if row is not None:
        key = f"act:{act.id}" if act.target is None else f"target:{act.order_id}:{act.target}"
        await outbox.say(session, row.telegram_id, key, {
            "target": act.target, "targets": len(row.take_profits or ()),
            "template": "act", "kind": act.kind, "status": act.status, "symbol": act.symbol, "account": row.label,
            "volume": None if act.volume is None else format(act.volume, "f"),
            "price": None if act.price is None else format(act.price, "f"), "reason": act.reason,
            "error": act.error}, now)


def _magic_of(leased: Leased) -> int | None:
    """The number an act's deal bears; None where it bears none."""
    act, order = leased.act, leased.order
    if order is None:
        return act.magic
    assert order.magic is not None and act.target is not None
    return shares.target_magic(order.magic, act.target)


@dataclass(slots=True)
class Caller:
    """The door that asked for an act; once it has stopped waiting the chat is told how it ended."""

    waits: bool = True


class Actor:
    """Carries out acts through the gateway of their account's route."""

    def __init__(self, database: Database, gateways: Mapping[str, Gateway], owner: str) -> None:
        self._database = database
        self._gateways = gateways
        self._owner = owner

    async def take(self, now: datetime, limit: int) -> list[Leased]:
        """Lease acts that are due."""
        async with self._database.writing() as session:
            routes = [route for route, gateway in self._gateways.items() if gateway.executes]
            return await lease(session, routes, self._owner, now, limit)

    async def go_on(self, leased: Leased, now: datetime) -> None:
        """Bring an act that nobody waits for as far as it can be brought now."""
        act, account, nobody, watch = leased.act, leased.account, Caller(waits=False), Stopwatch(now)
        try:
            position = await self.position(account, act.ticket)
            taken = await self._taken(leased) if act.status == ActStatus.UNKNOWN else None
        except GatewayError as error:
            await self._not_now(act, account, error, watch.now(), nobody)
            return
        if act.status == ActStatus.UNKNOWN:
            await self._look(act, position, taken, now)
        elif watch.now() - act.created_at >= GIVE_UP:
            await self._end(act, ActStatus.REFUSED, watch.now(), nobody, reason="not_executed_in_time")
        else:
            await self.send(leased, position, watch, nobody)

    async def position(self, account: Account, ticket: int) -> Position | None:
        """The position as its terminal has it now."""
        if account.status != AccountStatus.VERIFIED:
            # Somebody else may have linked the same broker account since: what is open there is theirs.
            raise GatewayError("account_broken", "The account's link does not work.")
        held = await self._gateways[account.route].positions(accounts.ref(account))
        return next((position for position in held if position.ticket == ticket), None)

    def new_magic(self, account: Account, kind: ActKind) -> int | None:
        """What is to mark an act at the trade server; None where nothing can."""
        marks = kind == ActKind.CLOSE and isinstance(self._gateways[account.route], MarkingGateway)
        return shares.new_act_magic() if marks else None

    async def _taken(self, leased: Leased) -> TradeResult | None:
        """The deal that bears the act's number."""
        act, account, magic = leased.act, leased.account, _magic_of(leased)
        if magic is None:
            return None
        assert act.sent_at is not None
        found = await self._gateways[account.route].find(accounts.ref(account), magic, act.sent_at - LOOK_BACK)
        return found if found is not None and found.status == ResultStatus.FILLED else None

    async def send(self, leased: Leased, position: Position | None, watch: Stopwatch, caller: Caller) -> None:
        """Write that the terminal is about to hear of it, let it hear, and record what it says."""
        now, act, order = watch.now(), leased.act, leased.order
        is_whole = act.kind == ActKind.CLOSE and order is None and act.volume == act.position_volume
        if position is None or (order is not None and position.side != order.side):
            # Closing what is closed already is done; a part of it, or a level, has nothing to act on.
            await self._end(act, ActStatus.DONE if is_whole else ActStatus.REFUSED, now, caller,
                            reason="position_closed")
            return
        volume = act.volume
        if volume is not None and volume > position.volume:
            if not is_whole and order is None:
                await self._end(act, ActStatus.REFUSED, now, caller, reason="position_changed")
                return
            volume = position.volume
        async with self._database.writing() as session:
            if not await mark_sent(session, act.id, self._owner, position.volume, volume, now):
                return
        try:
            async with asyncio.timeout((LEASE - SPARE).total_seconds()):
                result = await self._ask(leased, volume)
        except TimeoutError:
            await self._give_back(act, ActStatus.UNKNOWN, watch.now() + RETRY, "terminal_hangs", watch.now())
        except GatewayError as error:
            await self._not_done(act, leased.account, error, watch.now(), caller)
        else:
            await self._record(act, result, volume, watch.now(), caller)

    async def _ask(self, leased: Leased, volume: Decimal | None) -> TradeResult:
        act, magic = leased.act, _magic_of(leased)
        gateway, ref = self._gateways[leased.account.route], accounts.ref(leased.account)
        if act.target is not None:
            assert isinstance(gateway, TargetGateway) and magic is not None and volume is not None
            return await gateway.take_target(ref, act.ticket, volume, magic)
        if magic is not None:
            assert isinstance(gateway, MarkingGateway)
            return await gateway.close_marked(ref, act.ticket, volume, magic)
        if act.kind == ActKind.CLOSE:
            return await gateway.close(ref, act.ticket, volume)
        return await gateway.modify(ref, act.ticket, act.stop_loss, act.take_profit)

    async def _record(self, act: PositionAct, result: TradeResult, volume: Decimal | None, now: datetime,
                      caller: Caller) -> None:
        has_changed = result.reason == "position_changed"  # between two prices: nothing was done
        is_gone = result.retcode == POSITION_CLOSED and not has_changed
        is_over = result.retcode == NO_CHANGES or (is_gone and act.kind == ActKind.CLOSE)
        if act.target is not None and is_gone:
            await self._end(act, ActStatus.REFUSED, now, caller, reason="position_closed")
        elif result.status == ResultStatus.FILLED or is_over:
            closed = {"volume": volume if result.volume is None else result.volume}
            await self._end(act, ActStatus.DONE, now, caller, retcode=result.retcode, price=result.price,
                            **(closed if act.kind == ActKind.CLOSE else {}))
        elif result.status == ResultStatus.PLACED or result.retcode in AMBIGUOUS:
            await self._give_back(act, ActStatus.UNKNOWN, now + RETRY, str(result.retcode), now)
        elif result.retcode in LATER or has_changed:
            await self._give_back(act, ActStatus.QUEUED, now + RETRY, str(result.retcode), now)
        else:
            reason = "position_closed" if is_gone else "rejected_by_terminal"
            await self._end(act, ActStatus.REFUSED, now, caller, retcode=result.retcode, error=result.error,
                            reason=result.reason or reason)

    async def _look(self, act: PositionAct, position: Position | None, taken: TradeResult | None,
                    now: datetime) -> None:
        """What became of an act that may have been carried out: by its deal, or by the position where deals bear none.

        On a netting account a position may have changed meanwhile: its volume says nothing of what was taken from it.
        """
        nobody, is_marked = Caller(waits=False), act.target is not None or act.magic is not None
        if taken is not None:
            await self._end(act, ActStatus.DONE, now, nobody, volume=taken.volume, price=taken.price)
            return
        if is_marked:
            was_done = position is None and act.target is None and act.volume == act.position_volume
        elif act.kind == ActKind.CLOSE:
            assert act.volume is not None
            left = Decimal(0) if position is None else position.volume
            was_done = left <= act.position_volume - act.volume
        else:
            was_done = position is not None and (position.stop_loss, position.take_profit) == (
                act.stop_loss, act.take_profit)
        assert act.sent_at is not None
        if was_done:
            await self._end(act, ActStatus.DONE, now, nobody)
        elif position is None and (not is_marked or now - act.sent_at >= GIVE_UP):
            await self._end(act, ActStatus.REFUSED, now, nobody, reason="position_closed")
        elif position is not None and now - act.sent_at >= GIVE_UP:
            closed = act.position_volume - position.volume
            if act.kind == ActKind.CLOSE and not is_marked and closed > 0:
                await self._end(act, ActStatus.DONE, now, nobody, volume=closed)  # the broker gave only so much
            else:
                await self._end(act, ActStatus.REFUSED, now, nobody, reason=UNSEEN)
        else:
            await self._give_back(act, ActStatus.UNKNOWN, now + RETRY, "not_seen_yet", now)

    async def _not_done(self, act: PositionAct, account: Account, error: GatewayError, now: datetime,
                        caller: Caller) -> None:
        """The terminal did not take the act, or did not say whether it has."""
        if error.ambiguous:
            log.warning("act_outcome_unknown", act_id=act.id, code=error.code)
            await self._give_back(act, ActStatus.UNKNOWN, now + RETRY, error.code, now)
        else:
            await self._not_now(act, account, error, now, caller)

    async def _not_now(self, act: PositionAct, account: Account, error: GatewayError, now: datetime,
                       caller: Caller) -> None:
        """The terminal could not be asked. Only its own answer ends an act that may have been carried out."""
        if error.permanent:
            async with self._database.writing() as session:
                await accounts.mark_broken(session, account.id, error.code, now)
        if act.status == ActStatus.UNKNOWN:
            await self._give_back(act, ActStatus.UNKNOWN, now + LOOK_AGAIN, error.code, now)
        elif error.retryable and now - act.created_at < GIVE_UP:
            await self._give_back(act, ActStatus.QUEUED, now + RETRY, error.code, now)
        else:
            await self._end(act, ActStatus.REFUSED, now, caller, reason=error.code, error=error.detail)

    async def _give_back(self, act: PositionAct, status: ActStatus, until: datetime, error: str,
                         now: datetime) -> None:
        async with self._database.writing() as session:
            await give_back(session, act.id, status, until, error, now)

    async def _end(self, act: PositionAct, status: ActStatus, now: datetime, caller: Caller,
                   **values: Any) -> None:
        values = {"status": status, "error": None, **values}
        if values["error"] is not None:
            values["error"] = values["error"][:256]
        async with self._database.writing() as session:
            await finish(session, act.id, values, now, tell=not caller.waits)
        log.info("act_ended", act_id=act.id, kind=act.kind, status=status, reason=values.get("reason"))
