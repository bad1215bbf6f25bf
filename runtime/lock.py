"""One process at a time on a directory, however the last one ended."""

import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class InUse(Exception):
    """Another process holds the directory."""


class DirectoryLock:
    """An advisory lock the kernel releases when its process is gone."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "countersign.lock"
        self._file: int | None = None

    def take(self) -> None:
        """InUse when another live process has it."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if sys.platform == "win32":
                msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            os.close(file)
            raise InUse(f"another desk is running on {self._path.parent}") from error
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
