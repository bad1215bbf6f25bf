"""The desk's calls by their names."""

import json
from datetime import datetime
from typing import Any

from runtime import strict_json
from sdk import messages
from sdk.errors import Refused
from sdk.http import SignedLine
from sdk.messages import Ack, Offer


class Desk:
    """What a device asks and tells. Every call may raise Unreachable and Refused."""

    def __init__(self, line: SignedLine) -> None:
        self._line = line

    async def know_time(self) -> None:
        """Ask what time it is there, unless that is known."""
        await self._line.know_time()

    async def poll(self) -> Offer:
        """Orders for this device. Unreadable when the answer makes no sense."""
        return messages.offer(await self._line.ask("GET", "/poll"))

    async def begin(self, order_id: str) -> datetime:
        """Say that an order is about to be sent; until when it may. Refused: ``already_begun`` and others."""
        answer = await self._line.ask("POST", "/begin", strict_json.dumps({"order_id": order_id}))
        return messages.instant_of(answer.get("expires_at") if isinstance(answer, dict) else None)

    async def acknowledge(self, body: bytes) -> str:
        """Say what became of an order; ``taken`` or ``late``."""
        answer = await self._line.ask("POST", "/ack", body)
        return str(answer.get("recorded")) if isinstance(answer, dict) else ""

    async def report(self, body: bytes) -> bool:
        """Tell the account and its positions; False when the desk does not know what ``same_as`` refers to."""
        try:
            await self._line.ask("POST", "/snapshot", body)
        except Refused as refused:
            if refused.code == "snapshot_unknown":
                return False
            raise
        return True

    async def tell_symbols(self, page: dict[str, Any]) -> None:
        """Tell a page of what the broker lists."""
        await self._line.ask("POST", "/symbols", strict_json.dumps(page))


def spoken(ack: Ack) -> bytes:
    """An acknowledgement as it is kept and sent, the same bytes however often."""
    return json.dumps(ack.body(), separators=(",", ":"), ensure_ascii=False).encode()
