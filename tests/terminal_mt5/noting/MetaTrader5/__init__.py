"""The stand-in for the MetaTrader5 package, with every call of it noted in the file that NOTED names."""

import functools
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.mt5 import WHEEL

FOLDER = WHEEL / "MetaTrader5"


def _stand_in() -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("stand_in", FOLDER / "__init__.py",
                                                  submodule_search_locations=[str(FOLDER)])
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["stand_in"] = module
    spec.loader.exec_module(module)
    return vars(module)


def _noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def called(*args: Any, **named: Any) -> Any:
        with Path(os.environ["NOTED"]).open("a", encoding="utf-8") as file:
            file.write(f"{(name, args, named)!r}\n")
        return function(*args, **named)
    return called


for _name, _value in _stand_in().items():
    if not _name.startswith("_") or _name == "__version__":
        globals()[_name] = _noted(_name, _value) if inspect.isroutine(_value) else _value
