"""JSON without its traps: no duplicate keys, no NaN, no bombs, decimals kept exact.

The standard parser accepts all of these; what a signature or a terms hash covers must have one reading only.
"""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

MAX_DEPTH = 32
_BIG = 2**63
_LONGEST_NUMBER = 40
_UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# Possessive, and it takes a string without an end as well: a search that could fail after a quote would begin
# again at every escaped one, and a body of 256 KiB would hold the process for minutes.
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.?)*+"?', re.DOTALL)


class InvalidJson(ValueError):
    """The bytes are not JSON as we accept it."""


def loads(raw: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Parse UTF-8 JSON; numbers with a fraction become Decimal. InvalidJson for every fault."""
    _check_depth(raw, max_depth)
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_object, parse_float=_decimal, parse_int=_integer,
                           parse_constant=_refuse)
    except InvalidJson:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidJson("not JSON") from error
    if b"\\u" in raw:  # written out, the parser takes neither
        _check_text(value)
    return value


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON; decimals as plain strings, instants as RFC 3339 with ``Z``."""
    return json.dumps(value, default=_plain, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def instant(value: datetime) -> str:
    """RFC 3339 in UTC, milliseconds, with ``Z``; ValueError for a naive value."""
    if value.tzinfo is None:
        raise ValueError("an instant must be timezone-aware")
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return instant(value)
    raise TypeError(type(value).__name__)


def _check_depth(raw: bytes, most: int) -> None:
    """Count brackets outside strings, before any parser recurses into them."""
    depth = 0
    for byte in _STRINGS.sub(b"", raw).translate(None, _NO_BRACKETS):
        if byte in b"[{":
            depth += 1
            if depth > most:
                raise InvalidJson("nested too deep")
        elif byte in b"]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidJson("duplicate key")
    return found


def _decimal(text: str) -> Decimal:
    if len(text) > _LONGEST_NUMBER:
        raise InvalidJson("number out of range")
    try:
        number = Decimal(text)
    except InvalidOperation as error:  # an exponent beyond what Decimal can hold
        raise InvalidJson("number out of range") from error
    if abs(number.adjusted()) > 300:
        raise InvalidJson("number out of range")
    return number


def _integer(text: str) -> int:
    if len(text) > 20 or not -_BIG <= int(text) < _BIG:
        raise InvalidJson("number out of range")
    return int(text)


def _refuse(text: str) -> NoReturn:
    raise InvalidJson(f"{text} is not JSON")


def _check_text(value: Any) -> None:
    """No NUL and no lone surrogate in any key or string: neither database nor Telegram could keep them."""
    if isinstance(value, str):
        if _UNKEEPABLE.search(value):
            raise InvalidJson("character not allowed")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_text(key)
            _check_text(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_text(inner)
