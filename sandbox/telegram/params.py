"""A call's parameters, however they were sent: query, form, multipart or JSON."""

import json
from typing import Any

from aiohttp import web

from sandbox.telegram.errors import bad_request


class Params:
    """Typed reading of parameters; like Telegram, unknown ones are ignored and objects may be JSON strings."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str:
        """The parameter as text; empty when absent."""
        value = self._values.get(name, "")
        if isinstance(value, bool):
            return str(value).lower()
        return value if isinstance(value, str) else "" if value is None else str(value)

    def integer(self, name: str, default: int = 0) -> int:
        """A whole number; anything else reads as ``default``."""
        try:
            return int(self.text(name))
        except ValueError:
            return default

    def flag(self, name: str) -> bool:
        return self.text(name).lower() in ("true", "1", "yes")

    def object(self, name: str, what: str) -> Any:
        """A JSON value, None when absent; ``what`` names it in the error."""
        value = self._values.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise bad_request(f"can't parse {what} JSON object") from None


async def read(request: web.Request) -> Params:
    """Query first, the body over it."""
    values: dict[str, Any] = dict(request.query)
    if request.method == "POST":
        if request.content_type == "application/json":
            values |= _object(await request.read())
        else:
            form = await request.post()
            values |= {name: value for name, value in form.items() if isinstance(value, str)}
    return Params(values)


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise bad_request("can't parse request body as a JSON object")
    return value
