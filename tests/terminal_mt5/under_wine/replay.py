"""Makes the calls it is given, one a line, of the real wheel as the worker does, and tells what became of each."""

import datetime
import json
import sys
from typing import Any

from terminal.mt5 import library

KNOWN = {"datetime": datetime, "inf": float("inf"), "nan": float("nan")}


def made(real: library.Library, line: str) -> dict[str, Any]:
    name, args, named = eval(line, dict(KNOWN))
    real.close()
    try:
        return {"call": line, "failure": [0, repr(real.ask(name, *args, **named))]}
    except library.CallFailed as failed:
        return {"call": line, "failure": [failed.code, failed.text]}
    except Exception as error:
        return {"call": line, "failure": [0, f"{type(error).__name__}: {error}"]}


if __name__ == "__main__":
    real = library.Library(library.load())
    sys.stdout.write(json.dumps([made(real, line) for line in sys.stdin.read().splitlines()]))
