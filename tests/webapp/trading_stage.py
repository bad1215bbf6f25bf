"""A person whose account a device serves, with orders to fetch."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from models.order import Order
from services import tiers
from tests.webapp.conftest import Door
from tests.webapp.devices_stage import Key, push, register

# What a device reports of an account that can trade.
SOUND = {"positions": [], "currency": "USD", "balance": "10000.00", "equity": "10000.00", "margin": "0",
         "margin_level": None, "free_margin": "10000.00"}
POLL, BEGIN, ACK = "/api/v1/ea/poll", "/api/v1/ea/begin", "/api/v1/ea/ack"


@dataclass
class Floor:
    """``provider`` publishes, the person approves, the devices fetch."""

    door: Door
    user_id: int
    account_id: str
    device: Key
    provider: Key
    offered: list[dict[str, Any]] = field(default_factory=list)

    @property
    def token(self) -> str:
        return self.door.token(self.user_id)

    async def approve(self, **signal: Any) -> Order:
        """A signal, approved: the order that it makes."""
        await self.door.publish(self.provider, **signal)
        approval = await self.door.waiting(self.token)
        path = f"/api/v1/approvals/{approval['id']}/approve"
        status, decided, _ = await self.door.call("POST", path, token=self.token,
                                                  body={"terms_hash": approval["terms_hash"]})
        assert status == 200, decided
        return await self.order(int(decided["order"]["id"]))

    async def order(self, order_id: int) -> Order:
        async with self.door.desk.database.reading() as session:
            return await session.get_one(Order, order_id)

    async def orders(self) -> list[Order]:
        async with self.door.desk.database.reading() as session:
            return list(await session.scalars(select(Order).order_by(Order.id)))

    async def poll(self, device: Key | None = None) -> list[dict[str, Any]]:
        """What a device is offered."""
        status, offer, _ = await self.door.signed("GET", POLL, device or self.device)
        assert status in (200, 204), offer
        return list(offer["orders"]) if status == 200 else []

    async def begin(self, order_id: Any, device: Key | None = None) -> tuple[int, Any]:
        status, answer, _ = await self.door.signed("POST", BEGIN, device or self.device, {"order_id": str(order_id)})
        return status, answer

    async def ack(self, order_id: Any, status: str, device: Key | None = None, **more: Any) -> tuple[int, Any]:
        body = {"order_id": str(order_id), "status": status, **more}
        code, answer, _ = await self.door.signed("POST", ACK, device or self.device, body)
        return code, answer

    async def later(self, order_id: int, seconds: float) -> None:
        """As if so much time had passed for the order."""
        span = timedelta(seconds=seconds)
        async with self.door.desk.database.writing() as session:
            order = await session.get_one(Order, order_id)
            moments = {name: at - span for name in ("lease_until", "expires_at", "sent_at", "next_try_at")
                       if (at := getattr(order, name)) is not None}
            await session.execute(update(Order).where(Order.id == order_id).values(**moments))

    async def second(self, **more: Any) -> Key:
        """Another device of the same account."""
        return await register(self.door, self.token, "Second", account_id=self.account_id, **more)

    async def card(self, order_id: int) -> dict[str, Any]:
        """The order as the API shows it."""
        order = await self.order(order_id)
        _, shown, _ = await self.door.call("GET", f"/api/v1/approvals/{order.approval_id}", token=self.token)
        return dict(shown["order"])


async def floor(door: Door, telegram_id: int = 7001, sizing: dict[str, str] | None = None, **figures: Any) -> Floor:
    """A VIP with a device account as the primary, and nothing open."""
    provider = await door.provider(f"Desk {telegram_id}")  # whoever comes after it follows it
    user_id, token = await door.person(telegram_id)
    vip = door.desk.catalogue.named("vip")
    assert vip is not None
    async with door.desk.database.writing() as session:
        tiers.grant(session, vip, user_id, 30, "manual", datetime.now(UTC))
    device = await register(door, token)
    await push(door, device, **SOUND | figures)
    status, account, _ = await door.call("POST", "/api/v1/accounts/link", token=token,
                                         body={"route": "device", "device_id": device[0]})
    assert status == 201, account
    body = {"sizing": sizing or {"mode": "fixed", "volume": "0.10"}}
    status, changed, _ = await door.call("PATCH", f"/api/v1/accounts/{account['id']}", token=token, body=body)
    assert (status, account["is_primary"]) == (200, True), json.dumps(changed)
    return Floor(door, user_id, account["id"], device, provider)
