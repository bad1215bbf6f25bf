"""Positions, equity, history and all accounts together, over HTTP."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from redis.asyncio import Redis

from config import Settings
from models.account import Account
from models.database import Database
from models.position import EquityPoint
from services import accounts, linking, orders, recent
from services.auth import Tokens
from services.errors import Unauthenticated
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import DealFeed, OrderRequest, OrderType, Side
from tests.conftest import build_desk
from tests.running import until
from tests.webapp.conftest import Door
from webapp import credit, openapi
from webapp.verdicts import Verdicts


def as_documented(shape: str, answer: Any) -> None:
    schema = {"$ref": f"#/components/schemas/{shape}", "components": openapi.document()["components"]}
    Draft202012Validator(schema).validate(answer)


async def primary(door: Door, user_id: int) -> Account:
    async with door.desk.database.reading() as session:
        return await accounts.primary(session, user_id)


async def buy(door: Door, account: Account, magic: int = 1) -> int:
    """A position with a stop, on record; returns its ticket."""
    assert door.desk.paper is not None and isinstance(door.desk.paper, DealFeed)
    sent = await door.desk.paper.send(accounts.ref(account), OrderRequest(
        magic, "EURUSD", Side.BUY, OrderType.MARKET, Decimal("0.10"), None, Decimal("0.5"), (), "CS1", None))
    await settle(door)
    await door.desk.positions.forget(account.id)
    assert sent.ticket is not None
    return sent.ticket


async def settle(door: Door) -> None:
    assert isinstance(door.desk.paper, DealFeed)
    async with door.desk.database.writing() as session:
        after = await orders.cursor_of(session, "paper")
        deals = await door.desk.paper.deals_since(after, 100)
        await orders.settle(session, "paper", after, deals, datetime.now(UTC))


@pytest.fixture(autouse=True)
async def hearing(door: Door) -> None:
    """The door hears of changes, as a running desk does."""
    positions = door.desk.positions
    door.desk.supervisor.start("changes", partial(positions.listen, door.desk.supervisor.stopping))

    async def hears() -> bool:
        return (await door.desk.redis.pubsub_numsub(recent.CHANNEL))[0][1] == 1

    await until("changes are heard of", hears)


async def commands(redis: Redis) -> int:
    return int((await redis.info("stats"))["total_commands_processed"])


async def test_an_answer_of_a_moment_ago_is_sent_without_a_question(door: Door, redis: Redis) -> None:
    _, token = await door.person()
    fewest = 10**6
    for _ in range(5):  # a second may end in between
        before = await commands(redis)
        answers = [await door.call("GET", "/api/v1/positions", token=token) for _ in range(20)]
        fewest = min(fewest, await commands(redis) - before)
        assert [status for status, _, _ in answers] == [200] * 20
    assert fewest < 20, "less than a question each"


@pytest.mark.parametrize("is_primary", [True, False])
async def test_the_short_way_answers_as_the_long_one_does(door: Door, redis: Redis, is_primary: bool) -> None:
    user_id, token = await door.person()
    account = await primary(door, user_id)
    path = "/api/v1/positions" if is_primary else f"/api/v1/accounts/{account.id}/positions"
    await door.call("GET", path, token=token)
    long = await door.call("GET", f"{path}?force_refresh=false", token=token)
    short = long
    for _ in range(20):
        before = await commands(redis)
        short = await door.call("GET", path, token=token)
        if await commands(redis) - before <= 1:  # the question itself
            break
    else:
        pytest.fail("it was never answered without a question")
    assert short[:2] == long[:2]
    same = [{name.lower(): value for name, value in headers.items() if name.lower() not in ("x-request-id", "date")}
            for _, _, headers in (short, long)]
    assert same[0] == same[1] and len(same[0]) > 8
    assert len(short[2]["X-Request-Id"]) == 16 and short[2]["X-Request-Id"] != long[2]["X-Request-Id"]
    route = path if is_primary else "/api/v1/accounts/{id}/positions"
    counted = door.desk.metrics.registry.get_sample_value(
        "countersign_http_requests_total", {"method": "GET", "route": route, "status": "200"})
    assert counted is not None and counted >= 3


async def test_the_short_way_is_for_who_is_signed_in_and_for_their_own(door: Door) -> None:
    user_id, token = await door.person()
    account = await primary(door, user_id)
    _, stranger = await door.person(7002)
    path = f"/api/v1/accounts/{account.id}/positions"
    for _ in range(3):
        for asked in ("/api/v1/positions", path):
            assert (await door.call("GET", asked, token=token))[0] == 200
            assert (await door.call("GET", asked))[0] == 401
            assert (await door.call("GET", asked, token=token + "x"))[0] == 401
            assert (await door.call("GET", asked, headers={"Authorization": f"Basic {token}"}))[0] == 401
            assert (await door.call("POST", asked, token=token))[0] == 405
        assert (await door.call("GET", path, token=stranger))[0] == 404
        for number in ("0", "-1", "x", "9" * 40, "１", "", f"0{account.id}"):
            assert (await door.call("GET", f"/api/v1/accounts/{number}/positions", token=token))[0] in (404, 422)


async def test_a_short_way_that_breaks_answers_a_problem_too(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise ValueError("no")

    _, token = await door.person()
    monkeypatch.setattr("webapp.lane.new_id", broken)

    async def breaks() -> Any:
        status, problem, headers = await door.call("GET", "/api/v1/positions", token=token)
        return (problem, headers) if status != 200 else None

    problem, headers = await until("it breaks", breaks)
    assert headers["Content-Type"] == "application/problem+json"
    assert (problem["code"], problem["request_id"]) == ("internal_error", headers["X-Request-Id"])
    assert (headers["Server"], headers["Cache-Control"]) == ("Countersign", "no-store")


async def test_the_short_way_ends_with_the_token(door: Door) -> None:
    user_id, token = await door.person()
    long_ago = datetime.now(UTC) - timedelta(seconds=door.settings.facts.auth.access_token_seconds - 1.5)
    ending = door.desk.tokens.issue(user_id, long_ago)
    assert (await door.call("GET", "/api/v1/positions", token=ending))[0] == 200

    async def is_refused() -> bool:
        return (await door.call("GET", "/api/v1/positions", token=ending))[0] == 401

    await until("the token has run out", is_refused)
    assert (await door.call("GET", "/api/v1/positions", token=token))[0] == 200


async def test_what_another_replica_changes_is_seen_at_once(door: Door, settings: Settings, database: Database,
                                                            redis: Redis, quotes: QuoteFeed,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "REMEMBER_SECONDS", 3600.0)  # so that nothing but the word of it helps
    monkeypatch.setattr(credit, "GOOD_SECONDS", 3600.0)
    monkeypatch.setattr(credit, "MOST", 10_000)
    user_id, token = await door.person()
    account = await primary(door, user_id)
    other = build_desk(settings, database, redis, quotes, replica="other")
    for number in range(1, 6):
        for _ in range(3):
            _, found, _ = await door.call("GET", "/api/v1/positions", token=token)
        assert found["open_positions_count"] == number - 1
        assert door.desk.paper is not None
        await door.desk.paper.send(accounts.ref(account), OrderRequest(
            number, "EURUSD", Side.BUY, OrderType.MARKET, Decimal("0.10"), None, None, (), "CS1", None))
        await other.positions.forget(account.id)

        async def is_seen(count: int = number) -> bool:
            _, answer, _ = await door.call("GET", "/api/v1/positions", token=token)
            return int(answer["open_positions_count"]) == count

        await until("the new position is shown", is_seen)
    await other.supervisor.stop(5)


async def test_a_kept_answer_is_the_one_that_was_made(door: Door) -> None:
    user_id, token = await door.person()
    account = await primary(door, user_id)
    await buy(door, account)
    for path in ("/api/v1/positions", f"/api/v1/accounts/{account.id}/positions"):
        await door.desk.positions.forget(account.id)
        answers = [(await door.call("GET", path, token=token)) for _ in range(3)]
        assert [status for status, _, _ in answers] == [200] * 3
        assert answers[0][1] == answers[1][1] == answers[2][1]
        as_documented("Portfolio", answers[2][1])
        headers = [headers for _, _, headers in answers]
        assert len({h["X-Request-Id"] for h in headers}) == 3
        assert len({h["Content-Type"] for h in headers}) == 1
        assert {h["Cache-Control"] for h in headers} == {"no-store"}


async def test_a_switch_of_the_primary_is_seen_at_once(door: Door) -> None:
    user_id, token = await door.person()
    first = await primary(door, user_id)
    now = datetime.now(UTC)
    assert door.desk.paper is not None
    await door.desk.paper.open_account("777", currency="EUR", deposit=Decimal(5), now=now)
    async with door.desk.database.writing() as session:
        await accounts.take_turn(session, user_id)
        second = Account(user_id=user_id, route="paper", label="Second", login="777", server=first.server, broker="B",
                         currency="EUR", sizing={}, status="verified", is_primary=False, verified_at=now,
                         created_at=now)
        session.add(second)
    for account in (second, first, second):
        await door.call("GET", "/api/v1/positions", token=token)
        async with door.desk.database.writing() as session:
            await linking.make_primary(session, user_id, account.id, now)
        for _ in range(2):
            _, found, _ = await door.call("GET", "/api/v1/positions", token=token)
            assert found["account_id"] == str(account.id)
    await linking.unlink(door.desk, user_id, second.id, now)
    _, found, _ = await door.call("GET", "/api/v1/positions", token=token)
    assert found["account_id"] == str(first.id)
    assert (await door.call("GET", f"/api/v1/accounts/{second.id}/positions", token=token))[0] == 404


async def test_everybody_sees_their_own_at_once(door: Door) -> None:
    people = [await door.person(7100 + number) for number in range(12)]
    own = {token: str((await primary(door, user_id)).id) for user_id, token in people}
    for _ in range(3):
        found = await asyncio.gather(*(door.call("GET", "/api/v1/positions", token=token) for token in own))
        assert [answer["account_id"] for _, answer, _ in found] == list(own.values())


@pytest.mark.parametrize("path", ["positions", "equity", "history"])
async def test_anothers_account_does_not_exist(door: Door, path: str) -> None:
    user_id, _ = await door.person()
    account = await primary(door, user_id)
    _, stranger = await door.person(7002)
    await door.call("GET", "/api/v1/positions", token=stranger)
    theirs = await door.call("GET", f"/api/v1/accounts/{account.id}/{path}", token=stranger)
    nothing = await door.call("GET", f"/api/v1/accounts/999999/{path}", token=stranger)
    assert theirs[0] == nothing[0] == 404
    assert {**theirs[1], "request_id": ""} == {**nothing[1], "request_id": ""}


async def test_who_has_no_account_is_told_so(door: Door) -> None:
    token = door.desk.tokens.issue(10**6, datetime.now(UTC))
    status, problem, _ = await door.call("GET", "/api/v1/positions", token=token)
    assert (status, problem["code"]) == (404, "no_account")


async def test_without_redis_positions_are_shown(door: Door, redis: Redis) -> None:
    user_id, token = await door.person()
    await door.call("GET", "/api/v1/positions", token=token)
    await redis.flushall()
    status, found, _ = await door.call("GET", "/api/v1/positions", token=token)
    assert (status, found["account_id"]) == (200, str((await primary(door, user_id)).id))


async def test_equity_over_a_span(door: Door) -> None:
    user_id, token = await door.person()
    account = await primary(door, user_id)
    now = datetime.now(UTC)
    async with door.desk.database.writing() as session:
        session.add_all(EquityPoint(account_id=account.id, at=now - age, equity=Decimal(value), balance=Decimal(1))
                        for value, age in (("9", timedelta(days=40)), ("10.50", timedelta(days=3)),
                                           ("11", timedelta(hours=2)), ("12", timedelta(minutes=90))))
    path = f"/api/v1/accounts/{account.id}/equity"
    for span, values in (("day", ["10.50", "11", "12"]), ("week", ["9", "10.50", "11", "12"]), ("", None),
                         ("month", None)):
        status, found, _ = await door.call("GET", f"{path}?span={span}" if span else path, token=token)
        assert status == 200
        as_documented("EquityPoints", found)
        if values:
            assert [point["equity"] for point in found["items"]] == values
        assert found["items"] == sorted(found["items"], key=lambda point: point["at"])
    status, problem, _ = await door.call("GET", f"{path}?span=decade", token=token)
    assert (status, problem["code"]) == (422, "invalid_request")


async def test_history_tells_what_became_of_each_position(door: Door) -> None:
    user_id, token = await door.person()
    account = await primary(door, user_id)
    tickets = [await buy(door, account, magic) for magic in (1, 2, 3)]
    assert door.desk.paper is not None
    await door.desk.paper.close(accounts.ref(account), tickets[0])
    await settle(door)
    path = f"/api/v1/accounts/{account.id}/history"
    _, page, _ = await door.call("GET", f"{path}?limit=2", token=token)
    as_documented("PastPositions", page)
    _, rest, _ = await door.call("GET", f"{path}?limit=2&cursor={page['next_cursor']}", token=token)
    assert [item["position_id"] for item in page["items"] + rest["items"]] == tickets[::-1]
    assert rest["next_cursor"] is None
    _, closed, _ = await door.call("GET", f"{path}?status=closed", token=token)
    [only] = closed["items"]
    assert (only["reason"], [event["kind"] for event in only["events"]]) == ("client", ["opened", "closed"])
    assert only["net"] == only["profit"]
    for query in ("status=lost", "cursor=x", "limit=0"):
        assert (await door.call("GET", f"{path}?{query}", token=token))[0] == 422


async def test_all_accounts_together(door: Door) -> None:
    _, token = await door.person()
    status, found, _ = await door.call("GET", "/api/v1/portfolio", token=token)
    assert status == 200
    as_documented("CurrencyTotals", found)
    [total] = found["items"]
    assert (total["currency"], total["accounts"], total["equity"], total["missing"]) == ("USD", 1, "10000.00", [])


async def test_who_looks_is_remembered_for_warming(door: Door) -> None:
    user_id, token = await door.person()
    await door.call("GET", "/api/v1/positions", token=token)
    assert list(await door.desk.looks.recent(datetime.now(UTC))) == [(await primary(door, user_id)).id]


class TestVerdicts:
    NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)

    def test_a_remembered_token_runs_out_to_the_second(self) -> None:
        tokens = Tokens([b"k" * 32], 20, timedelta(days=1))
        verdicts, token = Verdicts(tokens), tokens.issue(5, self.NOW)
        assert [verdicts.judge(token, self.NOW + timedelta(seconds=s)).user_id for s in (0, 19)] == [5, 5]
        for seconds in (20, 21, -62):
            with pytest.raises(Unauthenticated):
                verdicts.judge(token, self.NOW + timedelta(seconds=seconds))

    def test_a_good_signature_is_believed_half_a_minute(self) -> None:
        keys = [b"k" * 32]
        tokens = Tokens(keys, 900, timedelta(days=1))
        verdicts, token = Verdicts(tokens), tokens.issue(5, self.NOW)
        verdicts.judge(token, self.NOW)
        keys[0] = b"n" * 32
        assert verdicts.judge(token, self.NOW + timedelta(seconds=29)).user_id == 5
        with pytest.raises(Unauthenticated):
            verdicts.judge(token, self.NOW + timedelta(seconds=31))

    def test_what_is_refused_is_not_remembered_and_memory_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("webapp.verdicts.MOST", 10)
        tokens = Tokens([b"k" * 32], 900, timedelta(days=1))
        verdicts, good = Verdicts(tokens), tokens.issue(5, self.NOW)
        for wrong in ("", "x", good[:-1], good + "a", good.swapcase()):
            with pytest.raises(Unauthenticated):
                verdicts.judge(wrong, self.NOW)
        for user_id in range(1, 50):
            verdicts.judge(tokens.issue(user_id, self.NOW), self.NOW)
        assert len(verdicts._known) == 10


class TestCounting:
    @pytest.fixture
    def overlay(self) -> dict[str, Any]:
        return {"limits": {"reads": 5}}

    async def test_kept_answers_count_like_any_other_even_all_at_once(self, door: Door) -> None:
        _, token = await door.person()
        _, other = await door.person(7002)
        found = await asyncio.gather(*(door.call("GET", "/api/v1/positions", token=token) for _ in range(30)))
        assert sorted(status for status, _, _ in found) == [200] * 5 + [429] * 25
        assert all(1 <= int(h["Retry-After"]) <= 60 for status, _, h in found if status == 429)
        assert (await door.call("GET", "/api/v1/positions", token=other))[0] == 200
