"""What deals make of orders: fills, partial fills, late ones too, and closings, whoever closed.

An order is reckoned anew from the deals on record of every position it has a part in, so it does not matter in which
order they were heard of, nor what the order was taken for before.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account
from models.order import Order, OrderStatus
from models.position import DealRecord
from models.user import User
from services import events, outbox, shares
from services.shares import Share
from terminal.protocol import Deal, DealEntry, DealReason

ZERO, CENT, FINEST = Decimal(0), Decimal("0.01"), Decimal("1e-8")
# How an order ended that was never executed; a deal without volume tells it.
UNFILLED = {DealReason.EXPIRED: (OrderStatus.EXPIRED, "not_reached_in_time"),
            DealReason.CANCELLED: (OrderStatus.EXPIRED, "cancelled"),
            DealReason.REJECTED: (OrderStatus.REJECTED, "not_enough_money")}
EXECUTED = (OrderStatus.FILLED, OrderStatus.CLOSED)


async def apply_feed(session: AsyncSession, route: str, deals: Sequence[Deal], now: datetime) -> None:
    """The same for deals of every account of a route; one that is not linked any more still has its orders."""
    by_login: dict[tuple[str, str], list[Deal]] = {}
    for deal in deals:
        by_login.setdefault((deal.login, deal.server), []).append(deal)
    rows = await session.scalars(
        select(Account).where(Account.route == route, Account.login.in_({login for login, _ in by_login}))
        .order_by(Account.unlinked_at.is_not(None), Account.id.desc()))
    for account in rows.all():
        # The link that holds now comes first; an older one of the same login finds nothing left to do.
        await apply(session, account, by_login.pop((account.login, account.server), []), now)


async def apply(session: AsyncSession, account: Account, deals: Sequence[Deal], now: datetime) -> None:
    """Let deals that history has just recorded, and ends of orders that were never filled, take effect on orders."""
    effects = _Effects(session, account, now)
    ours = await _shared(session, account.id, deals)
    for deal in deals:
        if deal.volume == 0:
            await _end_unfilled(session, account, deal, now)
        elif shares.magic_of_order(deal.magic) or _position_of(deal) in ours:
            await effects.of(deal)
    await effects.write()


async def _shared(session: AsyncSession, account_id: int, deals: Sequence[Deal]) -> set[int]:
    """Of the deals' positions, those that an order of ours has a part in: most of an account's may be its owner's."""
    return set(await session.scalars(select(DealRecord.position_id).distinct().where(
        DealRecord.account_id == account_id, DealRecord.position_id.in_({_position_of(deal) for deal in deals}),
        DealRecord.magic.between(shares.FIRST, shares.LAST))))


def _position_of(deal: Deal) -> int:
    return deal.position_id or deal.ticket


async def _end_unfilled(session: AsyncSession, account: Account, deal: Deal, now: datetime) -> None:
    magic = shares.magic_of_order(deal.magic)
    order = await _order(session, account, magic) if magic else None
    if order is None or order.status in EXECUTED:
        return
    was_placed = order.status == OrderStatus.PLACED
    order.status, order.reason = UNFILLED.get(deal.reason, (OrderStatus.REJECTED, "rejected_by_terminal"))
    _let_go(order, now)
    events.note_order(session, order.user_id, order.id, order.approval_id, order.status)
    await outbox.edit_cards(session, [order.approval_id], now)
    if was_placed:
        await _tell(session, account, deal, order, ZERO, now)


class _Effects:
    """What a batch of recorded deals does to orders: told deal by deal, reckoned once for each order."""

    def __init__(self, session: AsyncSession, account: Account, now: datetime) -> None:
        self._session = session
        self._account = account
        self._now = now
        self._before: dict[int, tuple[Order, tuple[object, ...]] | None] = {}
        self._positions: dict[int, list[DealRecord]] = {}

    async def of(self, deal: Deal) -> None:
        """Note every order that has a part in the deal's position, and tell of it."""
        position_id = _position_of(deal)
        if position_id not in self._positions:
            self._positions[position_id] = await _deals(self._session, self._account.id, [position_id])
        until = [row for row in self._positions[position_id] if row.deal_id <= deal.id]
        position = shares.of_position(until)
        remaining = sum((share.left for share in position.values()), ZERO)
        owner, target = shares.target_of(deal.magic) or (shares.magic_of_order(deal.magic), None)
        for magic in sorted({*position, owner}):
            found = await self._find(magic)
            if found is None or found[1][0] == OrderStatus.CLOSED:
                continue
            if not position:
                _follow(found[0], deal)
                remaining = deal.remaining_volume or ZERO
            is_news = deal.entry != DealEntry.IN or found[1][0] == OrderStatus.PLACED
            if is_news and (target is None or magic == owner):
                await _tell(self._session, self._account, deal, found[0], remaining, self._now, target)

    async def write(self) -> None:
        """Bring every order that was touched to what its deals say."""
        for magic, found in self._before.items():
            if found is None:
                continue
            order, before = found
            share = await _whole_share(self._session, self._account.id, magic)
            if share is not None:
                _bring_up(order, share)
            if _seen(order) != before:
                _let_go(order, self._now)
                events.note_order(self._session, order.user_id, order.id, order.approval_id, order.status)
                await outbox.edit_cards(self._session, [order.approval_id], self._now)

    async def _find(self, magic: int) -> tuple[Order, tuple[object, ...]] | None:
        if magic not in self._before:
            order = await _order(self._session, self._account, magic) if magic else None
            self._before[magic] = None if order is None else (order, _seen(order))
        return self._before[magic]


def _seen(order: Order) -> tuple[object, ...]:
    return order.status, order.volume, order.fill_price, order.profit


def _bring_up(order: Order, share: Share) -> None:
    """The order as its deals have it."""
    if order.status not in EXECUTED or order.ticket is None:
        order.ticket, order.error = share.ticket, None
    order.volume, order.fill_price = share.volume, _plain(share.price)
    order.status, order.reason = OrderStatus.FILLED, None
    if share.end is not None:
        if not share.is_set_off:
            order.profit = share.result.quantize(CENT, ROUND_HALF_UP)
        if share.left == 0:
            order.status, order.reason = OrderStatus.CLOSED, _why(order, share, share.end)


def _why(order: Order, share: Share, end: DealRecord) -> str:
    """In a word of services/reasons; what an Expert Advisor closes, its owner has closed through us."""
    if end.reason != DealReason.SIGNAL:
        return end.reason
    closes_its_own = end.entry == DealEntry.OUT and shares.magic_of_order(end.magic) in (0, order.magic)
    return DealReason.CLIENT.value if closes_its_own and not share.is_set_off else "netted"


def _follow(order: Order, deal: Deal) -> None:
    """An order whose opening is not on record: only what this deal says."""
    if deal.entry == DealEntry.IN:
        order.status, order.ticket, order.volume, order.fill_price = (
            OrderStatus.FILLED, deal.ticket, deal.volume, deal.price)
        return
    order.profit = (order.profit or ZERO) + deal.profit + deal.swap + deal.commission + deal.fee
    if deal.remaining_volume == 0:
        order.status, order.reason = OrderStatus.CLOSED, deal.reason.value


def _plain(price: Decimal) -> Decimal:
    """Without the digits that averaging makes up."""
    return min(price, price.quantize(FINEST, ROUND_HALF_UP), key=lambda written: len(written.as_tuple().digits))


def _let_go(order: Order, now: datetime) -> None:
    order.lease_owner, order.lease_until, order.updated_at = None, None, now


async def _order(session: AsyncSession, account: Account, magic: int) -> Order | None:
    """The order of a magic on this account, also when it has been linked anew since."""
    same = select(Account.id).where(Account.user_id == account.user_id, Account.login == account.login,
                                    Account.server == account.server)
    found: Order | None = await session.scalar(
        select(Order).where(Order.magic == magic, Order.account_id.in_(same)).with_for_update()
        .execution_options(populate_existing=True))
    return found


async def _whole_share(session: AsyncSession, account_id: int, magic: int) -> Share | None:
    """An order's share in all its positions together; None when no deal of it is on record."""
    ids = (await session.scalars(select(DealRecord.position_id).distinct().where(
        DealRecord.account_id == account_id, DealRecord.magic.in_(shares.legs_of(magic))))).all()
    by_position: dict[int, list[DealRecord]] = {}
    for deal in await _deals(session, account_id, ids):
        by_position.setdefault(deal.position_id, []).append(deal)
    whole: Share | None = None
    for deals in by_position.values():
        share = shares.of_position(deals).get(magic)
        if share is not None:
            whole = share if whole is None else whole.with_leg(share)
    return whole


async def _deals(session: AsyncSession, account_id: int, position_ids: Sequence[int]) -> list[DealRecord]:
    """In the order of their ids; sorted here, or SQLite would walk all deals of the account."""
    return sorted(await session.scalars(
        select(DealRecord).where(DealRecord.account_id == account_id, DealRecord.position_id.in_(position_ids))),
        key=lambda deal: deal.deal_id)


async def _tell(session: AsyncSession, account: Account, deal: Deal, order: Order, remaining: Decimal,
                now: datetime, target: int | None = None) -> None:
    """Owe the user a message about what happened while they were not looking; at which ``target`` of the order."""
    chat_id = await session.scalar(select(User.telegram_id).where(User.id == order.user_id, User.blocked_at.is_(None)))
    if chat_id is not None:
        await outbox.say(session, chat_id, f"deal:{account.id}:{deal.id}", {
            "template": "deal", "symbol": deal.symbol, "side": order.side, "reason": _reason_of(deal),
            "entry": deal.entry.value, "volume": format(deal.volume, "f"), "price": format(deal.price, "f"),
            "profit": format(deal.profit + deal.swap + deal.commission + deal.fee, "f"),
            "currency": account.currency, "remaining": format(remaining, "f"), "account": account.label,
            "target": target, "targets": len(order.take_profits)}, now)


def _reason_of(deal: Deal) -> str:
    is_ours = deal.reason == DealReason.SIGNAL and deal.entry == DealEntry.OUT
    return DealReason.CLIENT.value if is_ours else deal.reason.value
