"""The MQL5 files give what the standards print."""

import pytest

from tests.ea import rfc
from tests.ea.program import Program


@pytest.mark.parametrize(("message", "digest"), rfc.SHA256)
def test_sha256(program: Program, message: bytes, digest: str) -> None:
    assert program.ask("sha256", message) == bytes.fromhex(digest)


@pytest.mark.parametrize(("key", "message", "code"), rfc.HMAC)
def test_hmac(program: Program, key: bytes, message: bytes, code: str) -> None:
    answer = program.ask("hmac", key, message)
    assert answer is not None and answer.hex().startswith(code)


@pytest.mark.parametrize(("secret", "salt", "info", "length", "key"), rfc.HKDF)
def test_hkdf(program: Program, secret: bytes, salt: bytes, info: bytes, length: int, key: str) -> None:
    assert program.ask("hkdf", secret, salt, info, length) == bytes.fromhex(key)


@pytest.mark.parametrize(("key", "message", "tag"), rfc.POLY1305)
def test_poly1305(program: Program, key: str, message: str, tag: str) -> None:
    assert program.ask("poly1305", bytes.fromhex(key), bytes.fromhex(message)) == bytes.fromhex(tag)


@pytest.mark.parametrize(("key", "counter", "nonce", "text", "cipher"), rfc.CHACHA20)
def test_chacha20(program: Program, key: bytes, counter: int, nonce: bytes, text: bytes, cipher: str) -> None:
    assert program.ask("chacha20", key, counter, nonce, text) == bytes.fromhex(cipher)


@pytest.mark.parametrize(("key", "nonce", "aad", "text", "sealed"), rfc.AEAD)
def test_chacha20_poly1305(program: Program, key: bytes, nonce: bytes, aad: bytes, text: bytes, sealed: str) -> None:
    assert program.ask("seal", key, nonce, aad, text) == bytes.fromhex(sealed)
    assert program.ask("open", key, nonce, aad, bytes.fromhex(sealed)) == text
