"""The rules of the house that matter, read from the code itself."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("bot", "webapp", "services", "terminal", "models", "runtime", "sandbox", "migrations", "wire", "sdk")
MAY_IMPORT = {
    "bot": {"bot", "services", "models", "facts", "config", "runtime", "terminal"},
    "webapp": {"webapp", "services", "models", "facts", "config", "runtime", "terminal", "wire"},
    "services": {"services", "models", "terminal", "runtime", "wire"},
    "terminal": {"terminal"},
    "models": {"models"},
    "runtime": {"runtime"},
    "sandbox": {"sandbox", "terminal", "runtime"},
    "migrations": {"migrations", "models", "terminal"},
    "wire": {"wire"},
    "sdk": {"sdk", "wire", "terminal", "runtime"},
}
OURS = {*ROOMS, "app", "commands", "config", "device", "facts", "terminals", "tests", "benchmarks"}
# What one place alone may import: where a vendor's door is, everyone can see.
ONLY_IN = {
    "aiogram": {"bot", "app.py", "tests", "benchmarks"},
    "aiohttp.web": {"webapp", "sandbox", "app.py", "tests", "benchmarks"},
    "MetaTrader5": {"terminal"},
    "stripe": {"services", "webapp", "tests"},
}


def sources(*places: str) -> list[Path]:
    files: list[Path] = []
    for place in places:
        path = ROOT / place
        files += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return files


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_whom_they_may(room: str) -> None:
    for path in sources(room):
        for name in imports(path):
            top = name.split(".")[0]
            if top not in OURS or top in MAY_IMPORT[room]:
                continue
            column_types = room == "terminal" and path.is_relative_to(ROOT / "terminal" / "paper")
            assert (column_types and name.startswith("models.columns")) or (name == "models" and column_types), (
                f"{path.relative_to(ROOT)} imports {name}")


def test_services_and_doors_know_only_the_protocol_of_terminals() -> None:
    for path in sources("services", "bot", "webapp"):
        for name in imports(path):
            assert not name.startswith("terminal.") or name.startswith("terminal.protocol"), (
                f"{path.relative_to(ROOT)} imports {name}")


@pytest.mark.parametrize("vendor", ONLY_IN)
def test_vendors_have_one_door(vendor: str) -> None:
    for path in sources("app.py", "commands.py", "config.py", *ROOMS, "tests", "benchmarks"):
        names = imports(path)
        if any(name == vendor or name.startswith(f"{vendor}.") for name in names):
            assert room_of(path) in ONLY_IN[vendor], f"{path.relative_to(ROOT)} imports {vendor}"


def test_the_environment_is_read_in_one_place() -> None:
    for path in sources("app.py", "commands.py", "device.py", "facts.py", "terminals.py", *ROOMS):
        text = path.read_text(encoding="utf-8")
        assert "os.environ" not in text and "getenv" not in text, path.relative_to(ROOT)


def test_nobody_commits_by_hand() -> None:
    for path in sources("bot", "webapp", "services"):
        assert ".commit()" not in path.read_text(encoding="utf-8"), path.relative_to(ROOT)


def test_services_are_handed_the_time() -> None:
    for path in sources("services"):
        if path.name != "background.py":
            assert "datetime.now" not in path.read_text(encoding="utf-8"), path.relative_to(ROOT)


def test_every_directory_has_its_line_in_the_rooms_page() -> None:
    page = (ROOT / "docs" / "rooms.md").read_text(encoding="utf-8")
    for room in (*ROOMS, "tests", "docs", "benchmarks", "scripts"):
        assert f"`{room}/`" in page, room


def test_files_stay_small() -> None:
    for path in sources("app.py", "commands.py", "config.py", "device.py", "facts.py", "terminals.py", *ROOMS):
        if "versions" not in path.parts:
            lines = len(path.read_text(encoding="utf-8").splitlines())
            assert lines <= 400, f"{path.relative_to(ROOT)} has {lines} lines"
