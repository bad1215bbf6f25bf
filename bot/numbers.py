"""Numbers as a trader writes them: the symbol's digits, thousands apart, minus as a minus."""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

GAP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
MOST_DIGITS = 10


def price(value: Decimal, digits: int | None) -> str:
    """A price with the symbol's digits; as it was written when they are not known."""
    return _grouped(value if digits is None else rounded(value, digits))


def rounded(value: Decimal, digits: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-min(digits, MOST_DIGITS)), ROUND_HALF_UP)


def signed(value: Decimal, digits: int | None) -> str:
    """With its sign, also the plus."""
    shown = value if digits is None else rounded(value, digits)
    return f"+{price(shown, digits)}" if shown > 0 else price(shown, digits)


def money(value: Decimal, currency: str) -> str:
    """Money of an account, two digits."""
    return f"{price(value, 2)}{GAP}{currency}"


def signed_money(value: Decimal, currency: str) -> str:
    return f"{signed(value, 2)}{GAP}{currency}"


def lots(value: Decimal) -> str:
    """A volume, at least two digits."""
    text = format(value.normalize(), "f")
    return text if "." in text and len(text.split(".")[1]) >= 2 else format(rounded(value, 2), "f")


def clock(instant: datetime) -> str:
    """The time of day; a chat message cannot know its reader's zone, so it names its own."""
    return f"{instant:%H:%M}{GAP}UTC"


def clock_to_second(instant: datetime) -> str:
    """The time of day of figures that are looked at again and again."""
    return f"{instant:%H:%M:%S}{GAP}UTC"


def day(at: datetime | None, now: datetime) -> str:
    """A day, with its year when that is another one."""
    if at is None:
        return "soon"
    return f"{at.day} {at:%b}" + (f" {at.year}" if at.year != now.year else "")


def span(left: timedelta) -> str:
    """How long is left, in the largest sensible unit."""
    seconds = max(0, int(left.total_seconds()))
    if seconds < 90:
        return f"{seconds}{GAP}s"
    minutes = round(seconds / 60)
    return f"{minutes}{GAP}min" if minutes < 120 else f"{round(minutes / 60)}{GAP}h"


def _grouped(value: Decimal) -> str:
    whole, point, fraction = format(abs(value), "f").partition(".")
    groups = f"{int(whole):,}".replace(",", GAP)
    return f"{MINUS if value < 0 else ''}{groups}{point}{fraction}"
