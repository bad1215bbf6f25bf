"""The local fence: what the owner of a terminal allows, whatever the desk says."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sdk.clock import DeskClock, Stopwatch
from sdk.state import Start, State
from terminal.protocol import AccountSnapshot, SymbolSpec, Tick


@dataclass(frozen=True, slots=True)
class Policy:
    """None is no limit; money is in the account's currency.

    ``max_total_lots`` counts what is open and what waits, with the order. ``symbols`` are the broker's own names, in
    any case; one that ends with ``*`` is a beginning. Days begin at midnight UTC. ``max_silence_seconds`` is how old
    the last report that the desk has taken may be.
    """

    max_lots: Decimal | None = None
    max_total_lots: Decimal | None = None
    symbols: tuple[str, ...] | None = None
    needs_stop: bool = False
    max_spread_points: int | None = None
    max_daily_loss: Decimal | None = None
    max_orders_a_day: int | None = None
    max_silence_seconds: float | None = 120.0


@dataclass(frozen=True, slots=True)
class Day:
    """What has happened today. ``silent_seconds`` is None when the desk has taken no report yet."""

    lost: Decimal
    orders: int
    silent_seconds: float | None


def lost_since(start: Start, account: AccountSnapshot) -> Decimal:
    """What the account has lost since then, open positions and all, without what was paid in or out."""
    if start.net_deposits is None or account.net_deposits is None:
        return start.equity - account.equity
    return (start.equity - start.net_deposits) - (account.equity - account.net_deposits)


def is_named(symbol: str, names: Sequence[str]) -> bool:
    """Whether one of these names is the symbol's."""
    folded = symbol.casefold()
    return any(folded.startswith(name[:-1].casefold()) if name.endswith("*") else folded == name.casefold()
               for name in names)


def refusal(policy: Policy, day: Day, spec: SymbolSpec, tick: Tick, volume: Decimal, stop_loss: Decimal | None,
            held: Decimal = Decimal(0)) -> str | None:
    """The code of the first limit that an order would pass; None when it passes none."""
    if policy.max_silence_seconds is not None and (
            day.silent_seconds is None or day.silent_seconds > policy.max_silence_seconds):
        return "policy_no_heartbeat"
    if policy.symbols is not None and not is_named(spec.name, policy.symbols):
        return "policy_symbol"
    if policy.needs_stop and stop_loss is None:
        return "policy_no_stop"
    if policy.max_lots is not None and volume > policy.max_lots:
        return "policy_max_lots"
    if policy.max_total_lots is not None and held + volume > policy.max_total_lots:
        return "policy_total_lots"
    if policy.max_orders_a_day is not None and day.orders >= policy.max_orders_a_day:
        return "policy_max_orders"
    if policy.max_daily_loss is not None and day.lost >= policy.max_daily_loss:
        return "policy_daily_loss"
    if policy.max_spread_points is not None and tick.ask - tick.bid > policy.max_spread_points * spec.point:
        return "policy_spread"
    return None


class Fence:
    """The policy with what it has to know of today."""

    def __init__(self, policy: Policy, state: State, clock: DeskClock) -> None:
        self._policy, self._state, self._clock = policy, state, clock
        self._heard: Stopwatch | None = None

    def heard(self) -> None:
        """The desk has just taken a report."""
        self._heard = Stopwatch()

    async def look(self, account: AccountSnapshot, own: int | None = None) -> Day:
        """How the day stands for the order with the magic ``own``; the first look at a day is its beginning."""
        now = self._clock.now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        start = await self._state.day_start(f"{midnight:%Y-%m-%d}", account.equity, account.net_deposits)
        return Day(lost_since(start, account), await self._state.traded_since(midnight, own),
                   self._heard.seconds if self._heard is not None else None)

    @property
    def is_silent(self) -> bool:
        """Whether nothing may be traded because the desk has not taken a report yet."""
        return self._policy.max_silence_seconds is not None and self._heard is None

    @property
    def counts_lots(self) -> bool:
        """Whether it has to know what is open already."""
        return self._policy.max_total_lots is not None

    async def refusal(self, account: AccountSnapshot, spec: SymbolSpec, tick: Tick, volume: Decimal,
                      stop_loss: Decimal | None, held: Decimal, own: int) -> str | None:
        """Why the fence keeps the order with the magic ``own`` in; None when it may go."""
        return refusal(self._policy, await self.look(account, own), spec, tick, volume, stop_loss, held)
