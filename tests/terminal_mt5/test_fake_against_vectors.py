"""The stand-in for the MetaTrader5 package is what the real one was seen to be, name by name and call by call.

``tests/vectors/metatrader5.json`` was recorded from the real wheel; docs/real-wheel.md says how.
"""

import importlib.util
import json
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from sandbox.mt5 import WHEEL
from scripts.real_wheel import calls, observing, place, record

VECTORS: dict[str, Any] = json.loads(record.VECTORS.read_text("utf-8"))
# They send again blindly, so that nobody can call them they are left out.
LEFT_OUT = {"Buy", "Sell", "Close"}
# Named tuples of Python's own stand for C's: nobody but the package makes them.
GROUPS = set(VECTORS["calls"]) - {"tuples"}


@pytest.fixture
def package() -> Iterator[ModuleType]:
    """The stand-in, imported anew under a name that is in nobody's way."""
    folder = WHEEL / "MetaTrader5"
    spec = importlib.util.spec_from_file_location("stand_in", folder / "__init__.py",
                                                  submodule_search_locations=[str(folder)])
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["stand_in"] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "stand_in"]:
            del sys.modules[name]


def outcome(seen: dict[str, Any]) -> str:
    """What a call came to, as one text: 1 is not True."""
    return json.dumps({name: seen.get(name) for name in ("call", "returns", "raises", "last_error")})


def is_beyond_python(seen: dict[str, Any]) -> bool:
    """A function of Python's own cannot tell no names from names of which there are none."""
    return "**{}" in seen["call"]


def goes_on(seen: dict[str, Any]) -> bool:
    """A moment beyond 32 bits, which the real package notices only after it has asked the terminal."""
    return "2**31" in seen["call"] and seen["call"].startswith("history") and "raises" in seen


def test_it_has_the_version_that_is_pinned(package: ModuleType) -> None:
    assert vars(package)["__version__"] == VECTORS["version"]
    assert f"MetaTrader5=={VECTORS['version']}" in place.PINS[1].read_text("utf-8")


def test_it_has_every_constant_and_no_other(package: ModuleType) -> None:
    assert observing.constants(package) == VECTORS["constants"]
    assert len(VECTORS["constants"]) == 223


@pytest.mark.parametrize("name", VECTORS["types"])
def test_its_tuples_have_the_same_fields_in_the_same_order(package: ModuleType, name: str) -> None:
    assert observing.types(package)[name] == VECTORS["types"][name]


def test_it_has_the_same_names_and_no_other(package: ModuleType) -> None:
    assert set(observing.types(package)) == set(VECTORS["types"])
    assert set(observing.functions(package)) == set(VECTORS["functions"]) - LEFT_OUT


def test_untouched_it_says_the_same(package: ModuleType) -> None:
    seen = json.loads(json.dumps(observing.observe(package)["fresh"]))
    assert [outcome(call) for call in seen] == [outcome(call) for call in VECTORS["fresh"]]


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_without_a_terminal_every_call_comes_to_the_same(package: ModuleType, group: str) -> None:
    real = VECTORS["calls"][group]
    assert [seen["call"] for seen in real] == calls.groups()[group], "the vectors are of other calls"
    seen = json.loads(json.dumps(observing.observe(package)["calls"][group]))
    for expected, found in zip(real, seen, strict=True):
        if is_beyond_python(expected):
            assert outcome(found) != outcome(expected)
        elif goes_on(expected):
            assert found["raises"] == expected["raises"], expected["call"]
        else:
            assert outcome(found) == outcome(expected)
