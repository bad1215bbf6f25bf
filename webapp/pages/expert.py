"""The Expert Advisor as its user gets it: an archive to be unpacked into the data folder of a MetaTrader terminal.

Its files are sources; the terminal's own MetaEditor compiles them.
"""

import io
import zipfile
from pathlib import Path

from aiohttp import web

PATH, NAME = "/ea.zip", "countersign-ea.zip"
FOLDER = Path(__file__).parent.parent.parent / "ea"
PARTS, SUFFIXES = ("Experts", "Include", "Scripts"), (".mq5", ".mqh")
# The same files are the same archive, to the last byte.
_DATED = (1980, 1, 1, 0, 0, 0)

key = web.AppKey("expert", bytes)


def packed(folder: Path = FOLDER) -> bytes:
    """The archive; FileNotFoundError where there is no Expert Advisor."""
    found = sorted(path for part in PARTS for path in (folder / part).rglob("*") if path.suffix in SUFFIXES)
    if not found:
        raise FileNotFoundError(f"no Expert Advisor in {folder}")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in found:
            entry = zipfile.ZipInfo(f"MQL5/{path.relative_to(folder).as_posix()}", _DATED)
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return made.getvalue()


async def load(request: web.Request) -> web.Response:
    """For everybody: there is nothing of anybody in it."""
    return web.Response(body=request.app[key], content_type="application/zip", headers={
        "Content-Disposition": f'attachment; filename="{NAME}"', "Cache-Control": "public, max-age=300"})
