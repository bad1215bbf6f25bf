"""Many people, many doors, all at once: one decision each, at most one order each."""

import asyncio
from collections import Counter
from typing import Any

from tests.running import GOLD, World, buttons, until

FOLLOWERS, TAPS, HTTP_APPROVALS = 50, 5, 3


async def test_every_follower_decides_once_whatever_they_press(running: World) -> None:
    console, api = running.console, running.api
    key = await running.provider()
    users = [await console.user(f"Follower {number}") for number in range(FOLLOWERS)]
    await asyncio.gather(*(console.start(user) for user in users))
    tokens = {user: await api.sign_in(await console.init_data(user)) for user in users}
    status, signal = await api.signed("POST", "/api/v1/signals", key, {"external_id": "crowd-1", **GOLD})
    assert status == 201

    async def everyone_has_a_card() -> bool:
        return all([await console.open_card(user) for user in users])

    await until("every card arrives", everyone_has_a_card)

    outcomes = await asyncio.gather(*(_press_everything(running, user, tokens[user]) for user in users))
    answers = [answer for taps, _ in outcomes for answer in taps]
    statuses = Counter(status for _, https in outcomes for status in https)
    assert len(answers) == FOLLOWERS * TAPS
    assert all(answers), "every tap is answered with words"
    assert set(statuses) <= {200, 409}, statuses

    async def settled() -> bool:
        status, shown = await api.signed("GET", f"/api/v1/signals/{signal['id']}", key)
        assert status == 200
        counts = shown["approvals"]
        return bool(counts["approved"] + counts["rejected"] == FOLLOWERS and counts["pending"] == 0)

    await until("everyone has decided", settled)
    for user in users:
        await until(f"{user} sees the outcome", lambda user=user: _is_final(running, user, tokens[user]))
    await running.quiet()
    for user in users:
        [card] = await console.cards(user)
        # What happened is said once each: the decision, and the fill by itself when it came late on a busy machine.
        said_apart = 1 if card["text"].startswith("✖️") else 2
        assert 1 <= card["edits"] <= said_apart, card
        assert not buttons(card)


async def _press_everything(running: World, user: int, token: str) -> tuple[list[str], list[int]]:
    """Five equal taps, three approvals and a rejection over HTTP, all started together."""
    card = await running.console.open_card(user)
    assert card is not None
    _, waiting = await running.api.call("GET", "/api/v1/approvals/pending", token=token)
    [approval] = waiting["items"]
    path, terms = f"/api/v1/approvals/{approval['id']}", {"terms_hash": approval["terms_hash"]}
    taps = [running.console.tap(user, card["message_id"], buttons(card)["Approve"]) for _ in range(TAPS)]
    https = [running.api.call("POST", f"{path}/approve", token=token, body=terms) for _ in range(HTTP_APPROVALS)]
    https.append(running.api.call("POST", f"{path}/reject", token=token, body={}))
    done = await asyncio.gather(*taps, *https)
    return list(done[:TAPS]), [status for status, _ in done[TAPS:]]


async def _is_final(running: World, user: int, token: str) -> bool:
    """The chat and the API agree on one outcome, and an approval has exactly one filled order."""
    _, page = await running.api.call("GET", "/api/v1/approvals", token=token)
    [approval] = page["items"]
    [card] = await running.console.cards(user)
    _, portfolio = await running.api.call("GET", "/api/v1/positions?force_refresh=true", token=token)
    held: list[dict[str, Any]] = portfolio["positions"]
    if approval["status"] == "rejected":
        assert approval["order"] is None and not held
        return "Rejected by you" in card["text"]
    assert approval["status"] == "approved"
    if approval["order"]["status"] != "filled":
        return False
    assert 1 <= len(held) <= 2, "one order, spread over at most its two targets"
    assert sum(float(p["volume"]) for p in held) == float(approval["order"]["volume"])
    return "Approved by you" in card["text"] and "filled" in card["text"]
