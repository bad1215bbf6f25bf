"""What a device's page of symbols must look like. What only people read is cleaned, all else is exact."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from webapp.device_schemas import BrokerSymbol
from webapp.schemas import Body, Instant

MOST_ON_A_PAGE = 200
_FINE = r"[0-9]{1,15}(\.[0-9]{1,16})?"


def _fine(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(_FINE, value):
        raise ValueError("a decimal number as a string, of at most 15 digits before and 16 after the point")
    return value


def _legible(value: Any) -> Any:
    """Brokers write into descriptions whatever they like; one of them must not lose a page of two hundred."""
    return "".join(c if c.isprintable() else " " for c in value).strip()[:64] if isinstance(value, str) else value


Fine = Annotated[str, BeforeValidator(_fine), Field(pattern=f"^{_FINE}$")]
Words = Annotated[str, BeforeValidator(_legible)]
Currency = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,16}$")]
Points = Annotated[int, Field(ge=0, lt=2**31)]


class ToldTerminal(Body):
    """``utc_offset_seconds`` is how far the trade server's clock is ahead of UTC."""

    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z.+-]{1,32}$")]
    build: Annotated[int, Field(ge=0, lt=2**31)]
    utc_offset_seconds: Annotated[int, Field(ge=-172_800, le=172_800)]
    trade_allowed: bool
    expert_allowed: bool
    account_allowed: bool
    connected: bool
    ping_ms: Points | None = None


class ToldSpec(Body):
    name: BrokerSymbol
    description: Words
    digits: Annotated[int, Field(ge=0, le=16)]
    point: Fine
    tick_size: Fine
    contract_size: Fine
    volume_min: Fine
    volume_max: Fine
    volume_step: Fine
    volume_limit: Fine
    stops_level: Points
    freeze_level: Points
    currency_base: Currency
    currency_profit: Currency
    currency_margin: Currency
    calc_mode: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")]
    trade_mode: Literal["disabled", "long_only", "short_only", "close_only", "full"]
    filling: Annotated[list[Annotated[str, Field(pattern=r"^[a-z]{1,16}$")]], Field(max_length=8)]
    tick_value: Fine | None = None
    bid: Fine | None = None
    ask: Fine | None = None
    quoted_at: Instant | None = None


class SymbolPage(Body):
    """``is_first`` begins a full listing, ``is_last`` closes it; a page with neither only tells what it names."""

    terminal: ToldTerminal | None = None
    symbols: Annotated[list[ToldSpec], Field(max_length=MOST_ON_A_PAGE)]
    is_first: bool = False
    is_last: bool = False
    taken_at: Instant
