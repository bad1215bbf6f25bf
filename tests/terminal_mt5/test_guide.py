"""The guide's commands, run as they stand there."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from terminal.mt5.remote import RemoteLauncher
from terminal.mt5.tls import TlsFiles
from tests.certificates import Papers
from tests.terminal_mt5.desk_side import DeskSide
from tests.terminal_mt5.host_side import HostSide
from tests.terminal_mt5.test_supervisor import REF

GUIDE = Path(__file__).parents[2] / "docs" / "terminals.md"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
async def test_certificates_made_by_the_guide_serve(side: DeskSide, beyond: HostSide, tmp_path: Path) -> None:
    (commands,) = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.S)
    subprocess.run(["sh", "-e", "-c", commands.replace("DNS:terminals.example", "DNS:localhost")], cwd=tmp_path,
                   check=True, capture_output=True)
    made = {name: tmp_path / name for name in ("authority.pem", "host.pem", "host.key", "desk.pem", "desk.key")}
    papers = Papers(made["authority.pem"], made["host.pem"], made["host.key"])
    async with beyond.host(papers=papers) as port:
        desk = TlsFiles(made["authority.pem"], made["desk.pem"], made["desk.key"])
        assert (await side.gateway(RemoteLauncher("localhost", port, desk)).account(REF)).login == "11"
