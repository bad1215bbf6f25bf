"""Terminals here, as Windows has them: started in their directories, ended when they hang, gone at the end."""

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from terminal.mt5.directory import PROGRAM
from terminal.protocol import AccountRef, GatewayError
from tests.terminal_mt5.desk_side import DeskSide

REF = AccountRef("11", "Broker-Live")
ENDS_AT_ONCE = r"C:\windows\system32\whoami.exe"


async def seen() -> dict[str, Any]:
    side = DeskSide(Path(tempfile.mkdtemp()))
    shutil.copy(ENDS_AT_ONCE, side.template / PROGRAM)
    gateway = side.gateway(call_seconds=5.0)
    told: dict[str, Any] = {"login": (await gateway.account(REF)).login}
    for act in ("hang", "die", "garbage"):
        side.tell("11", positions=act)
        try:
            await gateway.positions(REF)
        except GatewayError as error:
            told[act] = error.code
        side.tell("11")
        side.clock.now += 100
        told[f"after {act}"] = (await gateway.account(REF)).login
    told["verified"] = (await gateway.verify(REF, "x")).login
    await gateway.account(REF)
    await gateway.close_all()
    told["said goodbye"] = side.done("11")[-1]
    await gateway.close_all()
    told["directories"] = len(list(side.base.iterdir()))
    shutil.rmtree(side.folder.parent)  # nothing holds a file of it any more
    return told


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(seen())))
