"""Messages are read strictly: what cannot be read is not guessed at."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

import pytest

from runtime import strict_json
from sdk import messages
from sdk.desk import spoken
from sdk.messages import Ack, Unreadable

ORDER: dict[str, Any] = {
    "order_id": "7", "seq": 1_764_000_000_000, "symbol": "XAUUSD.r", "side": "buy", "order_type": "market",
    "volume": "0.10", "entry_price": "2350.00", "stop_loss": None, "take_profits": ["2450.00", "2500"],
    "max_deviation_points": 50, "magic": 1 << 48 | 5, "comment": "CS7", "issued_at": "2026-11-26T12:00:00.000Z",
    "expires_at": "2026-11-26T12:01:00.000Z", "login": "5001", "server": "Sandbox-MT5", "risk": "12.3456789012345678",
    "began_at": None}


def test_an_order_is_read() -> None:
    made = messages.order({**ORDER, "something_new": [1]})
    assert (made.order_id, made.volume, made.take_profits) == ("7", Decimal("0.10"), (Decimal(2450), Decimal(2500)))
    assert made.expires_at.isoformat() == "2026-11-26T12:01:00+00:00" and made.began_at is None
    begun = messages.order({**ORDER, "began_at": "2026-11-26T12:00:05.000Z"})
    assert begun.began_at is not None


def test_an_order_of_the_bare_contract_is_read_too() -> None:
    made = messages.order({name: value for name, value in ORDER.items()
                           if name not in ("login", "server", "risk", "began_at")})
    assert (made.login, made.risk, made.began_at) == (None, None, None)


@pytest.mark.parametrize("changes", [
    {"order_id": 7}, {"order_id": ""}, {"order_id": "7" * 21}, {"seq": "1"}, {"seq": -1}, {"seq": True},
    {"seq": 2**63}, {"magic": 2**53}, {"magic": 0}, {"symbol": ""}, {"symbol": "X\nY"}, {"side": "BUY"},
    {"side": None}, {"order_type": "stop_limit"}, {"volume": 0.1}, {"volume": "0"}, {"volume": "-1"},
    {"volume": "1e3"}, {"volume": "NaN"}, {"volume": None}, {"entry_price": "0"}, {"entry_price": 2350},
    {"stop_loss": "-5"}, {"stop_loss": "x"}, {"take_profits": None}, {"take_profits": ["x"]},
    {"take_profits": [None]}, {"take_profits": ["1"] * 11}, {"max_deviation_points": "50"},
    {"max_deviation_points": -1}, {"comment": "x" * 30}, {"expires_at": "2026-11-26T12:01:00"}, {"expires_at": 5},
    {"expires_at": None}, {"risk": "-1"}, {"began_at": "yesterday"}, {"login": 5001},
    {"order_type": "limit", "entry_price": None}])
def test_what_is_no_order(changes: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        messages.order({**ORDER, **changes})


def test_an_offer_leaves_out_what_it_cannot_read() -> None:
    offer = messages.offer({"orders": [{**ORDER, "volume": "x"}, ORDER, "order"], "next_poll_seconds": 5,
                            "wanted": {"all": True, "symbols": ["A", 5, "", "B"]}})
    assert [order.order_id for order in offer.orders] == ["7"] and len(offer.unreadable) == 2
    assert (offer.next_poll_seconds, list(offer.wanted), offer.wants_all) == (5, ["A", "B"], True)


@pytest.mark.parametrize(("said", "seconds"), [(0, 1), (1, 1), (600, 60), ("5", None), (None, None), (True, None)])
def test_a_poll_comes_neither_at_once_nor_never(said: Any, seconds: int | None) -> None:
    assert messages.offer({"orders": [], "next_poll_seconds": said}).next_poll_seconds == seconds


@pytest.mark.parametrize("value", [[], "x", {}, {"orders": {}}, 5])
def test_what_is_no_offer(value: Any) -> None:
    with pytest.raises(Unreadable):
        messages.offer(value)


def test_nothing_is_an_empty_offer() -> None:
    assert asdict(messages.offer(None)) == asdict(messages.Offer())


def test_an_acknowledgement_says_what_is_known_in_the_same_bytes() -> None:
    ack = Ack("7", "filled", 5, Decimal("2350.20"), Decimal("1E-1"), 10009, "x" * 300, Decimal("-1.5"))
    said = strict_json.loads(spoken(ack))
    assert said == {"order_id": "7", "status": "filled", "ticket": 5, "price": "2350.20", "volume": "0.1",
                    "retcode": 10009, "error": "x" * 256, "profit": "-1.5"}
    assert spoken(Ack("7", "failed", error="not_executed")) == (
        b'{"order_id":"7","status":"failed","error":"not_executed"}')
