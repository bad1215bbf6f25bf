"""Signed machine requests, scheme v1, from the sender's side: the sandbox publishes as a provider does."""

import base64
import hashlib
import hmac
import secrets


def headers(key_id: str, secret: str, *, method: str, target: str, body: bytes, now: int,
            nonce: str | None = None) -> dict[str, str]:
    """The four headers for one request. ``target`` is path and query as sent, ``now`` unix seconds."""
    nonce = nonce or secrets.token_urlsafe(18)
    text = "\n".join((method, target, str(now), nonce, hashlib.sha256(body).hexdigest())).encode()
    key = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    return {"X-Key-Id": key_id, "X-Timestamp": str(now), "X-Nonce": nonce,
            "X-Signature": "v1=" + hmac.new(key, text, hashlib.sha256).hexdigest()}
