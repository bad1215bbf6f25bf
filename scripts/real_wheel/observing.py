"""What can be seen of a MetaTrader5 package, real or not, while no terminal is connected."""

import inspect
from datetime import datetime, timezone
from types import ModuleType
from typing import Any

from scripts.real_wheel import calls


def observe(package: ModuleType) -> dict[str, Any]:
    """Everything, as JSON has it. The package has to be fresh: nothing of it called before."""
    names = _names(package)
    fresh = [_called(call, names) for call in calls.FRESH]
    return {
        "version": vars(package)["__version__"],
        "constants": constants(package),
        "types": types(package),
        "functions": functions(package),
        "names": calls.NAMES,
        "fresh": fresh,
        "calls": {group: [_after_shutdown(call, names) for call in made] for group, made in calls.groups().items()},
    }


def constants(package: ModuleType) -> dict[str, int]:
    """The names in capitals."""
    return {name: value for name, value in vars(package).items() if name.isupper() and isinstance(value, int)}


def types(package: ModuleType) -> dict[str, list[str]]:
    """The named tuples, with their fields in order."""
    return {name: list(vars(value)["__match_args__"]) for name, value in sorted(vars(package).items())
            if isinstance(value, type) and issubclass(value, tuple)}


def functions(package: ModuleType) -> dict[str, str]:
    """The functions with what they say of themselves, those written in Python with their parameters."""
    found = {name: value for name, value in sorted(vars(package).items())
             if not name.startswith("_") and inspect.isroutine(value)}
    return {name: inspect.getdoc(value) or f"{name}{inspect.signature(value)}" for name, value in found.items()}


def _names(package: ModuleType) -> dict[str, Any]:
    names = vars(package) | {"datetime": datetime, "timezone": timezone}
    for name, source in calls.NAMES.items():
        names[name] = eval(source, names)
    return names


def _after_shutdown(call: str, names: dict[str, Any]) -> dict[str, Any]:
    names["shutdown"]()
    return _called(call, names)


def _called(call: str, names: dict[str, Any]) -> dict[str, Any]:
    """The call, what it returned or raised, and the last error after it."""
    seen: dict[str, Any] = {"call": call}
    try:
        seen["returns"] = eval(call, names)
    except Exception as error:
        seen["raises"] = type(error).__name__
        seen["because"] = f"{type(error.__cause__).__name__}: {error.__cause__}" if error.__cause__ else str(error)
    return seen | {"last_error": names["last_error"]()}
