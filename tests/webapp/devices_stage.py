"""A device at a terminal, as the tests of its door play it."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from services import replays
from tests.webapp.conftest import Door
from wire import signing

SNAPSHOT = "/api/v1/ea/snapshot"
Key = tuple[str, str]


def position(ticket: int = 11, **changes: Any) -> dict[str, Any]:
    return {"ticket": ticket, "symbol": "EURUSD.r", "side": "buy", "volume": "0.10", "entry_price": "1.07008",
            "current_price": "1.07108", "stop_loss": "1.06500", "take_profit": None, "profit": "10.00",
            "swap": "-0.50", "magic": 0, "opened_at": "2026-01-05T10:00:00Z", **changes}


def report(*, ago: float = 0.0, positions: list[dict[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
    """A body as a device sends it; ``changes`` are of the account."""
    account = {"login": "70012345", "server": "Harbour-Live", "broker": "Harbour Markets", "currency": "EUR",
               "balance": "2500.00", "equity": "2509.50", "margin": "107.00", "free_margin": "2402.50",
               "margin_level": "2345.33", "leverage": 100, "margin_mode": "hedging", **changes}
    taken_at = datetime.now(UTC) - timedelta(seconds=ago)
    return {"account": account, "positions": [position()] if positions is None else positions,
            "taken_at": taken_at.isoformat()}


async def register(door: Door, token: str, name: str = "VPS", **more: Any) -> Key:
    """A new device: its id and its secret."""
    status, made, _ = await door.call("POST", "/api/v1/devices", token=token, body={"name": name, **more})
    assert status == 201, made
    return made["device"]["id"], made["secret"]


async def push(door: Door, key: Key, **changes: Any) -> None:
    """Report, and be heard."""
    status, answer, _ = await door.signed("POST", SNAPSHOT, key, report(**changes))
    assert status == 204, answer


async def forget_all(door: Door) -> None:
    """Redis has lost what it knew, but not that it did: what devices have dated a moment ago is still taken."""
    run = (await door.desk.redis.info("server"))["run_id"]
    await door.desk.redis.flushall()
    await door.desk.redis.set(replays.EPOCH, f"{run}:0")


def is_signed(key: Key, status: int, nonce: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether an answer is signed for the request of this nonce, reckoned here and not by the desk's own code."""
    text = f"RESPONSE\n{status}\n{nonce}\n{hashlib.sha256(body).hexdigest()}".encode()
    return headers.get("X-Signature") == signing.sign(signing.decode_secret(key[1]), text)
