"""Writes tests/vectors/envelope.json: what the protocol's words come to, reckoned apart from the desk's own code.

Keys are RFC 5869 spelled out with ``hmac``; the bytes are put together here once more. Nothing of `wire/` is used, so
that the vectors can be wrong only where the words are.
"""

import base64
import hmac
import json
import struct
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

TARGET = Path(__file__).parent.parent / "tests" / "vectors" / "envelope.json"
COUNTING = bytes(range(32))
OTHER = base64.urlsafe_b64decode("xYpGuFzjhG_6fkOZUc8Nqq_QKa_K2xDEn6qOToY2QPs=")
DEVICE = "dv_0123456789abcdef01234567"
DIRECTIONS = {"c2s": 1, "s2c": 2}

# Name, secret, device, direction, counter, path without its query, text.
Line = tuple[str, bytes, str, str, int, str, bytes]
SEALED: list[Line] = [
    ("an acknowledgement", COUNTING, DEVICE, "c2s", 1, "/api/v1/ea/ack",
     b'{"order_id":"7","status":"filled","ticket":123456,"price":"1.07008"}'),
    ("the answer to it", COUNTING, DEVICE, "s2c", 1, "/api/v1/ea/ack", b'{"recorded":"taken"}'),
    ("orders for a poll", OTHER, DEVICE, "s2c", 1714564800123, "/api/v1/ea/poll",
     b'{"orders":[],"next_poll_seconds":1}'),
    ("nothing at all", OTHER, DEVICE, "c2s", 2, "/api/v1/ea/begin", b""),
    ("the greatest counter", COUNTING, DEVICE, "c2s", 2**53 - 1, "/api/v1/ea/snapshot", b"{}"),
    ("a counter of 32 bits", COUNTING, DEVICE, "s2c", 2**32, "/api/v1/ea/snapshot", b"{}"),
    ("bytes that are no text", COUNTING, DEVICE, "s2c", 255, "/api/v1/ea/poll", bytes(range(256))),
    ("a text beyond ASCII", OTHER, DEVICE, "c2s", 256, "/api/v1/ea/symbols", '{"name":"Öl 🛢"}'.encode()),
    ("exactly a block", OTHER, DEVICE, "s2c", 65536, "/api/v1/ea/poll", bytes(64)),
    ("an id of one letter", COUNTING, "d", "c2s", 3, "/api/v1/ea/ack", b"{}"),
    ("the longest id", COUNTING, "d" * 255, "s2c", 4, "/api/v1/ea/ack", b"{}"),
    ("an id beyond ASCII", OTHER, "Gerät-é", "c2s", 5, "/api/v1/ea/ack", b"{}"),
    ("a path with signs in it", OTHER, DEVICE, "c2s", 6, "/api/v1/ea/%C3%A9;a=1", b"{}"),
]


def derived(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256 for the 32 bytes that are its first block."""
    return hmac.digest(hmac.digest(salt, secret, "sha256"), info + b"\x01", "sha256")


def spelled(secret: bytes) -> str:
    """A secret as the desk shows it."""
    return base64.urlsafe_b64encode(secret).rstrip(b"=").decode()


def sealed(line: Line) -> dict[str, Any]:
    """One envelope with everything on the way to it."""
    name, secret, device, direction, counter, path, text = line
    written = device.encode()
    start = struct.pack("BB", 1, len(written)) + written
    nonce = bytes(4) + struct.pack(">Q", counter)
    target = f"{path}?envelope=v1&counter={counter}"
    aad = start + struct.pack("B", DIRECTIONS[direction]) + nonce[4:] + target.encode()
    box = ChaCha20Poly1305(derived(secret, written, f"ea/v1/{direction}".encode())).encrypt(nonce, text, aad)
    return {"name": name, "secret": spelled(secret), "device_id": device, "direction": direction,
            "counter": str(counter), "path_query": target, "nonce_hex": nonce.hex(), "aad_hex": aad.hex(),
            "text_hex": text.hex(), "envelope_hex": (start + nonce[4:] + box).hex()}


def refused() -> list[dict[str, Any]]:
    """What must not open at the place it is offered at, and what is said of it."""
    good = sealed(SEALED[1])
    whole, counts_at = bytes.fromhex(good["envelope_hex"]), 2 + len(DEVICE)
    begins_at = counts_at + 8

    def one(name: str, fault: str, body: bytes = whole, **changes: str) -> dict[str, Any]:
        offered = {key: good[key] for key in ("secret", "device_id", "direction", "counter", "path_query")}
        return {"name": name, "fault": fault, **offered, **changes, "envelope_hex": body.hex()}

    def put(place: int, value: int) -> bytes:
        return whole[:place] + bytes([value]) + whole[place + 1:]

    up = sealed(("", COUNTING, DEVICE, "c2s", 1, "/api/v1/ea/ack", b'{"recorded":"taken"}'))
    return [
        one("no bytes", "length", b""),
        one("a head alone", "length", whole[:begins_at]),
        one("a byte short of a tag", "length", whole[:begins_at + 15]),
        one("another version", "version", put(0, 2)),
        one("another length of the id", "device", put(1, 26)),
        one("another device's", "device", put(2, ord("e"))),
        one("another counter in the body", "counter", put(begins_at - 1, 2)),
        one("another counter in the query", "counter", counter="2"),
        one("another path", "tag", path_query="/api/v1/ea/begin?envelope=v1&counter=1"),
        one("another spelling of the query", "tag", path_query="/api/v1/ea/ack?counter=1&envelope=v1"),
        one("the other direction", "tag", direction="c2s"),
        one("a request as an answer", "tag", bytes.fromhex(up["envelope_hex"])),
        one("another secret", "tag", secret=spelled(OTHER)),
        one("a byte cut off", "tag", whole[:-1]),
        one("a byte put on", "tag", whole + b"\x00"),
        one("a bit of the text", "tag", put(begins_at, whole[begins_at] ^ 1)),
        one("a bit of the tag", "tag", put(len(whole) - 1, whole[-1] ^ 128)),
        one("no counter", "counter", counter="0"),
        one("a counter too great", "counter", counter=str(2**53)),
        one("no device", "device", device_id=""),
        one("an id too long", "device", device_id="d" * 256),
    ]


def vectors() -> dict[str, Any]:
    """All of the file."""
    keys = [{"secret": spelled(secret), "device_id": device,
             "c2s_hex": derived(secret, device.encode(), b"ea/v1/c2s").hex(),
             "s2c_hex": derived(secret, device.encode(), b"ea/v1/s2c").hex()}
            for secret, device in dict.fromkeys((line[1], line[2]) for line in SEALED)]
    return {"version": "v1", "algorithm": "ChaCha20-Poly1305, keys by HKDF-SHA256", "keys": keys,
            "envelopes": [sealed(line) for line in SEALED], "refused": refused()}


def written() -> str:
    return json.dumps(vectors(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(written(), encoding="utf-8")
