"""What JSON the MQL5 files are to take, and what they are to read there: Python's own reader, made as strict."""

import json
from typing import Any, NoReturn

MOST_BYTES, MOST_TOKENS, DEEPEST = 262_144, 4_096, 16


class Refused(Exception):
    """The text is no JSON, or more than is taken."""


class Number(str):
    """A number as it is written: what comes back has to be the same to the last digit."""


def read(raw: bytes) -> Any:
    """The value, with numbers as they are written. Refused for what the MQL5 files are to refuse."""
    if len(raw) > MOST_BYTES:
        raise Refused
    try:
        value = json.loads(raw.decode("utf-8", "strict"), object_pairs_hook=_members, parse_constant=_refuse,
                           parse_int=Number, parse_float=Number)
    except (ValueError, RecursionError) as error:
        raise Refused from error
    if _size(value, 0) > MOST_TOKENS:
        raise Refused
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Refused
    return members


def _refuse(_: str) -> NoReturn:
    raise Refused


def _size(value: Any, depth: int) -> int:
    """How many tokens it is: names count as well."""
    if isinstance(value, (dict, list)) and depth >= DEEPEST:
        raise Refused
    if isinstance(value, dict):
        return 1 + sum(_size(name, depth) + _size(member, depth + 1) for name, member in value.items())
    if isinstance(value, list):
        return 1 + sum(_size(element, depth + 1) for element in value)
    if isinstance(value, str) and any(unit == "\0" or "\ud800" <= unit <= "\udfff" for unit in value):
        raise Refused
    return 1


def is_accepted(raw: bytes) -> bool:
    try:
        read(raw)
    except Refused:
        return False
    return True
