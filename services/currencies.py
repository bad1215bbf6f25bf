"""Amounts of payment providers as people write them. Both doors write money through here.

Exponents: ISO 4217, with the exceptions of https://docs.stripe.com/currencies. XTR is Telegram Stars
(https://core.telegram.org/bots/payments-stars), which have no parts.
"""

import re

NO_DIGITS = frozenset({"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF",
                       "XPF", "XTR"})
THREE_DIGITS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
# These have no minor unit in use, though their amounts are told with two digits.
ONLY_WHOLE = frozenset({"ISK", "UGX"})
STARS = "XTR"
THIN = "\N{NARROW NO-BREAK SPACE}"
GAP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
_AMOUNT = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,3}))?")


def digits(currency: str) -> int:
    """Digits after the point in an amount of minor units."""
    code = currency.upper()
    return 0 if code in NO_DIGITS else 3 if code in THREE_DIGITS else 2


def read(text: str, currency: str) -> int | None:
    """Minor units of an amount as people type it (``12``, ``12.50``); None when it is none in this currency."""
    code, places = currency.upper(), digits(currency)
    found = _AMOUNT.fullmatch(text)
    if found is None or len(found[2] or "") > (0 if code in ONLY_WHOLE else places):
        return None
    return int(str(found[1]) + str(found[2] or "").ljust(places, "0"))


def written(amount_minor: int, currency: str) -> str:
    """An amount with its currency: ``1 234.50 USD``, ``1 500 ⭐``; it never breaks over two lines."""
    code, places = currency.upper(), digits(currency)
    whole, part = divmod(abs(amount_minor), 10 ** places)
    fraction = f".{part:0{places}}" if places and code not in ONLY_WHOLE else ""
    grouped = f"{whole:,}".replace(",", THIN)
    sign = MINUS if amount_minor < 0 else ""
    return f"{sign}{grouped}{fraction}{GAP}{'⭐' if code == STARS else code}"
