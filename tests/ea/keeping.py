"""A process of the files that keep things on the disk: asked, killed at any point, started again over the same."""

import os
import subprocess
from pathlib import Path

from tests.ea.program import ANSWER_SECONDS, SANITIZERS, written

KILLED = -9
FOLDER = Path("MQL5") / "Files"
Question = tuple[bytes | str | int, ...]


def asked(executable: Path, folder: Path, *questions: Question, kill_at: int = 0, disk: str = "good",
          ) -> tuple[list[str], bool]:
    """The answers, as text, up to the end of the process; and whether it was killed before the last one."""
    environment = {**os.environ, **SANITIZERS, "EA_DATA": str(folder), "EA_KILL_AT": str(kill_at), "EA_DISK": disk}
    lines = "".join(" ".join((str(word), *map(written, arguments))) + "\n" for word, *arguments in questions)
    done = subprocess.run((executable,), input=lines, capture_output=True, text=True, env=environment,
                          timeout=ANSWER_SECONDS, check=False)
    assert done.returncode in (0, KILLED), done.stderr[-3000:]
    answers = [bytes.fromhex(line.strip("-")).decode("latin-1") for line in done.stdout.split()]
    assert len(answers) == len(questions) or done.returncode == KILLED, done.stderr[-3000:]
    return answers, done.returncode == KILLED


def files(folder: Path, name: str) -> dict[str, Path]:
    """The three places a file may stand at, those that are there."""
    places = {kind: folder / FOLDER / f"{name}{kind}" for kind in ("", ".new", ".old")}
    return {kind: path for kind, path in places.items() if path.exists()}
