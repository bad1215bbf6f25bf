"""Access tokens that were found good a moment ago are not checked by their signature again.

Only good ones are remembered, for half a minute at most, and their own times are looked at every time: a token that
runs out is refused to the second, with or without this.
"""

from datetime import datetime

from services.auth import Tokens, Verdict

REMEMBER_SECONDS = 30.0
MOST = 4_096


class Verdicts:
    """Whose token it is, from memory where it can be told."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._known: dict[str, tuple[Verdict, float]] = {}

    def judge(self, token: str, now: datetime) -> Verdict:
        """Whose valid access token it is, and how long it is good; Unauthenticated for every fault."""
        known = self.recall(token, now)
        if known is not None:
            return known
        verdict = self._tokens.judge(token, now)
        self._known.pop(token, None)
        if len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        self._known[token] = verdict, now.timestamp()
        return verdict

    def recall(self, token: str, now: datetime) -> Verdict | None:
        """Of a token that was found good lately and still is."""
        moment, known = now.timestamp(), self._known.get(token)
        if known is None or not 0 <= moment - known[1] < REMEMBER_SECONDS or not known[0].holds(moment):
            return None
        return known[0]
