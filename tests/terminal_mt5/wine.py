"""Running parts of the desk in Windows' Python, where `make wine` has set it up."""

import json
import subprocess
from typing import Any

import pytest

from scripts.real_wheel import place

MISSING = place.missing()
NEEDED = [
    pytest.mark.wine,
    pytest.mark.skipif(MISSING is not None, reason=f"{MISSING}: `make wine` sets it up (optional, in CI too)"),
]


def told_by(module: str, *arguments: str, given: str = "") -> Any:
    """What a program of this repository prints there, as JSON."""
    done = subprocess.run(place.command("-m", module, *arguments), env=place.environment(), input=given.encode(),
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return json.loads(done.stdout)
