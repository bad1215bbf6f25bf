"""What devices say of orders: bounded, figures as decimal strings, nothing unknown."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from webapp.device_schemas import Amount, Figure
from webapp.schemas import Body


def _number(value: Any) -> Any:
    """Ids are texts of digits; one that is written as a number is the same id."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _one_line(value: str) -> str:
    """The terminal's own words: what does not print is left out, for they may be cut in the middle of a character."""
    return "".join(character for character in value if character.isprintable())


OrderId = Annotated[str, BeforeValidator(_number), Field(pattern=r"^[1-9][0-9]{0,17}$")]
Words = Annotated[str, Field(max_length=256), AfterValidator(_one_line)]


class BeginOrder(Body):
    order_id: OrderId


class AckOrder(Body):
    order_id: OrderId
    status: Literal["placed", "filled", "rejected", "failed", "closed"]
    ticket: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    price: Amount | None = None
    volume: Amount | None = None
    retcode: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    error: Words | None = None
    profit: Figure | None = None
    reason: Literal["stop_loss", "take_profit", "stop_out", "client", "expired", "cancelled"] | None = None
