"""What parameters may look like: a shape reads a decoded value or refuses it in Stripe's words."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.stripe.errors import StripeError, invalid

Shape = Callable[[Any, str], Any]
"""Takes the decoded value and the parameter's full name; an empty string has become None before."""
MOST_METADATA, LONGEST_KEY, LONGEST_VALUE = 50, 40, 500


def text(longest: int = 5000) -> Shape:
    def read(value: Any, name: str) -> str:
        if not isinstance(value, str):
            raise invalid(f"Invalid string: {value}", name)
        if len(value) > longest:
            raise invalid(f"Invalid string: the value must be at most {longest} characters.", name)
        return value
    return read


def whole(least: int | None = None, most: int | None = None) -> Shape:
    def read(value: Any, name: str) -> int:
        try:
            number = int(value) if isinstance(value, str) and len(value) < 20 else None
        except ValueError:
            number = None
        if number is None:
            raise invalid(f"Invalid integer: {value}", name, "parameter_invalid_integer")
        if (least is not None and number < least) or (most is not None and number > most):
            raise invalid(f"This value must be {'greater than or equal to' if most is None else 'between'} {least}"
                          f"{'' if most is None else f' and {most}'}.", name, "parameter_invalid_integer")
        return number
    return read


def flag(value: Any, name: str) -> bool:
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", name)
    return bool(value == "true")


def number(value: Any, name: str) -> Decimal:
    try:
        found = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite():
        raise invalid(f"Invalid decimal: {value}", name)
    return found


def one_of(*choices: str) -> Shape:
    def read(value: Any, name: str) -> str:
        if value not in choices:
            listed = ", ".join(choices[:-1]) + f", or {choices[-1]}" if len(choices) > 1 else choices[0]
            raise invalid(f"Invalid {name}: must be one of {listed}", name)
        return str(value)
    return read


def moment(value: Any, name: str) -> int:
    """A unix timestamp in seconds."""
    return int(whole(0)(value, name))


def span(value: Any, name: str) -> dict[str, int]:
    """A timestamp, or bounds ``gt``, ``gte``, ``lt`` and ``lte``."""
    if isinstance(value, str):
        return {"gte": moment(value, name), "lte": moment(value, name)}
    return dict(fields(gt=moment, gte=moment, lt=moment, lte=moment)(value, name))


def metadata(value: Any, name: str) -> dict[str, str]:
    """Keys to texts; an empty text unsets its key. ``None`` (an empty string) unsets them all."""
    if not isinstance(value, dict) or not all(isinstance(part, str) for part in value.values()):
        raise invalid("Invalid metadata: metadata must be a hash of keys and strings.", name)
    if len(value) > MOST_METADATA:
        raise invalid(f"You can have at most {MOST_METADATA} metadata keys.", name)
    for key, part in value.items():
        if len(key) > LONGEST_KEY or len(part) > LONGEST_VALUE:
            raise invalid(f"Metadata keys have at most {LONGEST_KEY} characters and values {LONGEST_VALUE}.",
                          f"{name}[{key}]")
    return dict(value)


def anything(value: Any, name: str) -> Any:
    """A parameter Stripe knows and the stand-in does not model."""
    return value


def list_of(shape: Shape, most: int = 100) -> Shape:
    def read(value: Any, name: str) -> list[Any]:
        if not isinstance(value, list) or len(value) > most:
            raise invalid(f"Invalid array: {name} must be an array of at most {most}.", name)
        return [shape(part, f"{name}[{index}]") for index, part in enumerate(value)]
    return read


def fields(*required: str, **shapes: Shape) -> Shape:
    """A hash with these fields and no other."""
    def read(value: Any, name: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise invalid("Invalid object", name)
        _known(value, shapes, name)
        for missing in required:
            if value.get(missing) in (None, ""):
                raise _missing(_inner(name, missing))
        return {key: None if part == "" else shapes[key](part, _inner(name, key)) for key, part in value.items()}
    return read


def _known(value: dict[str, Any], shapes: dict[str, Shape], name: str) -> None:
    unknown = [_inner(name, key) for key in value if key not in shapes]
    if unknown:
        raise invalid(f"Received unknown parameter{'s' if len(unknown) > 1 else ''}: {', '.join(unknown)}",
                      unknown[0], "parameter_unknown")


def _missing(name: str) -> StripeError:
    return invalid(f"Missing required param: {name}.", name, "parameter_missing")


def _inner(name: str, key: str) -> str:
    return f"{name}[{key}]" if name else key


EXPAND = {"expand": list_of(text(200), 20)}
PAGE = {"limit": whole(1, 100), "starting_after": text(255), "ending_before": text(255), **EXPAND}
