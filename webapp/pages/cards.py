"""What a card shows: every figure written out, nothing left for the template to work out."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from models.account import Account, Route
from models.order import Order, OrderStatus
from services import terms
from services.approvals import ApprovalView
from services.cards import Outlook
from services.sizing import SizingRules, sizing_of
from services.tiers import Tier
from terminal.protocol import Side
from webapp.pages import format, words


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    price: str
    reward: str | None


@dataclass(frozen=True, slots=True)
class Card:
    """A signal that waits for an answer. ``moved`` is where the price stands against the entry: up, down or ''."""

    id: int
    terms_hash: str
    version: int
    symbol: str
    side: str
    order_type: str
    entry: str
    current: str | None
    moved: str
    stop: str | None
    stop_distance: str | None
    has_risk: bool
    targets: tuple[Target, ...]
    volume: str | None
    is_estimate: bool
    account: str | None
    loss: str | None
    warning: str | None
    can_approve: bool
    provider: str
    note: str | None
    why: str
    published_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """A signal that has been answered or is over. ``outcome`` is one sentence, ``tone`` gain, loss, even or warn."""

    id: int
    symbol: str
    side: str
    status: str
    mark: str
    answered: str
    at: datetime
    outcome: str | None
    tone: str
    result: str | None
    ticket: int | None
    provider: str
    is_settled: bool


def card(view: ApprovalView, seen: Outlook, tier: Tier, rules: SizingRules) -> Card:
    """The card of a pending approval."""
    levels, digits = view.levels, seen.digits
    start = terms.entry_edge(levels) or seen.current_price
    stop = levels.stop_loss
    risk = _risk(view, start)
    return Card(
        id=view.id, terms_hash=view.terms_hash, version=view.version, symbol=levels.symbol, side=levels.side,
        order_type=levels.order_type, entry=_entry(view, digits),
        current=format.price(seen.current_price, digits) if seen.current_price is not None else None,
        moved=_moved(terms.entry_edge(levels), seen.current_price),
        stop=format.price(stop, digits) if stop is not None else None,
        stop_distance=format.distance(stop - start, digits) if stop is not None and start is not None else None,
        has_risk=risk is not None, targets=_targets(levels.take_profits, start, risk, digits),
        volume=format.volume(seen.volume) if seen.volume is not None else None, is_estimate=seen.is_estimate,
        account=_account(seen.account) if seen.account else None,
        loss=format.money(seen.loss, seen.account.currency, signed=True)
        if seen.loss is not None and seen.account else None,
        warning=_warning(seen, tier), can_approve=seen.account is not None and not _tier_too_low(seen, tier),
        provider=view.provider_name, note=levels.note, why=_why(seen, rules), published_at=view.published_at,
        expires_at=view.expires_at)


def _entry(view: ApprovalView, digits: int | None) -> str:
    levels = view.levels
    if levels.entry_range:
        low, high = levels.entry_range
        return f"{format.price(low, digits)}{format.DASH}{format.price(high, digits)}"
    return format.price(levels.entry_price, digits) if levels.entry_price is not None else "at market"


def _risk(view: ApprovalView, start: Decimal | None) -> Decimal | None:
    """The way to the stop; None without a stop, or when the price is already past it."""
    stop = view.levels.stop_loss
    if start is None or stop is None:
        return None
    way = start - stop if view.levels.side == Side.BUY else stop - start
    return way if way > 0 else None


def _moved(entry: Decimal | None, current: Decimal | None) -> str:
    if entry is None or current is None or entry == current:
        return ""
    return "up" if current > entry else "down"


def _targets(prices: tuple[Decimal, ...], start: Decimal | None, risk: Decimal | None,
             digits: int | None) -> tuple[Target, ...]:
    found = []
    for number, target in enumerate(prices, 1):
        reward = format.multiple(abs(target - start) / risk) if start is not None and risk else None
        found.append(Target(f"TP {number}", format.price(target, digits), reward))
    return tuple(found)


def _account(account: Account) -> str:
    if account.route == Route.PAPER:
        return account.label
    return f"{account.label} ·{account.login[-4:]}"


def _tier_too_low(seen: Outlook, tier: Tier) -> bool:
    return seen.account is not None and seen.account.route != Route.PAPER and not tier.live


def _warning(seen: Outlook, tier: Tier) -> str | None:
    if _tier_too_low(seen, tier):
        return "Your plan covers the paper account only, so the order would be refused."
    if seen.refusal:
        return words.OUTLOOK.get(seen.refusal, "The order would be refused right now.")
    if seen.account is not None and seen.volume is None:
        if seen.account.route == Route.DEVICE:
            return "The volume is worked out when your device tells the price."
        return "Your terminal does not answer. The order will wait for it for a short while."
    return None


def _why(seen: Outlook, rules: SizingRules) -> str:
    """Where the volume comes from."""
    if seen.account is None:
        return "Without an account there is no volume to work out."
    sizing = sizing_of(seen.account.sizing, rules)
    if sizing["mode"] == "fixed":
        return f"You trade a fixed {sizing['volume']} lots on {_account(seen.account)}."
    if seen.volume is not None and seen.loss is None:
        return (f"Without a stop the risk cannot be measured, so the volume is {format.volume(seen.volume)} lots.")
    return (f"You risk {sizing['value']} % of your equity on {_account(seen.account)} between entry and stop. "
            "The volume follows from it, rounded down.")


_SETTLED = {OrderStatus.PLACED, OrderStatus.FILLED, OrderStatus.REJECTED, OrderStatus.FAILED, OrderStatus.UNKNOWN,
            OrderStatus.EXPIRED, OrderStatus.CLOSED}
_MARKS = {"approved": "✓", "rejected": "✕", "expired": "⏱", "withdrawn": "↩"}


def decision(view: ApprovalView, digits: int | None) -> Decision:
    """The row of an approval that is over."""
    order = view.order
    answered = words.STATUS.get(view.status, "Over")
    if view.decided_via in words.DOOR and view.status in ("approved", "rejected"):
        answered += f" {words.DOOR[view.decided_via]}"
    outcome, tone = _outcome(order, digits) if order else (None, "even")
    result = order.profit if order else None
    return Decision(
        id=view.id, symbol=view.levels.symbol, side=view.levels.side, status=view.status,
        mark="!" if tone == "warn" else _MARKS.get(view.status, "·"), answered=answered,
        at=view.decided_at or view.expires_at,
        outcome=outcome, tone=format.sign(result) if result is not None else tone,
        result=format.money(result, view.account.currency, signed=True)
        if result is not None and view.account else None,
        ticket=order.ticket if order else None, provider=view.provider_name,
        is_settled=order is None or order.status in _SETTLED)


def _outcome(order: Order, digits: int | None) -> tuple[str, str]:
    """What became of the order, in one sentence, and its tone."""
    volume, price = format.volume(order.volume), format.price(order.fill_price, digits)
    match order.status:
        case OrderStatus.QUEUED | OrderStatus.LEASED | OrderStatus.SENT:
            return "Sending the order", "even"
        case OrderStatus.PLACED:
            at = f" @ {format.price(order.entry_price, digits)}" if order.entry_price is not None else ""
            return f"{order.order_type.capitalize()} order {volume}{at} waits", "even"
        case OrderStatus.FILLED:
            return f"Filled {volume} @ {price}", "even"
        case OrderStatus.CLOSED:
            return f"Closed: {words.reason(order.reason)}", "even"
        case OrderStatus.UNKNOWN:
            return "Asking the broker what became of the order. It will not be sent twice.", "warn"
        case _:
            return f"Not traded: {words.reason(order.reason, order.error)}", "warn"
