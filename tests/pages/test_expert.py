"""The archive with the Expert Advisor: all that its compiler needs, and nothing else."""

import io
import re
import zipfile
from pathlib import Path, PurePosixPath

import aiohttp
import pytest

from webapp.pages import expert

INCLUDE = re.compile(rb'^#include\s+(?:<([^>]+)>|"([^"]+)")', re.MULTILINE)


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


async def test_everybody_may_load_it(origin: str) -> None:
    async with aiohttp.ClientSession() as client, client.get(f"{origin}/ea.zip") as answer:
        assert (answer.status, answer.content_type) == (200, "application/zip")
        assert answer.headers["Content-Disposition"] == 'attachment; filename="countersign-ea.zip"'
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        files = unpacked(await answer.read())
    for name, content in files.items():
        assert content == (expert.FOLDER / PurePosixPath(name).relative_to("MQL5")).read_bytes()
    assert {name.split("/")[1] for name in files} == {"Experts", "Include", "Scripts"}


def test_what_each_file_includes_is_in_it() -> None:
    files = unpacked(expert.packed())
    assert "MQL5/Experts/Countersign.mq5" in files
    for name, content in files.items():
        for shared, beside in INCLUDE.findall(content):
            folder = PurePosixPath("MQL5/Include") if shared else PurePosixPath(name).parent
            assert str(folder / (shared or beside).decode()) in files, name


def test_the_same_files_are_the_same_archive(tmp_path: Path) -> None:
    assert expert.packed() == expert.packed()
    with pytest.raises(FileNotFoundError):
        expert.packed(tmp_path)
