"""Commands against a database that is not as they need it: said in a sentence, nothing changed, no traceback."""

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import app
import config
from config import decode_key
from models.database import Database
from services import canary, providers
from services.vault import Vault

KEY, OTHER = (base64.b64encode(bytes(range(start, start + 32))).decode() for start in (0, 64))
Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Exit status and answer of a command with nothing in its environment but what it is given."""
    for name in config.VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    monkeypatch.setenv("DATA", str(tmp_path / "data"))

    def command(line: str, **environ: str) -> tuple[int, dict[str, Any]]:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        status = app.main([*line.split(), "--json"])
        said = capsys.readouterr()
        return status, json.loads(said.out or said.err)

    return command


def test_nothing_is_sealed_under_a_key_the_desk_will_not_start_with(run: Run, database_url: str) -> None:
    assert run("provider add Alpha", DATABASE_URL=database_url, MASTER_KEY=KEY)[0] == 0
    for line in ("provider add Beta", "rotate-keys"):
        status, said = run(line, MASTER_KEY=OTHER)
        assert (status, said) == (1, {"error": "MASTER_KEY is not the key this database was sealed with."})
    assert asyncio.run(_names(database_url, KEY)) == ["Alpha"]
    assert run("doctor")[1]["master_key"] == "is not the key of this database"
    assert run("doctor", MASTER_KEY=KEY)[1]["master_key"] == "fits"


def test_after_a_rotation_the_previous_key_may_go(run: Run, database_url: str) -> None:
    made = run("provider add Alpha", DATABASE_URL=database_url, MASTER_KEY=KEY)[1]
    assert run("rotate-keys", MASTER_KEY=OTHER, MASTER_KEY_PREVIOUS=KEY) == (0, {"resealed": 1})
    assert run("rotate-keys") == (0, {"resealed": 0})
    assert asyncio.run(_opens(database_url, OTHER, made["key_id"]))
    assert not asyncio.run(_sings(database_url, KEY))


def test_a_secret_no_key_opens_stops_the_rotation_by_name(run: Run, database_url: str) -> None:
    assert run("provider add Alpha", DATABASE_URL=database_url, MASTER_KEY=KEY)[0] == 0
    key_id = asyncio.run(_stray(database_url))
    status, said = run("rotate-keys", MASTER_KEY=OTHER, MASTER_KEY_PREVIOUS=KEY)
    assert status == 1 and key_id in said["error"]
    assert asyncio.run(_sings(database_url, KEY))


@pytest.mark.parametrize("line", ["provider add Alpha", "grant 5 vip --days 3", "rotate-keys"])
def test_a_database_that_was_never_set_up(run: Run, line: str) -> None:
    status, said = run(line, MASTER_KEY=KEY)
    assert status == 1 and "countersign migrate" in said["error"]


@pytest.mark.parametrize("line", ["provider add Alpha", "grant 5 vip --days 3", "rotate-keys", "doctor", "migrate"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the driver's thread
@pytest.mark.parametrize("url", ["postgresql+asyncpg://desk:hidden-word@127.0.0.1:1/desk",
                                 "sqlite+aiosqlite:////proc/nowhere/desk.db"])
def test_a_database_out_of_reach(run: Run, line: str, url: str) -> None:
    status, said = run(line, MASTER_KEY=KEY, DATABASE_URL=url)
    assert status == 1 and "database" in said["error"] and "hidden-word" not in said["error"]


def test_a_data_folder_that_cannot_be(run: Run) -> None:
    status, said = run("doctor", MASTER_KEY=KEY, DATA="/proc/nowhere")
    assert status == 1 and "/proc/nowhere" in said["error"]


@pytest.mark.parametrize("user", ["99999999999999999999", "0", "x", "1_0", "١٢"])
def test_a_grant_is_to_a_telegram_id(run: Run, user: str) -> None:
    with pytest.raises(SystemExit) as exit_:
        run(f"grant {user} vip --days 3", MASTER_KEY=KEY)
    assert exit_.value.code == 2


async def _names(url: str, key: str) -> list[str]:
    database = Database.open(url)
    async with database.reading() as session:
        found = await providers.listed(session, 0)
        assert await canary.sings(session, Vault(decode_key(key)))
    await database.close()
    return [provider["name"] for provider in found]


async def _opens(url: str, key: str, key_id: str) -> bool:
    database = Database.open(url)
    async with database.reading() as session:
        opened = await providers.signing_key(session, Vault(decode_key(key)), key_id)
        is_right = await canary.sings(session, Vault(decode_key(key)))
    await database.close()
    return opened is not None and is_right


async def _sings(url: str, key: str) -> bool:
    database = Database.open(url)
    async with database.reading() as session:
        found = await canary.sings(session, Vault(decode_key(key)))
    await database.close()
    return found


async def _stray(url: str) -> str:
    database = Database.open(url)
    async with database.writing() as session:
        made = await providers.add(session, Vault(bytes(range(128, 160))), "Stray", datetime.now(UTC))
    await database.close()
    return made.key_id
