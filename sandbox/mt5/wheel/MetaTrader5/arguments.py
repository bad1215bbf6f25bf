"""What the library checks of its arguments before the terminal hears of a call, as the real one was seen to do it.

A wrong type leaves error -2 and gives the empty answer. Whole numbers beyond the library's are another matter: it
leaves the same error, but SystemError rises from it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from .line import Broken

Check = Callable[[Any], Any]
INVALID = -2
LONGEST_SYMBOL = LONGEST_COMMENT = 29
LONGEST_PATH, LONGEST_SECRET, LONGEST_GROUP = 257, 253, 1997


class Wrong(Exception):
    """An argument the library refuses."""


class Impossible(Wrong):
    """An argument that the library refuses with SystemError; ``cause`` is what that is raised from."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


class Raises(Broken):
    """A call that leaves its error and raises SystemError besides."""

    def __init__(self, code: int, text: str, cause: Exception) -> None:
        super().__init__(code, text)
        self.cause = cause


def text(longest: int) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, str) or len(value) > longest:
            raise Wrong
        return value
    return check


def whole(bits: int, *, signed: bool = False) -> Check:
    """A whole number of so many bits; True is one."""
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def check(value: Any) -> int:
        if not isinstance(value, int):
            raise Wrong
        if not least <= value <= most:
            raise Impossible(OverflowError(f"{value} is not a number of {bits} bits"))
        return int(value)
    return check


def real(value: Any) -> float:
    """In requests a float and nothing else: 1 is refused where 1.0 is meant."""
    if type(value) is not float:
        raise Wrong
    return value


def number(value: Any) -> float:
    """In calculations whatever is a number."""
    if not isinstance(value, int | float):
        raise Impossible(TypeError(f"must be real number, not {type(value).__name__}"))
    return float(value)


def integer(value: Any) -> int:
    if not isinstance(value, int):
        raise Impossible(TypeError(f"{type(value).__name__!r} object cannot be interpreted as an integer"))
    return value


def moment(value: Any) -> int:
    """Seconds of the trade server's clock, from a datetime or a number."""
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, float):
        return int(value)
    return int(long(value))


def anything(value: Any) -> Any:
    return value


symbol = text(LONGEST_SYMBOL)
ticket = whole(64)
long = whole(32, signed=True)
REQUEST: dict[str, tuple[Check, Any]] = {
    "action": (whole(32), 0), "magic": (whole(64), 0), "order": (whole(64), 0), "symbol": (symbol, ""),
    "volume": (real, 0.0), "price": (real, 0.0), "stoplimit": (real, 0.0), "sl": (real, 0.0), "tp": (real, 0.0),
    "deviation": (whole(64), 0), "type": (whole(32), 0), "type_filling": (whole(32), 0), "type_time": (whole(32), 0),
    "expiration": (whole(64, signed=True), 0), "comment": (text(LONGEST_COMMENT), ""), "position": (whole(64), 0),
    "position_by": (whole(64), 0),
}
SIGN_IN: dict[str, Check] = {"login": whole(64), "password": text(LONGEST_SECRET), "server": text(LONGEST_SECRET),
                             "timeout": whole(32)}


def request(given: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """A trade request as the library passes it on: what is not given is zero, what it does not know is dropped.

    Arguments with names are the request itself.
    """
    if given and named:
        raise Broken(INVALID, "Unnamed arguments not allowed")
    if len(given) != 1 and not named:
        raise Broken(INVALID, "Invalid number of arguments")
    fields = given[0] if given else named
    if not isinstance(fields, dict):
        raise Broken(INVALID, "Invalid arguments")
    known = _named(fields, {name: check for name, (check, _) in REQUEST.items()})
    return {name: known.get(name, empty) for name, (_, empty) in REQUEST.items()}


def placed(given: tuple[Any, ...], *checks: Check, optional: int = 0) -> list[Any]:
    """Arguments by their place."""
    if not len(checks) - optional <= len(given) <= len(checks):
        raise Broken(INVALID, "Invalid arguments")
    return [_checked("Invalid arguments", check, value) for check, value in zip(checks, given, strict=False)]


def selected(given: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """Which of the orders or positions."""
    if given:
        raise Broken(INVALID, "Unnamed arguments not allowed")
    return _first(named, {"ticket": ticket, "symbol": symbol, "group": text(LONGEST_GROUP)})


def past(given: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """Which part of the history: between two moments, or of one ticket or position."""
    if not given and {"ticket", "position"} & set(named):
        return _first(named, {"ticket": ticket, "position": ticket})
    if len(given) == 1 and named:
        raise Broken(INVALID, "Unnamed arguments not allowed")
    span = dict(zip(("date_from", "date_to"), placed(given, moment, moment), strict=True))
    return span | _named(named, {"group": text(LONGEST_GROUP)})


def starting(given: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """Where the terminal is and who signs in there."""
    path = {"path": text(LONGEST_PATH)}
    return _unnamed(given, path) | _named(named, path | {"portable": anything} | SIGN_IN)


def signing_in(given: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """Who signs in."""
    known = _unnamed(given, {name: SIGN_IN[name] for name in ("login", "password", "server")}) | _named(named, SIGN_IN)
    if not known.get("login"):
        raise Broken(INVALID, 'Invalid "login" argument')
    return known


def group(given: tuple[Any, ...], named: Mapping[str, Any]) -> str:
    """Which symbols."""
    check = {"group": text(LONGEST_GROUP)}
    return str((_unnamed(given, check) | _named(named, check)).get("group", ""))


def _unnamed(given: tuple[Any, ...], checks: Mapping[str, Check]) -> dict[str, Any]:
    if len(given) > len(checks):
        raise Broken(INVALID, "Invalid number of arguments")
    return {name: _checked(f"Invalid {place} unnamed argument", check, value)
            for place, (name, check), value in zip(("1st", "2nd", "3rd"), checks.items(), given, strict=False)}


def _first(given: Mapping[str, Any], checks: Mapping[str, Check]) -> dict[str, Any]:
    """The first of these that is given; the library does not look at the others."""
    chosen = next((name for name in checks if name in given), None)
    return {} if chosen is None else _named(given, {chosen: checks[chosen]})


def _named(given: Mapping[str, Any], checks: Mapping[str, Check]) -> dict[str, Any]:
    """The arguments that are known, in the library's order; it does not look at others."""
    return {name: _checked(f'Invalid "{name}" argument', check, given[name])
            for name, check in checks.items() if name in given}


def _checked(complaint: str, check: Check, value: Any) -> Any:
    try:
        return check(value)
    except Impossible as impossible:
        raise Raises(INVALID, complaint, impossible.cause) from impossible
    except Wrong as wrong:
        raise Broken(INVALID, complaint) from wrong
