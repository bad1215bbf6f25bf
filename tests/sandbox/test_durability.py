"""What was answered is remembered, however the stand-in ends."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from sandbox import new_token
from tests.sandbox.conftest import ADA, UNLIMITED, Open, bot_at

CHILD = """
import asyncio, sys
from pathlib import Path
from sandbox import Limits, Sandbox
async def main():
    sandbox = Sandbox(sys.argv[1], Path(sys.argv[2]), "http://127.0.0.1:9",
                      limits=Limits(messages_per_second=None, chat_per_second=None))
    print(await sandbox.start("127.0.0.1", 0), flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
BUTTON = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="A", callback_data="a")]])


async def _child(token: str, path: Path) -> tuple[asyncio.subprocess.Process, str]:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, token, str(path),
                                                 stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert child.stdout is not None
    base = (await asyncio.wait_for(child.stdout.readline(), 90)).decode().strip()
    return child, base


async def test_everything_answered_survives_a_kill(tmp_path: Path, open_stage: Open) -> None:
    token, path = new_token(), tmp_path / "killed.db"
    child, base = await _child(token, path)
    bot = bot_at(base, token)
    written: list[str] = []
    async with aiohttp.ClientSession() as http:
        async def write(text: str) -> None:
            async with http.post(f"{base}/control/chats/{ADA}/messages", json={"text": text}) as answer:
                assert answer.status == 200
                written.append(text)

        await write("/start")
        acknowledged = (await bot.get_updates())[-1].update_id
        await bot.get_updates(offset=acknowledged + 1)
        sent = await bot.send_message(ADA, "card", reply_markup=BUTTON)
        await sent.edit_text("card, approved")
        writers = [asyncio.create_task(write(f"m{number}")) for number in range(200)]
        while len(written) < 60:
            await asyncio.sleep(0.001)
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        await asyncio.gather(*writers, return_exceptions=True)
    await bot.session.close()

    stage = await open_stage(token=token, path=path, limits=UNLIMITED)
    messages = await stage.get(f"/chats/{ADA}/messages")
    assert {m["text"] for m in messages if m["from"] == "user"} >= set(written)
    card = next(m for m in messages if m["from"] == "bot")
    assert (card["message_id"], card["text"], card["edits"]) == (sent.message_id, "card, approved", 1)
    updates = await stage.bot.get_updates(limit=100)
    assert updates[0].update_id == acknowledged + 1
    ids = [u.update_id for u in updates]
    assert ids == sorted(set(ids))


async def test_ids_are_never_used_again(open_stage: Open, tmp_path: Path) -> None:
    token, path = new_token(), tmp_path / "ids.db"
    first = await open_stage(token=token, path=path)
    message_id = await first.write(ADA)
    update_id = (await first.bot.get_updates())[-1].update_id
    await first.bot.get_updates(offset=update_id + 1)
    new_user = (await first.post("/users", {"first_name": "Dora"}))["id"]
    await first.sandbox.stop()

    second = await open_stage(token=token, path=path)
    assert await second.write(ADA, "again") == message_id + 1
    assert (await second.bot.get_updates())[-1].update_id == update_id + 1
    assert (await second.post("/users", {"first_name": "Emil"}))["id"] == new_user + 1


async def test_settings_and_taps_survive(open_stage: Open, tmp_path: Path) -> None:
    token, path = new_token(), tmp_path / "settings.db"
    first = await open_stage(token=token, path=path)
    await first.bot.get_updates(allowed_updates=["callback_query"])
    await first.write(ADA)
    sent = await first.bot.send_message(ADA, "x", reply_markup=BUTTON)
    await first.try_post(f"/chats/{ADA}/taps", {"message_id": sent.message_id, "callback_data": "a"})
    await first.post(f"/users/{ADA}/block")
    await first.bot.set_webhook("http://127.0.0.1:9/hook", secret_token="kept")
    await first.sandbox.stop()

    second = await open_stage(token=token, path=path)
    info = await second.bot.get_webhook_info()
    assert (info.url, info.allowed_updates, info.pending_update_count) == (
        "http://127.0.0.1:9/hook", ["callback_query"], 1)
    assert next(u for u in (await second.get("/state"))["users"] if u["id"] == ADA)["blocked"]
    await second.bot.delete_webhook()
    (update,) = await second.bot.get_updates()
    assert update.callback_query and update.callback_query.data == "a"


async def test_a_write_that_fails_is_not_answered_as_done(open_stage: Open, tmp_path: Path) -> None:
    stage = await open_stage()
    await stage.write(ADA)
    telegram = stage.sandbox._telegram
    assert telegram is not None
    telegram.state.store._work.put(("INSERT INTO nowhere VALUES (1)", ()))
    async with stage.http.post(f"{stage.base}/bot{stage.token}/sendMessage",
                               json={"chat_id": ADA, "text": "x"}) as answer:
        assert answer.status == 500


@pytest.mark.parametrize("users", [["Ada", "Boris", "Chiara"]])
async def test_a_first_start_has_people_and_silence(open_stage: Open, users: list[str]) -> None:
    stage = await open_stage()
    state = await stage.get("/state")
    assert [user["first_name"] for user in state["users"]] == users
    assert (await stage.get("/log"))["pending_updates"] == 0
