"""What request bodies must look like. Unknown fields are refused, nothing is guessed."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, WithJsonSchema

_NUMBER = re.compile(r"[0-9]{1,10}(\.[0-9]{1,10})?")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


def _price(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("a decimal number, best as a string")
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    if not _NUMBER.fullmatch(text):
        raise ValueError("a positive decimal number of at most 10 digits before and after the point")
    number = Decimal(text)
    if not 0 < number <= 10**9:
        raise ValueError("must be above 0 and at most 1000000000")
    return number


def _instant(value: Any) -> datetime:
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError("an RFC 3339 instant, as a string")
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None or not 1970 <= moment.year <= 9000:
        raise ValueError("an instant of our time, with its zone")
    return moment.astimezone(UTC)


def printable(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise ValueError("printable characters, no spaces around")
    return value


def _note(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("no control characters but line breaks")
    return value


Price = Annotated[Decimal, BeforeValidator(_price),
                  WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,10}(\.[0-9]{1,10})?$"})]
Instant = Annotated[datetime, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
_SYMBOL = r"^[A-Za-z0-9][A-Za-z0-9._#/-]{0,31}$"
Symbol = Annotated[str, Field(pattern=_SYMBOL)]
Side = Literal["buy", "sell"]
OrderKind = Literal["market", "limit", "stop"]
Range = Annotated[list[Price], Field(min_length=2, max_length=2)]
Targets = Annotated[list[Price], Field(max_length=10)]
Span = Annotated[int, Field(ge=30, le=86_400)]
Note = Annotated[str, Field(max_length=500), AfterValidator(_note)]
ExternalId = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(printable)]
TermsHash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Token = Annotated[str, Field(min_length=1, max_length=512)]


def is_symbol(text: str) -> bool:
    """Whether a signal may be of this."""
    return re.fullmatch(_SYMBOL, text) is not None


def _digits(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


# A terminal's login is a number, and comes as one or as text.
Login = Annotated[str, BeforeValidator(_digits), Field(pattern=r"^[1-9][0-9]{0,17}$")]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SignIn(Body):
    init_data: Annotated[str, Field(max_length=16_384)]


class Refresh(Body):
    refresh_token: Token


class Logout(Body):
    refresh_token: Token | None = None


class PublishSignal(Body):
    external_id: ExternalId
    symbol: Symbol
    side: Side
    order_type: OrderKind
    entry_price: Price | None = None
    entry_range: Range | None = None
    stop_loss: Price | None = None
    take_profits: Targets = []
    expires_in_seconds: Span | None = None
    note: Note | None = None


def without_defaults(schema: dict[str, Any]) -> None:
    """The defaults below are never read; a client told of them would revise what nobody asked it to."""
    for field in schema["properties"].values():
        field.pop("default", None)


class ReviseSignal(Body):
    """Absent fields stay, null clears."""

    model_config = ConfigDict(json_schema_extra=without_defaults)

    symbol: Symbol = ""
    side: Side = "buy"
    order_type: OrderKind = "market"
    entry_price: Price | None = None
    entry_range: Range | None = None
    stop_loss: Price | None = None
    take_profits: Targets | None = None
    expires_in_seconds: Span = 30
    note: Note | None = None


class Approve(Body):
    terms_hash: TermsHash


class Reject(Body):
    reason: Note | None = None


class ClosePosition(Body):
    volume: Price | None = None


class ChangeLevels(Body):
    """Absent levels stay, null takes one away."""

    model_config = ConfigDict(json_schema_extra=without_defaults)

    stop_loss: Price | None = None
    take_profit: Price | None = None


class FixedSizing(Body):
    mode: Literal["fixed"]
    volume: Price


class RiskSizing(Body):
    mode: Literal["risk_percent"]
    value: Annotated[Price, Field(le=100)]


class ChangeAccount(Body):
    label: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(printable)] | None = None
    sizing: Annotated[FixedSizing | RiskSizing, Field(discriminator="mode")] | None = None


class LinkAccount(Body):
    """Which fields are needed depends on the route. The password is an investor's if the desk shall only look."""

    route: Literal["paper", "device", "terminal"]
    login: Login | None = None
    server: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(printable)] | None = None
    password: Annotated[SecretStr, Field(min_length=1, max_length=128)] | None = None
    device_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,32}$")] | None = None


class MapSymbol(Body):
    broker_symbol: Annotated[str, Field(min_length=1, max_length=32), AfterValidator(printable)]


class ChoosePlan(Body):
    tier: Literal["premium", "vip", "enterprise"]


class BuyPlan(ChoosePlan):
    """``provider`` may be left out: then it is the first one that is offered."""

    provider: Literal["stripe", "telegram"] | None = None


class ChangePlan(ChoosePlan):
    """``as_of`` is that of the preview which was agreed to: the amount shown is then the amount charged."""

    as_of: Instant | None = None


class Empty(Body):
    """A body that says nothing; it may be left out."""
