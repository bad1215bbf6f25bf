"""Access tokens that were found good a moment ago are not checked by their signature again.

Only good ones are remembered, for half a minute at most, and their own times are looked at every time: a token that
runs out is refused to the second, with or without this.
"""

from datetime import datetime

from services.auth import Tokens, Verdict
from services.errors import Unauthenticated

REMEMBER_SECONDS = 30.0
MOST = 4_096


class Verdicts:
    """Whose token it is, from memory where it can be told."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._known: dict[str, tuple[Verdict, float]] = {}

    def user_of(self, token: str, now: datetime) -> int:
        """The user id of a valid access token; Unauthenticated for every fault."""
        return self.judge(token, now).user_id

    def judge(self, token: str, now: datetime) -> Verdict:
        """The same, with how long the token is good."""
        moment = now.timestamp()
        known = self._known.get(token)
        if known is not None and 0 <= moment - known[1] < REMEMBER_SECONDS:
            if not known[0].holds(moment):
                raise Unauthenticated
            return known[0]
        verdict = self._tokens.judge(token, now)
        self._known.pop(token, None)
        if len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        self._known[token] = verdict, moment
        return verdict
