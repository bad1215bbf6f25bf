"""Third-party files are what their publisher published, and every one of them is accounted for."""

import hashlib
import tomllib

import pytest

from webapp.pages.assets import FOLDER

VENDOR = FOLDER / "vendor"
LISTED = tomllib.loads((VENDOR / "VENDOR.toml").read_text(encoding="utf-8"))["file"]


@pytest.mark.parametrize("entry", LISTED, ids=lambda entry: entry["file"])
def test_files_are_as_published(entry: dict[str, str]) -> None:
    path = VENDOR / entry["file"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
    assert set(entry) == {"name", "version", "url", "licence", "file", "sha256"}
    assert entry["version"] in path.parent.name and entry["version"] in entry["url"]
    assert (path.parent / "LICENSE").read_text(encoding="utf-8").strip()


def test_nothing_is_there_that_is_not_listed() -> None:
    there = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*")
             if path.is_file() and path.name not in ("LICENSE", "VENDOR.toml")}
    assert there == {entry["file"] for entry in LISTED}
