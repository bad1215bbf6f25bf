"""Fuzzing the reader of JSON: ``python -m tests.ea.fuzz.run 1000000``. Every text is judged by Python's reader too."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ea.proof import compile as proof
from tests.ea import oracle
from tests.ea.program import SANITIZERS

HERE = Path(__file__).parent
WARNINGS = tuple(flag for flag in proof.FLAGS if not flag.startswith("-fsanitize"))


@dataclass(slots=True)
class Found:
    """What came of it. ``coverage`` are (texts, branches taken so far, texts kept because they went a new way)."""

    texts: int = 0
    taken: int = 0
    coverage: list[tuple[int, int, int]] = field(default_factory=list)
    wrong: list[bytes] = field(default_factory=list)


def build(directory: Path, sources: Path = proof.SOURCES) -> Path:
    """The program that makes up texts and reads them, with the sanitizers and with its branches counted."""
    proof.translate_into(directory, sources)
    counter, target = directory / "coverage.o", directory / "json_fuzz"
    _run("g++", *WARNINGS, "-c", str(HERE / "coverage.cpp"), "-o", str(counter))
    _run("g++", *proof.FLAGS, "-fsanitize-coverage=trace-pc", "-I", str(directory), "-I", str(proof.HERE),
         "-I", str(HERE), str(HERE / "json_fuzz.cpp"), str(counter), "-o", str(target))
    return target


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    if done.returncode:
        raise proof.DoesNotCompile(done.stderr)


def fuzz(program: Path, count: int, seed: int) -> Found:
    """Let it read so many texts. AssertionError when it ends before that."""
    found = Found()
    with subprocess.Popen((program, str(count), str(seed)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, **SANITIZERS}) as process:
        assert process.stdout and process.stderr
        for line in process.stdout:
            if line.endswith("\n"):  # it may end in the middle of one
                _take(line.split(), found)
        said = process.stderr.read()
    assert process.returncode == 0 and found.texts == count, f"ended after {found.texts} texts: {said[:2000]}"
    return found


def _take(words: list[str], found: Found) -> None:
    if words[0] == "COVERAGE":
        texts, branches, kept = map(int, words[1:])
        found.coverage.append((texts, branches, kept))
        return
    raw, answer = bytes.fromhex(words[0].strip("-")), words[1]
    found.texts += 1
    found.taken += answer != "refused"
    if not _is_right(raw, answer):
        found.wrong.append(raw)


def _is_right(raw: bytes, answer: str) -> bool:
    try:
        value = oracle.read(raw)
    except oracle.Refused:
        return answer == "refused"
    return answer != "refused" and oracle.read(bytes.fromhex(answer)) == value


def main(count: int, seed: int) -> Iterator[str]:
    """What to say of it, line by line."""
    with tempfile.TemporaryDirectory() as directory:
        found = fuzz(build(Path(directory)), count, seed)
    for texts, branches, kept in found.coverage:
        yield f"{texts:>9} texts, {branches} branches taken, {kept} texts kept"
    yield f"{found.texts} texts, {found.taken} of them JSON; Python judges {len(found.wrong)} otherwise"
    for raw in found.wrong[:20]:
        yield f"  {raw!r}"
    if found.wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    for told in main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1):
        sys.stdout.write(told + "\n")
