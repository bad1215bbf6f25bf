"""The translation keeps lines, knows what the files need, and refuses whatever it would have to guess."""

import re
from pathlib import Path

import pytest

from ea.proof import compile as proof
from ea.proof.translate import CannotTranslate, structures, translate

FILES = sorted(proof.SOURCES.glob("*.mqh"))


def cpp(source: str) -> str:
    first, rest = translate(source, "file.mqh").split("\n", 1)
    assert first == '#line 1 "file.mqh"'
    return rest


@pytest.mark.parametrize(("source", "expected"), [
    ("void f(const uchar &a[], uint &b[]) {}", "void f(const Arr<uchar> &a, Arr<uint> &b) {}"),
    ("void f(const CsState &a[]) {}", "void f(const Arr<CsState> &a) {}"),
    ("uchar a[];", "Arr<uchar> a;"),
    ("uchar a[4];", "Fixed<uchar, 4> a;"),
    ("uchar a[CS_SIZE];", "Fixed<uchar, CS_SIZE> a;"),
    ("CsState a[4];", "Fixed<CsState, 4> a;"),
    ("uchar a[], b[4], c;", "Arr<uchar> a; Fixed<uchar, 4> b; uchar c;"),
    ("const uint K[2] = {1, 2};", "const Fixed<uint, 2> K = {1, 2};"),
    ("struct S { uint a[2]; uchar b[]; int n; };", "struct S { FixedMember<uint, 2> a; Arr<uchar> b; int n; };"),
    ("enum CsKind { CS_ONE, CS_TWO = 4 };", "enum CsKind { CS_ONE, CS_TWO = 4 };"),
    ("CsOrder orders[];", "Arr<CsOrder> orders;"),
    ("void f(CsOrder &order, const CsOrder &other, CsOrder &all[]) {}",
     "void f(CsOrder &order, const CsOrder &other, Arr<CsOrder> &all) {}"),
    ("struct S { int n; }; void f(const S &s, int n) {}", "struct S { int n; }; void f(const S &s, int n) {}"),
    ("MqlTradeRequest request = {};", "MqlTradeRequest request = {};"),
    ("datetime t = TimeGMT();", "datetime t = TimeGMT();"),
    ("double x = 1.08 + 0.07;", "double x = 1.08 + 0.07;"),
    ("input int Period = 3; // seconds", 'const int Period = proof::input_of<int>("Period", 3);           '),
    ('input string Url = "a;b";', 'const string Url = proof::input_of<string>("Url", string("a;b"));'),
    ('input group "Where"\ninput bool Loud = true;',
     '\nconst bool Loud = proof::input_of<bool>("Loud", true);'),
    ("void f(uint &x) { x = a[1]; }", "void f(uint &x) { x = a[1]; }"),
    ("int f() { return a[1]; }", "int f() { return a[1]; }"),
    ("uint x = a[1], y = b[2];", "uint x = a[1], y = b[2];"),
    ("void f() { if(x) y = 1; else z[0] = 1; }", "void f() { if(x) y = 1; else z[0] = 1; }"),
    ("x = f(a * b, c * d);", "x = f(a * b, c * d);"),
    ('string s = "uchar a[]; // no";', 'string s = string("uchar a[]; // no");'),
    ('string s = "\\"uchar a[4];";', 'string s = string("\\"uchar a[4];");'),
    ("int n; // uchar a[];", "int n;              "),
    ("#include <Countersign/Bytes.mqh>", '#include "Bytes.mqh"'),
    ('#include "Bytes.mqh"', '#include "Bytes.mqh"'),
    ('#property copyright "us"', ""),
])
def test_what_is_translated(source: str, expected: str) -> None:
    assert cpp(source) == expected


@pytest.mark.parametrize("path", [*FILES, proof.SELF_TEST], ids=lambda path: path.name)
def test_lines_keep_their_numbers(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    before, after = source.split("\n"), cpp(source).split("\n")
    assert len(before) == len(after)
    for number, (old, new) in enumerate(zip(before, after, strict=True), 1):
        names = set(re.findall(r"Cs\w+", old.split("//")[0]))
        assert names <= set(re.findall(r"Cs\w+", new)), number


def test_every_file_is_part_of_a_program() -> None:
    programs = [*proof.HERE.glob("*.cpp"), *proof.EXPERTS.glob("*.mq5")]
    assert {*FILES} <= {part for program in programs for part in proof.parts(program)}


def test_a_program_is_another_when_a_part_of_it_is(tmp_path: Path) -> None:
    (tmp_path / "Program.mq5").write_text('#include "Part.mqh"\n#include <Countersign/Sha256.mqh>\n')
    (tmp_path / "Part.mqh").write_text("int n;\n")
    program = tmp_path / "Program.mq5"
    assert {path.name for path in proof.parts(program)} == {"Program.mq5", "Part.mqh", "Sha256.mqh"}
    before = proof.fingerprint(program)
    assert proof.fingerprint(program) == before
    (tmp_path / "Part.mqh").write_text("long n;\n")
    assert proof.fingerprint(program) != before


def test_files_stay_small() -> None:
    for path in FILES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path.name


@pytest.mark.parametrize("source", [
    "CsState *p = new CsState();", "CsState *p;", "void f(CsState *p) {}", "int *p;", "p->x = 1;", "delete p;",
    "int x = Other::VALUE;", "void f(const uchar a[]) {}", "void f(uchar a[4]) {}", "uchar a[2][3];", "x = a[1][2];",
    "uchar a[] = {1, 2};", "const uint K[] = {1, 2};", "uchar a[n];", "uchar a[N + 1];", "uchar a[0];",
    "int n = 3, a[4];", "int n = f(1, 2), a[4];", "for(int i = 0, a[3]; i < 3; i++) {}", "uint &x = y;",
    "CsState &x = y;", "int f(int a, CsState *b);", "uint &f();",
    "uint x{1};", "auto x = 1;", "x = [&](int y) { return(y); };", "for(int x : values) {}",
    'switch(s) { case "a": break; }', "uint x = 0xffU;", "ulong x = 1ULL;", "int x = 010;", "ushort c = 'a';",
    "#define F(x) x", "#define N 1 + \\\n 2", "#if 1\n#endif", "#import \"user32.dll\"", "#pragma once",
    "#include <cstring>", "#include <Trade/Trade.mqh>", "#resource \"x\"", "class C {};",
    "template <typename T> T f();", "void f(uint &&x) {}", "static int x;", "size_t x;", "uint8_t x;", "unsigned x;",
    "typedef int Number;", "try { } catch(...) { }", 'string s = "open;', "/* open", "int é;",
    'string s = "é";', "int x; // é", "Arr<int> x;", "const static uint K[2] = {1, 2};",
    "struct S { int n; int f() { return(n); } };", "struct S { int f(); };", "struct S { int n = 3; };",
    "struct S : CsBase { int n; };", "struct S { int n; } s;", "struct { int n; } s;", "struct S;", "struct S s;",
    "struct S { int n; }; void f(S s) {}", "struct S { int n; }; void f(int n, const S s, int m) {}",
    "void f(MqlTick tick) {}", "enum E : uchar { ONE };", "enum { ONE };", "enum E { ONE } e;", "enum E;",
    "enum class E { ONE };", "input int Period;", "void f() { input int Period = 3; }", "input group 3", "input",
    "sinput int Period = 3;", "datetime t = D'2024.01.01';", "string s = NULL;", "int proof = 3;",
])
def test_what_is_refused(source: str) -> None:
    with pytest.raises(CannotTranslate, match=r"^file\.mqh:\d+: "):
        translate(source, "file.mqh")


def test_structures_of_other_files_go_by_reference_too() -> None:
    assert structures('struct CsOne { int n; };\n// struct CsTwo { int n; };\nstring s = "struct X { };";') == {"CsOne"}
    translate("void f(CsOne one) {}", "file.mqh")
    with pytest.raises(CannotTranslate, match=r"^file\.mqh:1: .*as a copy: CsOne"):
        translate("void f(CsOne one) {}", "file.mqh", {"CsOne"})


def test_a_refusal_names_the_line() -> None:
    with pytest.raises(CannotTranslate, match=r"^file\.mqh:4: .*new"):
        translate('#define N 1\n// new\nstring s = "new";\nx = new Y();\n', "file.mqh")


def test_nothing_hides_a_variable_of_the_program() -> None:
    """MetaEditor warns of a parameter or a local variable that bears the name of a global one."""
    program = (proof.EXPERTS / "Countersign.mq5").read_text(encoding="utf-8")
    names = re.findall(r"^(?:input +)?(?!return)\w+ +(\w+)(?: *=.*)?;", program, re.MULTILINE)
    assert len(names) > 15
    declared = re.compile(rf"\b(?!return\b)\w+ +&?({'|'.join(names)})\b(?:\[\])? *[,;)=]")
    assert not [(path.name, found[0]) for path in FILES
                if (found := declared.search(path.read_text(encoding="utf-8")))]
