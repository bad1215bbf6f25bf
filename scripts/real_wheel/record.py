"""Write what the real MetaTrader5 wheel does into the tests' vectors: ``make wheel-vectors``, after ``make wine``."""

import json
import subprocess
import sys
from typing import Any

from scripts.real_wheel import place

VECTORS = place.ROOT / "tests" / "vectors" / "metatrader5.json"
PATIENCE = 120


def observed() -> dict[str, Any]:
    """What the real wheel does now, under Wine."""
    done = subprocess.run(place.command("-m", "scripts.real_wheel.inside"), env=place.environment(), input=b"",
                          capture_output=True, check=False, timeout=PATIENCE)
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace")[:2000])
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def written(seen: dict[str, Any]) -> str:
    """The vectors as their file has them: a line for each name, tuple and call."""
    return _lines(seen, "\n") + "\n"


def _lines(value: Any, newline: str) -> str:
    inner = newline + "  "
    if isinstance(value, dict) and "call" not in value:
        items = [f"{json.dumps(key)}: {_lines(item, inner)}" for key, item in value.items()]
        return "{" + inner + f",{inner}".join(items) + newline + "}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[" + inner + f",{inner}".join(_lines(item, inner) for item in value) + newline + "]"
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    reason = place.missing()
    if reason:
        sys.exit(f"{reason}: run `make wine` first")
    VECTORS.write_text(written(observed()), encoding="utf-8")
    print(VECTORS.relative_to(place.ROOT))


if __name__ == "__main__":
    main()
