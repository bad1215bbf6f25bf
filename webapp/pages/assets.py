"""Static files: read once at start, served under the digest of them all, so browsers may keep them for ever.

The digest is in the path and not in a query, because modules import each other by relative path and so stay
within one version. A page of an older version still gets the files, but may not keep them.
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

FOLDER = Path(__file__).parent.parent / "static"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"
_WORTH_PACKING = 1024


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it goes over the wire, plain and packed."""

    plain: bytes
    packed: bytes | None
    content_type: str


class Assets:
    """Every static file by its path below ``static/``."""

    def __init__(self, folder: Path = FOLDER) -> None:
        found = sorted(path for path in folder.rglob("*") if path.suffix in TYPES)
        self._files = {path.relative_to(folder).as_posix(): _read(path) for path in found}
        total = hashlib.sha256()
        for name, asset in self._files.items():
            total.update(name.encode() + b"\0" + hashlib.sha256(asset.plain).digest())
        self.digest = total.hexdigest()[:16]

    def url(self, name: str) -> str:
        """Where a page finds the file; KeyError when there is none."""
        self._files[name]
        return f"/static/{self.digest}/{name}"

    def modules(self) -> list[str]:
        """Our own scripts, for a page to announce so that they load side by side."""
        return [self.url(name) for name in self._files if name.startswith("js/")]

    def get(self, name: str) -> Asset | None:
        return self._files.get(name)


def _read(path: Path) -> Asset:
    plain = path.read_bytes()
    packed = gzip.compress(plain, mtime=0) if len(plain) >= _WORTH_PACKING else None
    return Asset(plain, packed, TYPES[path.suffix])


key = web.AppKey("assets", Assets)


async def serve(request: web.Request) -> web.Response:
    """One static file."""
    assets = request.app[key]
    asset = assets.get(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound
    is_current = request.match_info["digest"] == assets.digest
    headers = {"Cache-Control": FOR_EVER if is_current else "no-cache", "Vary": "Accept-Encoding"}
    body = asset.plain
    if asset.packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        body = asset.packed
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, content_type=asset.content_type, charset="utf-8", headers=headers)
