"""The script for terminals says what is so: all right as it is, and wrong when something is."""

import subprocess
from pathlib import Path

from ea.proof import compile as proof
from tests.ea.program import SANITIZERS, require_compiler


def test_the_script_finds_all_in_order(tmp_path: Path) -> None:
    require_compiler()
    program = proof.build_self_test(tmp_path)
    done = subprocess.run((program,), capture_output=True, text=True, timeout=60, env=SANITIZERS)
    lines = done.stdout.splitlines()
    assert lines[-1] == "Countersign: all as the standards print it", done.stdout + done.stderr
    assert len(lines) == 13 and all(line.startswith("ok: ") for line in lines[:-1])
