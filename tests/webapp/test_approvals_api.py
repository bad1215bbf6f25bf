"""Deciding over HTTP: one decision, its typed errors, and nobody else's business."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, update

from models.account import Account, Route
from models.approval import Approval
from models.order import Order
from tests.webapp.conftest import Door


async def test_pending_is_a_list_with_an_etag(door: Door) -> None:
    key = await door.provider("<script>alert(1)</script>")
    _, token = await door.person()
    status, empty, headers = await door.call("GET", "/api/v1/approvals/pending", token=token)
    assert (status, empty["items"], empty["next_poll_seconds"]) == (200, [], 5)
    await door.publish(key, note="\u202eevil")
    status, full, after = await door.call("GET", "/api/v1/approvals/pending", token=token)
    assert status == 200 and headers["ETag"] != after["ETag"]
    [approval] = full["items"]
    assert approval["provider"]["name"] == "<script>alert(1)</script>"
    assert (approval["symbol"], approval["stop_loss"], approval["status"]) == ("XAUUSD", "2300.00", "pending")
    assert approval["expires_at"].endswith("Z")
    status, body, _ = await door.call("GET", "/api/v1/approvals/pending", token=token,
                                      headers={"If-None-Match": after["ETag"]})
    assert (status, body) == (304, b"")


async def test_one_decision_whoever_shouts_first(door: Door) -> None:
    key = await door.provider()
    user_id, token = await door.person()
    await door.publish(key)
    approval = await door.waiting(token)
    path, body = f"/api/v1/approvals/{approval['id']}", {"terms_hash": approval["terms_hash"]}
    answers = await asyncio.gather(
        *(door.call("POST", f"{path}/approve", token=token, body=body) for _ in range(10)),
        *(door.call("POST", f"{path}/reject", token=token, body={"reason": "no"}) for _ in range(10)))
    outcomes = Counter((status, answer.get("code") or answer["status"]) for status, answer, _ in answers)
    assert outcomes in (Counter({(200, "approved"): 10, (409, "already_decided"): 10}),
                        Counter({(200, "rejected"): 10, (409, "already_decided"): 10}))
    async with door.desk.database.reading() as session:
        orders = await session.scalar(select(func.count()).select_from(Order).where(Order.user_id == user_id))
    assert orders == (1 if (200, "approved") in outcomes else 0)


async def test_approving_writes_the_order_and_says_so(door: Door) -> None:
    key = await door.provider()
    _, token = await door.person()
    await door.publish(key)
    approval = await door.waiting(token)
    path = f"/api/v1/approvals/{approval['id']}"
    status, decided, _ = await door.call("POST", f"{path}/approve", token=token,
                                         body={"terms_hash": approval["terms_hash"]})
    assert status == 200
    assert (decided["status"], decided["decided_via"], decided["order"]["status"]) == ("approved", "app", "queued")
    status, shown, _ = await door.call("GET", path, token=token)
    assert (status, shown) == (200, decided)


async def test_refusals_are_typed(door: Door) -> None:
    key = await door.provider()
    _, token = await door.person()
    await door.publish(key)
    approval = await door.waiting(token)
    path = f"/api/v1/approvals/{approval['id']}"

    async def approve(terms_hash: str = approval["terms_hash"]) -> tuple[int, str]:
        status, answer, _ = await door.call("POST", f"{path}/approve", token=token, body={"terms_hash": terms_hash})
        return status, answer["code"]

    assert await approve("0" * 64) == (412, "terms_changed")
    assert await approve("abc") == (422, "invalid_request")
    async with door.desk.database.writing() as session:
        await session.execute(update(Account).values(route=Route.TERMINAL))
    assert await approve() == (403, "tier_too_low")
    _, problem, _ = await door.call("POST", f"{path}/approve", token=token,
                                    body={"terms_hash": approval["terms_hash"]})
    assert problem["needed_tier"] == "premium"
    assert problem["upgrade_url"] == f"{door.settings.public_url}/app/billing?tier=premium"
    async with door.desk.database.writing() as session:
        await session.execute(update(Account).values(is_primary=False))
    assert await approve() == (409, "no_account")
    async with door.desk.database.writing() as session:
        await session.execute(update(Approval).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert await approve() == (410, "approval_expired")
    status, answer, _ = await door.call("GET", path, token=token)
    assert (status, answer["status"], answer["order"]) == (200, "expired", None)


async def test_anothers_approval_does_not_exist(door: Door) -> None:
    key = await door.provider()
    _, ada = await door.person(7001)
    await door.publish(key)
    approval = await door.waiting(ada)
    _, eve = await door.person(6666, "Eve")
    absent = await door.call("GET", "/api/v1/approvals/999999", token=eve)
    for method, path, body in (("GET", "", None), ("POST", "/approve", {"terms_hash": approval["terms_hash"]}),
                               ("POST", "/reject", {})):
        status, problem, _ = await door.call(method, f"/api/v1/approvals/{approval['id']}{path}", token=eve, body=body)
        assert status == 404
        assert {k: v for k, v in problem.items() if k != "request_id"} == {
            k: v for k, v in absent[1].items() if k != "request_id"}
    assert (await door.waiting(ada))["status"] == "pending"


async def test_history_is_paged_and_filtered(door: Door) -> None:
    key = await door.provider()
    _, token = await door.person()
    for _ in range(5):
        await door.publish(key)
    seen: list[str] = []
    cursor = ""
    while True:
        status, page, _ = await door.call("GET", f"/api/v1/approvals?limit=2&cursor={cursor}", token=token)
        assert status == 200
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 5 and seen == sorted(seen, key=int, reverse=True)
    await door.call("POST", f"/api/v1/approvals/{seen[0]}/reject", token=token)
    _, rejected, _ = await door.call("GET", "/api/v1/approvals?status=rejected", token=token)
    assert [item["id"] for item in rejected["items"]] == [seen[0]]
    for query in ("status=maybe", "cursor=abc", "limit=0", "limit=1000"):
        status, problem, _ = await door.call("GET", f"/api/v1/approvals?{query}", token=token)
        assert (status, problem["code"]) == (422, "invalid_request"), query


async def test_accounts_and_positions(door: Door) -> None:
    _, token = await door.person()
    _, page, _ = await door.call("GET", "/api/v1/accounts", token=token)
    [account] = page["items"]
    assert (account["route"], account["is_primary"], account["currency"]) == ("paper", True, "USD")
    assert account["info"]["balance"] == account["info"]["equity"] == "10000.00"
    assert account["sizing"] == {"mode": "risk_percent", "value": "1.0"}
    status, changed, _ = await door.call("PATCH", f"/api/v1/accounts/{account['id']}", token=token,
                                         body={"label": "Practice", "sizing": {"mode": "fixed", "volume": "0.10"}})
    assert (status, changed["label"], changed["sizing"]) == (200, "Practice", {"mode": "fixed", "volume": "0.10"})
    for body in ({}, {"label": ""}, {"sizing": {"mode": "fixed"}}, {"sizing": {"mode": "risk_percent", "value": "101"}},
                 {"sizing": {"mode": "martingale", "value": "2"}}, {"login": "1"}):
        status, problem, _ = await door.call("PATCH", f"/api/v1/accounts/{account['id']}", token=token, body=body)
        assert (status, problem["code"]) == (422, "invalid_request"), body
    for path in ("/api/v1/positions", f"/api/v1/accounts/{account['id']}/positions?force_refresh=true"):
        status, portfolio, _ = await door.call("GET", path, token=token)
        assert (status, portfolio["positions"], portfolio["equity"], portfolio["stale"]) == (200, [], "10000.00", False)
    _, eve = await door.person(6666, "Eve")
    for method, path in (("GET", ""), ("PATCH", ""), ("GET", "/positions")):
        status, _, _ = await door.call(method, f"/api/v1/accounts/{account['id']}{path}", token=eve,
                                       body={"label": "mine"} if method == "PATCH" else None)
        assert status == 404
    async with door.desk.database.writing() as session:
        await session.execute(update(Account).values(is_primary=False))
    status, problem, _ = await door.call("GET", "/api/v1/positions", token=token)
    assert (status, problem["code"]) == (404, "no_account")


async def test_following(door: Door) -> None:
    await door.provider()
    _, token = await door.person()
    _, page, _ = await door.call("GET", "/api/v1/providers", token=token)
    [provider] = page["items"]
    assert provider["following"] is True, "a new user follows everyone"
    path = f"/api/v1/providers/{provider['id']}/follow"
    for method, expected in (("DELETE", False), ("DELETE", False), ("PUT", True), ("PUT", True)):
        assert (await door.call(method, path, token=token))[0] == 204
        _, page, _ = await door.call("GET", "/api/v1/providers", token=token)
        assert page["items"][0]["following"] is expected
    assert (await door.call("PUT", "/api/v1/providers/99/follow", token=token))[0] == 404
