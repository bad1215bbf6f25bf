"""What desk and device say to each other, as values. What cannot be read is not guessed at."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from terminal.protocol import OrderType, Side

_FIGURE = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,30})?")
MOST_MAGIC = 2**53
LONGEST_COMMENT, LONGEST_NAME, LONGEST_WORDS = 29, 64, 256
MOST_TARGETS = 10
SOONEST, LATEST = 1, 60


class Unreadable(ValueError):
    """A message that is not what it should be."""


@dataclass(frozen=True, slots=True)
class EaOrder:
    """An order as the desk offers it.

    ``risk`` is the most it may lose at its stop, in the account's currency. ``began_at`` is set when it has been begun
    before: then it is looked for and never sent. ``login`` and ``server`` are None where an older desk does not say.
    """

    order_id: str
    seq: int
    magic: int
    symbol: str
    side: Side
    order_type: OrderType
    volume: Decimal
    entry_price: Decimal | None
    stop_loss: Decimal | None
    take_profits: tuple[Decimal, ...]
    max_deviation_points: int
    comment: str
    expires_at: datetime
    risk: Decimal | None = None
    began_at: datetime | None = None
    login: str | None = None
    server: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """The answer to a poll. ``wanted`` are symbols the desk would like to be told of, ``wants_all`` the whole list."""

    orders: Sequence[EaOrder] = ()
    unreadable: Sequence[str] = ()
    next_poll_seconds: int | None = None
    wanted: Sequence[str] = ()
    wants_all: bool = False


def offer(value: Any) -> Offer:
    """Read the answer to a poll; Unreadable when it is none. An order that cannot be read is left out and named."""
    if value is None:
        return Offer()
    if not isinstance(value, dict) or not isinstance(value.get("orders"), list):
        raise Unreadable("not an offer")
    orders, unreadable = [], []
    for row in value["orders"]:
        try:
            orders.append(order(row))
        except Unreadable as error:
            unreadable.append(f"{row.get('order_id') if isinstance(row, dict) else None!s:.20}: {error}")
    wanted = value.get("wanted")
    wanted = wanted if isinstance(wanted, dict) else {}
    names = wanted.get("symbols")
    names = names if isinstance(names, list) else []
    return Offer(orders, unreadable, _poll_seconds(value.get("next_poll_seconds")),
                 [name for name in names if isinstance(name, str) and 0 < len(name) <= LONGEST_NAME],
                 wanted.get("all") is True)


def order(value: Any) -> EaOrder:
    """Read one order; Unreadable."""
    if not isinstance(value, dict):
        raise Unreadable("not an order")
    targets = value.get("take_profits")
    if not isinstance(targets, list) or len(targets) > MOST_TARGETS:
        raise Unreadable("take_profits")
    made = EaOrder(
        order_id=_text(value, "order_id", 20), seq=_whole(value, "seq", 2**63),
        magic=_whole(value, "magic", MOST_MAGIC), symbol=_text(value, "symbol", LONGEST_NAME),
        side=_one_of(Side, value, "side"),
        order_type=_one_of(OrderType, value, "order_type"), volume=_figure(value.get("volume"), "volume"),
        entry_price=_maybe_figure(value, "entry_price"), stop_loss=_maybe_figure(value, "stop_loss"),
        take_profits=tuple(_figure(target, "take_profits") for target in targets),
        max_deviation_points=_whole(value, "max_deviation_points", 2**31),
        comment=_text(value, "comment", LONGEST_COMMENT), expires_at=_instant(value.get("expires_at"), "expires_at"),
        risk=_maybe_figure(value, "risk"),
        began_at=None if value.get("began_at") is None else _instant(value["began_at"], "began_at"),
        login=_maybe_text(value, "login"), server=_maybe_text(value, "server"))
    _check(made)
    return made


def _check(made: EaOrder) -> None:
    if made.volume <= 0 or made.magic <= 0:
        raise Unreadable("volume or magic")
    if made.order_type != OrderType.MARKET and made.entry_price is None:
        raise Unreadable("a waiting order without its price")
    levels = [made.entry_price, made.stop_loss, *made.take_profits]
    if any(level is not None and level <= 0 for level in levels) or (made.risk is not None and made.risk < 0):
        raise Unreadable("a level below 0")


@dataclass(frozen=True, slots=True)
class Ack:
    """What became of an order. ``error`` is for people, or one of the desk's codes."""

    order_id: str
    status: str
    ticket: int | None = None
    price: Decimal | None = None
    volume: Decimal | None = None
    retcode: int | None = None
    error: str | None = None
    profit: Decimal | None = None
    reason: str | None = None

    def body(self) -> dict[str, Any]:
        """As the desk is told; what is not known is left out."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        fields["error"] = self.error and self.error[:LONGEST_WORDS]
        return {name: format(value, "f") if isinstance(value, Decimal) else value
                for name, value in fields.items() if value is not None}


def instant_of(value: Any) -> datetime:
    """An instant with its zone; Unreadable."""
    return _instant(value, "expires_at")


def _poll_seconds(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return min(max(value, SOONEST), LATEST)


def _text(value: Mapping[str, Any], name: str, longest: int) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not 0 < len(text) <= longest or not text.isprintable():
        raise Unreadable(name)
    return text


def _maybe_text(value: Mapping[str, Any], name: str) -> str | None:
    return None if value.get(name) is None else _text(value, name, LONGEST_NAME)


def _whole(value: Mapping[str, Any], name: str, below: int) -> int:
    number = value.get(name)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < below:
        raise Unreadable(name)
    return number


def _one_of(kind: Any, value: Mapping[str, Any], name: str) -> Any:
    try:
        return kind(value.get(name))
    except ValueError as error:
        raise Unreadable(name) from error


def _figure(value: Any, name: str) -> Decimal:
    if not isinstance(value, str) or not _FIGURE.fullmatch(value):
        raise Unreadable(name)
    return Decimal(value)


def _maybe_figure(value: Mapping[str, Any], name: str) -> Decimal | None:
    return None if value.get(name) is None else _figure(value[name], name)


def _instant(value: Any, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise Unreadable(name) from error
    if moment.tzinfo is None:
        raise Unreadable(name)
    return moment
