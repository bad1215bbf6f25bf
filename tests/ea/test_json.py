"""JSON in MQL5 beside Python's: the same is taken, the same is refused, and the same is read there."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.ea import oracle
from tests.ea.program import Program

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2**70, 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5), max_leaves=30)
TAKEN = [
    "0", "-0", "1.5e-7", "1E+400", "9" * 200, "true", "false", "null", '""', "[]", "{}", " [ 1 , 2 ] ", "\t\r\n1\n",
    '{"a":{"b":[{"c":[]}]},"d":null}', '"\\u0041\\ud83e\\ude99\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\x7f\u0080\uffff🪙"',
    '{"":1}', '{"a":1,"A":2,"b":{"a":1}}', '{"\\u0061":1,"b":2}', "[" * 16 + "]" * 16, '[{"a":[]},{"a":[]}]',
    "[" + "0," * 4094 + "0]", '{"é":"é"}', '"\\uD83E\\uDE99"',
]
REFUSED = [
    "", " ", "nul", "nulll", "tru", "True", "NaN", "Infinity", "-Infinity", "-", "+1", "01", "-01", "1.", ".5", "1e",
    "1e+", "0x10", "1_000", "1 2", "[1,]", "[,1]", "[1", "1]", "[1}", "{", "}", '{"a"}', '{"a":}', '{"a":1,}', "{a:1}",
    "{'a':1}", '{"a":1 "b":2}', '{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '{"a":{},"b":[],"a":null}', '"', '"\\"',
    '"\\x41"', '"\\u12"', '"\\u12g4"', '"\\ud83e"', '"\\ude99"', '"\\ud83e\\u0041"', '"\\ud83ex"', '"\\ud83e\\ud83e"',
    '"\\u0000"', '"\x00"', "\x00", '"\n"', '"\t"', '"\x1f"', "[" * 17 + "]" * 17, '{"a":' * 17 + "1" + "}" * 17,
    "[" + "0," * 4095 + "0]", "1 // one", "/* */ 1", "\ufeff1", "1\x00", "[1]\x0b", "\u00a01", '{"a":1}{"b":2}',
    "[1,2,,3]", '["a":1]', '{"a",1}', '{1:2}', '{null:1}', "[-]", "[1.e1]", "[1e1.5]", "--1",
]


@pytest.mark.parametrize("text", TAKEN)
def test_what_is_json_is_read(json_program: Program, text: str) -> None:
    assert oracle.is_accepted(text.encode()), "the test is wrong"
    answer = json_program.ask("rewritten", text.encode())
    assert answer is not None
    assert oracle.read(answer) == oracle.read(text.encode())


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_json_is_refused(json_program: Program, text: str) -> None:
    assert not oracle.is_accepted(text.encode()), "the test is wrong"
    assert json_program.ask("rewritten", text.encode()) is None


@pytest.mark.parametrize("raw", [
    b'"\xff"', b'"\xc0\x80"', b'"\xc3"', b'"\xe2\x82"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xf8\x88\x80\x80"',
    b'"\xe0\x80\x80"', b'"\xf0\x80\x80\x80"', b"\xef\xbb\xbf1", b"\xff\xfe1\x00", b'"\x80"', b'"\xc3("',
    b'"\xe2\x28\xa1"'])
def test_what_is_no_utf8_is_refused(json_program: Program, raw: bytes) -> None:
    assert not oracle.is_accepted(raw)
    assert json_program.ask("rewritten", raw) is None


@pytest.mark.parametrize("size", [oracle.MOST_BYTES - 1, oracle.MOST_BYTES, oracle.MOST_BYTES + 1])
def test_a_text_has_a_greatest_size(json_program: Program, size: int) -> None:
    raw = b'"' + b"a" * (size - 2) + b'"'
    assert (json_program.ask("tokens", raw) is not None) == oracle.is_accepted(raw) == (size <= oracle.MOST_BYTES)


@settings(max_examples=300, deadline=None)
@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_any_value_is_read_as_python_reads_it(json_program: Program, value: Any, ascii_only: bool,
                                              indent: int | None) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    answer = json_program.ask("rewritten", raw)
    if oracle.is_accepted(raw):
        assert answer is not None
        assert oracle.read(answer) == oracle.read(raw)
    else:
        assert answer is None


PIECES = st.sampled_from(['{', '}', '[', ']', ',', ':', '"', '\\', '\\u', 'd83e', '0', '1', '-', '.', 'e', 'true',
                          'null', '"a"', '"b"', ' ', '\n', '\x00', 'é', '{"a":', '[1]', '\\ud83e', '\\ude99', 'NaN'])


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES, max_size=12).map("".join))
@example('{"a":1}')
def test_pieces_of_json_are_judged_as_python_judges_them(json_program: Program, text: str) -> None:
    answer = json_program.ask("rewritten", text.encode())
    assert (answer is not None) == oracle.is_accepted(text.encode()), text
    if answer is not None:
        assert oracle.read(answer) == oracle.read(text.encode())


@settings(max_examples=300, deadline=None)
@given(TEXT)
@example("\x01\x1f\x7f\"\\/\u2028🪙")
def test_texts_are_written_as_python_reads_them(json_program: Program, text: str) -> None:
    written = json_program.ask("quoted", text)
    assert written is not None and json.loads(written) == text


@pytest.mark.parametrize(("text", "right"), [("\ud83e", "\ufffd"), ("a\ude99b", "a\ufffdb"), ("\ud83e\ud83e\ude99",
                                                                                             "\ufffd🪙")])
def test_half_a_character_is_written_as_no_character(json_program: Program, text: str, right: str) -> None:
    written = json_program.ask("quoted", text)
    assert written is not None and json.loads(written) == right


WHOLE = ["0", "-0", "1", "-1", "9223372036854775807", "-9223372036854775808", "9007199254740993", "1000000000000000000"]
NOT_WHOLE = ["9223372036854775808", "-9223372036854775809", "1.0", "1e3", "99999999999999999999",
             "18446744073709551616", '"1"', "true", "null", "[1]", "{}", "92233720368547758070"]


@pytest.mark.parametrize("number", WHOLE)
def test_whole_numbers_are_exact(json_program: Program, number: str) -> None:
    answer = json_program.ask("long", b'{"b":1,"a":' + number.encode() + b"}", "a")
    assert answer is not None and int(answer) == int(number)


@pytest.mark.parametrize("number", NOT_WHOLE)
def test_what_is_no_whole_number_of_64_bits(json_program: Program, number: str) -> None:
    assert json_program.ask("long", b'{"a":' + number.encode() + b"}", "a") is None


@settings(max_examples=200, deadline=None)
@given(st.integers(-2**63, 2**63 - 1))
def test_any_whole_number(json_program: Program, number: int) -> None:
    answer = json_program.ask("long", b'{"a":%d}' % number, "a")
    assert answer is not None and int(answer) == number


def test_members_are_of_their_kind_or_not_there(json_program: Program) -> None:
    raw = '{"text":"é🪙\\n","yes":true,"no":false,"nothing":null,"number":7,"list":[{"text":"inner"}]}'.encode()
    assert json_program.ask("text", raw, "text") == "é🪙\n".encode()
    assert json_program.ask("bool", raw, "yes") == b"\x01"
    assert json_program.ask("bool", raw, "no") == b"\x00"
    assert json_program.ask("null", raw, "nothing") == b"\x01"
    assert json_program.ask("long", raw, "number") == b"7"
    for kind, names in {"text": ("yes", "nothing", "number", "list", "absent", "tex", "texts"),
                        "bool": ("text", "nothing", "number", "absent"),
                        "long": ("text", "yes", "nothing", "absent", "inner")}.items():
        for name in names:
            assert json_program.ask(kind, raw, name) is None, (kind, name)
    assert json_program.ask("null", raw, "text") == b"\x00"
    assert json_program.ask("null", raw, "absent") == b"\x00"
    assert json_program.ask("text", b'["text"]', "text") is None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=12) | TEXT.map(str.encode))
def test_utf8_is_what_python_takes_for_it(json_program: Program, raw: bytes) -> None:
    try:
        right: str | None = raw.decode("utf-8", "strict")
    except UnicodeDecodeError:
        right = None
    answer = json_program.ask("from-utf8", raw)
    assert (answer is not None) == (right is not None and "\0" not in right)
    if answer is not None:
        assert answer == raw
