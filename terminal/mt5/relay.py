"""Carries frames between a desk and the worker a host has started for it, and looks into none but the first."""

import asyncio
import struct

from terminal.mt5 import frames
from terminal.mt5.launch import Channel
from terminal.protocol import AccountRef

_LENGTH = struct.Struct(">I")
_AT_ONCE = 64


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: Channel, ref: AccountRef) -> None:
    """Carry on until either side ends, stops listening, or says what is no frame."""
    waiting: asyncio.Queue[bytes] = asyncio.Queue(_AT_ONCE)
    ways = [asyncio.create_task(way) for way in (
        _hear(reader, waiting, worker, ref), _tell(waiting, worker.writer), _answer(worker.reader, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _hear(reader: asyncio.StreamReader, waiting: "asyncio.Queue[bytes]", worker: Channel,
                ref: AccountRef) -> None:
    """Always listen, also while the worker does not: that the desk has gone must be noticed at once."""
    while True:
        body = await _body(reader)
        message = frames.decode(body)
        if message.get("op") == "open":
            body = _placed(message, worker, ref)
        waiting.put_nowait(_LENGTH.pack(len(body)) + body)  # a desk that says more than it may is cut off


async def _tell(waiting: "asyncio.Queue[bytes]", writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(await waiting.get())
        await writer.drain()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        body = await _body(reader)
        writer.write(_LENGTH.pack(len(body)) + body)
        await writer.drain()


async def _body(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(frames.length_of(await reader.readexactly(_LENGTH.size)))


def _placed(message: dict[str, object], worker: Channel, ref: AccountRef) -> bytes:
    """The request to sign in, with the path of the terminal here and for no account but the one that was named."""
    args = message.get("args")
    if not isinstance(args, dict) or (args.get("login"), args.get("server")) != (ref.login, ref.server):
        raise frames.BadFrame("another account")
    if isinstance(args.get("password"), str):
        worker.veil.cover(args["password"])
    return frames.encode({**message, "args": {**args, "path": worker.path}})[_LENGTH.size:]
