"""Frames between a desk and a terminal worker: four bytes of length, big-endian, then so much JSON in UTF-8.

A worker speaks first: ``{"hello": {"protocol": 2, "library": "5.0.…", "pid": 123}}``. Then each request
``{"id": n, "op": "...", "args": {...}}`` has one answer, ``{"id": n, "ok": ...}`` or ``{"id": n, "error": {...}}``.
A worker does one thing at a time and answers in order. What is not a frame ends the conversation.
"""

import asyncio
import json
import struct
from typing import Any, BinaryIO

PROTOCOL = 2
MOST_BYTES = 8 * 1024 * 1024
_LENGTH = struct.Struct(">I")


class BadFrame(Exception):
    """What arrived is not a frame; nothing after it can be trusted."""


class Ended(Exception):
    """The other side has gone."""


def encode(message: dict[str, Any]) -> bytes:
    """One frame; ValueError when it is too long or holds what JSON has no word for."""
    body = json.dumps(message, separators=(",", ":"), allow_nan=False).encode()
    if len(body) > MOST_BYTES:
        raise ValueError(f"a frame of {len(body)} bytes is too long")
    return _LENGTH.pack(len(body)) + body


def decode(body: bytes) -> dict[str, Any]:
    """The message of a frame's body; BadFrame for anything but a JSON object."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadFrame("not JSON") from error
    if not isinstance(message, dict):
        raise BadFrame("not an object")
    return message


def length_of(head: bytes) -> int:
    """How many bytes follow; BadFrame for a length nobody means."""
    (length,) = _LENGTH.unpack(head)
    if not 2 <= length <= MOST_BYTES:
        raise BadFrame(f"a length of {length}")
    return int(length)


async def read(stream: asyncio.StreamReader) -> dict[str, Any]:
    """The next message. Ended at the end of the stream, BadFrame for garbage."""
    try:
        head = await stream.readexactly(_LENGTH.size)
        return decode(await stream.readexactly(length_of(head)))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise Ended from error


def read_blocking(stream: BinaryIO) -> dict[str, Any] | None:
    """The next message for a worker, which has nothing else to do; None at the end of the stream."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    length = length_of(head)
    body = stream.read(length)
    return decode(body) if len(body) == length else None
