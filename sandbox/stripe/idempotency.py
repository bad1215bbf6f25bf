"""Idempotency keys as Stripe keeps them: the first executed call's status and body, for 24 hours."""

import hashlib
import json
from typing import Any

from sandbox.stripe.clock import DAY
from sandbox.stripe.errors import StripeError, invalid
from sandbox.stripe.world import Object, World

KIND = "_idempotency"
LONGEST = 255


class Keys:
    """Claims in memory, answers in the world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._running: set[str] = set()

    def claim(self, key: str, path: str, params: dict[str, Any]) -> Object | None:
        """The kept answer, or None when the call may run; then ``keep`` or ``release`` must follow.

        Other parameters or another endpoint raise 400, a call still running with the same key 409.
        """
        if len(key) > LONGEST:
            raise invalid(f"Idempotency keys have at most {LONGEST} characters.")
        self._prune()
        kept = self._world.objects.get(f"key:{key}")
        if kept is not None:
            self._compare(kept, key, path, params)
            return kept
        if key in self._running:
            raise StripeError(409, "There is currently another in-progress request using this Idempotent Key (that "
                                   "probably means you submitted twice, and the other request is still going through)"
                                   f": {key}. Please try again later.", kind="idempotency_error",
                              code="idempotency_key_in_use")
        self._running.add(key)
        return None

    def keep(self, key: str, path: str, params: dict[str, Any], status: int, body: str, request_id: str) -> None:
        """Remember the answer; it goes to disk with what the call did."""
        self._world.new(KIND, object_id=f"key:{key}", path=path, fingerprint=_fingerprint(params), status=status,
                        body=body, request_id=request_id, kept_at=self._world.now())

    def release(self, key: str) -> None:
        self._running.discard(key)

    def _prune(self) -> None:
        oldest = self._world.now() - DAY
        for kept in self._world.of_kind(KIND):
            if kept["kept_at"] > oldest:
                return
            self._world.forget(kept["id"])

    @staticmethod
    def _compare(kept: Object, key: str, path: str, params: dict[str, Any]) -> None:
        if kept["path"] != path:
            raise StripeError(400, "Keys for idempotent requests can only be used for the same endpoint they were "
                                   f"first used for ('{path}' vs '{kept['path']}'). Try using a key other than "
                                   f"'{key}' if you meant to execute a different request.", kind="idempotency_error")
        if kept["fingerprint"] != _fingerprint(params):
            raise StripeError(400, "Keys for idempotent requests can only be used with the same parameters they were "
                                   f"first used with. Try using a key other than '{key}' if you meant to execute a "
                                   "different request.", kind="idempotency_error")


def _fingerprint(params: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()
