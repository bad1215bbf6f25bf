"""The MQL5 files against hashlib, hmac and cryptography: every length round a block, edges of numbers, and chance."""

import hashlib
import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, poly1305
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ea.program import Program

LENGTHS = (*range(130), 1000, 4096)
EDGES = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\x01")
KEYS = {"zeros": bytes(32), "ones": b"\xff" * 32, "counting": bytes(range(32))}


def pattern(size: int, step: int = 7) -> bytes:
    return bytes((i * step + size) % 256 for i in range(size))


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


def test_digests_of_every_length(program: Program) -> None:
    for size in LENGTHS:
        for message in (pattern(size), *(edge * size for edge in EDGES[:2])):
            assert program.ask("sha256", message) == hashlib.sha256(message).digest(), size


@pytest.mark.parametrize("part", [1, 3, 55, 63, 64, 65, 200])
def test_digests_fed_in_parts(program: Program, part: int) -> None:
    for size in (0, 1, 63, 64, 65, 127, 128, 129, 1000):
        assert program.ask("sha256-parts", pattern(size), part) == hashlib.sha256(pattern(size)).digest(), size


def test_codes_with_keys_of_every_length(program: Program) -> None:
    for size in range(201):
        key = pattern(size, 11)
        for message in (b"", pattern(size % 70)):
            assert program.ask("hmac", key, message) == hmac.digest(key, message, "sha256"), size


def test_codes_over_messages_of_every_length(program: Program) -> None:
    for size in LENGTHS:
        assert program.ask("hmac", KEYS["ones"], pattern(size)) == hmac.digest(KEYS["ones"], pattern(size), "sha256")


def test_derived_keys_of_every_length(program: Program) -> None:
    for length in (*range(1, 100), 255, 256, 8160):
        secret, salt, info = pattern(length % 50), pattern(length % 70, 3), pattern(length % 40, 5)
        assert program.ask("hkdf", secret, salt, info, length) == hkdf(secret, salt, info, length), length


@pytest.mark.parametrize("length", [-1, 0, 8161])
def test_derived_keys_of_impossible_lengths_are_refused(program: Program, length: int) -> None:
    assert program.ask("hkdf", b"secret", b"salt", b"info", length) is None


def test_tags_at_the_edges_of_numbers(program: Program) -> None:
    """Keys and texts that fill every limb, so that each carry happens."""
    for key in (bytes(32), b"\xff" * 32, b"\xff" * 16 + bytes(16), bytes(16) + b"\xff" * 16, pattern(32)):
        for size in (0, 1, 15, 16, 17, 31, 32, 33, 48, 64, 129, 1000):
            for edge in EDGES:
                right = poly1305.Poly1305.generate_tag(key, edge * size)
                assert program.ask("poly1305", key, edge * size) == right, (key.hex(), size, edge)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_sealing_of_every_length(program: Program, key: bytes) -> None:
    for size in LENGTHS:
        nonce, aad, text = pattern(12, size % 13), pattern(size % 41), pattern(size)
        sealed = ChaCha20Poly1305(key).encrypt(nonce, text, aad)
        assert program.ask("seal", key, nonce, aad, text) == sealed, size
        assert program.ask("open", key, nonce, aad, sealed) == text, size


def test_sealing_beside_other_data_of_every_length(program: Program) -> None:
    for size in range(41):
        for text in (b"", pattern(20)):
            sealed = ChaCha20Poly1305(KEYS["counting"]).encrypt(bytes(12), text, pattern(size))
            assert program.ask("seal", KEYS["counting"], bytes(12), pattern(size), text) == sealed, size
            assert program.ask("open", KEYS["counting"], bytes(12), pattern(size), sealed) == text, size


def test_no_byte_can_be_changed(program: Program) -> None:
    parts = {"key": KEYS["counting"], "nonce": pattern(12), "aad": pattern(21)}
    parts["sealed"] = ChaCha20Poly1305(parts["key"]).encrypt(parts["nonce"], pattern(70), parts["aad"])
    assert program.ask("open", *parts.values()) == pattern(70)
    for name, part in parts.items():
        for place in range(len(part)):
            changed = bytearray(part)
            changed[place] ^= 1 << (place % 8)
            assert program.ask("open", *{**parts, name: bytes(changed)}.values()) is None, (name, place)


def test_nothing_can_be_cut_off_or_put_on(program: Program) -> None:
    key, nonce, aad = KEYS["ones"], pattern(12), pattern(16)
    sealed = ChaCha20Poly1305(key).encrypt(nonce, pattern(40), aad)
    for size in range(len(sealed)):
        assert program.ask("open", key, nonce, aad, sealed[:size]) is None, size
    assert program.ask("open", key, nonce, aad, sealed + b"\x00") is None
    assert program.ask("open", key, nonce, aad + b"\x00", sealed) is None
    assert program.ask("open", key, nonce, aad[:-1], sealed) is None


@pytest.mark.parametrize(("key", "nonce"), [(31, 12), (33, 12), (0, 12), (32, 11), (32, 13), (32, 0)])
def test_keys_and_nonces_of_another_size_are_refused(program: Program, key: int, nonce: int) -> None:
    assert program.ask("seal", bytes(key), bytes(nonce), b"", b"text") is None
    assert program.ask("open", bytes(key), bytes(nonce), b"", bytes(20)) is None


BYTES = st.binary(max_size=300)
KEY = st.binary(min_size=32, max_size=32)
QUESTIONS = st.one_of(
    st.tuples(st.just("sha256"), BYTES),
    st.tuples(st.just("hmac"), BYTES, BYTES),
    st.tuples(st.just("hkdf"), BYTES, BYTES, BYTES, st.integers(1, 200)),
    st.tuples(st.just("poly1305"), KEY, BYTES),
    st.tuples(st.just("seal"), KEY, st.binary(min_size=12, max_size=12), BYTES, BYTES),
)


def right_answer(question: str, *arguments: Any) -> bytes:
    if question == "sha256":
        return hashlib.sha256(*arguments).digest()
    if question == "hmac":
        return hmac.digest(*arguments, "sha256")
    if question == "hkdf":
        return hkdf(*arguments)
    if question == "poly1305":
        return poly1305.Poly1305.generate_tag(*arguments)
    key, nonce, aad, text = arguments
    return ChaCha20Poly1305(key).encrypt(nonce, text, aad)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(QUESTIONS, min_size=1, max_size=12))
def test_whatever_is_asked(program: Program, questions: list[tuple[Any, ...]]) -> None:
    """One process answers all batches: nothing of one question may be left in the next."""
    for question in questions:
        assert program.ask(*question) == right_answer(*question), question[0]


@settings(max_examples=60, deadline=None)
@given(KEY, st.binary(min_size=12, max_size=12), BYTES, st.binary(max_size=120))
def test_what_nobody_sealed_is_refused(program: Program, key: bytes, nonce: bytes, aad: bytes, sealed: bytes) -> None:
    assert program.ask("open", key, nonce, aad, sealed) is None


def test_more_than_417_vectors_were_asked(program: Program) -> None:
    """The promise of the guide, for whoever shortens a range: counted as the tests above ask."""
    before = program.asked
    for test in (test_digests_of_every_length, test_sealing_beside_other_data_of_every_length):
        test(program)
    assert program.asked - before > 417
