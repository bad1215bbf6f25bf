"""The code in the guides does what they say."""

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path

from tests.webapp.conftest import Door
from tests.webapp.devices_stage import SNAPSHOT, register

DOCS = Path(__file__).parent.parent.parent / "docs"
GUIDE = DOCS / "providers.md"


async def test_the_providers_guide_publishes_a_signal(door: Door) -> None:
    key_id, secret = await door.provider()
    _, token = await door.person()
    found = re.search(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    code = found.group(1).replace('"https://desk.example.com", "pk_…", "…"', f'{door.base!r}, {key_id!r}, {secret!r}')
    await asyncio.to_thread(exec, code, {"__name__": "guide"})
    await door.fan_out()
    assert (await door.waiting(token))["note"] == "Bounce off the London low."


async def test_the_accounts_guide_shows_a_report_that_is_taken(door: Door) -> None:
    key = await register(door, (await door.person())[1])
    found = re.search(r"```json\n(.*?)```", (DOCS / "accounts.md").read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    body = json.loads(found.group(1)) | {"taken_at": datetime.now(UTC).isoformat()}
    assert (await door.signed("POST", SNAPSHOT, key, body))[0] == 204
