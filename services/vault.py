"""Sealing secrets that must be readable again: AES-256-GCM, bound to the place they are kept in.

Sealed form: ``0x01 | key id (4 bytes) | nonce (12) | ciphertext and tag``. The associated data names table,
column and row, so that a ciphertext moved elsewhere does not open. NIST SP 800-38D.
"""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_FORMAT = b"\x01"


class SealBroken(Exception):
    """The ciphertext was altered, moved, or sealed under a key that is not at hand."""


class Vault:
    """Seals under the current master key; opens under the current and the previous one."""

    def __init__(self, master_key: bytes, previous: bytes | None = None) -> None:
        self._keys = {_key_id(key): _derive(key, b"countersign/seal/v1") for key in (previous, master_key) if key}
        self._current = _key_id(master_key)
        self.jwt_keys = [_derive(key, b"countersign/jwt/v1") for key in (master_key, previous) if key]
        self.pairing_keys = [_derive(key, b"countersign/pairing/v1") for key in (master_key, previous) if key]

    def seal(self, secret: bytes, place: str) -> bytes:
        """Encrypt ``secret`` for ``place`` (``table:column:row``)."""
        nonce = os.urandom(12)
        box = AESGCM(self._keys[self._current]).encrypt(nonce, secret, place.encode())
        return _FORMAT + self._current + nonce + box

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt what was sealed for ``place``; SealBroken otherwise."""
        key = self._keys.get(sealed[1:5])
        if sealed[:1] != _FORMAT or key is None:
            raise SealBroken(place)
        try:
            return AESGCM(key).decrypt(sealed[5:17], sealed[17:], place.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken(place) from error

    def is_current(self, sealed: bytes) -> bool:
        """Whether ``sealed`` is under the current key and so needs no rotation."""
        return sealed[:1] == _FORMAT and sealed[1:5] == self._current


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"countersign/key-id/v1" + key).digest()[:4]


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose).derive(key)
