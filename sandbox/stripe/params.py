"""Form-encoded nested parameters as Stripe reads them: ``items[0][price]=…``, ``expand[]=…``."""

import re
from typing import Any
from urllib.parse import parse_qsl

from sandbox.stripe.errors import invalid

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")
DEEPEST = 10


def decode(encoded: str) -> dict[str, Any]:
    """Nested dicts and lists of strings; numbered keys from 0 become lists."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True, encoding="utf-8", errors="replace"):
        match = _NAME.fullmatch(name)
        if match is None:
            raise invalid(f"Invalid request: the parameter name {name!r} cannot be read.")
        _put(tree, [match[1], *_PART.findall(match[2])], value, name)
    return {name: _lists(value) for name, value in tree.items()}


def _put(tree: dict[str, Any], path: list[str], value: str, name: str) -> None:
    if len(path) > DEEPEST:
        raise invalid(f"Invalid request: {name} is nested too deep.")
    for part in path[:-1]:
        tree = tree.setdefault(part or str(len(tree)), {})
        if not isinstance(tree, dict):
            raise invalid(f"Invalid request: {name} is given twice, in different shapes.", name)
    tree[path[-1] or str(len(tree))] = value


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _lists(part) for name, part in value.items()}
    if inner and all(name.isdigit() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner
