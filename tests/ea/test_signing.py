"""Scheme v1 in MQL5: the vectors that the desk's own side is held to, and the desk's own code."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ea.program import Program
from wire import signing

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "signing.json").read_text("utf-8"))
YES, NO = b"\x01", b"\x00"
SECRET = bytes(range(32))


def body_of(vector: dict[str, Any]) -> bytes:
    return bytes.fromhex(vector["body_hex"]) if "body_hex" in vector else vector["body_utf8"].encode()


def request_of(vector: dict[str, Any]) -> tuple[str, str, int, str, bytes]:
    return (vector["method"], vector["path_query"], int(vector["timestamp"]), vector["nonce"], body_of(vector))


@pytest.mark.parametrize("vector", VECTORS["requests"], ids=lambda v: v["name"])
def test_requests_are_signed_as_the_vectors_say(program: Program, vector: dict[str, Any]) -> None:
    secret = program.ask("read-secret", vector["secret"])
    assert secret is not None
    assert program.ask("canonical-request", *request_of(vector)) == vector["canonical"].encode()
    assert program.ask("sign-request", secret, *request_of(vector)) == vector["signature"].encode()
    assert program.ask("genuine", secret, vector["canonical"], vector["signature"]) == YES


@pytest.mark.parametrize("vector", VECTORS["responses"], ids=lambda v: v["name"])
def test_answers_are_checked_as_the_vectors_say(program: Program, vector: dict[str, Any]) -> None:
    secret, status, body = signing.decode_secret(vector["secret"]), int(vector["status"]), body_of(vector)
    assert program.ask("canonical-answer", status, vector["nonce"], body) == vector["canonical"].encode()
    assert program.ask("genuine-answer", secret, status, vector["nonce"], body, vector["signature"]) == YES


@pytest.mark.parametrize("vector", VECTORS["responses"], ids=lambda v: v["name"])
def test_an_answer_to_another_question_is_none(program: Program, vector: dict[str, Any]) -> None:
    secret, status, body = signing.decode_secret(vector["secret"]), int(vector["status"]), body_of(vector)
    nonce, signature = vector["nonce"], vector["signature"]
    assert program.ask("genuine-answer", secret, status + 1, nonce, body, signature) == NO
    assert program.ask("genuine-answer", secret, status, nonce + "x", body, signature) == NO
    assert program.ask("genuine-answer", secret, status, nonce, body + b" ", signature) == NO
    other = bytes([secret[0] ^ 1]) + secret[1:]
    assert program.ask("genuine-answer", other, status, nonce, body, signature) == NO


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda v: v["name"])
def test_what_the_vectors_refuse_is_refused(program: Program, vector: dict[str, Any]) -> None:
    secret = signing.decode_secret(vector["secret"])
    text = program.ask("canonical-request", *request_of(vector))
    assert text is not None
    assert program.ask("genuine", secret, text.decode(), vector["signature"]) == NO


@pytest.mark.parametrize("size", [0, 31, 33])
def test_without_a_whole_secret_nothing_is_genuine(program: Program, size: int) -> None:
    secret = SECRET[:size] + bytes(max(0, size - 32))
    assert program.ask("genuine", secret, "text", signing.sign(secret, b"text")) == NO


def test_no_byte_of_a_signature_can_be_changed(program: Program) -> None:
    signature = signing.sign(SECRET, b"text")
    assert program.ask("genuine", SECRET, "text", signature) == YES
    for place in range(len(signature)):
        other = "0" if signature[place] != "0" else "1"
        assert program.ask("genuine", SECRET, "text", signature[:place] + other + signature[place + 1:]) == NO, place


TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=40)


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=32, max_size=32), TEXT, TEXT, st.integers(0, 2**53), TEXT, st.binary(max_size=200))
def test_both_sides_sign_alike(program: Program, secret: bytes, method: str, target: str, seconds: int, nonce: str,
                               body: bytes) -> None:
    text = signing.canonical(method, target, str(seconds), nonce, body)
    assert program.ask("canonical-request", method, target, seconds, nonce, body) == text
    signed = program.ask("sign-request", secret, method, target, seconds, nonce, body)
    assert signed is not None and signing.is_valid(secret, text, signed.decode())


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(100, 599), TEXT, st.binary(max_size=200))
def test_what_the_desk_answers_is_genuine(program: Program, secret: bytes, status: int, nonce: str,
                                          body: bytes) -> None:
    signature = signing.sign(secret, signing.canonical_answer(status, nonce, body))
    assert program.ask("genuine-answer", secret, status, nonce, body, signature) == YES
