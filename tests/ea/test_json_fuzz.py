"""A short run of the fuzzer (the long one is ``make ea-fuzz``), and that it would find what is wrong."""

from pathlib import Path

import pytest

from ea.proof import compile as proof
from tests.ea.fuzz import run
from tests.ea.program import require_compiler


def test_the_fuzzer_finds_new_ways_and_nothing_wrong(tmp_path: Path) -> None:
    require_compiler()
    found = run.fuzz(run.build(tmp_path), 6000, seed=7)
    assert found.wrong == []
    assert found.taken > 200
    branches = {texts: seen for texts, seen, _ in found.coverage}
    assert branches[8] < branches[128] < branches[6000]


@pytest.mark.parametrize(("file", "right", "wrong"), [
    # A byte too far, a name twice, a number that goes wrong: what the bounds, Python and the sanitizers are for.
    ("JsonTokens.mqh", "if(place + 4 > ArraySize(doc.text))", "if(place + 3 > ArraySize(doc.text))"),
    ("Json.mqh", "if(doc.hash[other] == hash &&", "if(doc.hash[other] != hash &&"),
    ("JsonTokens.mqh", "if(digits == 0 || (zero && digits > 1))", "if(digits == 0 || (zero && digits > 2))"),
    ("Utf8.mqh", "lead == 0xed ? 0x9f", "lead == 0xee ? 0x9f"),
])
def test_the_fuzzer_would_find_it(tmp_path: Path, file: str, right: str, wrong: str) -> None:
    require_compiler()
    sources = tmp_path / "sources"
    sources.mkdir()
    for path in proof.SOURCES.glob("*.mqh"):
        text = path.read_text(encoding="utf-8")
        assert path.name != file or right in text
        (sources / path.name).write_text(text.replace(right, wrong) if path.name == file else text, encoding="utf-8")
    assert _is_found(run.build(tmp_path / "built", sources))


def _is_found(program: Path) -> bool:
    """By one of a few runs: which ways are gone first is up to the compiler."""
    for seed in range(1, 7):
        try:
            found = run.fuzz(program, 20_000, seed)
        except AssertionError as ended:
            return "ended after" in str(ended)
        if found.wrong:
            return True
    return False
