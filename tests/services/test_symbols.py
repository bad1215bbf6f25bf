"""The symbol map of an account: what is kept, for how long, and whose word counts."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from models.account import Account
from models.database import Database
from models.symbol import SymbolMap
from services import symbols
from services.desk import Desk
from services.errors import InvalidRequest, NotFound, TryLater
from services.symbols import Resolved
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import AccountRef, GatewayError, SymbolSpec
from tests.services import stage
from tests.services.gateways import AWAY
from tests.services.password_line import PasswordLine
from tests.services.test_linking import link
from tests.services.test_symbol_search import euro, gold


class Broker(PasswordLine):
    """One that calls things as it likes."""

    specs: Sequence[SymbolSpec] = ()

    async def symbols(self, ref: AccountRef) -> Sequence[SymbolSpec]:
        return await self._call("symbols", self._all())

    async def symbol(self, ref: AccountRef, name: str) -> SymbolSpec | None:
        return await self._call("symbol", self._one(name))

    async def _all(self) -> Sequence[SymbolSpec]:
        return self.specs

    async def _one(self, name: str) -> SymbolSpec | None:
        return next((spec for spec in self.specs if spec.name == name), None)


@pytest.fixture
def broker(desk: Desk, database: Database, quotes: QuoteFeed) -> Broker:
    made = Broker(database, quotes)
    made.specs = [euro("EURUSD.r"), gold("GOLD"), euro("EURGBP.r", currency_profit="GBP")]
    desk.gateways["terminal"] = made  # type: ignore[index]
    return made


@pytest.fixture
async def account(desk: Desk, broker: Broker, now: datetime) -> Account:
    user_id = await stage.join(desk, now)
    return await link(desk, user_id, await broker.enlist("8001", now), now)


async def rows(desk: Desk, account: Account) -> list[tuple[str, str | None, str, str | None]]:
    async with desk.database.reading() as session:
        found = await symbols.listed(session, account.user_id, account.id)
    return [(row.symbol, row.broker_symbol, row.source, row.problem) for row in found]


async def test_what_was_found_is_kept_and_not_looked_for_again(desk: Desk, broker: Broker, account: Account,
                                                               now: datetime) -> None:
    for symbol in ("EURUSD", "EUR/USD", "eurusd", "EURUSD"):
        assert await symbols.resolve(desk.database, broker, account, symbol, now) == Resolved("EURUSD.r", None)
    assert await symbols.resolve(desk.database, broker, account, "XAUUSD", now) == Resolved("GOLD", None)
    assert broker.calls["symbols"] == 2
    assert await rows(desk, account) == [("EURUSD", "EURUSD.r", "found", None), ("XAUUSD", "GOLD", "found", None)]


async def test_a_broker_that_uses_the_plain_name_is_not_asked_for_all_it_has(desk: Desk, broker: Broker,
                                                                            account: Account, now: datetime) -> None:
    broker.specs = [euro("EURUSD"), euro("EURUSD.r")]
    assert await symbols.resolve(desk.database, broker, account, "EURUSD", now) == Resolved("EURUSD", None)
    assert broker.calls["symbols"] == 0


@pytest.mark.parametrize(("specs", "refusal", "problem", "name"), [
    ([], "unknown_symbol", "missing", None),
    ([euro("EURUSD.a"), euro("EURUSD.b")], "symbol_ambiguous", "ambiguous", None),
    ([euro("EURUSDc", contract_size=Decimal(1000))], "symbol_unconfirmed", "unconfirmed", "EURUSDc")])
async def test_a_refusal_is_kept_for_an_hour(desk: Desk, broker: Broker, account: Account, now: datetime,
                                             specs: list[SymbolSpec], refusal: str, problem: str,
                                             name: str | None) -> None:
    broker.specs = specs
    for minutes in (0, 59):
        moment = now + timedelta(minutes=minutes)
        assert await symbols.resolve(desk.database, broker, account, "EURUSD", moment) == Resolved(None, refusal)
    assert await rows(desk, account) == [("EURUSD", name, "found", problem)]
    assert broker.calls["symbols"] == 1
    broker.specs = [euro("EURUSD.r")]
    later = now + timedelta(minutes=61)
    assert await symbols.resolve(desk.database, broker, account, "EURUSD", later) == Resolved("EURUSD.r", None)


async def test_a_name_that_is_gone_at_the_broker_is_looked_for_anew(desk: Desk, broker: Broker, account: Account,
                                                                    now: datetime) -> None:
    await symbols.resolve(desk.database, broker, account, "EURUSD", now)
    broker.specs = [euro("EURUSD.ecn")]
    assert await symbols.resolve(desk.database, broker, account, "EURUSD", now) == Resolved("EURUSD.ecn", None)
    broker.specs = []
    assert await symbols.resolve(desk.database, broker, account, "EURUSD", now) == Resolved(None, "unknown_symbol")


@pytest.mark.parametrize("call", ["symbol", "symbols"])
async def test_a_terminal_that_does_not_answer_says_nothing_of_the_symbol(desk: Desk, broker: Broker, account: Account,
                                                                         now: datetime, call: str) -> None:
    broker.before[call] = AWAY
    with pytest.raises(GatewayError):
        await symbols.resolve(desk.database, broker, account, "EURUSD", now)
    assert await rows(desk, account) == []


async def test_its_owners_word_counts_and_survives(desk: Desk, broker: Broker, account: Account, now: datetime) -> None:
    owner = account.user_id
    await symbols.resolve(desk.database, broker, account, "EURUSD", now)
    broker.specs = [euro("EURUSD"), euro("EURUSDc", contract_size=Decimal(1000))]
    await symbols.edit(desk, owner, account.id, "eur/usd", "EURUSDc", now)
    asked = broker.calls["symbol"]
    for days in (0, 100):
        assert await symbols.resolve(desk.database, broker, account, "EURUSD", now + timedelta(days=days)) == \
            Resolved("EURUSDc", None)
    assert broker.calls["symbol"] == asked
    async with desk.database.writing() as session:
        await symbols.forget(session, owner, account.id, "EURUSD", now)
    assert await symbols.resolve(desk.database, broker, account, "EURUSD", now) == Resolved("EURUSD", None)


async def test_an_edit_while_it_is_being_looked_for_is_not_overwritten(desk: Desk, broker: Broker, account: Account,
                                                                      now: datetime) -> None:
    broker.specs = [euro("EURUSD.a"), euro("EURUSD.b")]
    broker.held = asyncio.Event()
    resolving = asyncio.create_task(symbols.resolve(desk.database, broker, account, "EURUSD", now))
    await asyncio.sleep(0.05)
    async with desk.database.writing() as session:
        session.add(SymbolMap(account_id=account.id, symbol="EURUSD", broker_symbol="EURUSD.b", source="edited",
                              problem=None, checked_at=now))
    broker.held.set()
    assert await resolving == Resolved("EURUSD.b", None)
    assert await rows(desk, account) == [("EURUSD", "EURUSD.b", "edited", None)]


async def test_orders_that_come_together_find_it_once_written(desk: Desk, broker: Broker, account: Account,
                                                              now: datetime) -> None:
    found = await asyncio.gather(*(symbols.resolve(desk.database, broker, account, "EURUSD", now) for _ in range(10)))
    assert set(found) == {Resolved("EURUSD.r", None)}
    assert len(await rows(desk, account)) == 1


async def test_what_the_broker_does_not_have_cannot_be_chosen(desk: Desk, broker: Broker, account: Account,
                                                              now: datetime) -> None:
    with pytest.raises(InvalidRequest):
        await symbols.edit(desk, account.user_id, account.id, "EURUSD", "EURUSD.zero", now)
    broker.before["symbol"] = AWAY
    with pytest.raises(TryLater):
        await symbols.edit(desk, account.user_id, account.id, "EURUSD", "EURUSD.r", now)
    assert await rows(desk, account) == []


async def test_another_users_map_is_not_there(desk: Desk, broker: Broker, account: Account, now: datetime) -> None:
    other = await stage.join(desk, now)
    with pytest.raises(NotFound):
        await symbols.edit(desk, other, account.id, "EURUSD", "EURUSD.r", now)
    async with desk.database.writing() as session:
        for act in (symbols.forget(session, other, account.id, "EURUSD", now),
                    symbols.listed(session, other, account.id)):
            with pytest.raises(NotFound):
                await act
        with pytest.raises(NotFound):
            await symbols.forget(session, account.user_id, account.id, "EURUSD", now)
