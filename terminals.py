"""Builds what reaches the trading terminals: the desk's side of it, and the host that terminals stand on."""

import argparse
import asyncio
import json
import re
import signal
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import config
from config import Settings
from runtime import logs
from terminal.mt5 import tls
from terminal.mt5.calls import SupervisionRules
from terminal.mt5.directory import Directories
from terminal.mt5.gateway import TerminalGateway
from terminal.mt5.host import TerminalHost
from terminal.mt5.launch import Launcher
from terminal.mt5.local import LocalLauncher
from terminal.mt5.remote import RemoteLauncher
from terminal.mt5.tls import TlsFiles
from terminal.protocol import AccountRef

EX_FAILED = 1


def terminal_of(settings: Settings, password_of: Callable[[AccountRef], Awaitable[str]],
                extra_path: Path | None = None) -> TerminalGateway | None:
    """The gateway to terminals here or at a host; None where neither is set.

    ``extra_path`` is where a stand-in for the MetaTrader5 package lies. Call ``close_all`` at the end.
    """
    launcher = _launcher(settings, extra_path)
    return TerminalGateway(launcher, password_of, rules_of(settings)) if launcher is not None else None


def rules_of(settings: Settings) -> SupervisionRules:
    """How terminals are supervised, from the configuration."""
    facts = settings.facts.terminal
    return SupervisionRules(
        start_seconds=facts.start_seconds, call_seconds=facts.call_seconds, send_seconds=facts.send_seconds,
        queue=facts.queue, start_every_seconds=facts.start_every_seconds, recycle_seconds=facts.recycle_hours * 3_600,
        terminals=facts.terminals)


def _launcher(settings: Settings, extra_path: Path | None) -> Launcher | None:
    facts = settings.facts.terminal
    if facts.folder:
        return local_launcher(settings, extra_path)
    if facts.host:
        host, _, port = facts.host.rpartition(":")
        return RemoteLauncher(host.strip("[]"), int(port), _files(settings))
    return None


def local_launcher(settings: Settings, extra_path: Path | None = None) -> LocalLauncher:
    """Starts workers on this machine, in directories below DATA."""
    directories = Directories(Path(settings.facts.terminal.folder), settings.data / "terminals")
    return LocalLauncher(directories, config.worker_environment(),
                         extra_path=() if extra_path is None else (extra_path,))


def _files(settings: Settings) -> TlsFiles:
    ca, certificate, key = settings.terminal_tls_ca, settings.terminal_tls_cert, settings.terminal_tls_key
    assert ca is not None and certificate is not None and key is not None  # the settings were refused without them
    return TlsFiles(ca, certificate, key)


def address(text: str) -> tuple[str, int]:
    """``ADDR:PORT`` of the command line."""
    match = re.fullmatch(r"\[([0-9a-fA-F:.]+)\]:([0-9]{1,5})|([A-Za-z0-9.-]+):([0-9]{1,5})", text)
    if match is None or int(match[2] or match[4]) > 65_535:
        raise argparse.ArgumentTypeError("an address and a port, as in 0.0.0.0:7441")
    return match[1] or match[3], int(match[2] or match[4])


def missing_for_host(settings: Settings) -> list[str]:
    """What ``terminal-host`` cannot do without."""
    given = {"TERMINAL_TLS_CA": settings.terminal_tls_ca, "TERMINAL_TLS_CERT": settings.terminal_tls_cert,
             "TERMINAL_TLS_KEY": settings.terminal_tls_key}
    faults = config.missing_tls({name for name, path in given.items() if path is not None})
    if not settings.facts.terminal.folder:
        faults.append("config terminal.folder: needed (a terminal, installed and closed)")
    return faults


def run_host(settings: Settings, listen: tuple[str, int], *, as_json: bool = False,
             extra_path: Path | None = None) -> int:
    """Offer terminals until SIGTERM or Ctrl+C; returns the exit status."""
    logs.configure(settings.log_level)
    try:
        asyncio.run(_host(settings, listen, as_json=as_json, extra_path=extra_path))
    except (OSError, ssl.SSLError) as error:
        print(f"The terminal host cannot start: {listen[0]}:{listen[1]}: {error.strerror or error}", file=sys.stderr)
        return EX_FAILED
    return 0


async def _host(settings: Settings, listen: tuple[str, int], *, as_json: bool, extra_path: Path | None) -> None:
    stopped = told_to_stop()
    host = TerminalHost(local_launcher(settings, extra_path), tls.for_host(_files(settings)), rules_of(settings))
    try:
        port = await host.start(*listen)
        where = f"{listen[0]}:{port}"
        print(json.dumps({"listening": where}) if as_json else f"Terminals are offered at {where}.", flush=True)
        await stopped.wait()
    finally:
        await host.close()


def told_to_stop() -> asyncio.Event:
    """Set when the process is asked to end."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):  # the last is how Windows asks
        if hasattr(signal, name):
            # Not the loop's own way of it, which Windows does not have.
            signal.signal(getattr(signal, name), lambda *_: loop.call_soon_threadsafe(stopped.set))
    return stopped
