"""Trade servers and what they list: every broker names and specifies the same things in its own way."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from terminal.maths import CalcMode
from terminal.paper.symbols import Listing, listings
from terminal.protocol import SymbolSpec

FOK, IOC, BOC = 1, 2, 4
REQUEST, INSTANT, MARKET, EXCHANGE = range(4)
DISABLED, LONG_ONLY, SHORT_ONLY, CLOSE_ONLY, FULL = range(5)
CALC_MODES = {CalcMode.FOREX: 0, CalcMode.FUTURES: 1, CalcMode.CFD: 2, CalcMode.CFD_INDEX: 3,
              CalcMode.CFD_LEVERAGE: 4, CalcMode.FOREX_NO_LEVERAGE: 5, CalcMode.EXCH_STOCKS: 32}
MODES_BY_NUMBER = {number: mode for mode, number in CALC_MODES.items()}


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One trade server. ``aliases`` are names of its own for things others call differently: XAUUSD is GOLD."""

    name: str
    company: str = "Sandbox Markets"
    prefix: str = ""
    suffix: str = ""
    aliases: Mapping[str, str] = field(default_factory=dict)
    offset_minutes: int = 120
    """How far its clock is ahead of UTC."""
    execution: int = MARKET
    filling: int = FOK | IOC
    commission_per_lot: Decimal = Decimal(0)

    def names(self, listed: str) -> str:
        """What this server calls a thing."""
        return f"{self.prefix}{self.aliases.get(listed, listed)}{self.suffix}"


DEFAULT_SERVERS = (
    ServerSpec("Sandbox-MT5"),
    ServerSpec("Sandbox-Raw", company="Sandbox Raw", suffix=".r", aliases={"XAUUSD": "GOLD", "US30": "DJ30"},
               offset_minutes=180, commission_per_lot=Decimal("3.5")),
    ServerSpec("Sandbox-Micro", company="Sandbox Micro", prefix="m", offset_minutes=0, execution=INSTANT),
)


@dataclass(frozen=True, slots=True)
class Instrument:
    """A symbol of one server. ``listed`` is the name its price goes by. Volumes are lots, levels points."""

    listed: str
    name: str
    description: str
    digits: int
    point: Decimal
    tick_size: Decimal
    contract_size: Decimal
    volume_min: Decimal
    volume_max: Decimal
    volume_step: Decimal
    currency_base: str
    currency_profit: str
    currency_margin: str
    calc_mode: int
    stops_level: int = 0
    freeze_level: int = 0
    volume_limit: Decimal = Decimal(0)
    tick_value: Decimal = Decimal(0)
    margin_initial: Decimal = Decimal(0)
    filling: int = FOK | IOC
    execution: int = MARKET
    trade_mode: int = FULL
    expiration_mode: int = 15
    swap_long: Decimal = Decimal(0)
    swap_short: Decimal = Decimal(0)

    @property
    def mode(self) -> CalcMode:
        return MODES_BY_NUMBER[self.calc_mode]


def instruments(server: ServerSpec) -> dict[str, Instrument]:
    """Everything a server lists, by its own name."""
    return {server.names(name): _instrument(server, listing) for name, listing in listings().items()}


def _instrument(server: ServerSpec, listing: Listing) -> Instrument:
    spec: SymbolSpec = listing.spec
    return Instrument(
        spec.name, server.names(spec.name), spec.description, spec.digits, spec.point, spec.tick_size,
        spec.contract_size, spec.volume_min, spec.volume_max, spec.volume_step, spec.currency_base,
        spec.currency_profit, spec.currency_margin, CALC_MODES[CalcMode(spec.calc_mode)],
        stops_level=spec.stops_level, filling=server.filling, execution=server.execution)


def changed(instrument: Instrument, fields: Mapping[str, object]) -> Instrument:
    """With other terms; TypeError for a field it does not have."""
    return replace(instrument, **fields)  # type: ignore[arg-type]
