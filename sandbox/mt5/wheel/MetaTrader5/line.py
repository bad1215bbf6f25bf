"""The line to the broker that stands in for terminal and trade server, and the last error of this process.

As in the real library there is one connection for the process, an error stays until the next call, and the wait
for an answer is made without letting go of the interpreter's lock: nothing else runs in the process meanwhile.
"""

import ctypes
import json
import socket
import struct
from pathlib import Path
from typing import Any

_LENGTH = struct.Struct(">I")
_LIBC = ctypes.PyDLL(None)
_POLLIN = 1

NO_CONNECTION = (-10004, "No IPC connection")
INCOMPATIBLE = (-5, "Terminal: Incompatible versions, please install the latest version of Terminal and Python module")


class Broken(Exception):
    """A call failed; ``args`` are the code and the text of last_error."""


class _Poll(ctypes.Structure):
    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short))


class Line:
    """The process's one connection, or none."""

    def __init__(self) -> None:
        self.socket: socket.socket | None = None
        self.path = ""
        self.error: tuple[int, str] = (0, "")

    def open(self, path: str, server: str | None) -> None:
        """Start the "terminal" at this path: its folder says where its servers are."""
        self.close()
        program = Path(path)
        if not _is_there(program):
            raise Broken(-10003, f"IPC initialize failed, Process create failed '{path}'")
        servers = _servers(program.parent / "config" / "servers.json")
        address = servers.get(server) if server is not None else next(iter(servers.values()), None)
        if address is None:
            raise Broken(-2, "Terminal: Invalid params")
        host, port = address.rsplit(":", 1)
        try:
            self.socket = socket.create_connection((host, int(port)))
        except OSError as error:
            raise Broken(-10005, "IPC timeout") from error
        self.path = path

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def ask(self, call: str, **args: Any) -> Any:
        """One call and its answer; Broken with the code the terminal gives."""
        if self.socket is None:
            raise Broken(*NO_CONNECTION)
        body = json.dumps({"call": call, "args": args}).encode()
        try:
            self.socket.sendall(_LENGTH.pack(len(body)) + body)
            (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
            answer = json.loads(self._exactly(length))
        except OSError as error:
            self.close()
            raise Broken(-10002, "IPC recv failed") from error
        if "error" in answer:
            raise Broken(*answer["error"])
        return answer["ok"]

    def _exactly(self, count: int) -> bytes:
        assert self.socket is not None
        got = b""
        while len(got) < count:
            _wait_with_the_lock_held(self.socket)
            part = self.socket.recv(count - len(got))
            if not part:
                raise ConnectionResetError
            got += part
        return got


def _is_there(program: Path) -> bool:
    try:
        return program.is_file()
    except (OSError, ValueError):  # no path at all
        return False


def _wait_with_the_lock_held(connection: socket.socket) -> None:
    # PyDLL, unlike CDLL, keeps the interpreter's lock during the call: that is the point.
    one = _Poll(connection.fileno(), _POLLIN, 0)
    while _LIBC.poll(ctypes.byref(one), 1, -1) < 0:
        pass


def _servers(place: Path) -> dict[str, str]:
    try:
        return dict(json.loads(place.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
