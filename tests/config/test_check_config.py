"""``check-config`` as an operator meets it: a real process, its exit status and what it prints."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import app
import config

ROOT = Path(__file__).parents[2]
TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw_"
KEY = base64.b64encode(bytes(range(32))).decode()
EX_CONFIG = 78


def check_config(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command with nothing in its environment but what it is given."""
    return subprocess.run(
        [sys.executable, "-m", "app", "check-config", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30,
        env={"PATH": os.environ["PATH"], **environ}, check=False)


def test_a_bad_one_exits_78_with_every_fault_and_no_value(tmp_path: Path) -> None:
    overlay = tmp_path / "bad.toml"
    overlay.write_text("[orders]\nworkers = 0\n", encoding="utf-8")
    done = check_config(BOT_TOKEN="canary-token", MASTER_KEY="canary-key", PORT="canary-port", CONFIG=str(overlay))
    assert done.returncode == EX_CONFIG and done.stdout == ""
    lines = done.stderr.splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "config orders.workers", "PORT", "BOT_TOKEN", "MASTER_KEY"]
    assert "canary" not in done.stderr and "Traceback" not in done.stderr


@pytest.fixture
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in config.VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


@pytest.mark.usefixtures("_nothing_set")
def test_a_good_configuration_is_fine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
                                      tmp_path: Path) -> None:
    for name, value in (("BOT_TOKEN", TOKEN), ("MASTER_KEY", KEY), ("DATA", str(tmp_path / "data"))):
        monkeypatch.setenv(name, value)
    assert app.main(["check-config"]) == 0
    assert capsys.readouterr() == ("fine\n", "")
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("_nothing_set")
def test_faults_for_machines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PORT", "no")
    assert app.main(["check-config", "--json"]) == EX_CONFIG
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"faults": ["PORT: a whole number from 1 to 65534"]} and printed.err == ""


@pytest.mark.usefixtures("_nothing_set")
@pytest.mark.parametrize("verb", ["check-config", "run"])
def test_the_desk_needs_a_bot_and_a_key(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main([verb]) == EX_CONFIG
    said = capsys.readouterr().err
    assert "BOT_TOKEN" in said and "MASTER_KEY" in said


@pytest.mark.usefixtures("_nothing_set")
def test_every_command_refuses_a_bad_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "no")
    for line in ("run", "sandbox", "migrate", "doctor", "rotate-keys", "provider add Desk", "grant 1 vip --days 3",
                 "terminal-host --listen 127.0.0.1:0"):
        assert app.main(line.split()) == EX_CONFIG, line
