"""What a worker says on its standard error goes to the log, line by line, in measure, and without its password."""

import asyncio
import logging

from terminal.mt5.calls import Veil

log = logging.getLogger(__name__)

LONGEST_LINE, MOST_LINES = 2_000, 200
_CHUNK = 8_192


async def follow(stream: asyncio.StreamReader, name: str, veil: Veil) -> None:
    """Log every line until the stream ends; after ``MOST_LINES`` only read, so the worker is never held up."""
    said, line, is_cut = 0, b"", False
    while chunk := await stream.read(_CHUNK):
        *lines, rest = (line + chunk).split(b"\n")
        for whole in lines:
            if not is_cut:
                said = _say(name, veil, whole, said)
            is_cut = False
        if len(rest) > _CHUNK:
            if not is_cut:
                said = _say(name, veil, rest, said, is_whole=False)
            line, is_cut = b"", True
        else:
            line = rest
    if line and not is_cut:
        _say(name, veil, line, said)


def _say(name: str, veil: Veil, line: bytes, said: int, *, is_whole: bool = True) -> int:
    text = veil.over(line.decode("utf-8", "replace")).strip()
    if not is_whole:
        # What was cut off may end with the beginning of a password.
        text = text[:max(len(text) - veil.widest, 0)]
    if text and said < MOST_LINES:
        log.warning("terminal %s: %s", name, text[:LONGEST_LINE])
    elif text and said == MOST_LINES:
        log.warning("terminal %s says too much; the rest is not logged", name)
    return said + bool(text)
