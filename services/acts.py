"""Acts on open positions, as the doors ask for them: closing, in whole or in part, and moving the levels.

The intent is written first, and there is one open act a position: a second tap finds the first one's act. What
becomes of it is services/acting's.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, AccountStatus
from models.position import ActKind, ActStatus, PositionAct
from services import accounts, audit, reasons, sizing
from services.acting import LEASE, OPEN, Actor, Caller, Leased
from services.desk import Desk
from services.errors import OrderRefused, PositionBusy, PositionClosed, TryLater
from services.stopwatch import Stopwatch
from services.upsert import insert
from terminal.protocol import GatewayError, Position, SymbolSpec

PATIENCE = timedelta(seconds=8)
LOOK_SECONDS = 0.1
# Nobody means the same once more so soon after it was done.
DOUBLE_TAP = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a door asks for. ``volume`` None closes all; a level that is not in ``levels`` stays as it is."""

    kind: ActKind
    volume: Decimal | None = None
    levels: Mapping[str, Decimal | None] | None = None

    def is_that_of(self, act: PositionAct) -> bool:
        """Whether this asks for nothing but what ``act`` does; what the desk does by itself nobody has asked for."""
        if self.kind != act.kind or act.target is not None:
            return False
        if self.kind == ActKind.CLOSE:
            return act.volume == (act.position_volume if self.volume is None else self.volume)
        return all(getattr(act, name) == level for name, level in (self.levels or {}).items())


async def close(desk: Desk, user_id: int, account_id: int, ticket: int, volume: Decimal | None, door: str,
                now: datetime) -> PositionAct:
    """Close a position, or ``volume`` lots of it; returns the act as it stands when it is over or takes too long.

    The same once more within ``DOUBLE_TAP`` of its end is taken for a second tap and returns the first act.
    NotFound, PositionClosed, PositionBusy, TryLater, and OrderRefused for what is refused before it is written.
    """
    return await _act(desk, user_id, account_id, ticket, Wanted(ActKind.CLOSE, volume=volume), door, now)


async def modify(desk: Desk, user_id: int, account_id: int, ticket: int, changes: Mapping[str, Decimal | None],
                 door: str, now: datetime) -> PositionAct:
    """Set ``stop_loss`` and ``take_profit``; what is absent stays, None takes a level away. Errors as of ``close``."""
    if not changes:
        raise _refused("no_changes")
    return await _act(desk, user_id, account_id, ticket, Wanted(ActKind.MODIFY, levels=dict(changes)), door, now)


async def _act(desk: Desk, user_id: int, account_id: int, ticket: int, wanted: Wanted, door: str,
               now: datetime) -> PositionAct:
    watch = Stopwatch(now)
    async with desk.database.reading() as session:
        account = await accounts.owned(session, user_id, account_id)
        last = await _last(session, account_id, ticket)
    if last is not None and last.status in OPEN:
        return await _join(desk, last, wanted)
    if last is not None and last.status == ActStatus.DONE and last.updated_at > now - DOUBLE_TAP \
            and wanted.is_that_of(last):
        return last
    actor = Actor(desk.database, desk.gateways, desk.replica)
    try:
        position, spec = await _look(desk, actor, account, ticket, now)
    except PositionClosed:
        async with desk.database.reading() as session:
            newest = await _last(session, account_id, ticket)
        if newest is None or (last is not None and newest.id == last.id):
            raise
        return await _join(desk, newest, wanted)  # a tap of the same moment has closed it
    now = watch.now()
    intent = {**_intent(account, position, spec, wanted, door, now), "magic": actor.new_magic(account, wanted.kind)}
    async with desk.database.writing() as session:
        act, is_ours = await _write(session, intent, desk.replica, last.id if last else 0, now)
        if is_ours:
            audit.record(session, now, f"position_{wanted.kind}", "position_act", act.id, user_id=user_id, door=door,
                         account_id=account_id, ticket=ticket)
    if not is_ours:
        return await _join(desk, act, wanted)
    return await _carry_out(desk, actor, act, account, position, watch)


async def _last(session: AsyncSession, account_id: int, ticket: int) -> PositionAct | None:
    return (await session.scalars(
        select(PositionAct).where(PositionAct.account_id == account_id, PositionAct.ticket == ticket)
        .order_by(PositionAct.id.desc()).limit(1))).one_or_none()


async def _look(desk: Desk, actor: Actor, account: Account, ticket: int,
                now: datetime) -> tuple[Position, SymbolSpec | None]:
    """The position as it is now; whoever may not act on it is refused first."""
    gateway = desk.gateways.get(account.route)
    if gateway is None or not gateway.executes:
        raise _refused("only_in_its_terminal")
    if account.status != AccountStatus.VERIFIED:
        raise _refused("account_broken")
    if not account.can_trade:
        raise _refused("view_only")
    try:
        position = await actor.position(account, ticket)
        spec = await gateway.symbol(accounts.ref(account), position.symbol) if position is not None else None
    except GatewayError as error:
        if error.permanent:
            async with desk.database.writing() as session:
                await accounts.mark_broken(session, account.id, error.code, now)
        raise TryLater("The terminal does not answer. Nothing was changed; try again.") from error
    if position is None:
        raise PositionClosed
    return position, spec


def _intent(account: Account, position: Position, spec: SymbolSpec | None, wanted: Wanted, door: str,
            now: datetime) -> dict[str, Any]:
    """The row to be written; OrderRefused when the position cannot be acted on like that."""
    values: dict[str, Any] = {
        "user_id": account.user_id, "account_id": account.id, "ticket": position.ticket, "symbol": position.symbol,
        "kind": wanted.kind, "door": door, "status": ActStatus.QUEUED, "position_volume": position.volume,
        "attempts": 0, "next_try_at": now, "created_at": now, "updated_at": now}
    if wanted.kind == ActKind.CLOSE:
        return {**values, "volume": _volume(position, spec, wanted.volume)}
    levels = wanted.levels or {}
    return {**values, "stop_loss": _level(levels.get("stop_loss", position.stop_loss), spec),
            "take_profit": _level(levels.get("take_profit", position.take_profit), spec)}


def _volume(position: Position, spec: SymbolSpec | None, wanted: Decimal | None) -> Decimal:
    """What is to be closed: all of it, or a part that the broker can close and that leaves what can stay open."""
    if wanted is None or wanted == position.volume:
        return position.volume
    if not 0 < wanted < position.volume:
        raise _refused("volume_above_open" if wanted > 0 else "volume_below_minimum")
    if spec is not None:
        if sizing.floor(wanted, spec.volume_step) != wanted:
            raise _refused("volume_not_in_steps")
        if position.volume - wanted < spec.volume_min:
            raise _refused("remainder_below_minimum")
    return wanted


def _level(price: Decimal | None, spec: SymbolSpec | None) -> Decimal | None:
    """The price as the broker can keep it: the nearest of its ticks."""
    if price is None or spec is None:
        return price
    ticks = (price / spec.tick_size).to_integral_value(ROUND_HALF_UP)
    return (ticks * spec.tick_size).quantize(Decimal(1).scaleb(-spec.digits))


async def _write(session: AsyncSession, intent: dict[str, Any], owner: str, after: int,
                 now: datetime) -> tuple[PositionAct, bool]:
    """Write the intent, under lease; or find the act that came first, even if it is over, and False.

    ``after`` is the last act on the position when the door looked at it: what came later may have changed it since.
    """
    same = (PositionAct.account_id == intent["account_id"], PositionAct.ticket == intent["ticket"])
    written = await session.scalar(
        insert(session, PositionAct).values(**intent, lease_owner=owner, lease_until=now + LEASE)
        .on_conflict_do_nothing().returning(PositionAct.id))
    other = (await session.scalars(
        select(PositionAct).where(*same, PositionAct.id > after, PositionAct.id != (written or 0))
        .order_by(PositionAct.id.desc()).limit(1))).one_or_none()
    if other is not None:
        if written is not None:
            await session.execute(delete(PositionAct).where(PositionAct.id == written))
        return other, False
    if written is None:
        raise PositionBusy
    return await session.get_one(PositionAct, written), True


async def _carry_out(desk: Desk, actor: Actor, act: PositionAct, account: Account, position: Position,
                     watch: Stopwatch) -> PositionAct:
    """Let it be done, and wait a while; whatever becomes of the door, the act goes on."""
    caller, done = Caller(), asyncio.Event()

    async def work() -> None:
        try:
            await actor.send(Leased(act, account), position, watch, caller)
        finally:
            done.set()
            await desk.positions.forget(account.id)
            desk.wakes.acts.set()
            desk.wakes.syncs.set()
            desk.wakes.outbox.set()

    try:
        desk.supervisor.spawn("position_act", work())
        async with asyncio.timeout(PATIENCE.total_seconds()):
            await done.wait()
    except (TimeoutError, RuntimeError):
        pass  # it is written down: its loop brings it to its end
    finally:
        caller.waits = False
    return await _as_it_stands(desk, act.id)


async def under_way(session: AsyncSession, account_id: int) -> list[PositionAct]:
    """What is being done with the positions of an account now, at most one act for each of them."""
    return list(await session.scalars(
        select(PositionAct).where(PositionAct.account_id == account_id, PositionAct.status.in_(OPEN))))


async def _join(desk: Desk, act: PositionAct, wanted: Wanted) -> PositionAct:
    """The second tap waits for what the first has begun; PositionBusy when it asks for something else."""
    if not wanted.is_that_of(act):
        raise PositionBusy
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE.total_seconds()
    current = await _as_it_stands(desk, act.id)
    while current.status in (ActStatus.QUEUED, ActStatus.SENT) and loop.time() < until:
        await asyncio.sleep(LOOK_SECONDS)
        current = await _as_it_stands(desk, act.id)
    return current


async def _as_it_stands(desk: Desk, act_id: int) -> PositionAct:
    async with desk.database.reading() as session:
        return await session.get_one(PositionAct, act_id)


def _refused(reason: str) -> OrderRefused:
    words = reasons.WORDS[reason]
    return OrderRefused(reason, f"{words[0].upper()}{words[1:]}. Nothing was changed.")
