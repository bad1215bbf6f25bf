"""A worker started as a Windows host starts it: in a directory of its own, in a job, with its terminal beside it."""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from terminal.mt5.conversation import Broken, Conversation
from terminal.mt5.directory import PROGRAM, Directories
from terminal.mt5.local import LocalLauncher
from terminal.protocol import AccountRef, GatewayError

# A program that starts and is no terminal.
MUTE = Path(os.environ["SYSTEMROOT"]) / "system32" / "hostname.exe"


async def launched(folder: Path) -> dict[str, Any]:
    template, base = folder / "template", folder / "terminals"
    template.mkdir()
    shutil.copy(MUTE, template / PROGRAM)
    launcher = LocalLauncher(Directories(template, base), dict(os.environ))
    channel = await launcher.launch(AccountRef("5012345", "Broker-Live"), fresh=True)
    conversation = Conversation(channel)
    seen: dict[str, Any] = {"path": channel.path.startswith(str(base)) and channel.path.endswith(PROGRAM)}
    try:
        await asyncio.wait_for(conversation.hello(), 30)
        seen["connected"] = (await conversation.ask("ping", {}, 10))["connected"]
        nowhere = {"login": "1", "server": "s", "password": "p", "path": str(folder / "none.exe"), "timeout_seconds": 1}
        try:
            await conversation.ask("open", nowhere, 10)
        except GatewayError as error:
            seen["refused"] = error.code
        try:
            await conversation.ask("open", nowhere | {"path": channel.path}, 2)
        except Broken as broken:
            seen["broken"] = broken.code
    finally:
        await conversation.close()
        await launcher.close()
    return seen | {"left": [path.name for path in base.iterdir()]}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        sys.stdout.write(json.dumps(asyncio.run(launched(Path(temporary)))))
