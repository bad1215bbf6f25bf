"""HTTP to the desk: one request and what came back, and the two questions that nobody signs."""

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from runtime import strict_json
from runtime.strict_json import InvalidJson
from sdk.clock import DeskClock
from sdk.errors import Refused, Unreachable

PREFIX = "/api/v1/ea"
JSON = "application/json"
MOST_BYTES = 1024 * 1024
LONGEST_WAIT = 300.0
TIMEOUT = aiohttp.ClientTimeout(total=15, connect=7)


def origin(url: str) -> str:
    """The desk's address; ValueError unless it is https, or http on this machine itself."""
    parts = urlsplit(url.rstrip("/"))
    is_here = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
        raise ValueError("must begin with https://")
    if not parts.hostname or parts.path or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("must be a host only, without a path")
    return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class Raw:
    """What came back, whoever sent it."""

    status: int
    body: bytes
    headers: Any

    @property
    def retry_after(self) -> float:
        """The seconds the sender asks to wait, within reason."""
        text = self.headers.get("Retry-After", "")
        return min(float(text), LONGEST_WAIT) if text.isascii() and text.isdecimal() else 0.0


class Transport:
    """One HTTP client. Open it with ``open`` and close it in the end."""

    def __init__(self, url: str) -> None:
        self._origin = origin(url)
        self._client: aiohttp.ClientSession | None = None

    async def send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Raw:
        """One request, its path exactly as given; redirections are not followed. Unreachable."""
        if self._client is None:
            # As the bytes are signed they are read: nothing is unpacked on the way.
            self._client = aiohttp.ClientSession(timeout=TIMEOUT, auto_decompress=False,
                                                 cookie_jar=aiohttp.DummyCookieJar(),
                                                 headers={"Accept-Encoding": "identity"})
        try:
            async with self._client.request(method, URL(self._origin + target, encoded=True), data=body or None,
                                            headers=headers, allow_redirects=False) as answer:
                content = b""
                while len(content) <= MOST_BYTES and (more := await answer.content.readany()):
                    content += more
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"the desk does not answer ({type(error).__name__})") from error
        if len(content) > MOST_BYTES:
            raise Unreachable("the answer is too long")
        return Raw(answer.status, content, answer.headers)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


async def ask_time(transport: Transport, clock: DeskClock) -> None:
    """Set the clock by the desk's. Nobody signs that, so nothing but signatures and waiting depends on it alone."""
    asked = time.monotonic()
    answer = await transport.send("GET", f"{PREFIX}/time", b"", {})
    value = parsed(answer.body) if answer.status == 200 else None
    seconds = value.get("server_time") if isinstance(value, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 < seconds < 1 << 40:
        raise Unreachable(f"the desk does not say what time it is ({answer.status})", answer.retry_after)
    clock.set(seconds, asked, time.monotonic())


async def pair(transport: Transport, code: str, login: str, server: str, version: str) -> tuple[str, str]:
    """Turn a code into a device: its id and its secret, which nobody is told again. Refused, Unreachable."""
    body = strict_json.dumps({"code": code, "login": login, "server": server, "version": version})
    answer = await transport.send("POST", f"{PREFIX}/pair", body, {"Content-Type": JSON})
    value = parsed(answer.body)
    match answer.status, value:
        case 201, {"device": {"id": str(device_id)}, "secret": str(secret)}:
            return device_id, secret
        case (400 | 401 | 403 | 409 | 422) as status, {"code": str(problem)}:
            raise Refused(status, problem, str(value.get("detail", "")), value)
    raise Unreachable(f"the desk does not pair ({answer.status})", answer.retry_after)


def parsed(body: bytes) -> Any:
    """The JSON of an answer; Unreachable when it is none."""
    try:
        return strict_json.loads(body)
    except InvalidJson as error:
        raise Unreachable("an answer that is not JSON") from error


def problem_code(body: bytes) -> str | None:
    """The code of a problem; None when it is none."""
    value = parsed(body)
    code = value.get("code") if isinstance(value, dict) else None
    return code if isinstance(code, str) else None
