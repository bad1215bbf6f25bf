"""Typed, frozen settings: facts from config.toml, secrets and places from the environment.

``load`` lists every fault at once and never shows a value that could be a secret.
"""

import base64
import binascii
import re
import ssl
import tomllib
from collections.abc import Callable, Collection, Container, Mapping
from os import environ as process_environ
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from facts import Facts, Section

TIERS = ("free", "premium", "vip", "enterprise")
TELEGRAM_API = "https://api.telegram.org"
SECRETS = {"BOT_TOKEN", "TELEGRAM_WEBHOOK_SECRET", "MASTER_KEY", "MASTER_KEY_PREVIOUS", "METRICS_TOKEN",
           "DATABASE_URL", "REDIS_URL", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"}
VARIABLES = SECRETS | {"STRIPE_API_BASE", "TELEGRAM_API_BASE", "TELEGRAM_MODE", "PUBLIC_URL", "ADMIN_IDS", "CONFIG",
                       "HOST", "PORT", "DATA", "LOG_LEVEL", "TERMINAL_TLS_CA", "TERMINAL_TLS_CERT", "TERMINAL_TLS_KEY"}
# What Windows programs cannot do without; nothing else of the environment reaches a terminal.
_WINDOWS = "SYSTEMROOT SYSTEMDRIVE WINDIR TEMP TMP APPDATA LOCALAPPDATA USERPROFILE PROGRAMDATA PROGRAMFILES COMSPEC"
_TLS = ("TERMINAL_TLS_CA", "TERMINAL_TLS_CERT", "TERMINAL_TLS_KEY")
_BOT_TOKEN = re.compile(r"[0-9]{3,20}:[A-Za-z0-9_-]{30,64}")
_STRIPE_KEY = re.compile(r"[sr]k_(test|live)_[A-Za-z0-9_]{8,255}")
_STRIPE_WEBHOOK = re.compile(r"whsec_[A-Za-z0-9_+/=-]{8,255}")
_WEBHOOK_SECRET = re.compile(r"[A-Za-z0-9_-]{16,256}")


class ConfigurationError(Exception):
    """The settings are unusable; ``faults`` names every reason, values redacted."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Settings(Section):
    """Everything the process was told at start. Secrets do not print."""

    facts: Facts
    bot_token: SecretStr | None
    telegram_api_base: str
    telegram_mode: Literal["polling", "webhook"]
    telegram_webhook_secret: SecretStr | None
    public_url: str
    database_url: SecretStr
    redis_url: SecretStr | None
    master_key: SecretStr | None
    master_key_previous: SecretStr | None
    admin_ids: tuple[int, ...]
    host: str
    port: int
    data: Path
    log_level: str
    metrics_token: SecretStr | None
    stripe_secret_key: SecretStr | None
    stripe_webhook_secrets: tuple[SecretStr, ...]
    stripe_api_base: str | None
    terminal_tls_ca: Path | None
    terminal_tls_cert: Path | None
    terminal_tls_key: Path | None


def load(environ: Mapping[str, str] | None = None, overlay: Mapping[str, Any] | None = None) -> Settings:
    """Read config.toml and the environment; raise ConfigurationError with every fault."""
    faults: list[str] = []
    values = read_environment(VARIABLES, environ, faults)
    facts = _read_facts(values.get("CONFIG"), overlay or {}, faults)
    checked = _read_places(values, faults)
    if facts is not None and facts.terminal.host:
        faults.extend(missing_tls(values))
    if faults or facts is None:
        raise ConfigurationError(faults)
    return Settings(facts=facts, **checked)


def decode_key(text: str) -> bytes:
    """32 bytes from standard or URL-safe base64; ValueError otherwise."""
    plain = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        # Strictly: the lenient decoder skips what it does not know, and a mistyped key would pass for a key.
        key = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64") from error
    if len(key) != 32:
        raise ValueError("not 32 bytes")
    return key


def read_environment(names: Collection[str], environ: Mapping[str, str] | None, faults: list[str]) -> dict[str, str]:
    """What is set of these variables, by themselves or as ``NAME_FILE``."""
    given = process_environ if environ is None else environ
    values: dict[str, str] = {}
    for name in sorted(names):
        value, file = given.get(name, ""), given.get(f"{name}_FILE", "")
        if value and file:
            faults.append(f"{name}: set both as {name} and as {name}_FILE")
        elif file:
            try:
                value = Path(file).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                faults.append(f"{name}_FILE: cannot be read ({type(error).__name__})")
            else:
                if not value:
                    faults.append(f"{name}_FILE: is empty")
        if value:
            values[name] = value
    return values


def _read_facts(path: str | None, overlay: Mapping[str, Any], faults: list[str]) -> Facts | None:
    merged = tomllib.loads((Path(__file__).parent / "config.toml").read_text(encoding="utf-8"))
    merged = _lay_over(merged, overlay)
    if path:
        try:
            merged = _lay_over(merged, tomllib.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            faults.append(f"CONFIG: cannot be read ({type(error).__name__})")
            return None
    try:
        return Facts.model_validate(merged)
    except ValidationError as error:
        faults.extend(f"config {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return None


def _lay_over(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        merged[key] = _lay_over(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _read_places(values: Mapping[str, str], faults: list[str]) -> dict[str, Any]:
    port = _integer(values, "PORT", 8080, 1, 65_534, faults)
    data = Path(values.get("DATA", "./data"))
    host = values.get("HOST", "127.0.0.1")
    return {
        **_read_telegram(values, faults),
        **_read_keys(values, faults),
        **_read_stripe(values, faults),
        **_read_tls(values, faults),
        "public_url": _url(values, "PUBLIC_URL", f"http://127.0.0.1:{port}", faults),
        "database_url": SecretStr(_database_url(values, data, faults)),
        "redis_url": _redis_url(values, faults),
        "admin_ids": _admin_ids(values, faults),
        "host": host,
        "port": port,
        "data": data,
        "log_level": _choice(values, "LOG_LEVEL", "info", ("debug", "info", "warning", "error"), faults),
    }


def _read_telegram(values: Mapping[str, str], faults: list[str]) -> dict[str, Any]:
    mode = _choice(values, "TELEGRAM_MODE", "polling", ("polling", "webhook"), faults)
    token, secret = values.get("BOT_TOKEN"), values.get("TELEGRAM_WEBHOOK_SECRET")
    if token and not _BOT_TOKEN.fullmatch(token):
        faults.append("BOT_TOKEN: not a bot token (digits, colon, letters)")
    if mode == "webhook":
        if "PUBLIC_URL" not in values:
            faults.append("PUBLIC_URL: needed when TELEGRAM_MODE is webhook")
        if not secret:
            faults.append("TELEGRAM_WEBHOOK_SECRET: needed when TELEGRAM_MODE is webhook")
    if secret and not _WEBHOOK_SECRET.fullmatch(secret):
        faults.append("TELEGRAM_WEBHOOK_SECRET: 16 to 256 of A-Z a-z 0-9 _ -")
    return {
        "bot_token": SecretStr(token) if token else None,
        "telegram_api_base": _url(values, "TELEGRAM_API_BASE", TELEGRAM_API, faults),
        "telegram_mode": mode,
        "telegram_webhook_secret": SecretStr(secret) if secret else None,
    }


def _read_stripe(values: Mapping[str, str], faults: list[str]) -> dict[str, Any]:
    key = values.get("STRIPE_SECRET_KEY")
    if key and not _STRIPE_KEY.fullmatch(key):
        faults.append("STRIPE_SECRET_KEY: not a secret or restricted key of Stripe (sk_... or rk_...)")
    given = values.get("STRIPE_WEBHOOK_SECRET", "").strip()
    secrets = [part.strip() for part in given.split(",") if part.strip()]
    if (given and not secrets) or not all(_STRIPE_WEBHOOK.fullmatch(secret) for secret in secrets):
        faults.append("STRIPE_WEBHOOK_SECRET: signing secrets (whsec_...), separated by commas")
    return {
        "stripe_secret_key": SecretStr(key) if key else None,
        "stripe_webhook_secrets": tuple(SecretStr(secret) for secret in secrets),
        "stripe_api_base": _url(values, "STRIPE_API_BASE", "", faults) if "STRIPE_API_BASE" in values else None,
    }


def _read_keys(values: Mapping[str, str], faults: list[str]) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    for name in ("MASTER_KEY", "MASTER_KEY_PREVIOUS"):
        value = values.get(name)
        if value:
            try:
                key = decode_key(value)
            except ValueError as error:
                faults.append(f"{name}: {error} (32 bytes, base64)")
            else:
                if len(set(key)) < 8:
                    faults.append(f"{name}: too regular to be a key")
        keys[name.lower()] = SecretStr(value) if value else None
    token = values.get("METRICS_TOKEN")
    if token and len(token) < 16:
        faults.append("METRICS_TOKEN: at least 16 characters")
    return keys | {"metrics_token": SecretStr(token) if token else None}


def _read_tls(values: Mapping[str, str], faults: list[str]) -> dict[str, Any]:
    """Who the desk and its terminal host are to each other: an authority, a certificate of it, and its key."""
    ca, certificate, key = (Path(values[name]) if name in values else None for name in _TLS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca is not None:
        _try("TERMINAL_TLS_CA", "no certificate of an authority", lambda: context.load_verify_locations(ca), faults)
    before = len(faults)
    for name, path in (("TERMINAL_TLS_CERT", certificate), ("TERMINAL_TLS_KEY", key)):
        if path is not None:
            _try(name, "cannot be read", path.read_bytes, faults)
    if certificate is not None and key is not None and len(faults) == before:
        # An encrypted key would be asked for at a keyboard; the empty answer makes it a fault.
        _try("TERMINAL_TLS_KEY", "not the key of the certificate TERMINAL_TLS_CERT",
             lambda: context.load_cert_chain(certificate, key, password=""), faults)
    return {"terminal_tls_ca": ca, "terminal_tls_cert": certificate, "terminal_tls_key": key}


def _try(name: str, what: str, attempt: Callable[[], object], faults: list[str]) -> None:
    try:
        attempt()
    except ssl.SSLError:
        faults.append(f"{name}: {what}")
    except (OSError, ValueError) as error:
        faults.append(f"{name}: cannot be read ({type(error).__name__})")


def missing_tls(given: Container[str]) -> list[str]:
    """What a desk with a terminal host, and the host itself, cannot do without."""
    return [f"{name}: needed between a desk and its terminal host" for name in _TLS if name not in given]


def worker_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """All that a terminal and its worker are told of this process's environment."""
    given = process_environ if environ is None else environ
    return {name: given[name] for name in _WINDOWS.split() if name in given}


def _url(values: Mapping[str, str], name: str, default: str, faults: list[str]) -> str:
    value = values.get(name, default).rstrip("/")
    try:
        parts = urlsplit(value)
        # Reading the port is what checks it.
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits or parts.query or parts.fragment:
        faults.append(f"{name}: not an http(s) address")
    return value


def _database_url(values: Mapping[str, str], data: Path, faults: list[str]) -> str:
    url = values.get("DATABASE_URL") or f"sqlite+aiosqlite:///{data / 'countersign.db'}"
    if not url.startswith(("sqlite+aiosqlite:///", "postgresql+asyncpg://")):
        faults.append("DATABASE_URL: must start with sqlite+aiosqlite:/// or postgresql+asyncpg://")
    elif not url.startswith("sqlite"):
        try:
            make_url(url)
        except (ArgumentError, ValueError):
            faults.append("DATABASE_URL: not an address (escape special characters of the password, e.g. @ as %40)")
    return url


def _redis_url(values: Mapping[str, str], faults: list[str]) -> SecretStr | None:
    url = values.get("REDIS_URL")
    if url and not url.startswith(("redis://", "rediss://", "unix://")):
        faults.append("REDIS_URL: must start with redis://, rediss:// or unix://")
    return SecretStr(url) if url else None


def _admin_ids(values: Mapping[str, str], faults: list[str]) -> tuple[int, ...]:
    ids: list[int] = []
    for part in filter(None, (p.strip() for p in values.get("ADMIN_IDS", "").split(","))):
        if re.fullmatch(r"[0-9]{1,15}", part):
            ids.append(int(part))
        else:
            faults.append("ADMIN_IDS: Telegram ids separated by commas")
    return tuple(ids)


def _integer(values: Mapping[str, str], name: str, default: int, low: int, high: int, faults: list[str]) -> int:
    text = values.get(name, str(default))
    if re.fullmatch(r"[0-9]{1,6}", text) and low <= int(text) <= high:
        return int(text)
    faults.append(f"{name}: a whole number from {low} to {high}")
    return default


def _choice(values: Mapping[str, str], name: str, default: str, allowed: tuple[str, ...], faults: list[str]) -> str:
    value = values.get(name, default).lower()
    if value not in allowed:
        faults.append(f"{name}: one of {', '.join(allowed)}")
        return default
    return value
