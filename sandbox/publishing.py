"""Publishing as a signal provider does: a signed request to the product's own door."""

import json
import secrets
import time
from typing import Any

import aiohttp

from runtime import strict_json
from sandbox import signing
from sandbox.product import Product

PATH = "/api/v1/signals"
REQUEST_SECONDS = 15


class Publisher:
    """Holds the connection to the product."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._session: aiohttp.ClientSession | None = None

    def start(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS))

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def publish(self, signal: dict[str, Any]) -> tuple[int, Any]:
        """Status and body of the product's answer. A signal without an external id gets a fresh one."""
        key = self._product.provider_key
        if key is None or self._session is None:
            return 409, {"error": "No provider key is attached."}
        body = strict_json.dumps({"external_id": f"console-{secrets.token_hex(8)}", **signal})
        headers = signing.headers(*key, method="POST", target=PATH, body=body, now=int(time.time()))
        headers["Content-Type"] = "application/json"
        try:
            async with self._session.post(self._product.app_url + PATH, data=body, headers=headers) as answer:
                return answer.status, _parsed(await answer.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            return 502, {"error": f"The product does not answer: {type(error).__name__}."}


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return {"error": "The product's answer is not JSON."}
