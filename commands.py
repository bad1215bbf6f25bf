"""The command line: what an operator can ask of the desk while it runs or before it does."""

import argparse
import asyncio
import base64
import json
import os
import re
import secrets
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

import backups
import cashdesk
import config
import device
import migrations
import terminals
from backups import BackupFailed
from config import ConfigurationError, Settings
from models.database import Database, DatabaseUnavailable
from services import canary, manual_grants, providers, rotation
from services.errors import DomainError, NotFound
from services.manual_grants import Gift
from services.payments.protocol import OutcomeUnknown, PaymentError
from services.tiers import Catalogue, Tier
from services.vault import SealBroken, Vault

EX_CONFIG = 78
EX_FAILED = 1
SANDBOX_OVERLAY = {"tiers": {"free": {"card_delay_seconds": 0}}}


def parser() -> argparse.ArgumentParser:
    """The grammar of ``countersign``."""
    top = argparse.ArgumentParser(prog="countersign", description="A trade-signal desk in Telegram.")
    top.add_argument("--json", action="store_true", help="print results for machines")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    for verb, text in (("run", "run the desk with a real bot (needs BOT_TOKEN and MASTER_KEY)"),
                       ("sandbox", "run the desk with everything it talks to standing in, on this machine"),
                       ("migrate", "bring the database to the newest schema"),
                       ("check-config", "say what is wrong with the configuration"),
                       ("doctor", "look at every part the desk needs"),
                       ("stripe-setup", "create or check the prices of the plans at Stripe"),
                       ("rotate-keys", "seal every secret anew under MASTER_KEY")):
        verbs.add_parser(verb, help=text).add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    for verb, text in (("backup", "copy the database to a new file, while the desk runs"),
                       ("restore", "put a copy in the database's place, while the desk is stopped")):
        made = verbs.add_parser(verb, help=text)
        made.add_argument("file", type=Path)
        made.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    provider = verbs.add_parser("provider", help="signal providers").add_subparsers(dest="act", required=True)
    add = provider.add_parser("add", help="create a provider and print its key once")
    add.add_argument("name")
    add.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    grant = verbs.add_parser("grant", help="give a user a tier")
    grant.add_argument("user", type=_telegram_id, help="Telegram id")
    grant.add_argument("tier", choices=config.TIERS)
    grant.add_argument("--days", type=int, required=True)
    grant.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    host = verbs.add_parser("terminal-host", help="offer the MetaTrader terminals of this machine to a desk elsewhere")
    host.add_argument("--listen", type=terminals.address, required=True, metavar="ADDR:PORT")
    host.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    made = verbs.add_parser("device", help="trade one account at a terminal of this machine, as a desk's device")
    made.add_argument("--config", type=Path, required=True, metavar="FILE", help="see docs/device-client.md")
    made.add_argument("--code", help="a pairing code, needed once")
    made.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    return top


def _telegram_id(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,14}", text):
        raise argparse.ArgumentTypeError("a Telegram id is a number")
    return int(text)


def run_verb(arguments: argparse.Namespace) -> int:
    """Carry out everything but ``run`` and ``sandbox``; returns the exit status."""
    if arguments.verb == "device":
        return _run_device(arguments)
    try:
        settings = config.load()
    except ConfigurationError as error:
        return report_faults(error.faults, as_json=arguments.json)
    if arguments.verb == "check-config":
        faults = missing_for_run(settings)
        return report_faults(faults, as_json=arguments.json) if faults else _say(arguments, {"ok": True}, "fine")
    if arguments.verb == "terminal-host":
        faults = terminals.missing_for_host(settings)
        if faults:
            return report_faults(faults, as_json=arguments.json)
        return terminals.run_host(settings, arguments.listen, as_json=arguments.json)
    try:
        result, text = asyncio.run(_act(arguments, settings))
    except (DomainError, CommandFailed, BackupFailed) as error:
        return _say(arguments, {"error": str(error)}, str(error), status=EX_FAILED)
    except (DatabaseUnavailable, OSError) as error:
        return _say(arguments, {"error": str(error)}, str(error), status=EX_FAILED)
    return _say(arguments, result, text)


def _run_device(arguments: argparse.Namespace) -> int:
    try:
        chosen = device.load(arguments.config, arguments.code)
    except ConfigurationError as error:
        return report_faults(error.faults, as_json=arguments.json)
    return device.run(chosen, as_json=arguments.json)


class CommandFailed(Exception):
    """The command could not do what was asked; nothing was changed."""


async def _act(arguments: argparse.Namespace, settings: Settings) -> tuple[dict[str, Any], str]:
    url = settings.database_url.get_secret_value()
    if settings.data and url.startswith("sqlite"):
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if arguments.verb == "migrate":
        await migrations.upgrade(url)
        revision = await migrations.current(url)
        return {"revision": revision}, f"The database is at {revision}."
    if arguments.verb in ("backup", "restore"):
        return await _copy(arguments, settings)
    if arguments.verb == "stripe-setup":
        return await _set_up_stripe(settings)
    revision = await migrations.current(url)
    if revision is None and arguments.verb != "doctor":
        raise CommandFailed("The database has not been set up. Run countersign migrate first.")
    database = Database.open(url)
    try:
        if arguments.verb == "doctor":
            return await _doctor(database, settings, revision)
        if arguments.verb == "rotate-keys":
            return await _rotate(database, settings)
        if arguments.verb == "provider":
            return await _add_provider(database, settings, arguments.name)
        return await _grant(database, settings, arguments)
    finally:
        await database.close()


async def _set_up_stripe(settings: Settings) -> tuple[dict[str, Any], str]:
    if settings.stripe_secret_key is None:
        raise CommandFailed("STRIPE_SECRET_KEY: needed")
    try:
        done = await cashdesk.set_up(settings, catalogue(settings))
    except (PaymentError, OutcomeUnknown) as error:
        raise CommandFailed(f"Stripe did not do it: {error}") from error
    return {"prices": done}, "\n".join(f"{tier}: {what}" for tier, what in done.items())


async def _copy(arguments: argparse.Namespace, settings: Settings) -> tuple[dict[str, Any], str]:
    if arguments.verb == "backup":
        made = await backups.backup(settings, arguments.file)
        return {"file": str(made)}, f"The copy is at {made}. It opens only with the same MASTER_KEY."
    kept = await backups.restore(settings, vault(settings), arguments.file)
    former = f" The former database is at {kept}." if kept else ""
    return {"restored": str(arguments.file), "former": str(kept) if kept else None}, f"Restored.{former}"


async def _add_provider(database: Database, settings: Settings, name: str) -> tuple[dict[str, Any], str]:
    sealed = vault(settings)
    async with database.writing() as session:
        await _check_key(session, sealed)
        await canary.renew(session, sealed)
        made = await providers.add(session, sealed, name, datetime.now(UTC))
    result = {"provider_id": str(made.provider_id), "key_id": made.key_id, "secret": made.secret}
    return result, (f"Provider {name} has the id {made.provider_id}.\nKey id: {made.key_id}\nSecret: {made.secret}\n"
                    "The secret is shown this once.")


async def _check_key(session: AsyncSession, sealed: Vault) -> None:
    """Nothing is sealed under a key the desk would not start with."""
    if not await canary.sings(session, sealed):
        raise CommandFailed("MASTER_KEY is not the key this database was sealed with.")


async def _grant(database: Database, settings: Settings, arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    if not 1 <= arguments.days <= manual_grants.MOST_DAYS:
        raise CommandFailed(f"--days must be from 1 to {manual_grants.MOST_DAYS}.")
    tier = catalogue(settings).named(arguments.tier)
    assert tier is not None
    gift = Gift(arguments.user, tier, arguments.days, "command line")
    async with database.writing() as session:
        try:
            await manual_grants.give(session, gift, datetime.now(UTC))
        except NotFound as error:
            raise CommandFailed(f"Nobody with the Telegram id {arguments.user} has started the bot.") from error
    result = {"user": arguments.user, "tier": tier.name, "days": arguments.days}
    return result, f"{arguments.user} has {tier.name} for {arguments.days} days."


async def _rotate(database: Database, settings: Settings) -> tuple[dict[str, Any], str]:
    sealed = vault(settings)
    async with database.reading() as session:
        await _check_key(session, sealed)
    try:
        total = await rotation.rotate(database, sealed)
    except SealBroken as error:
        raise CommandFailed(f"Neither MASTER_KEY nor MASTER_KEY_PREVIOUS opens {error}.") from error
    async with database.writing() as session:
        await _check_key(session, sealed)
        await canary.renew(session, sealed)
    return {"resealed": total}, f"{total} secrets sealed anew. MASTER_KEY_PREVIOUS may go."


async def _doctor(database: Database, settings: Settings, revision: str | None) -> tuple[dict[str, Any], str]:
    await database.check()
    found = {"database": database.dialect, "revision": revision, "revision_wanted": migrations.head(),
             "master_key": await _key_state(database, settings) if revision else None,
             "configuration_faults": missing_for_run(settings)}
    lines = [f"{name.replace('_', ' ')}: {value or 'none'}" for name, value in found.items()]
    return found, "\n".join(lines)


async def _key_state(database: Database, settings: Settings) -> str:
    if settings.master_key is None and not key_file(settings.data).exists():
        return "is missing"
    async with database.reading() as session:
        return "fits" if await canary.sings(session, vault(settings)) else "is not the key of this database"


def missing_for_run(settings: Settings) -> list[str]:
    """What the real desk needs beyond what the sandbox needs."""
    faults = []
    if settings.bot_token is None:
        faults.append("BOT_TOKEN: needed (from @BotFather)")
    if settings.master_key is None:
        faults.append("MASTER_KEY: needed (32 bytes, base64: openssl rand -base64 32)")
    return faults


def report_faults(faults: Sequence[str], *, as_json: bool) -> int:
    """Print every fault of the configuration; returns the exit status for that."""
    if as_json:
        print(json.dumps({"faults": list(faults)}))
    else:
        print("The configuration cannot be used:", *(f"  {fault}" for fault in faults), sep="\n", file=sys.stderr)
    return EX_CONFIG


def _say(arguments: argparse.Namespace, result: dict[str, Any], text: str, *, status: int = 0) -> int:
    print(json.dumps(result) if arguments.json else text, file=sys.stderr if status else sys.stdout)
    return status


def vault(settings: Settings) -> Vault:
    """The vault under the configured master key; the sandbox's own key file serves where none is configured."""
    key = settings.master_key.get_secret_value() if settings.master_key else _read_generated(settings.data)
    if key is None:
        raise CommandFailed("MASTER_KEY: needed (32 bytes, base64)")
    previous = settings.master_key_previous
    return Vault(config.decode_key(key), config.decode_key(previous.get_secret_value()) if previous else None)


def key_file(data: Path) -> Path:
    """Where the sandbox keeps the master key it made for itself."""
    return data / "sandbox-master.key"


def _read_generated(data: Path) -> str | None:
    path = key_file(data)
    return path.read_text(encoding="ascii") if path.exists() else None


def with_generated_key(settings: Settings) -> Settings:
    """Settings with a master key, made at the first start and kept in DATA, readable by its owner alone."""
    if settings.master_key is not None:
        return settings
    path = key_file(settings.data)
    if not path.exists():
        part = path.with_suffix(".part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(base64.b64encode(secrets.token_bytes(32)).decode())
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    return settings.model_copy(update={"master_key": SecretStr(path.read_text(encoding="ascii"))})


def catalogue(settings: Settings) -> Catalogue:
    """The tiers of the configuration, ranked in their order."""
    facts = settings.facts.tiers
    return Catalogue([
        Tier(name, rank, facts[name].accounts, facts[name].devices, facts[name].live, facts[name].copy_trading,  # type: ignore[index]
             facts[name].card_delay_seconds, int(facts[name].usd_per_month * 100),  # type: ignore[index]
             facts[name].stars_per_month)  # type: ignore[index]
        for rank, name in enumerate(config.TIERS)])
