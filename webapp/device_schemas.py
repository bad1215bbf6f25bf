"""What a device's report must look like: figures as decimal strings, everything bounded, nothing unknown."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from webapp.schemas import Body, Instant, Login, Side, printable, without_defaults

MOST_POSITIONS = 1_000
_FIGURE = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,8})?")


def _figure(value: Any) -> str:
    if not isinstance(value, str) or not _FIGURE.fullmatch(value):
        raise ValueError("a decimal number as a string, of at most 15 digits before and 8 after the point")
    return value


def _not_negative(value: str) -> str:
    if value.startswith("-"):
        raise ValueError("must not be below 0")
    return value


Figure = Annotated[str, BeforeValidator(_figure), Field(pattern=r"^-?[0-9]{1,15}(\.[0-9]{1,8})?$")]
Amount = Annotated[Figure, AfterValidator(_not_negative)]
Name = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(printable)]
BrokerSymbol = Annotated[str, Field(min_length=1, max_length=32), AfterValidator(printable)]
Whole = Annotated[int, Field(ge=0, lt=2**63)]


class ReportedAccount(Body):
    login: Login
    server: Name
    broker: Name
    currency: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{2,8}$")]
    balance: Figure
    equity: Figure
    margin: Amount
    free_margin: Figure
    margin_level: Figure | None
    leverage: Annotated[int, Field(ge=1, le=10_000)]
    margin_mode: Literal["hedging", "netting"]
    credit: Figure = "0"
    can_trade: bool = True
    net_deposits: Figure | None = None


class ReportedPosition(Body):
    ticket: Annotated[int, Field(ge=1, lt=2**63)]
    symbol: BrokerSymbol
    side: Side
    volume: Amount
    entry_price: Amount
    current_price: Amount
    stop_loss: Amount | None
    take_profit: Amount | None
    profit: Figure
    swap: Figure
    magic: Whole
    opened_at: Instant


class Report(Body):
    account: ReportedAccount
    positions: Annotated[list[ReportedPosition], Field(max_length=MOST_POSITIONS)]
    taken_at: Instant


class SameReport(Body):
    """Everything is as in the last whole report, whose body has this SHA-256; only the moment is another."""

    same_as: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    taken_at: Instant


AccountId = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,17}$")]


class RegisterDevice(Body):
    name: Name
    account_id: AccountId | None = None


def _one_at_least(schema: dict[str, Any]) -> None:
    without_defaults(schema)
    schema["minProperties"] = 1


class ChangeDevice(Body):
    """Absent fields stay; a null account is none."""

    model_config = ConfigDict(json_schema_extra=_one_at_least)

    name: Name = "-"
    requires_envelope: bool = False
    account_id: AccountId | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "ChangeDevice":
        if not self.model_fields_set:
            raise ValueError("say what is to be changed")
        return self


class RotateDevice(Body):
    """``grace_seconds`` is how long the present secret stays good if the new one is not used before."""

    grace_seconds: Annotated[int, Field(ge=0, le=3_600)] = 0


class OfferPairing(Body):
    name: Name


class PairDevice(Body):
    """The code as its user types it, and where the terminal stands."""

    code: Annotated[str, Field(max_length=64)]
    login: Login
    server: Name
    version: Annotated[str, Field(min_length=1, max_length=32), AfterValidator(printable)] | None = None
