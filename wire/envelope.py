"""Sealed bodies between a device and the desk, envelope v1: ChaCha20-Poly1305 (RFC 8439), keys by HKDF (RFC 5869).

An envelope is ``0x01 | u8 len(device id) | device id | u64be counter | cipher text | tag (16)``. What is sealed besides
the text is ``0x01 | u8 len(device id) | device id | u8 direction | u64be counter | PATH?QUERY exactly as sent``. The
nonce is the counter, so a counter must never be used twice with one secret: the device counts, the desk remembers.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CONTENT_TYPE = "application/vnd.countersign.envelope"
MOST_COUNTER = 2**53 - 1  # what every JSON reader and a double hold exactly
LONGEST_ID = 255
TAG_BYTES = 16
_VERSION = b"\x01"
_COUNTER_BYTES = 8


class Direction(IntEnum):
    """Who speaks: the device to the desk, or the desk to the device."""

    C2S = 1
    S2C = 2


class Fault(StrEnum):
    """What does not fit. A wrong direction or path, a bit too many or another one all show as a wrong tag."""

    LENGTH = "length"
    VERSION = "version"
    DEVICE = "device"
    COUNTER = "counter"
    TAG = "tag"


class EnvelopeBroken(ValueError):
    """Not an envelope of this device, counter, direction and path. ``fault`` is for the log."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Keys:
    """A device's two keys of 32 bytes, one a direction. They last as long as its secret."""

    device_id: str
    up: bytes
    down: bytes

    def __repr__(self) -> str:
        return f"Keys({self.device_id!r})"


def keys_of(secret: bytes, device_id: str) -> Keys:
    """HKDF-SHA256 with the device's id as salt; EnvelopeBroken for an id that has no place in an envelope."""
    salt = _id_bytes(device_id)
    return Keys(device_id, _derived(secret, salt, b"ea/v1/c2s"), _derived(secret, salt, b"ea/v1/s2c"))


def seal(keys: Keys, direction: Direction, counter: int, path: str, text: bytes) -> bytes:
    """The envelope of ``text``. ``path`` is path and query as the request has them, for its answer too."""
    head = _head(keys.device_id, counter)
    return head + _cipher(keys, direction).encrypt(_nonce(counter), text, _aad(head, direction, path))


def open(keys: Keys, direction: Direction, counter: int, path: str, body: bytes) -> bytes:
    """The text of an envelope; EnvelopeBroken for everything but the very bytes that were sealed for this place."""
    head = _head(keys.device_id, counter)
    fault = _misfit(head, body)
    if fault is not None:
        raise EnvelopeBroken(fault)
    try:
        return _cipher(keys, direction).decrypt(_nonce(counter), body[len(head):], _aad(head, direction, path))
    except InvalidTag:
        raise EnvelopeBroken(Fault.TAG) from None


def _derived(secret: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=purpose).derive(secret)


def _id_bytes(device_id: str) -> bytes:
    written = device_id.encode("utf-8", "surrogateescape")
    if not 0 < len(written) <= LONGEST_ID:
        raise EnvelopeBroken(Fault.DEVICE)
    return written


def _head(device_id: str, counter: int) -> bytes:
    """What stands before the cipher text."""
    if not 0 < counter <= MOST_COUNTER:
        raise EnvelopeBroken(Fault.COUNTER)
    written = _id_bytes(device_id)
    return _VERSION + bytes((len(written),)) + written + counter.to_bytes(_COUNTER_BYTES, "big")


def _misfit(head: bytes, body: bytes) -> Fault | None:
    """What of an envelope's beginning is not as it has to be. Nothing of it is secret, so it may be told apart."""
    if len(body) < len(head) + TAG_BYTES:
        return Fault.LENGTH
    if body[:1] != _VERSION:
        return Fault.VERSION
    if body[:len(head) - _COUNTER_BYTES] != head[:-_COUNTER_BYTES]:
        return Fault.DEVICE
    return None if body.startswith(head) else Fault.COUNTER


def _cipher(keys: Keys, direction: Direction) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(keys.up if direction is Direction.C2S else keys.down)


def _nonce(counter: int) -> bytes:
    return bytes(4) + counter.to_bytes(_COUNTER_BYTES, "big")


def _aad(head: bytes, direction: Direction, path: str) -> bytes:
    named = path.encode("utf-8", "surrogateescape")
    return head[:-_COUNTER_BYTES] + bytes((direction,)) + head[-_COUNTER_BYTES:] + named
