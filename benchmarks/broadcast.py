"""A broadcast under Telegram's true limits: its pace, its 429s, and what a tap has to wait for meanwhile."""

import asyncio
import re
import time
from pathlib import Path

from benchmarks.report import Figure, percentile
from tests.running import GOLD, World, buttons, until, world

TELEGRAM_PER_SECOND = 30.0
PATIENT = "[limits]\nauth = 100000\nreads = 100000\ndecisions = 100000\n"
TAPS_AT_ONCE = 3


async def run(folder: Path, cards: int) -> list[Figure]:
    """One card to each of ``cards`` chats, while those who have theirs tap Approve."""
    folder.mkdir(parents=True)
    async with world(folder, config=PATIENT) as running:
        key = await running.provider()
        users = await _people(running, cards)
        before = await _calls(running)
        began = time.monotonic()
        status, _ = await running.api.signed("POST", "/api/v1/signals", key, {"external_id": "bench", **GOLD})
        assert status == 201
        answers: list[float] = []
        over = asyncio.Event()
        tapping = asyncio.create_task(_tap(running, users, answers, over))
        await until("every card is out", lambda: _all_sent(running, cards), 20 + cards / 5)
        seconds = time.monotonic() - began
        told = _told(await _calls(running)) - _told(before)
        over.set()
        await tapping
        await running.quiet(120)
        after = await _calls(running)
        for user in users:
            found = await running.console.cards(user)
            assert len(found) == 1, f"{user} has {len(found)} cards"
    calls = {name: after.get(name, 0) - before.get(name, 0) for name in after}
    refused = sum(n for (_, outcome), n in calls.items() if outcome == "TelegramRetryAfter")
    return [
        Figure(f"{cards} cards: share of Telegram's 30/s", told / seconds / TELEGRAM_PER_SECOND, 0.8, at_least=True),
        Figure(f"{cards} cards: share of calls refused with 429", refused / _told(calls), 0.01),
        Figure(f"{cards} cards: tap answered meanwhile, 95th percentile of {len(answers)}",
               percentile(answers, 0.95), 0.300, "s"),
    ]


def _told(calls: dict[tuple[str, str], float]) -> float:
    """Cards and edits Telegram has taken: both count against its limit."""
    return sum(n for (method, outcome), n in calls.items()
               if method in ("sendMessage", "editMessageText") and outcome == "ok")


async def _people(running: World, number: int) -> list[int]:
    """So many people who have pressed Start and been greeted."""
    users = [await running.console.user(f"Follower {n}") for n in range(number)]
    for start in range(0, number, 50):
        await asyncio.gather(*(running.console.write(user, "/start") for user in users[start:start + 50]))
    await running.quiet(60 + number / 10)
    return users


async def _tap(running: World, users: list[int], answers: list[float], over: asyncio.Event) -> None:
    """Whoever has a card approves it, one after the other, until the broadcast is over."""
    undecided = list(users)
    while undecided and not over.is_set():
        for user in undecided[:TAPS_AT_ONCE]:
            card = await running.console.open_card(user)
            if card is not None:
                asked = time.perf_counter()
                answer = await running.console.tap(user, card["message_id"], buttons(card)["Approve"])
                answers.append(time.perf_counter() - asked)
                assert answer == "Approved. Sending the order."
                undecided.remove(user)
            await asyncio.sleep(0.1)


async def _calls(running: World) -> dict[tuple[str, str], float]:
    """Bot API calls by method and outcome, as the desk counts them."""
    _, text = await running.api.call("GET", "/metrics")
    pattern = r'countersign_telegram_requests_total\{method="(\w+)",outcome="(\w+)"\} ([0-9.e+]+)'
    return {(method, outcome): float(number) for method, outcome, number in re.findall(pattern, text)}


async def _all_sent(running: World, cards: int) -> bool:
    _, text = await running.api.call("GET", "/metrics")
    found = re.search(r"countersign_cards_sent_total ([0-9.e+]+)", text)
    await asyncio.sleep(0.2)
    return found is not None and float(found.group(1)) >= cards
