"""Runs in Windows' Python with the real wheel: prints what is observed of it, as JSON."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from scripts.real_wheel import observing

# What a C extension has to call so that other threads run meanwhile.
RELEASING = (b"PyEval_SaveThread", b"PyEval_ReleaseThread", b"PyGILState_Release")


def main() -> None:
    seen: dict[str, Any] = observing.observe(import_module("MetaTrader5"))
    core = Path(str(import_module("MetaTrader5._core").__file__)).read_bytes()
    print(json.dumps(seen | {"releases_the_gil": any(name in core for name in RELEASING)}))


if __name__ == "__main__":
    main()
