"""Open positions as cards, and what can be done with each: in words, with the figures as they stand."""

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from models.account import Account, AccountStatus, Route
from models.position import ActKind, ActStatus, PositionAct
from services import sizing
from services.positions import Portfolio
from terminal.protocol import Gateway, Position, Side, SymbolSpec
from webapp.pages import format

HALF_STEP = Decimal("0.01")
NOT_BY_US = {
    Route.DEVICE: "Your EA only reports this account to the desk. Close or change positions in your terminal.",
}


@dataclass(frozen=True, slots=True)
class Act:
    """One button. ``message`` is what is agreed to, ``body`` the JSON that is sent then."""

    kind: str
    label: str
    title: str
    message: str
    yes: str
    doing: str
    body: str
    look: str
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """One open position. ``under_way`` is said while something is being done with it."""

    ticket: int
    symbol: str
    side: str
    volume: str
    entry: str
    current: str
    stop: str | None
    stop_distance: str | None
    target: str | None
    target_distance: str | None
    profit: str
    points: str
    sign: str
    swap: str | None
    opened_at: datetime
    under_way: str | None
    acts: tuple[Act, ...]

    @property
    def refusals(self) -> list[str]:
        """Why buttons are off, each reason once."""
        return list(dict.fromkeys(act.refusal for act in self.acts if act.refusal))


def barred(account: Account, gateway: Gateway | None) -> str | None:
    """Why nothing can be done with the positions of this account; None when it can."""
    if account.status != AccountStatus.VERIFIED:
        return "The link to this account is broken. Mend it on the Accounts page first."
    if gateway is None or not gateway.executes:
        return NOT_BY_US.get(Route(account.route), "Close or change positions of this account in your terminal.")
    if not account.can_trade:
        return "This link can only watch. To trade, unlink the account and link it with its main password."
    return None


def row(position: Position, portfolio: Portfolio, why_not: str | None, act: PositionAct | None,
        spec: SymbolSpec | None) -> Row:
    """A position as its card; ``act`` is what is being done with it."""
    digits, currency = portfolio.digits.get(position.symbol), portfolio.snapshot.currency
    return Row(
        ticket=position.ticket, symbol=position.symbol, side=position.side.value,
        volume=format.volume(position.volume), entry=format.price(position.entry_price, digits),
        current=format.price(position.current_price, digits),
        stop=_level(position.stop_loss, digits), stop_distance=_away(position.stop_loss, position, digits),
        target=_level(position.take_profit, digits), target_distance=_away(position.take_profit, position, digits),
        profit=format.money(position.profit, currency, signed=True), points=format.points(position.profit_points),
        sign=format.sign(position.profit),
        swap=format.money(position.swap, currency, signed=True) if position.swap else None,
        opened_at=position.opened_at, under_way=under_way(act) if act else None,
        acts=(_close(position, currency, why_not), _half(position, currency, spec, why_not),
              _protect(position, digits, why_not)))


def under_way(act: PositionAct) -> str:
    """What is being done, while it is."""
    if act.status == ActStatus.UNKNOWN:
        return "Asking the broker what became of it. Nothing is sent twice."
    if act.kind == ActKind.MODIFY:
        return "Moving the stop…"
    return f"Closing {format.volume(act.volume or act.position_volume)} lots…"


def _close(position: Position, currency: str, why_not: str | None) -> Act:
    lots = format.volume(position.volume)
    result = format.money(position.profit + position.swap, currency, signed=True)
    return Act(
        "close", "Close", f"Close {position.symbol}?",
        f"{_words(position.side)} {lots} lots are closed at the market now. At the present price the result is about "
        f"{result}. This cannot be undone.",
        f"Close {lots} lots", f"Closing {lots} lots…", "{}", "reject", why_not)


def _half(position: Position, currency: str, spec: SymbolSpec | None, why_not: str | None) -> Act:
    half, refusal = _halved(position.volume, spec)
    lots, rest = format.volume(half), format.volume(position.volume - half)
    result = format.money((position.profit + position.swap) * half / position.volume, currency, signed=True)
    return Act(
        "half", "Close half", f"Close half of {position.symbol}?",
        f"{lots} of {format.volume(position.volume)} lots are closed at the market now, about {result}. "
        f"{rest} lots stay open with their stop and target.",
        f"Close {lots} lots", f"Closing {lots} lots…", json.dumps({"volume": str(half)}), "plain", why_not or refusal)


def _halved(volume: Decimal, spec: SymbolSpec | None) -> tuple[Decimal, str | None]:
    """Half in whole steps, and why that cannot be closed."""
    half = sizing.floor(volume / 2, spec.volume_step if spec else HALF_STEP)
    least = spec.volume_min if spec else HALF_STEP
    if half < least or volume - half < least:
        return half, f"{format.volume(volume)} lots cannot be halved: the broker's smallest volume is " \
                     f"{format.volume(least)}."
    return half, None


def _protect(position: Position, digits: int | None, why_not: str | None) -> Act:
    entry = format.price(position.entry_price, digits)
    start = f"moves from {format.price(position.stop_loss, digits)} to" if position.stop_loss else "is set to"
    return Act(
        "protect", "Stop to entry", f"Stop of {position.symbol} to entry?",
        f"The stop {start} {entry}, where this position was opened. If the price comes back there, it closes at "
        "about zero, costs aside.",
        "Move the stop", "Moving the stop…", json.dumps({"stop_loss": str(position.entry_price)}), "plain",
        why_not or _cannot_protect(position))


def _cannot_protect(position: Position) -> str | None:
    """A stop must lie behind the price, and moving it to the entry must not give up a better one."""
    ahead = 1 if position.side == Side.BUY else -1
    if position.stop_loss is not None and (position.stop_loss - position.entry_price) * ahead >= 0:
        return "The stop is at the entry or better already."
    if (position.current_price - position.entry_price) * ahead <= 0:
        return "The stop can move to the entry once the position is in profit."
    return None


def _words(side: Side) -> str:
    return "Bought" if side == Side.BUY else "Sold"


def _level(price: Decimal | None, digits: int | None) -> str | None:
    return format.price(price, digits) if price else None


def _away(price: Decimal | None, position: Position, digits: int | None) -> str | None:
    return format.distance(price - position.current_price, digits) if price else None

