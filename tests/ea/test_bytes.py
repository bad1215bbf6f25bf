"""Texts, hex, base64url and comparison of the MQL5 files."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ea.program import Program

TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=60)


@pytest.mark.parametrize("text", ["", "a", "abc", "é", "золото", "—", "\ud7ff\ue000\uffff", "🪙", "a🪙b",
                                  "\x7f\x80\u07ff\u0800"])
def test_texts_are_utf8_without_a_zero_behind_them(program: Program, text: str) -> None:
    assert program.ask("utf8", text) == text.encode()


@pytest.mark.parametrize("text", ["\ud83e", "a\ud83e", "\ude99a", "\ud83e\ud83e\ude99"])
def test_half_a_character_is_written_as_windows_does(program: Program, text: str) -> None:
    right = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()
    assert program.ask("utf8", text) == right


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_any_text(program: Program, text: str) -> None:
    assert program.ask("utf8", text) == text.encode()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_in_hex_and_base64url(program: Program, raw: bytes) -> None:
    assert program.ask("to-hex", raw) == raw.hex().encode()
    assert program.ask("from-hex", raw.hex()) == raw
    assert program.ask("from-hex", raw.hex().upper()) == raw
    assert program.ask("from-base64url", base64.urlsafe_b64encode(raw).rstrip(b"=").decode()) == raw


@pytest.mark.parametrize("text", ["0", "000", "0g", "g0", "/0", ":0", "@0", "`0", " 00", "0x", "００", "00 "])
def test_what_is_no_hex(program: Program, text: str) -> None:
    assert program.ask("from-hex", text) is None


@pytest.mark.parametrize("text", ["A", "AAAAA", "AA==", "AA=", "A+", "A/", "A ", "\nAA", "AB", "AAB", "Aé", "Ａ" * 2,
                                  "@A", "[A", "`A", "{A", "/A", ":A", ",A", ".A", "^A"])
def test_what_is_no_base64url(program: Program, text: str) -> None:
    """Left-over bits that are not zero included: a secret has one spelling."""
    assert program.ask("from-base64url", text) is None


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_secret_is_32_bytes(program: Program, size: int) -> None:
    text = base64.urlsafe_b64encode(bytes(size)).rstrip(b"=").decode()
    assert program.ask("read-secret", text) is None
    assert program.ask("read-secret", "A" * 43) == bytes(32)


def test_bytes_are_the_same_or_not(program: Program) -> None:
    raw = bytes(range(40))
    assert program.ask("same", raw, raw) == b"\x01"
    assert program.ask("same", b"", b"") == b"\x01"
    for place in range(len(raw)):
        for bit in range(8):
            other = bytearray(raw)
            other[place] ^= 1 << bit
            assert program.ask("same", raw, bytes(other)) == b"\x00", (place, bit)
    for other in (raw[:-1], raw + b"\x00", b""):
        assert program.ask("same", raw, other) == b"\x00"
