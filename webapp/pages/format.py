"""Numbers as a trader writes them: Decimal in, text out; a figure that is not known is a dash, never ``None``."""

import re
from decimal import ROUND_HALF_UP, Decimal

SPACE = "\u202f"    # narrow no-break space between thousands: a figure never breaks over two lines
MINUS = "\u2212"    # as wide as the plus, unlike the hyphen
DASH = "\u2013"
_UNSEEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_NO_CENTS = {"JPY", "KRW", "VND", "CLP", "ISK", "HUF"}


def price(value: Decimal | None, digits: int | None) -> str:
    """A price with its symbol's digits; as it was written when they are not known."""
    if value is None or not value.is_finite():
        return DASH
    return _grouped(_rounded(value, digits) if digits is not None else _as_written(value))


def distance(value: Decimal | None, digits: int | None) -> str:
    """The way from one price to another, with its sign."""
    if value is None or not value.is_finite():
        return DASH
    return _signed(_rounded(value, digits) if digits is not None else _as_written(value))


def money(value: Decimal | None, currency: str, *, signed: bool = False) -> str:
    """An amount with its currency; ``signed`` also writes the plus of a gain."""
    if value is None or not value.is_finite():
        return DASH
    rounded = _rounded(value, _cents(currency))
    return f"{_signed(rounded) if signed else _grouped(rounded)}\u00a0{currency}"


def volume(lots: Decimal | None) -> str:
    """Lots, at least two digits after the point."""
    if lots is None or not lots.is_finite():
        return DASH
    written = _as_written(lots)
    return _grouped(written if places(written) >= 2 else _rounded(lots, 2))


def percent(value: Decimal | None, *, signed: bool = False, digits: int = 2) -> str:
    """A share in percent."""
    if value is None or not value.is_finite():
        return DASH
    rounded = _rounded(value, digits)
    return f"{_signed(rounded) if signed else _grouped(rounded)}\u00a0%"


def points(value: Decimal | None) -> str:
    """Whole points with their sign."""
    if value is None or not value.is_finite():
        return DASH
    return f"{_signed(_rounded(value, 0))}\u00a0pts"


def multiple(value: Decimal | None) -> str:
    """Reward per unit of risk: ``2.0 R``."""
    if value is None or not value.is_finite():
        return DASH
    return f"{_grouped(_rounded(value, 1))}\u00a0R"


def plain(text: str) -> str:
    """Somebody's own text without characters that are not seen but turn round what is: a figure must read one way."""
    return _UNSEEN.sub("", text)


def sign(value: Decimal | None) -> str:
    """``gain``, ``loss`` or ``even``: which colour and arrow a result wears."""
    if value is None or not value.is_finite() or value == 0:
        return "even"
    return "gain" if value > 0 else "loss"


def _cents(currency: str) -> int:
    return 0 if currency in _NO_CENTS else 2


def _rounded(value: Decimal, digits: int) -> Decimal:
    rounded = value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return abs(rounded) if rounded == 0 else rounded


def _as_written(value: Decimal) -> Decimal:
    """Without the zeros at the end that say nothing."""
    plain = format(value, "f")
    return Decimal(plain.rstrip("0").rstrip(".") if "." in plain else plain)


def places(value: Decimal) -> int:
    """How many digits a number was written with after the point."""
    exponent = value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0


def _grouped(value: Decimal) -> str:
    return format(value, ",f").replace(",", SPACE).replace("-", MINUS)


def _signed(value: Decimal) -> str:
    return f"+{_grouped(value)}" if value > 0 else _grouped(value)
