"""A broker as a device tells of it: its symbols, the terminal, and the account that stands there."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from services import tiers
from tests.webapp.conftest import Door
from tests.webapp.devices_stage import Key, push, register

SYMBOLS = "/api/v1/ea/symbols"


def spec(name: str = "EURUSD.r", **changes: Any) -> dict[str, Any]:
    """A pair of currencies as most brokers have them, for an account in dollars."""
    return {"name": name, "description": "Euro vs US Dollar", "digits": 5, "point": "0.00001", "tick_size": "0.00001",
            "contract_size": "100000", "volume_min": "0.01", "volume_max": "50", "volume_step": "0.01",
            "volume_limit": "0", "stops_level": 10, "freeze_level": 0, "currency_base": "EUR",
            "currency_profit": "USD", "currency_margin": "EUR", "calc_mode": "forex", "trade_mode": "full",
            "filling": ["fok", "ioc"], "tick_value": "1", **changes}


def gold(name: str = "GOLD", **changes: Any) -> dict[str, Any]:
    return spec(name, **{"description": "Spot Gold", "digits": 2, "point": "0.01", "tick_size": "0.01",
                         "contract_size": "100", "currency_base": "XAU", "currency_margin": "USD",
                         "calc_mode": "cfd_leverage", **changes})


def quoted(given: dict[str, Any], bid: str, ask: str) -> dict[str, Any]:
    return given | {"bid": bid, "ask": ask, "quoted_at": datetime.now(UTC).isoformat()}


def terminal(**changes: Any) -> dict[str, Any]:
    return {"version": "1.0.0", "build": 5833, "utc_offset_seconds": 7200, "trade_allowed": True,
            "expert_allowed": True, "account_allowed": True, "connected": True, "ping_ms": 40, **changes}


def page(*symbols: dict[str, Any], ago: float = 0.0, **more: Any) -> dict[str, Any]:
    taken_at = datetime.now(UTC) - timedelta(seconds=ago)
    return {"symbols": list(symbols), "taken_at": taken_at.isoformat(), **more}


async def tell(door: Door, key: Key, *symbols: dict[str, Any], ago: float = 0.0, **more: Any) -> None:
    """Tell a page, and be heard."""
    status, answer, _ = await door.signed("POST", SYMBOLS, key, page(*symbols, ago=ago, **more))
    assert status == 204, answer


async def tell_all(door: Door, key: Key, *symbols: dict[str, Any], **changes: Any) -> None:
    """A whole listing in one page, with the terminal; ``changes`` are of the terminal."""
    await tell(door, key, *symbols, is_first=True, is_last=True, terminal=terminal(**changes))


async def linked(door: Door, symbols: Sequence[dict[str, Any]] | None = None, telegram_id: int = 7001,
                 **account: Any) -> tuple[int, str, Key, int]:
    """A user whose dollars stand at a device, which has told these symbols: user, token, key, account."""
    user_id, token = await door.person(telegram_id)
    plan = door.desk.catalogue.named("vip")
    assert plan is not None
    async with door.desk.database.writing() as session:
        tiers.grant(session, plan, user_id, 30, "manual", datetime.now(UTC))
    key = await register(door, token)
    given = {"login": str(80_000_000 + telegram_id), "currency": "USD", "balance": "10000.00", "equity": "10000.00",
             "margin": "0.00", "free_margin": "10000.00", "margin_level": None, **account}
    await push(door, key, positions=[], **given)
    status, made, _ = await door.call("POST", "/api/v1/accounts/link", token=token,
                                      body={"route": "device", "device_id": key[0]})
    assert status == 201, made
    if symbols is not None:
        await tell_all(door, key, *symbols)
    return user_id, token, key, int(made["id"])


async def forget(door: Door) -> None:
    """Redis loses what it knew of devices' reports; that it forgets nonces too is another test's matter."""
    for pattern in ("device:listing:*", "device:heard:*", "device:report:*"):
        found = [key async for key in door.desk.redis.scan_iter(pattern)]
        if found:
            await door.desk.redis.delete(*found)
