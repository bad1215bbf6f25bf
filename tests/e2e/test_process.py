"""The process from outside: how it starts, listens, refuses to start, and ends."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from sandbox.tokens import new_token
from tests.e2e.conftest import PATIENT
from tests.running import GOLD, Process, World, buttons, free_pair, free_port, until, world


async def test_webhook_mode_does_the_same_job(tmp_path: Path) -> None:
    made = World(tmp_path, config=PATIENT)
    try:
        await made.open(TELEGRAM_MODE="webhook", TELEGRAM_WEBHOOK_SECRET="s" * 32,
                        PUBLIC_URL=f"http://127.0.0.1:{made.port}")
        console, key = made.console, await made.provider()
        user = await console.user("Ada")
        await console.start(user)
        status, _ = await made.api.signed("POST", "/api/v1/signals", key, {"external_id": "a", **GOLD})
        assert status == 201
        card = await until("the card arrives", lambda: console.open_card(user))
        answer = await console.tap(user, card["message_id"], buttons(card)["Approve"])
        assert answer == "Approved. Sending the order."

        async def filled() -> bool:
            return "filled" in (await console.cards(user))[-1]["text"]

        await until("the card says filled", filled)
    finally:
        await made.close()


async def test_what_telegram_could_not_deliver_while_we_were_away_is_handled(running: World) -> None:
    console = running.console
    user = await console.user("Ada")
    await console.start(user)
    assert await running.desk.stop() == 0
    for command in ("/help", "/terms", "/privacy"):
        await console.write(user, command)
    await running.desk.start()

    async def answered() -> bool:
        said = [m["text"] for m in await console.messages(user) if m["from"] == "bot"]
        return len(said) == 4 and "How it works" in said[1] and "The rules" in said[2] and "What we keep" in said[3]

    await until("all three are answered, in order", answered)


async def test_sigterm_under_load_loses_nothing(running: World, measured: Callable[[str], None]) -> None:
    console, key = running.console, await running.provider()
    users = [await console.user(f"F{number}") for number in range(20)]
    await asyncio.gather(*(console.start(user) for user in users))
    for number in range(3):
        await running.api.signed("POST", "/api/v1/signals", key, {"external_id": f"s{number}", **GOLD})
    for user in users:
        await console.write(user, "/help")
    began = time.monotonic()
    assert await running.desk.stop() == 0
    measured(f"SIGTERM under load: out after {time.monotonic() - began:.1f} s")
    await running.desk.start()
    await running.quiet()
    for user in users:
        messages = await console.messages(user)
        assert len([m for m in messages if m["from"] == "bot" and "How it works" in m["text"]]) == 1
        assert len(await console.cards(user)) == 3


async def test_a_second_desk_on_the_same_data_is_refused(running: World) -> None:
    second = Process("run", running.environment | {"PORT": str(free_port())}, running.folder / "second.log")
    await second.start(wait=False)
    assert await second.ended() == 1
    assert "another desk is running" in second.log.read_text()
    assert (await running.api.call("GET", "/readyz"))[0] == 200


async def test_a_port_that_is_taken_is_named(running: World, tmp_path: Path) -> None:
    environment = running.environment | {"DATA": str(tmp_path / "other")}
    second = Process("run", environment, tmp_path / "second.log")
    await second.start(wait=False)
    assert await second.ended() == 1
    assert f"port {running.port} on 127.0.0.1 cannot be used" in second.log.read_text()


async def test_the_wrong_master_key_is_noticed_at_start(running: World) -> None:
    assert await running.desk.stop() == 0
    other = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="
    second = Process("run", running.environment | {"MASTER_KEY": other}, running.folder / "second.log")
    await second.start(wait=False)
    assert await second.ended() == 1
    assert "MASTER_KEY is not the key" in second.log.read_text()


async def test_the_sandbox_takes_no_real_token_and_no_public_address(tmp_path: Path) -> None:
    port = str(free_pair())
    for name, change in (("token", {"BOT_TOKEN": "123456789:AAF_a_real_looking_token_0123456789abc"}),
                         ("address", {"HOST": "0.0.0.0"}),
                         ("api", {"TELEGRAM_API_BASE": "https://telegram.example", "BOT_TOKEN": new_token()})):
        sandbox = Process("sandbox", {"PORT": port, "DATA": str(tmp_path / name), **change}, tmp_path / f"{name}.log")
        await sandbox.start(wait=False)
        assert await sandbox.ended() == 1, name
        assert "cannot start" in sandbox.log.read_text()


async def test_no_secret_reaches_the_log(tmp_path: Path) -> None:
    async with world(tmp_path, config=PATIENT, LOG_LEVEL="debug") as running:
        key = await running.provider()
        user = await running.console.user("Ada")
        await running.console.start(user)
        launch = await running.console.init_data(user)
        token = await running.api.sign_in(launch)
        await running.api.signed("POST", "/api/v1/signals", key, {"external_id": "a", **GOLD})
        await running.api.call("GET", f"/api/v1/me?leak={token}", token=token + "x")
        await running.quiet()
        log = running.desk.log.read_text()
        for secret in (running.token, running.environment["MASTER_KEY"], key[1], token, launch[-64:]):
            assert secret not in log
        assert '"request_id"' in log and '"update_id"' in log
