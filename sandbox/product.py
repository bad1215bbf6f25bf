"""What the sandbox needs of the product it surrounds, handed in by whoever starts both."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.examples import Prices

SetPrice = Callable[[str, Decimal, Decimal], Awaitable[Any]]
Nudge = Callable[[str, int], Awaitable[Any]]
PricesOf = Callable[[], Prices]


@dataclass(slots=True)
class Product:
    """``provider_key`` is key id and secret; prices are moved by ``set_price`` and ``nudge``, which raise
    ValueError for what the market cannot do. What was not attached is None, and the console does without.
    """

    app_url: str
    provider_key: tuple[str, str] | None = None
    set_price: SetPrice | None = None
    nudge: Nudge | None = None
    prices: PricesOf | None = None
