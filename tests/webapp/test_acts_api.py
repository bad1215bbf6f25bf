"""Closing positions and moving their levels over HTTP: as documented, for the owner alone, once for any taps."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from services import accounts
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import OrderRequest, OrderType, Side
from tests.webapp import documented
from tests.webapp.conftest import Door

CLOSE, LEVELS = "/accounts/{id}/positions/{ticket}/close", "/accounts/{id}/positions/{ticket}"
D = Decimal


class Trader:
    """A person with a tenth of a lot of euros on their paper account."""

    def __init__(self, door: Door, token: str, account_id: int, ticket: int) -> None:
        self.door, self.token, self.account_id, self.ticket = door, token, account_id, ticket

    async def ask(self, method: str, shape: str, body: Any = None, *, token: str | None = None,
                  ticket: int | None = None) -> tuple[int, Any]:
        """The answer, held against the document."""
        path = shape.format(id=self.account_id, ticket=self.ticket if ticket is None else ticket)
        status, answer, _ = await self.door.call(method, f"/api/v1{path}", token=token or self.token, body=body)
        documented.check(method, shape, status, answer)
        return status, answer

    async def positions(self) -> list[dict[str, Any]]:
        _, found, _ = await self.door.call("GET", f"/api/v1/accounts/{self.account_id}/positions?force_refresh=true",
                                           token=self.token)
        return list(found["positions"])


@pytest.fixture
async def trader(door: Door, quotes: QuoteFeed) -> Trader:
    user_id, token = await door.person()
    quotes.set_price("EURUSD", D("1.07000"), D("1.07008"))
    async with door.desk.database.reading() as session:
        account = await accounts.primary(session, user_id)
    result = await door.desk.gateways["paper"].send(accounts.ref(account), OrderRequest(
        7, "EURUSD", Side.BUY, OrderType.MARKET, D("0.10"), None, D("1.06000"), (D("1.08000"),), "test", None))
    assert result.ticket is not None
    return Trader(door, token, account.id, result.ticket)


async def test_a_part_the_levels_and_the_rest(trader: Trader) -> None:
    status, act = await trader.ask("POST", CLOSE, {"volume": "0.04"})
    assert (status, act["status"], act["kind"]) == (200, "done", "close")
    assert (act["volume"], act["price"]) == ("0.04", "1.07000")
    status, act = await trader.ask("PATCH", LEVELS, {"stop_loss": "1.065", "take_profit": None})
    assert (status, act["status"], act["stop_loss"], act["take_profit"]) == (200, "done", "1.06500", None)
    (position,) = await trader.positions()
    assert (position["volume"], position["stop_loss"], position["take_profit"]) == ("0.06", "1.06500", None)
    status, act = await trader.ask("POST", CLOSE)
    assert (status, act["status"], act["volume"]) == (200, "done", "0.06") and await trader.positions() == []


async def test_a_refusal_of_the_broker_is_an_answer_and_one_of_ours_a_problem(trader: Trader) -> None:
    status, act = await trader.ask("PATCH", LEVELS, {"stop_loss": "1.09"})
    assert (status, act["status"], act["retcode"]) == (200, "refused", 10016) and act["error"]
    status, problem = await trader.ask("POST", CLOSE, {"volume": "0.2"})
    assert (status, problem["code"], problem["reason"]) == (409, "order_refused", "volume_above_open")


@pytest.mark.parametrize(("method", "body"), [
    ("PATCH", {}), ("PATCH", {"stop_loss": "0"}), ("PATCH", {"stop": "1"}), ("POST", {"volume": "-1"}),
    ("POST", {"volume": "1e3"}), ("POST", {"lots": "1"})])
async def test_what_cannot_be_read_changes_nothing(trader: Trader, method: str, body: Any) -> None:
    status, problem = await trader.ask(method, CLOSE if method == "POST" else LEVELS, body)
    assert (status, problem["code"]) == (422, "invalid_request")
    assert [position["volume"] for position in await trader.positions()] == ["0.10"]


async def test_strangers_find_nothing(trader: Trader) -> None:
    _, token = await trader.door.person(7002, "Eve")
    for method, shape, body in (("POST", CLOSE, None), ("PATCH", LEVELS, {"stop_loss": "1.06"})):
        status, problem = await trader.ask(method, shape, body, token=token)
        assert (status, problem["code"]) == (404, "not_found")
    status, problem = await trader.ask("POST", CLOSE, ticket=999_999)
    assert (status, problem["code"]) == (409, "position_closed")
    assert len(await trader.positions()) == 1


async def test_many_taps_at_once_close_once(trader: Trader) -> None:
    answers = await asyncio.gather(*(trader.ask("POST", CLOSE, {"volume": "0.04"}) for _ in range(10)))
    assert {status for status, _ in answers} == {200} and len({act["id"] for _, act in answers}) == 1
    assert [position["volume"] for position in await trader.positions()] == ["0.06"]
