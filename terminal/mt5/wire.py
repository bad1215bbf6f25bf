"""The protocol's values as JSON and back: decimals as strings, instants in ISO 8601 with their zone."""

from dataclasses import fields
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def plain(value: Any) -> Any:
    """A value of the protocol as JSON has it."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return value


def revive(kind: type[T], value: Any) -> T:
    """The dataclass ``kind`` from what ``plain`` made of it; ValueError when that is not what this is."""
    if not isinstance(value, dict):
        raise ValueError(f"not a {kind.__name__}")
    described: Any = kind
    hints = _hints(described)
    try:
        return kind(**{name: _revived(hints[name], item) for name, item in value.items()})
    except (KeyError, TypeError, InvalidOperation) as error:
        raise ValueError(f"not a {kind.__name__}: {error}") from error


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _revived(hint: Any, value: Any) -> Any:
    if get_origin(hint) is UnionType:
        if value is None:
            return None
        hint = next(arm for arm in get_args(hint) if arm is not NoneType)
    if get_origin(hint) is tuple:
        return tuple(_revived(get_args(hint)[0], item) for item in value)
    if hasattr(hint, "__dataclass_fields__"):
        return revive(hint, value)
    if hint is Decimal:
        number = Decimal(value) if isinstance(value, str) else Decimal("NaN")
        if not number.is_finite():
            raise ValueError("not a decimal")
        return number
    if hint is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("an instant without its zone")
        return moment
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(value)
    if hint is bool and not isinstance(value, bool):
        raise ValueError("not a yes or no")
    if hint is int and (isinstance(value, bool) or not isinstance(value, int)):
        raise ValueError("not a whole number")
    if hint is str and not isinstance(value, str):
        raise ValueError("not a text")
    return value
