"""The fence round trading terminals: one protocol, several gateways.

Prices, volumes and money are ``Decimal``; instants are aware UTC. A gateway serves every account of one
route; each call names the account. Nothing here knows of users, approvals, chats or HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, runtime_checkable


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"


class DealEntry(StrEnum):
    """Which way a deal moved the position; ``inout`` closes it and opens the rest the other way (netting)."""

    IN = "in"
    OUT = "out"
    INOUT = "inout"


class TradeMode(StrEnum):
    """What may be done with a symbol (ENUM_SYMBOL_TRADE_MODE)."""

    DISABLED = "disabled"
    LONG_ONLY = "long_only"
    SHORT_ONLY = "short_only"
    CLOSE_ONLY = "close_only"
    FULL = "full"


class DealReason(StrEnum):
    """Why a deal was made."""

    SIGNAL = "signal"
    CLIENT = "client"
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    STOP_OUT = "stop_out"
    OTHER = "other"
    """Something else the broker did: a rollover, a variation margin, a split."""
    EXPIRED = "expired"
    """A resting order ran out of time; volume 0."""
    CANCELLED = "cancelled"
    """A resting order was withdrawn; volume 0."""
    REJECTED = "rejected"
    """A resting order was reached but could not be filled; volume 0."""


class ResultStatus(StrEnum):
    PLACED = "placed"
    FILLED = "filled"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class AccountRef:
    """Names one trading account at one trade server."""

    login: str
    server: str


@dataclass(frozen=True, slots=True)
class SymbolSpec:
    """What a broker says of a symbol. ``stops_level`` and ``freeze_level`` are in points; volumes are lots.

    ``volume_limit`` is the most that may be open in one direction, 0 for no limit.
    """

    name: str
    description: str
    digits: int
    point: Decimal
    tick_size: Decimal
    contract_size: Decimal
    volume_min: Decimal
    volume_max: Decimal
    volume_step: Decimal
    stops_level: int
    currency_base: str
    currency_profit: str
    currency_margin: str
    calc_mode: str
    freeze_level: int = 0
    volume_limit: Decimal = Decimal(0)
    trade_mode: TradeMode = TradeMode.FULL


@dataclass(frozen=True, slots=True)
class Tick:
    symbol: str
    bid: Decimal
    ask: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class ToldSymbol:
    """What an account's device said of a symbol last. ``tick_value`` is what a lot loses in a tick, in account money.

    ``heard_at`` is by the clock of the desk; ``quote`` is what the terminal showed then, however old its last tick.
    """

    spec: SymbolSpec
    tick_value: Decimal | None
    quote: Tick | None
    heard_at: datetime


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """The account's figures in its own currency. ``margin_level`` is percent, None without margin in use.

    ``can_trade`` is False where the password is an investor's or the broker has switched trading off.
    ``margin_mode`` is ``hedging`` or ``netting``. ``net_deposits`` is what has been paid in so far less what has been
    paid out, credit and bonuses with it, as of the same moment as the equity; None where the route cannot tell.
    """

    login: str
    server: str
    broker: str
    currency: str
    leverage: int
    margin_mode: str
    balance: Decimal
    equity: Decimal
    margin: Decimal
    free_margin: Decimal
    margin_level: Decimal | None
    taken_at: datetime
    credit: Decimal = Decimal(0)
    can_trade: bool = True
    net_deposits: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """An open position. ``profit`` excludes ``swap``; both are in the account's currency.

    ``identifier`` names the position in its deals; it is the ticket unless the broker says otherwise (0: the ticket).
    """

    ticket: int
    symbol: str
    side: Side
    volume: Decimal
    entry_price: Decimal
    current_price: Decimal
    stop_loss: Decimal | None
    take_profit: Decimal | None
    profit: Decimal
    profit_points: Decimal
    swap: Decimal
    magic: int
    opened_at: datetime
    identifier: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What the device at a terminal said last: the account with its positions, and when we heard it."""

    account: AccountSnapshot
    positions: tuple[Position, ...]
    received_at: datetime


@dataclass(frozen=True, slots=True)
class PendingOrder:
    """A limit or stop order that waits for its price."""

    ticket: int
    symbol: str
    side: Side
    order_type: OrderType
    volume: Decimal
    price: Decimal
    stop_loss: Decimal | None
    take_profit: Decimal | None
    magic: int
    placed_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order as it was countersigned. ``magic`` is the intent's number and makes sending idempotent.

    ``price`` is required for limit and stop orders and is None for market orders. ``take_profits`` are in
    the order they will be met; the gateway spreads the volume over them in whole volume steps, the earlier
    targets first. ``expires_at`` is when a pending order is withdrawn, None for good till cancelled.
    """

    magic: int
    symbol: str
    side: Side
    order_type: OrderType
    volume: Decimal
    price: Decimal | None
    stop_loss: Decimal | None
    take_profits: tuple[Decimal, ...]
    comment: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class TradeResult:
    """What became of an order request. ``retcode`` is MetaTrader's; ``error`` is for people.

    ``reason`` is the code of a refusal by a check of our own, None where the broker itself has spoken.
    """

    status: ResultStatus
    retcode: int
    ticket: int | None
    price: Decimal | None
    volume: Decimal | None
    error: str | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Deal:
    """One execution. ``id`` is the broker's own number, unique at its server.

    In a feed (``DealFeed``) ids grow, so a reader that remembers the last one it saw misses nothing. ``position_id``
    is the ``identifier`` of the position (0: its ticket). ``remaining_volume`` is None where the broker does not say.
    """

    id: int
    login: str
    server: str
    ticket: int
    magic: int
    symbol: str
    side: Side
    entry: DealEntry
    reason: DealReason
    volume: Decimal
    price: Decimal
    profit: Decimal
    swap: Decimal
    commission: Decimal
    remaining_volume: Decimal | None
    at: datetime
    position_id: int = 0
    fee: Decimal = Decimal(0)


class GatewayError(Exception):
    """A terminal could not answer.

    ``ambiguous``: what was asked for may or may not have been done. ``permanent``: it will not work until a person
    changes something (a wrong password, a closed account).
    """

    def __init__(self, code: str, detail: str, *, retryable: bool = False, ambiguous: bool = False,
                 permanent: bool = False) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.retryable = retryable
        self.ambiguous = ambiguous
        self.permanent = permanent


class Gateway(Protocol):
    """One route to trading terminals. Every method may raise GatewayError. Symbols are the broker's own names."""

    route: str
    resends_safely: bool
    """Whether ``send`` with a magic the terminal already knows is certain to do nothing more."""
    executes: bool
    """Whether orders are sent through it; a pushed account's are fetched by its device."""

    async def account(self, ref: AccountRef) -> AccountSnapshot: ...

    async def positions(self, ref: AccountRef) -> Sequence[Position]: ...

    async def orders(self, ref: AccountRef) -> Sequence[PendingOrder]: ...

    async def symbols(self, ref: AccountRef) -> Sequence[SymbolSpec]:
        """Every symbol the account's broker has. May be thousands; callers keep what they learn."""

    async def symbol(self, ref: AccountRef, name: str) -> SymbolSpec | None: ...

    async def tick(self, ref: AccountRef, symbol: str) -> Tick | None: ...

    async def loss_at(self, ref: AccountRef, symbol: str, side: Side, volume: Decimal, open_price: Decimal,
                      close_price: Decimal) -> Decimal | None:
        """Profit (negative: loss) in the account's currency if a position moved between the two prices."""

    async def send(self, ref: AccountRef, request: OrderRequest) -> TradeResult:
        """Execute: where ``resends_safely``, the same ``magic`` again returns the first result and does no more."""

    async def close(self, ref: AccountRef, ticket: int, volume: Decimal | None = None) -> TradeResult:
        """Close a position, or ``volume`` lots of it, at the market."""

    async def modify(self, ref: AccountRef, ticket: int, stop_loss: Decimal | None,
                     take_profit: Decimal | None) -> TradeResult:
        """Set both levels of a position; None takes a level away."""

    async def cancel(self, ref: AccountRef, ticket: int) -> TradeResult:
        """Withdraw a pending order."""

    async def find(self, ref: AccountRef, magic: int, since: datetime | None = None) -> TradeResult | None:
        """What became of an earlier ``send``; None when this terminal has not seen it since then."""

    async def deals(self, ref: AccountRef, since: datetime) -> Sequence[Deal]:
        """The account's deals from ``since`` on, oldest first."""


class PracticeGateway(Gateway, Protocol):
    """A gateway whose broker opens accounts by itself."""

    async def open_account(self, login: str, *, currency: str, deposit: Decimal, now: datetime) -> AccountRef:
        """Open a practice account; opening the same login again returns the same account unchanged."""


@runtime_checkable
class DealFeed(Protocol):
    """A gateway that tells the deals of all its accounts in one growing order."""

    route: str

    async def deals_since(self, deal_id: int, limit: int) -> Sequence[Deal]:
        """Deals of every account of this route after ``deal_id``, oldest first."""

    async def wait_for_deal(self) -> None:
        """Return soon after the next deal; may return early. Readers then call ``deals_since``."""


@runtime_checkable
class ClockedGateway(Protocol):
    """A gateway that has to learn how far a trade server's clock is from UTC."""

    async def knows_time(self, ref: AccountRef) -> bool:
        """Whether the times it tells are right; before that they may be wrong by hours, all by the same."""


@runtime_checkable
class TargetGateway(Protocol):
    """A gateway whose netting accounts leave only the last target to the broker: the nearer ones the desk takes."""

    def portions(self, volume: Decimal, targets: Sequence[Decimal],
                 spec: SymbolSpec) -> Sequence[tuple[Decimal, Decimal]]:
        """What of an order's volume each target closes: (target, lots), as far as the volume reaches.

        ``targets`` are in the order they will be met; the last pair is the broker's.
        """

    async def take_target(self, ref: AccountRef, ticket: int, volume: Decimal, magic: int) -> TradeResult:
        """Close ``volume`` lots of a position for the target of that number, which its deal then bears.

        What bears the number already is the result, and nothing more is done. ``find`` knows the number too.
        """


@runtime_checkable
class MarkingGateway(Protocol):
    """A gateway that can mark a close: its deal is found, however the position has changed since."""

    async def close_marked(self, ref: AccountRef, ticket: int, volume: Decimal | None, magic: int) -> TradeResult:
        """Close a position, or ``volume`` lots of it, under a number of the caller's, which its deal then bears.

        What bears the number already is the result, and nothing more is done. ``find`` knows the number too.
        """


@runtime_checkable
class PasswordGateway(Protocol):
    """A gateway that signs in to accounts with their passwords."""

    async def verify(self, ref: AccountRef, password: str, *, keep: bool = True) -> AccountSnapshot:
        """Sign in and read the account back; the login and server in the answer are the terminal's own words.

        Where ``keep`` is not set, a terminal that serves the account already goes on undisturbed.

        GatewayError codes: ``wrong_password``, ``otp_required``, ``broker_unknown``, ``terminal_missing``,
        ``terminal_hangs``, ``terminal_busy``, ``terminal_lost``.
        """

    async def forget(self, ref: AccountRef) -> None:
        """Stop the account's terminal and remove what it kept on disk."""
