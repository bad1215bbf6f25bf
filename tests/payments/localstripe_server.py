"""Runs localstripe for the tests: on a free port of this machine alone, which it writes to standard output.

Its own command listens on every interface and keeps its memory in a file of a fixed name that it unpickles when it
starts. Run like this it neither reads nor writes that file. It ends when its standard input is closed.
"""

import asyncio
import socket
import sys

from aiohttp import web
from localstripe import resources, server


async def end_with_the_parent(_app: web.Application) -> None:
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), leave)


def leave() -> None:
    raise web.GracefulExit


def main() -> None:
    resources.Store.dump_to_disk = lambda store: None
    server.app.on_startup.append(end_with_the_parent)
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    web.run_app(server.app, sock=listener, print=None, access_log=None)


if __name__ == "__main__":
    main()
