"""The program that g++ makes of the MQL5 files: started once, asked a line at a time."""

import fcntl
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from ea.proof import compile as proof

# What the sanitizers find ends the program. Leaks cannot be looked for where processes must not be traced.
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0", "UBSAN_OPTIONS": "print_stacktrace=0"}
ANSWER_SECONDS = 60.0


def require_compiler() -> None:
    """Where the suite is a gate a missing g++ is a failure, elsewhere a reason to skip."""
    if shutil.which("g++") is None:
        if os.environ.get("CI"):
            pytest.fail("g++ is not installed: the MQL5 files cannot be tried")
        pytest.skip("g++ is not installed here")


def built_once(base: Path, name: str, build: Callable[[Path], Path], *sources: Path) -> Path:
    """A program of these sources, compiled by whichever test process comes first; the others wait for it."""
    base.mkdir(parents=True, exist_ok=True)
    directory = base / f"{name}-{proof.fingerprint(*sources)}"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            # A compiler that is ended midway must leave no half of a program behind.
            with tempfile.TemporaryDirectory(dir=base) as unfinished:
                assert build(Path(unfinished) / "built").name == name
                (Path(unfinished) / "built").rename(directory)
    return directory / name


class Program:
    """A running driver. Arguments are bytes, texts or numbers; an answer is bytes, or None for a refusal."""

    def __init__(self, executable: Path) -> None:
        self._process = subprocess.Popen((executable,), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         env={**os.environ, **SANITIZERS}, text=True)
        self.asked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(ANSWER_SECONDS)
        self._process.stdout.close()

    def ask(self, question: str, *arguments: bytes | str | int) -> bytes | None:
        """One question. A program that ended or hangs is a failure of the test that asked."""
        assert self._process.stdin and self._process.stdout
        self.asked += 1
        watch = threading.Timer(ANSWER_SECONDS, self._process.kill)
        watch.start()
        try:
            self._process.stdin.write(" ".join((question, *map(written, arguments))) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline().strip()
        finally:
            watch.cancel()
        if not answer:
            raise AssertionError(f"the program ended at {question!r}; what it said is on standard error")
        if answer.startswith("refused"):
            assert answer == "refused", answer
            return None
        return b"" if answer == "-" else bytes.fromhex(answer)


def written(argument: bytes | str | int) -> str:
    """Texts travel as UTF-16, which is what MQL5 holds; numbers as their digits."""
    if isinstance(argument, str):
        argument = argument.encode("utf-16-le", "surrogatepass")
    elif isinstance(argument, int):
        argument = str(argument).encode()
    return argument.hex() or "-"
