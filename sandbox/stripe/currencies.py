"""How many decimals an amount of a currency has at Stripe, which amounts it refuses, and what a price is in each."""

from fractions import Fraction
from typing import Any

from sandbox.stripe.errors import invalid

ZERO = frozenset({
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf",
})
THREE = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
WHOLE_ONLY = frozenset({"isk", "ugx"})
"""Two decimals in the API, always zero."""
TWO = frozenset({
    "aed", "all", "amd", "ars", "aud", "azn", "bam", "bbd", "bdt", "bgn", "bmd", "bnd", "bob", "brl", "bsd", "bwp",
    "bzd", "cad", "cdf", "chf", "cny", "cop", "crc", "czk", "dkk", "dop", "dzd", "egp", "etb", "eur", "fjd", "gbp",
    "gel", "ghs", "gip", "gmd", "gtq", "gyd", "hkd", "hnl", "htg", "huf", "idr", "ils", "inr", "isk", "jmd", "kes",
    "kgs", "khr", "kyd", "kzt", "lak", "lkr", "mad", "mdl", "mkd", "mmk", "mop", "mur", "mvr", "mxn", "myr", "mzn",
    "nad", "ngn", "nio", "nok", "npr", "nzd", "pab", "pen", "pgk", "php", "pkr", "pln", "qar", "ron", "rsd", "rub",
    "sar", "scr", "sek", "sgd", "srd", "szl", "thb", "top", "try", "ttd", "twd", "tzs", "uah", "ugx", "usd", "uyu",
    "uzs", "wst", "xcd", "yer", "zar", "zmw",
})


def known(currency: str, name: str = "currency") -> str:
    """The code in lower case. Telegram's XTR, for one, is not Stripe's."""
    code = currency.lower()
    if code not in ZERO | TWO | THREE:
        raise invalid(f"Invalid currency: {code}. Stripe currently supports these currencies: "
                      f"{', '.join(sorted(ZERO | TWO | THREE))}", name)
    return code


def check_amount(amount: int, currency: str, name: str) -> None:
    if currency in THREE and amount % 10:
        raise invalid(f"Invalid amount: in {currency} the last digit must be 0.", name, "parameter_invalid_integer")
    if currency in WHOLE_ONLY and amount % 100:
        raise invalid(f"Invalid amount: in {currency} amounts must be multiples of 100.", name,
                      "parameter_invalid_integer")


def nearest(amount: Fraction | int, currency: str) -> int:
    """The nearest amount that can be charged: prorations and discounts do not come out even."""
    step = 10 if currency in THREE else 100 if currency in WHOLE_ONLY else 1
    return round(Fraction(amount) / step) * step


def unit_amount(price: dict[str, Any], currency: str) -> int:
    """What one unit costs in this currency: the price's own, or one it has an amount of its own for."""
    if currency == price["currency"]:
        return int(price["unit_amount"])
    return int(price["_options"][currency])


def offered(price: dict[str, Any]) -> set[str]:
    """The currencies a price can be paid in."""
    return {price["currency"], *price.get("_options", {})}


def display(amount: int, currency: str) -> str:
    """The amount as people read it, with the currency's code."""
    digits = 0 if currency in ZERO else 3 if currency in THREE else 2
    sign, text = "-" if amount < 0 else "", str(abs(amount)).rjust(digits + 1, "0")
    shown = f"{int(text[:-digits]):,}.{text[-digits:]}" if digits else f"{int(text):,}"
    return f"{sign}{shown} {currency.upper()}"
