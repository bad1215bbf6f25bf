"""A copy taken while the desk works, and put back when it does not."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.running import GOLD, World, until


async def test_a_copy_taken_under_load_can_be_put_back(running: World, tmp_path: Path) -> None:
    key, copy = await running.provider(), tmp_path / "copy.db"
    user = await running.console.user("Ada")
    await running.console.start(user)
    await running.api.signed("POST", "/api/v1/signals", key, {"external_id": "before", **GOLD})
    await until("the card arrives", lambda: running.console.open_card(user))
    assert await running.command("backup", str(copy)) == {"file": str(copy)}
    assert await running.refused("backup", str(copy)) == f"{copy} exists already."
    assert copy.stat().st_mode & 0o077 == 0
    await running.api.signed("POST", "/api/v1/signals", key, {"external_id": "after", **GOLD})
    assert "running" in await running.refused("restore", str(copy))
    assert await running.desk.stop() == 0

    damaged = tmp_path / "damaged.db"
    raw = bytearray(copy.read_bytes())
    raw[8192:12288] = b"\xff" * 4096
    damaged.write_bytes(raw)
    for bad in (damaged, tmp_path / "absent.db", Path(__file__)):
        assert await running.refused("restore", str(bad))
    assert signals(running) == ["before", "after"], "a refused copy changes nothing"

    told = await running.command("restore", str(copy))
    assert signals(running) == ["before"]
    with closing(sqlite3.connect(told["former"])) as former:
        assert former.execute("SELECT count(*) FROM signals").fetchone() == (2,)
    await running.desk.start()
    status, _ = await running.api.signed("POST", "/api/v1/signals", key, {"external_id": "again", **GOLD})
    assert status == 201


def signals(running: World) -> list[str]:
    with closing(sqlite3.connect(running.folder / "data" / "countersign.db")) as database:
        return [row[0] for row in database.execute("SELECT external_id FROM signals ORDER BY id")]
