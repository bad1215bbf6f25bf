"""Fragments: whose they are, when they change, and what they say in every state an approval can be in."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import aiohttp
import pytest
from aiohttp import ClientSession

from models.approval import Door
from services import approvals
from services.desk import Desk
from services.execution import Executor
from tests.pages import stage
from tests.services import stage as desk_stage

THIN, MINUS = "\u202f", "\u2212"


pytestmark = pytest.mark.usefixtures("market")


@pytest.fixture
async def client(origin: str) -> AsyncIterator[ClientSession]:
    async with ClientSession(origin) as session:
        yield session


async def sign_in(client: ClientSession, telegram_id: int, first_name: str = "Ada") -> dict[str, str]:
    """The header with which this person asks from now on."""
    body = {"init_data": stage.init_data(telegram_id, first_name)}
    async with client.post("/api/v1/auth/telegram", json=body) as answer:
        return {"Authorization": f"Bearer {(await answer.json())['access_token']}"}


async def get(client: ClientSession, path: str, headers: dict[str, str]) -> tuple[aiohttp.ClientResponse, str]:
    async with client.get(path, headers=headers) as answer:
        return answer, await answer.text()


async def carry_out(desk: Desk) -> None:
    """Execute the orders that are due."""
    executor, moment = Executor(desk.database, desk.gateways, desk.execution_rules, "test"), datetime.now(UTC)
    for lease in await executor.take(moment, 10):
        await executor.execute(lease, moment)


PENDING = "/app/fragments/approvals?status=pending"
DECIDED = "/app/fragments/approvals?status=decided"


@pytest.mark.parametrize("path", [
    PENDING, DECIDED, "/app/fragments/approvals/1", "/app/fragments/positions", "/app/fragments/settings"])
async def test_nothing_is_told_to_strangers(client: ClientSession, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer x.y.z"}, {"Cookie": "access_token=x"}):
        answer, text = await get(client, path, headers)
        assert answer.status == 401
        assert answer.content_type == "application/problem+json"
        assert "unauthenticated" in text


async def test_a_card_says_what_would_really_happen(client: ClientSession, desk: Desk, now: datetime) -> None:
    provider = await desk_stage.found(desk, now, "Desk Alpha")
    me = await sign_in(client, 4242)
    answer, text = await get(client, PENDING, me)
    assert 'data-testid="empty-state"' in text and answer.headers["X-Pending-Count"] == "0"
    await desk_stage.ask(desk, provider, now, symbol="XAUUSD", entry_price=Decimal("2350.1"),
                         stop_loss=Decimal(2340), take_profits=(Decimal(2360), Decimal(2370)), note="Retest held.")
    answer, text = await get(client, PENDING, me)
    assert answer.headers["X-Pending-Count"] == "1"
    assert answer.headers["Cache-Control"] == "no-store"
    for shown in (f"2{THIN}350.10", f"2{THIN}340.00", f"{MINUS}10.10", "1.0\u00a0R", f"2{THIN}370.00", "2.0\u00a0R",
                  "lots", "Paper", "\u00a0USD", "Desk Alpha", "Retest held.", "1.0 % of your equity"):
        assert shown in text, shown


async def test_an_unchanged_list_is_not_sent_again(client: ClientSession, desk: Desk, now: datetime) -> None:
    provider = await desk_stage.found(desk, now)
    me = await sign_in(client, 4242)
    answer, _ = await get(client, PENDING, me)
    known = me | {"If-None-Match": answer.headers["ETag"]}
    again, text = await get(client, PENDING, known)
    assert (again.status, text) == (304, "")
    assert again.headers["X-Server-Time"] >= answer.headers["X-Server-Time"]
    await desk_stage.ask(desk, provider, now)
    changed, text = await get(client, PENDING, known)
    assert changed.status == 200 and 'data-testid="approval-card"' in text


async def test_another_persons_approval_is_not_there(client: ClientSession, desk: Desk, now: datetime) -> None:
    provider = await desk_stage.found(desk, now)
    owner = await desk_stage.join(desk, now)
    view = await desk_stage.ask(desk, provider, now)
    theirs = await desk_stage.approval_of(desk.database, owner, view.id)
    me = await sign_in(client, 4242)
    found, missing = [await get(client, f"/app/fragments/approvals/{number}", me) for number in (theirs, 999_999)]
    assert found[0].status == missing[0].status == 404
    _, text = await get(client, DECIDED, me)
    assert 'data-testid="empty-state"' in text


async def test_decided_rows_tell_what_became_of_it(client: ClientSession, desk: Desk, now: datetime) -> None:
    provider = await desk_stage.found(desk, now)
    me = await sign_in(client, 4242)
    for _ in range(3):
        await desk_stage.ask(desk, provider, now)
    await desk_stage.ask(desk, provider, now, expires_in_seconds=30)
    async with desk.database.writing() as session:
        user_id = (await approvals.by_id(session, 1, now)).user_id  # type: ignore[union-attr]
        first, second, *_ = sorted(await approvals.pending(session, user_id, now), key=lambda view: view.id)
        await approvals.approve(session, desk.approval_rules, user_id, first.id, first.terms_hash, Door.APP, now)
        await approvals.reject(session, user_id, second.id, None, Door.CHAT, now)
    answer, text = await get(client, f"/app/fragments/approvals/{first.id}", me)
    assert "Sending the order" in text and 'data-settled="false"' in text
    await carry_out(desk)
    async with desk.database.writing() as session:
        await approvals.expire_due(session, now + timedelta(seconds=60), 10)
    answer, text = await get(client, DECIDED, me)
    assert answer.headers["X-Pending-Count"] == "1"
    for shown in ("Approved in the app", "Rejected in the chat", "Expired", "Filled", "1.07008", 'data-settled="true"'):
        assert shown in text, shown
    assert "None" not in text


async def test_positions_are_figures_with_signs_and_digits(client: ClientSession, desk: Desk, now: datetime) -> None:
    provider = await desk_stage.found(desk, now)
    me = await sign_in(client, 4242)
    _, text = await get(client, "/app/fragments/positions", me)
    assert f"10{THIN}000.00\u00a0USD" in text and "No open positions" in text
    assert "stale-badge" not in text
    await desk_stage.ask(desk, provider, now)
    async with client.get("/api/v1/approvals/pending", headers=me) as pending:
        card = (await pending.json())["items"][0]
    body = {"terms_hash": card["terms_hash"]}
    assert (await client.post(f"/api/v1/approvals/{card['id']}/approve", json=body, headers=me)).status == 200
    await carry_out(desk)
    await desk.positions.forget(1)
    _, text = await get(client, "/app/fragments/positions", me)
    for shown in ('data-testid="position-row"', "EURUSD", "1.07008", "1.07000", "1.06508", "1.08000",
                  f"{MINUS}8\u00a0pts", f"{MINUS}0.00492", "+0.01000"):
        assert shown in text, shown


async def test_the_sound_of_cards_can_be_switched(client: ClientSession) -> None:
    me = await sign_in(client, 4242, "Ada <b>")
    _, text = await get(client, "/app/fragments/settings", me)
    assert "checked" in text and "Ada &lt;b&gt;" in text and "Free" in text and "?start=privacy" in text
    async with client.post("/app/fragments/settings/notice", data={}, headers=me) as answer:
        assert answer.status == 200 and "checked" not in await answer.text()
    _, text = await get(client, "/app/fragments/settings", me)
    assert "checked" not in text
    async with client.post("/app/fragments/settings/notice", data={"notice": "on"}, headers=me) as answer:
        assert "checked" in await answer.text()
    async with client.post("/app/fragments/settings/notice", data={"plan": "vip"}, headers=me) as answer:
        assert answer.status == 422
    async with client.post("/app/fragments/settings/notice", data={}) as answer:
        assert answer.status == 401


@pytest.mark.parametrize("query", ["status=all", "status=decided&limit=0", "status=decided&limit=9999"])
async def test_questions_that_make_no_sense_are_refused(client: ClientSession, query: str) -> None:
    me = await sign_in(client, 4242)
    answer, _ = await get(client, f"/app/fragments/approvals?{query}", me)
    assert answer.status == 422
