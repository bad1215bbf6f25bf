"""What only a Windows host does, done under Wine."""

import asyncio
from pathlib import Path

import pytest

from scripts.real_wheel import place
from terminal.mt5.conversation import Broken, Conversation
from terminal.mt5.remote import RemoteLauncher
from terminal.protocol import AccountRef, GatewayError
from tests.certificates import Authority
from tests.terminal_mt5 import wine
from tests.terminal_mt5.host_side import files

pytestmark = wine.NEEDED

PATIENCE = 60.0


def test_nothing_of_a_worker_outlives_its_job() -> None:
    seen = wine.told_by("tests.terminal_mt5.under_wine.jobs")
    assert seen == {"killed": {"before": True, "gone": True}, "orphaned": {"before": True, "gone": True}}


def test_a_worker_is_launched_refused_ended_and_leaves_nothing_behind() -> None:
    seen = wine.told_by("tests.terminal_mt5.under_wine.launching")
    assert seen == {"path": True, "connected": False, "refused": "terminal_missing", "broken": "terminal_hangs",
                    "left": []}


async def test_a_desk_here_talks_to_the_real_wheel_at_a_windows_host(tmp_path: Path) -> None:
    """Over TLS on which both have proved themselves; when the line is cut the host ends the worker that hangs."""
    authority, pipe = Authority(tmp_path), asyncio.subprocess.PIPE
    papers, desk = authority.papers("host", "localhost", "127.0.0.1"), files(authority.papers("desk"))
    host = await asyncio.create_subprocess_exec(
        *place.command("-m", "tests.terminal_mt5.under_wine.hosting"),
        *map(place.windows, (tmp_path, papers.ca, papers.certificate, papers.key)),
        env=place.environment(), stdin=pipe, stdout=pipe, stderr=pipe)
    assert host.stdin and host.stdout
    try:
        port = int(await asyncio.wait_for(host.stdout.readline(), PATIENCE))
        stranger = RemoteLauncher("localhost", port, files(Authority(tmp_path / "other").papers("desk")))
        with pytest.raises(GatewayError):
            await stranger.launch(AccountRef("5012345", "Broker-Live"))
        ref = AccountRef("5012345", "Broker-Live")
        conversation = Conversation(await RemoteLauncher("localhost", port, desk).launch(ref, fresh=True))
        await asyncio.wait_for(conversation.hello(), PATIENCE)
        assert await conversation.ask("ping", {}, PATIENCE) == {"connected": False}
        with pytest.raises(Broken) as broken:
            await conversation.ask("open", {"login": ref.login, "server": ref.server, "password": "p", "path": "",
                                            "timeout_seconds": 1}, 3.0)
        assert broken.value.code == "terminal_hangs"
        await conversation.close()
        base = tmp_path / "terminals"
        async with asyncio.timeout(PATIENCE):
            while list(base.iterdir()):
                await asyncio.sleep(0.05)
    finally:
        host.stdin.write_eof()
        _, errors = await asyncio.wait_for(host.communicate(), PATIENCE)
    assert host.returncode == 0, errors.decode(errors="replace")
