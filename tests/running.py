"""The desk as a process of its own, and the stand-ins round it, for tests that kill, stop and watch it."""

import asyncio
import base64
import itertools
import json
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from sandbox.server import Sandbox
from sandbox.signing import headers as signed_headers
from sandbox.stripe.standin import StripeSettings, new_secret_key, new_webhook_secret
from sandbox.telegram.limits import Limits
from sandbox.tokens import new_token

ROOT = Path(__file__).parent.parent
READY_SECONDS = 120.0


# Below the ports the kernel gives to outgoing connections, and a range of its own for each worker of the suite: what
# is free when it is asked for is still free when it is listened on.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = itertools.cycle(range(20_000 + 1_000 * (_WORKER % 12), 21_000 + 1_000 * (_WORKER % 12), 2))


def free_port() -> int:
    """A port nobody listens on."""
    return free_pair()


def free_pair() -> int:
    """A port whose neighbour above is free too, as the sandbox wants it."""
    for port in _PORTS:
        with socket.socket() as one, socket.socket() as other, suppress(OSError):
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 1))
            return port
    raise AssertionError("there is always a next port")


async def until(what: str, check: Callable[[], Awaitable[Any]], seconds: float = 90.0) -> Any:
    """Poll until ``check`` gives something true; AssertionError naming ``what`` when it does not in time."""
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        last = await check()
        if last:
            return last
        await asyncio.sleep(0.03)
    raise AssertionError(f"not in {seconds} s: {what} (last: {last!r})")


class Process:
    """``countersign`` in a process group of its own; its log goes to a file."""

    def __init__(self, verb: str, environment: Mapping[str, str], log: Path) -> None:
        self._verb = verb
        self.environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment}
        self.log = log
        self.port = int(environment["PORT"])
        self.url = f"http://127.0.0.1:{self.port}"
        self._child: asyncio.subprocess.Process | None = None

    async def start(self, *, wait: bool = True) -> None:
        with self.log.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable, "app.py", self._verb, cwd=ROOT, env=self.environment, stdout=log, stderr=log,
                start_new_session=True)
        if wait:
            await until("the desk is ready", self.is_ready, READY_SECONDS)

    async def is_ready(self) -> bool:
        assert self._child is not None
        if self._child.returncode is not None:
            raise AssertionError(f"the desk ended with {self._child.returncode}: {self.log.read_text()[-2000:]}")
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with aiohttp.ClientSession() as client, client.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        return False

    async def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        assert self._child is not None
        with suppress(ProcessLookupError):
            os.kill(self._child.pid, signal.SIGKILL)
        await self._child.wait()

    async def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self._child is not None
        if self._child.returncode is None:
            self._child.terminate()
        return await asyncio.wait_for(self._child.wait(), 90)

    async def ended(self) -> int:
        """Wait until it has ended by itself; returns the exit status."""
        assert self._child is not None
        return await asyncio.wait_for(self._child.wait(), 90)

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.returncode is None

    def children(self, module: str) -> list[int]:
        """The processes it has started that run a module, theirs included."""
        found: list[int] = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                is_ours = int((entry / "stat").read_text().rpartition(")")[2].split()[1]) in (self.pid, *found)
                if is_ours and module.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return found

    async def command(self, *arguments: str) -> bytes:
        """What a command says that is given beside the running desk."""
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", *arguments, "--json", cwd=ROOT, env=self.environment,
            stdout=asyncio.subprocess.PIPE)
        out, _ = await child.communicate()
        assert child.returncode == 0, out
        return out


class Console:
    """The control API of the sandbox, as a test's hand."""

    def __init__(self, client: aiohttp.ClientSession, base: str) -> None:
        self._client, self._base = client, base

    async def get(self, path: str) -> Any:
        async with self._client.get(f"{self._base}/control{path}") as answer:
            assert answer.status == 200, (path, answer.status, await answer.text())
            return await answer.json()

    async def post(self, path: str, body: Any = None) -> Any:
        async with self._client.post(f"{self._base}/control{path}", json=body or {}) as answer:
            assert answer.status < 300, (path, answer.status, await answer.text())
            return await answer.json()

    async def user(self, first_name: str) -> int:
        return int((await self.post("/users", {"first_name": first_name}))["id"])

    async def write(self, user_id: int, text: str) -> None:
        await self.post(f"/chats/{user_id}/messages", {"text": text})

    async def messages(self, user_id: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.get(f"/chats/{user_id}/messages")
        return found

    async def init_data(self, user_id: int) -> str:
        return str((await self.get(f"/users/{user_id}/init-data"))["init_data"])

    async def tap(self, user_id: int, message_id: int, callback_data: str) -> str:
        answer = await self.post(f"/chats/{user_id}/taps", {"message_id": message_id, "callback_data": callback_data})
        return str(answer["answer"])

    async def cards(self, user_id: int) -> list[dict[str, Any]]:
        """The messages that are cards of XAUUSD and the like: those with Approve, or edited after it."""
        return [m for m in await self.messages(user_id) if m["from"] == "bot" and "Entry" in m["text"]]

    async def open_card(self, user_id: int) -> dict[str, Any] | None:
        """The newest card that can be answered."""
        return next((m for m in reversed(await self.cards(user_id)) if buttons(m)), None)

    async def start(self, user_id: int) -> None:
        """Press Start and wait for the greeting."""
        await self.write(user_id, "/start")

        async def greeted() -> bool:
            return any(m["from"] == "bot" for m in await self.messages(user_id))

        await until(f"{user_id} is greeted", greeted)


def buttons(message: Mapping[str, Any]) -> dict[str, str]:
    """Callback data by the button's text."""
    return {b["text"]: b["callback_data"] for row in message["buttons"] for b in row if "callback_data" in b}


class Api:
    """The product's JSON API."""

    def __init__(self, client: aiohttp.ClientSession, base: str) -> None:
        self.client, self.base = client, base

    async def call(self, method: str, path: str, *, token: str | None = None, body: Any = None,
                   headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        given = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.client.request(method, f"{self.base}{path}", json=body,
                                       headers={**given, **(headers or {})}) as answer:
            raw = await answer.read()
            return answer.status, json.loads(raw) if raw and "json" in answer.content_type else raw.decode()

    async def sign_in(self, init_data: str) -> str:
        status, pair = await self.call("POST", "/api/v1/auth/telegram", body={"init_data": init_data})
        assert status == 200, pair
        return str(pair["access_token"])

    async def signed(self, method: str, path: str, key: tuple[str, str], body: Any = None) -> tuple[int, Any]:
        """A provider's request."""
        raw = json.dumps(body).encode() if body is not None else b""
        headers = signed_headers(*key, method=method, target=path, body=raw, now=int(time.time()))
        if raw:
            headers["Content-Type"] = "application/json"
        async with self.client.request(method, f"{self.base}{path}", data=raw, headers=headers) as answer:
            text = await answer.read()
            return answer.status, json.loads(text) if text else None


GOLD = {"symbol": "XAUUSD", "side": "buy", "order_type": "market", "stop_loss": "2300.00",
        "take_profits": ["2450.00", "2500.00"]}


class World:
    """A desk run with a real bot's configuration, its Telegram standing in within this process."""

    def __init__(self, folder: Path, limits: Limits | None = None, config: str = "", *, sells: bool = False) -> None:
        self.folder = folder
        self._sells = sells
        self.token = new_token()
        self.port = free_port()
        self._limits, self._config = limits, config
        self.environment: dict[str, str] = {}
        self.sandbox: Sandbox | None = None
        self.client: aiohttp.ClientSession

    async def open(self, **more: str) -> None:
        """Start the stand-in and the desk."""
        self.client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=150))
        app = f"http://127.0.0.1:{self.port}"
        stripe = StripeSettings(new_secret_key(), self.folder / "stripe.db", f"{app}/webhook/stripe",
                                new_webhook_secret(), retry_seconds=0.2)
        self.sandbox = Sandbox(self.token, self.folder / "telegram.db", app, limits=self._limits, stripe=stripe)
        self.telegram = await self.sandbox.start("127.0.0.1", 0)
        (self.folder / "config.toml").write_text("[tiers.free]\ncard_delay_seconds = 0\n" + self._config)
        self.environment = {
            "BOT_TOKEN": self.token, "TELEGRAM_API_BASE": self.telegram, "PORT": str(self.port),
            "DATA": str(self.folder / "data"), "CONFIG": str(self.folder / "config.toml"),
            "MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(), **more}
        if self._sells:
            self.environment |= {"STRIPE_SECRET_KEY": stripe.secret_key, "STRIPE_API_BASE": self.telegram,
                                 "STRIPE_WEBHOOK_SECRET": stripe.webhook_secret}
        self.desk = Process("run", self.environment, self.folder / "desk.log")
        await self.desk.start()
        self.console = Console(self.client, self.telegram)
        self.api = Api(self.client, self.desk.url)

    async def provider(self, name: str = "Desk Alpha") -> tuple[str, str]:
        """A provider's key id and secret, made by the command line while the desk runs."""
        made = await self.command("provider", "add", name)
        return made["key_id"], made["secret"]

    async def command(self, *arguments: str) -> Any:
        """What a ``countersign`` command says in JSON."""
        status, out, _ = await self._run(*arguments)
        assert status == 0, out
        return json.loads(out)

    async def refused(self, *arguments: str) -> str:
        """Why a command failed."""
        status, _, error = await self._run(*arguments)
        assert status == 1, arguments
        return str(json.loads(error)["error"])

    async def _run(self, *arguments: str) -> tuple[int, bytes, bytes]:
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **self.environment}
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", *arguments, "--json", cwd=ROOT, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        out, error = await child.communicate()
        assert child.returncode is not None
        return child.returncode, out, error

    async def quiet(self, seconds: float = 180.0) -> None:
        """Wait until every update is handled and everything owed has been said."""

        waiting: list[str] = []

        async def nothing_waits() -> bool:
            _, text = await self.api.call("GET", "/metrics")
            waiting[:] = [line for line in text.splitlines()
                          if line.startswith(("countersign_inbox_pending ", "countersign_outbox_pending{"))]
            return bool(waiting) and all(float(line.split()[-1]) == 0 for line in waiting)

        try:
            await until("nothing waits in inbox and outbox", nothing_waits, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}: {waiting}") from error

    async def close(self) -> None:
        with suppress(Exception):
            await self.desk.stop()
        if self.sandbox is not None:
            await self.sandbox.stop()
        await self.client.close()


@asynccontextmanager
async def world(folder: Path, limits: Limits | None = None, config: str = "", *, sells: bool = False,
                **environment: str) -> AsyncIterator[World]:
    """A running world; closed whatever happens. With ``sells`` plans can be bought."""
    made = World(folder, limits, config, sells=sells)
    try:
        await made.open(**environment)
        yield made
    finally:
        await made.close()
