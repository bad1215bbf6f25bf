"""The rules of clients under test: nobody waits for half a minute here. The true figures are in sdk/rules.py."""

from sdk.rules import Rules

BRISK = Rules(shows_within_seconds=2.0, look_seconds=0.3, busy_seconds=0.3, poll_seconds=0.3, open_seconds=0.5,
              idle_seconds=0.5)
