"""Signed machine requests: the shared vectors, and that nothing but the true signature passes."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import signing

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "signing.json").read_text("utf-8"))
SECRET = bytes(range(32))


def body_of(vector: dict[str, Any]) -> bytes:
    return bytes.fromhex(vector["body_hex"]) if "body_hex" in vector else vector["body_utf8"].encode()


def canonical_of(vector: dict[str, Any]) -> bytes:
    return signing.canonical(vector["method"], vector["path_query"], vector["timestamp"], vector["nonce"],
                             body_of(vector))


@pytest.mark.parametrize("vector", VECTORS["requests"], ids=lambda v: v["name"])
def test_requests_are_signed_as_the_vectors_say(vector: dict[str, Any]) -> None:
    secret = signing.decode_secret(vector["secret"])
    assert len(secret) == 32
    assert canonical_of(vector).decode() == vector["canonical"]
    assert signing.sign(secret, canonical_of(vector)) == vector["signature"]
    assert signing.is_well_formed(vector["timestamp"], vector["nonce"], vector["signature"])
    assert signing.is_valid(secret, canonical_of(vector), vector["signature"])


@pytest.mark.parametrize("vector", VECTORS["responses"], ids=lambda v: v["name"])
def test_responses_are_signed_as_the_vectors_say(vector: dict[str, Any]) -> None:
    lines = ["RESPONSE", str(vector["status"]), vector["nonce"], hashlib.sha256(body_of(vector)).hexdigest()]
    assert "\n".join(lines) == vector["canonical"]
    secret = signing.decode_secret(vector["secret"])
    assert signing.sign(secret, vector["canonical"].encode()) == vector["signature"]


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda v: v["name"])
def test_what_the_vectors_refuse_is_refused(vector: dict[str, Any]) -> None:
    secret = signing.decode_secret(vector["secret"])
    assert not signing.is_valid(secret, canonical_of(vector), vector["signature"])


@given(st.integers(min_value=0, max_value=31), st.integers(min_value=1, max_value=255))
def test_another_secret_signs_otherwise(place: int, flip: int) -> None:
    other = bytearray(SECRET)
    other[place] ^= flip
    assert signing.sign(bytes(other), b"text") != signing.sign(SECRET, b"text")


@given(st.text(max_size=80))
def test_no_header_value_raises(text: str) -> None:
    assert not signing.is_valid(SECRET, b"text", text)
    signing.is_well_formed(text, text, text)


@pytest.mark.parametrize(("timestamp", "nonce"), [
    ("", "n" * 16), ("-1", "n" * 16), ("1.0", "n" * 16), ("1e9", "n" * 16), ("１２", "n" * 16), (" 1", "n" * 16),
    ("1\n", "n" * 16), ("1" * 13, "n" * 16), ("1", "n" * 15), ("1", "n" * 65), ("1", "n" * 15 + "+"),
    ("1", "n" * 15 + "é"), ("1", "n" * 16 + "\n"),
])
def test_headers_out_of_form_are_refused(timestamp: str, nonce: str) -> None:
    assert not signing.is_well_formed(timestamp, nonce, "v1=" + "0" * 64)


@given(st.binary(min_size=32, max_size=32))
def test_secrets_survive_their_writing(secret: bytes) -> None:
    assert signing.decode_secret(base64.urlsafe_b64encode(secret).rstrip(b"=").decode()) == secret
