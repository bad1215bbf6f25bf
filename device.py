"""``countersign device``: the device client with its settings, which are no settings of a desk."""

import asyncio
import json
import sqlite3
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

import config
import terminals
from config import ConfigurationError
from facts import Section
from runtime import logs
from runtime.lock import InUse
from sdk import AccountRef, DeviceClient, DeviceSettings, Key, NotPaired, Policy, StateBroken, metatrader
from sdk.transport import origin
from terminal.mt5.calls import SupervisionRules

EX_FAILED = 1
VARIABLES = ("DEVICE_SECRET", "DEVICE_PASSWORD", "DATA", "LOG_LEVEL")
LEVELS = ("debug", "info", "warning", "error")
Lots = Annotated[Decimal, Field(gt=0)]


class DeskPart(Section):
    url: Annotated[str, AfterValidator(origin)]
    device_id: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_-]{1,32})?$")] = ""
    envelope: bool = False


class TerminalPart(Section):
    folder: Path
    login: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,18}$")]
    server: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    start_seconds: float = Field(default=45.0, ge=1, le=300)
    call_seconds: float = Field(default=5.0, ge=0.1, le=60)
    send_seconds: float = Field(default=15.0, ge=0.1, le=120)


class PolicyPart(Section):
    max_lots: Lots | None = None
    max_total_lots: Lots | None = None
    symbols: tuple[str, ...] | None = None
    needs_stop: bool = False
    max_spread_points: int | None = Field(default=None, ge=0)
    max_daily_loss: Lots | None = None
    max_orders_a_day: int | None = Field(default=None, ge=0)
    max_silence_seconds: float = Field(default=120.0, ge=30, le=86_400)


class DeviceFacts(Section):
    """The file that ``--config`` names."""

    desk: DeskPart
    terminal: TerminalPart
    policy: PolicyPart = PolicyPart()


@dataclass(frozen=True, slots=True)
class Chosen:
    """All that a device client was told at its start."""

    settings: DeviceSettings
    facts: DeviceFacts
    password: str
    log_level: str


def load(path: Path, code: str | None, environ: Mapping[str, str] | None = None) -> Chosen:
    """Read the file and the environment; ConfigurationError with every fault."""
    faults: list[str] = []
    values = config.read_environment(VARIABLES, environ, faults)
    facts, level = _facts(path, faults), values.get("LOG_LEVEL", "info").lower()
    key = _key(facts, values, faults)
    if "DEVICE_PASSWORD" not in values:
        faults.append("DEVICE_PASSWORD: needed (the password of the trading account)")
    if level not in LEVELS:
        faults.append(f"LOG_LEVEL: one of {', '.join(LEVELS)}")
    if faults or facts is None:
        raise ConfigurationError(faults)
    settings = DeviceSettings(facts.desk.url, Path(values.get("DATA", "./device-data")),
                              AccountRef(facts.terminal.login, facts.terminal.server), key, code,
                              facts.desk.envelope, Policy(**facts.policy.model_dump()))
    return Chosen(settings, facts, values["DEVICE_PASSWORD"], level)


def _facts(path: Path, faults: list[str]) -> DeviceFacts | None:
    try:
        return DeviceFacts.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        faults.append(f"{path}: cannot be read ({type(error).__name__})")
    except ValidationError as error:
        faults.extend(f"{path} {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return None


def _key(facts: DeviceFacts | None, values: Mapping[str, str], faults: list[str]) -> Key | None:
    """Id and secret, both or neither: a device that has been paired keeps its own."""
    device_id, secret = facts.desk.device_id if facts is not None else "", values.get("DEVICE_SECRET", "")
    if facts is None or not (device_id or secret):
        return None
    if not device_id or not secret:
        faults.append("DEVICE_SECRET and desk.device_id: both or neither (without them the device is paired by a code)")
        return None
    try:
        return Key.of(device_id, secret)
    except ValueError as error:
        faults.append(f"DEVICE_SECRET: {error}")
        return None


def run(chosen: Chosen, *, as_json: bool = False, extra_path: Path | None = None) -> int:
    """Serve until SIGTERM or Ctrl+C; returns the exit status. ``extra_path``: a stand-in for MetaQuotes' package."""
    logs.configure(chosen.log_level)
    logs.register_secret(chosen.password)
    try:
        asyncio.run(_serve(chosen, as_json=as_json, extra_path=extra_path))
    except (StateBroken, NotPaired, InUse, OSError, sqlite3.OperationalError) as error:
        print(json.dumps({"error": str(error)}) if as_json else f"The device stops: {error}", file=sys.stderr)
        return EX_FAILED
    return 0


async def _serve(chosen: Chosen, *, as_json: bool, extra_path: Path | None) -> None:
    stopping, settings, facts = terminals.told_to_stop(), chosen.settings, chosen.facts.terminal
    rules = SupervisionRules(start_seconds=facts.start_seconds, call_seconds=facts.call_seconds,
                             send_seconds=facts.send_seconds, start_every_seconds=0.0, terminals=1)
    terminal = metatrader(facts.folder, settings.data, chosen.password, config.worker_environment(), rules=rules,
                          extra_path=extra_path)
    told = {"account": facts.login, "server": facts.server, "desk": settings.url}
    print(json.dumps(told) if as_json else f"Serving {facts.login} at {facts.server} for {settings.url}.", flush=True)
    try:
        await DeviceClient(settings, terminal).run(stopping)
    finally:
        await terminal.close_all()
