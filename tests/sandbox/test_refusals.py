"""Where the sandbox will not run and whom it will not answer."""

from pathlib import Path

import aiohttp
import pytest

import config
from sandbox import RefusedToStart, Sandbox, new_token
from sandboxed import Surroundings
from tests.sandbox.conftest import ADA, Stage

REAL_TOKEN = "123456789:" + "AAE" + "x" * 32


@pytest.mark.parametrize("token", [REAL_TOKEN, "", "7000000001:AAErealLooking00000000000000000000000",
                                   "7000000002:SANDBOX" + "x" * 28, pytest.param(new_token() + " ", id="space")])
def test_it_refuses_a_real_bots_token(token: str, tmp_path: Path) -> None:
    with pytest.raises(RefusedToStart) as caught:
        Sandbox(token, tmp_path / "s.db", "http://127.0.0.1:1")
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", "127.0.0.1.example.com", ""])
async def test_it_listens_on_this_machine_only(host: str, tmp_path: Path) -> None:
    with pytest.raises(RefusedToStart):
        await Sandbox(new_token(), tmp_path / "s.db", "http://127.0.0.1:1").start(host, 0)
    assert not (tmp_path / "s.db").exists()


@pytest.mark.parametrize("host", ["::1", "127.0.0.2", "0.0.0.0"])
def test_it_has_one_address(host: str, tmp_path: Path) -> None:
    """Host names, the frame's policy and the Mini App's address are all made for this one."""
    with pytest.raises(RefusedToStart, match=r"127\.0\.0\.1"):
        Surroundings(config.load({"HOST": host, "DATA": str(tmp_path)}))


@pytest.mark.parametrize("user_id", ["1" * 5000, "٣", "-1", "1.0"])
async def test_nobody_is_nobody(stage: Stage, user_id: str) -> None:
    async with stage.http.get(f"{stage.base}/control/chats/{user_id}/messages") as answer:
        assert answer.status == 404


async def test_a_taken_port_is_said_to_be(stage: Stage, tmp_path: Path) -> None:
    other = Sandbox(new_token(), tmp_path / "other.db", "http://127.0.0.1:1")
    with pytest.raises(RefusedToStart, match="cannot listen"):
        await other.start("127.0.0.1", int(stage.base.rpartition(":")[2]))
    assert (await other.start("127.0.0.1", 0)).startswith("http://127.0.0.1:")
    await other.stop()


async def test_a_memory_has_one_sandbox(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(RefusedToStart, match="another sandbox"):
        await Sandbox(new_token(), tmp_path / "telegram.db", "http://127.0.0.1:1").start("127.0.0.1", 0)


@pytest.mark.parametrize(("host", "status"), [
    ("127.0.0.1:1", 200), ("localhost", 200), ("[::1]:8081", 200), ("evil.example", 403),
    ("127.0.0.1.evil.example:8081", 403), ("evil.example:127.0.0.1", 403), ("user@evil.example", 403)])
@pytest.mark.parametrize("path", ["/control/state", "/", "/bot{token}/getMe"])
async def test_a_rebound_name_gets_nothing(stage: Stage, host: str, status: int, path: str) -> None:
    async with stage.http.get(stage.base + path.format(token=stage.token), headers={"Host": host}) as answer:
        assert answer.status == status
        assert status == 200 or stage.token not in await answer.text()


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json"])
async def test_pages_of_other_origins_cannot_steer_it(stage: Stage, origin: str, content_type: str) -> None:
    async with stage.http.post(f"{stage.base}/control/chats/{ADA}/messages", data=b'{"text":"/start"}',
                               headers={"Origin": origin, "Content-Type": content_type}) as answer:
        assert answer.status == 403
    assert await stage.get(f"/chats/{ADA}/messages") == []


async def test_its_own_page_can(stage: Stage) -> None:
    async with stage.http.post(f"{stage.base}/control/chats/{ADA}/messages", json={"text": "/start"},
                               headers={"Origin": stage.base}) as answer:
        assert answer.status == 200


async def test_the_page_is_at_one_address(stage: Stage) -> None:
    port = stage.base.rpartition(":")[2]
    async with stage.http.get(f"http://localhost:{port}/") as answer:
        assert answer.status == 200 and str(answer.url) == f"{stage.base}/"


async def test_no_page_may_frame_or_read_it(stage: Stage) -> None:
    async with stage.http.get(stage.base + "/", headers={"Origin": "https://evil.example"}) as answer:
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_strange_paths_are_refused_as_telegram_does(stage: Stage) -> None:
    async with aiohttp.ClientSession() as http:
        for path, status in (("/bot/getMe", 404), (f"/bot{stage.token}", 404), (f"/bot{stage.token}/nope", 404),
                             ("/botx/getMe", 401), (f"/bot{stage.token}%00/getMe", 401), ("/bot%ff/getMe", 401)):
            async with http.get(stage.base + path) as answer:
                assert (answer.status, (await answer.json())["ok"]) == (status, False), path
