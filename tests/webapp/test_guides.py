"""The code in the guides does what they say."""

import asyncio
import re
from pathlib import Path

from tests.webapp.conftest import Door

GUIDE = Path(__file__).parent.parent.parent / "docs" / "providers.md"


async def test_the_providers_guide_publishes_a_signal(door: Door) -> None:
    key_id, secret = await door.provider()
    _, token = await door.person()
    found = re.search(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    code = found.group(1).replace('"https://desk.example.com", "pk_…", "…"', f'{door.base!r}, {key_id!r}, {secret!r}')
    await asyncio.to_thread(exec, code, {"__name__": "guide"})
    await door.fan_out()
    assert (await door.waiting(token))["note"] == "Bounce off the London low."
