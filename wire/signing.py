"""Signed machine requests, scheme v1: HMAC-SHA256 over method, path, time, nonce and body hash."""

import base64
import hashlib
import hmac
import re

MAX_SKEW_SECONDS = 60
NONCE_SECONDS = 180
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"v1=[0-9a-f]{64}")
_OF_NOTHING = hashlib.sha256(b"").hexdigest()


def canonical(method: str, target: str, timestamp: str, nonce: str, body: bytes) -> bytes:
    """The text that is signed; ``target`` is path and query exactly as sent."""
    lines = (method, target, timestamp, nonce, _hashed(body))
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def canonical_answer(status: int, nonce: str, body: bytes) -> bytes:
    """The text that is signed in an answer to a device; ``nonce`` is that of its request."""
    return "\n".join(("RESPONSE", str(status), nonce, _hashed(body))).encode()


def _hashed(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest() if body else _OF_NOTHING


def sign(secret: bytes, text: bytes) -> str:
    """The value of X-Signature."""
    return "v1=" + hmac.digest(secret, text, "sha256").hex()


def is_well_formed(timestamp: str, nonce: str, signature: str) -> bool:
    """Whether the three headers have their form; says nothing of their truth."""
    return bool(_TIMESTAMP.fullmatch(timestamp) and _NONCE.fullmatch(nonce) and _SIGNATURE.fullmatch(signature))


def is_valid(secret: bytes, text: bytes, signature: str) -> bool:
    """Compare in constant time, as bytes, so that no header value can raise."""
    return hmac.compare_digest(sign(secret, text).encode(), signature.encode("utf-8", "surrogateescape"))


def decode_secret(secret: str) -> bytes:
    """The 32 bytes of a base64url secret without padding."""
    return base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
