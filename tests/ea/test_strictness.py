"""The shim is as strict as MQL5, and the sanitizers are really there: a proof that accepts anything proves nothing."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from ea.proof import compile as proof
from ea.proof.translate import translate
from tests.ea.program import SANITIZERS, require_compiler

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_compiler()
    directory = tmp_path_factory.mktemp("rules")
    proof.translate_into(directory, HERE / "rules")
    return proof.compile_program(directory, HERE / "strictness.cpp")


def run(rules: Path, *rule: str) -> str:
    done = subprocess.run((rules, *rule), capture_output=True, text=True, timeout=60, env={**os.environ, **SANITIZERS})
    return done.stdout + done.stderr


@pytest.mark.parametrize(("rule", "said"), [
    ("read beyond", "thrown: array out of range"),
    ("read beyond fixed", "thrown: array out of range"),
    ("read before", "thrown: array out of range"),
    ("write beyond", "thrown: array out of range"),
    ("resize fixed", "thrown: a fixed array cannot be resized"),
    ("resize to less than nothing", "thrown: no size"),
    ("copy beyond", "thrown: a fixed array cannot be resized"),
    ("copy from beyond", "thrown: array out of range"),
    ("cut a text beyond", "thrown: no such part"),
    ("cut nothing out of a text", "thrown: no such part"),
    ("cut behind a text", "thrown: no such part"),
    ("shift too far", "runtime error: shift exponent 32 is too large"),
    ("shift into the sign", "runtime error: left shift"),
    ("overflow", "runtime error: signed integer overflow"),
    ("divide by nothing", "runtime error: division by zero"),
    ("no such whole number", "is outside the range of representable values of type 'int'"),
    ("before a text", "thrown: no such character"),
    ("find beyond", "thrown: no such part"),
    ("find nothing", "thrown: no such part"),
    ("too great for a long", "thrown: a whole number of more than 64 bits"),
    ("no number to write", "thrown: asked in an unknown way"),
    ("bytes beyond", "thrown: array out of range"),
    ("fill beyond", "thrown: array out of range"),
])
def test_what_ends_a_program(rules: Path, rule: str, said: str) -> None:
    assert said in run(rules, rule)


@pytest.mark.parametrize(("rule", "answer"), [
    ("fixed is not zero", 0xa5), ("grown is not zero", 0xa5), ("zero behind a text", 4),
    ("a longer array stays long", 9), ("none", 0),
])
def test_what_mql5_does_not_forgive(rules: Path, rule: str, answer: int) -> None:
    assert run(rules, rule).strip() == str(answer)


@pytest.mark.parametrize(("name", "value"), [
    ("find", "4 7 -1"), ("part", "Ab,E ,E "), ("replace", "3  Ab--cd----E "), ("case", "  ab,cd,,e   AB,CD,,E "),
    ("trim", "21Ab,cd,,E|"), ("split", "4cd||E 0"), ("compare", "-11other"), ("character", "A Ab,cd,,E €1"),
    ("utf8", "10😀€é"), ("utf8 that is none", "A��B"), ("a zero ends a text", "A"),
    ("to integer", "-12 0 9223372036854775807"), ("to double", "-150.0 0.0 0.0"),
    ("to text", "1.00 0.10000000 2 1000000000000000.00"), ("normalized", "1.08500000 -3.0"), ("rounded", "-223-3"),
    ("least and most", "22.5438"), ("random", "41 18467"), ("valid", "right"),
    ("rubbish in structures", "-65106155554269005711"), ("nothing in memory", "0false"),
    ("structures are copied", "kept2.5"), ("simple structures are copied", "27"), ("filled", "6.00"),
])
def test_what_the_functions_make_of_it(rules: Path, name: str, value: str) -> None:
    assert run(rules, "value", name) == value + "\n"


def test_a_truth_that_nobody_set_is_neither(rules: Path) -> None:
    assert "not a valid value for type 'bool'" in run(rules, "value", "rubbish in a truth")


WRONG = [
    ('string f(int n) { return("n = " + n); }', "deleted function"),
    ('string f(string s, int n) { return(s + n); }', "deleted function"),
    ("uchar f(uint n) { return(n); }", "conversion"),
    ("int f(uchar n) { return(Unknown(n)); }", "was not declared"),
    ("int f(uint a, int b) { return(a < b ? 1 : 0); }", "different signedness"),
    ("void f(const uchar &a[]) { a[0] = 1; }", "read-only|assignment"),
    ("void f() { string s = (string)0; }", "deleted function"),
    ("void f() { uchar a[], b[]; a = b; }", "deleted function"),
    ("struct S { string text; }; void f(S &a[], S &b[]) { ArrayCopy(a, b); }", "simple structures"),
    ("struct S { int a[]; }; void f(S &one, S &other) { one = other; }", "deleted function"),
    ("enum E { ONE, TWO }; E f(int n) { return(n); }", "invalid conversion"),
    ("string f(double x) { return(DoubleToString(MathMax(x, 1))); }", "conflicting types|no matching"),
    ("void f(double x) { int n = x; }", "conversion"), ("double f(long n) { return(n); }", "conversion"),
    ("bool f(string a, string b) { return(a < b); }", "no match for"),
    ("void f(const uchar &a[]) { ArrayResize(a, 1); }", "discards qualifiers|binding reference|no matching"),
]


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """What g++ says to each of the wrong ones, all of them read at once."""
    require_compiler()
    program = tmp_path_factory.mktemp("wrong") / "program.cpp"
    text = '#include "mql.h"\n'
    for number, (body, _) in enumerate(WRONG):
        text += f"namespace n{number} {{\n" + translate(f"\n\n{body}\n", f"Wrong{number}.mqh") + "\n}\n"
    program.write_text(text, encoding="utf-8")
    with pytest.raises(proof.DoesNotCompile) as error:
        proof.compile_program(program.parent, program, "-fsyntax-only")
    said, number = dict[int, str](), -1
    for line in str(error.value).splitlines():
        if found := re.search(r"Wrong(\d+)\.mqh", line):
            number = int(found[1])
        said[number] = said.get(number, "") + line + "\n"
    return said


@pytest.mark.parametrize(("number", "said"), [(number, said) for number, (_, said) in enumerate(WRONG)])
def test_what_does_not_compile(complaints: dict[int, str], number: int, said: str) -> None:
    """And the error points into the MQL5 file, at its line."""
    assert number in complaints, f"it compiles: {WRONG[number][0]}"
    assert re.search(said, complaints[number]) and f"Wrong{number}.mqh:3:" in complaints[number]


def test_what_nobody_set_does_not_compile(tmp_path: Path) -> None:
    require_compiler()
    program = tmp_path / "program.cpp"
    text = translate("\n\nint f() { int m; return(m); }\n", "Wrong.mqh")
    program.write_text('#include "mql.h"\n' + text, encoding="utf-8")
    with pytest.raises(proof.DoesNotCompile, match=r"Wrong\.mqh:3:.*uninitialized"):
        proof.compile_program(tmp_path, program)


def test_without_a_compiler_tests_are_skipped_but_not_where_they_are_a_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"g\+\+"):
        require_compiler()
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match=r"g\+\+"):
        require_compiler()
