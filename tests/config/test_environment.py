"""Settings out of the environment: every variable, every fault, no secret in sight."""

import base64
import os
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from pydantic import ValidationError

import config
from config import ConfigurationError
from tests.certificates import Authority
from tests.config.conftest import Write

TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw_"
KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.urlsafe_b64encode(bytes(range(200, 232))).decode()
AUTHORITY = Authority(Path(tempfile.mkdtemp()))
PAPERS = AUTHORITY.papers("desk")
# Every variable with a good value, and where it must arrive.
GOOD = {
    "BOT_TOKEN": (TOKEN, "bot_token", TOKEN),
    "TELEGRAM_API_BASE": ("http://127.0.0.1:9/", "telegram_api_base", "http://127.0.0.1:9"),
    "TELEGRAM_MODE": ("webhook", "telegram_mode", "webhook"),
    "TELEGRAM_WEBHOOK_SECRET": ("a-long-enough-secret", "telegram_webhook_secret", "a-long-enough-secret"),
    "PUBLIC_URL": ("https://desk.example", "public_url", "https://desk.example"),
    "DATABASE_URL": ("postgresql+asyncpg://u:pw@h/db", "database_url", "postgresql+asyncpg://u:pw@h/db"),
    "REDIS_URL": ("redis://:pw@h:6379/1", "redis_url", "redis://:pw@h:6379/1"),
    "MASTER_KEY": (KEY, "master_key", KEY),
    "MASTER_KEY_PREVIOUS": (OTHER_KEY, "master_key_previous", OTHER_KEY),
    "ADMIN_IDS": ("11, 22,,33", "admin_ids", (11, 22, 33)),
    "HOST": ("0.0.0.0", "host", "0.0.0.0"),
    "PORT": ("9000", "port", 9000),
    "DATA": ("/srv/desk", "data", Path("/srv/desk")),
    "LOG_LEVEL": ("DEBUG", "log_level", "debug"),
    "METRICS_TOKEN": ("sixteen-letters!", "metrics_token", "sixteen-letters!"),
    "STRIPE_SECRET_KEY": ("sk_test_0123456789", "stripe_secret_key", "sk_test_0123456789"),
    "STRIPE_WEBHOOK_SECRET": ("whsec_current123, whsec_previous12", "stripe_webhook_secrets",
                              ("whsec_current123", "whsec_previous12")),
    "STRIPE_API_BASE": ("http://127.0.0.1:9/", "stripe_api_base", "http://127.0.0.1:9"),
    "TERMINAL_TLS_CA": (str(PAPERS.ca), "terminal_tls_ca", PAPERS.ca),
    "TERMINAL_TLS_CERT": (str(PAPERS.certificate), "terminal_tls_cert", PAPERS.certificate),
    "TERMINAL_TLS_KEY": (str(PAPERS.key), "terminal_tls_key", PAPERS.key),
}
# One bad value for each, which must be named and must not be repeated.
BAD = {
    "BOT_TOKEN": "canary-1:short", "TELEGRAM_API_BASE": "ftp://canary-2", "TELEGRAM_MODE": "canary-3",
    "TELEGRAM_WEBHOOK_SECRET": "canary-4 with spaces", "PUBLIC_URL": "http://[::canary-5",
    "DATABASE_URL": "mysql://u:canary-6@h/db", "REDIS_URL": "http://:canary-7@h", "MASTER_KEY": "canary-8",
    "MASTER_KEY_PREVIOUS": "canary-9", "ADMIN_IDS": "1,canary-10", "PORT": "canary-11", "LOG_LEVEL": "canary-12",
    "METRICS_TOKEN": "canary-13", "STRIPE_SECRET_KEY": "pk_live_canary-14",
    "STRIPE_WEBHOOK_SECRET": "whsec_goodenough,canary-15", "STRIPE_API_BASE": "ftp://canary-16",
    "TERMINAL_TLS_CA": "/nowhere/canary-17", "TERMINAL_TLS_CERT": "/nowhere/canary-18",
    "TERMINAL_TLS_KEY": "/nowhere/canary-19",
}


def faults_of(environ: Mapping[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        config.load(environ)
    return caught.value.faults


def plain(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def test_an_empty_environment_has_every_default() -> None:
    settings = config.load({})
    assert settings.bot_token is None and settings.master_key is None and settings.redis_url is None
    assert settings.telegram_api_base == "https://api.telegram.org" and settings.telegram_mode == "polling"
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 8080, "http://127.0.0.1:8080")
    assert plain(settings.database_url) == "sqlite+aiosqlite:///data/countersign.db"
    assert settings.data == Path("data") and settings.log_level == "info" and settings.admin_ids == ()


def test_defaults_follow_port_and_data() -> None:
    settings = config.load({"PORT": "9001", "DATA": "/srv/desk"})
    assert settings.public_url == "http://127.0.0.1:9001"
    assert plain(settings.database_url) == "sqlite+aiosqlite:////srv/desk/countersign.db"


def test_every_variable_has_an_example_here() -> None:
    assert set(GOOD) | {"CONFIG"} == config.VARIABLES


def test_every_variable_arrives() -> None:
    settings = config.load({name: value for name, (value, _, _) in GOOD.items()})
    for name, (_, field, wanted) in GOOD.items():
        assert plain(getattr(settings, field)) == wanted, name


@pytest.mark.parametrize("name", GOOD)
def test_every_variable_may_come_from_a_file(name: str, write: Write) -> None:
    value, field, wanted = GOOD[name]
    rest = {"PUBLIC_URL": "https://desk.example", "TELEGRAM_WEBHOOK_SECRET": "a-long-enough-secret"}
    rest.pop(name, None)
    settings = config.load({**rest, f"{name}_FILE": write("value", f"{value}\n")})
    assert plain(getattr(settings, field)) == wanted


def test_the_overlay_may_be_named_by_a_file(write: Write) -> None:
    overlay = write("mine.toml", "[orders]\nworkers = 9\n")
    assert config.load({"CONFIG_FILE": write("where", overlay)}).facts.orders.workers == 9


def test_files_that_cannot_serve_are_faults(write: Write, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    faults = faults_of({
        "BOT_TOKEN_FILE": str(tmp_path / "missing"), "MASTER_KEY_FILE": str(tmp_path),
        "REDIS_URL_FILE": str(tmp_path / "binary"), "METRICS_TOKEN_FILE": write("empty", "\n"),
        "PORT": "1", "PORT_FILE": write("port", "2")})
    assert faults == [
        "BOT_TOKEN_FILE: cannot be read (FileNotFoundError)", "MASTER_KEY_FILE: cannot be read (IsADirectoryError)",
        "METRICS_TOKEN_FILE: is empty", "PORT: set both as PORT and as PORT_FILE",
        "REDIS_URL_FILE: cannot be read (UnicodeDecodeError)"]


def test_every_fault_is_listed_at_once_and_none_shows_a_value(write: Write) -> None:
    overlay = write("bad.toml", "[orders]\nworkers = 0\n[auth]\ncanary = 1\n")
    faults = faults_of({**BAD, "CONFIG": overlay})
    for name in BAD:
        assert any(fault.startswith(f"{name}: ") for fault in faults), name
    assert any(fault.startswith("config orders.workers: ") for fault in faults)
    assert any(fault.startswith("config auth.canary: ") for fault in faults)
    assert len(faults) == len(BAD) + 2
    for number in range(1, len(BAD) + 1):
        assert f"canary-{number}" not in "\n".join(faults)


@pytest.mark.parametrize("name", sorted(config.VARIABLES - {"CONFIG", "DATA", "HOST"}))
@pytest.mark.parametrize("value", ["\N{SNOWMAN}", "http://[", "http://h:99999", "x" * 100_000, "%", "-1", "=="])
def test_nothing_in_the_environment_is_answered_with_a_traceback(name: str, value: str) -> None:
    try:
        config.load({name: value})
    except ConfigurationError as error:
        assert len(value) == 1 or value not in str(error)


def test_webhook_mode_needs_its_address_and_its_secret() -> None:
    faults = faults_of({"TELEGRAM_MODE": "webhook"})
    assert [fault.split(":")[0] for fault in faults] == ["PUBLIC_URL", "TELEGRAM_WEBHOOK_SECRET"]


@pytest.mark.parametrize("port", ["0", "65535", "-1", "8080.0", "٨٠", "0x50", "1000000", " 80"])
def test_ports_that_are_none(port: str) -> None:
    assert faults_of({"PORT": port}) == ["PORT: a whole number from 1 to 65534"]


@pytest.mark.parametrize("key", [
    base64.b64encode(b"x" * 31).decode(), base64.b64encode(b"x" * 33).decode(), KEY + "!!", f"'{KEY}'",
    KEY[:20] + " " + KEY[20:], KEY[:20] + "€" + KEY[20:], base64.b64encode(bytes(32)).decode()])
def test_keys_that_are_none(key: str) -> None:
    (fault,) = faults_of({"MASTER_KEY": key})
    assert fault.startswith("MASTER_KEY: ") and key not in fault


@pytest.mark.parametrize("text", [KEY, KEY.rstrip("="), f" {KEY}\n", OTHER_KEY])
def test_keys_in_any_usual_spelling(text: str) -> None:
    assert config.decode_key(text) in (bytes(range(32)), bytes(range(200, 232)))


def test_a_database_address_that_cannot_be_read_is_a_fault_without_its_password() -> None:
    (fault,) = faults_of({"DATABASE_URL": "postgresql+asyncpg://user:hunter2@host:port/db"})
    assert fault.startswith("DATABASE_URL: ") and "hunter2" not in fault


def test_secrets_do_not_print() -> None:
    settings = config.load({name: value for name, (value, _, _) in GOOD.items()})
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    for name in config.SECRETS:
        assert GOOD[name][0] not in shown, name


def test_settings_are_frozen() -> None:
    settings = config.load({})
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.facts.tiers["free"].usd_per_month = Decimal(1)  # type: ignore[misc]


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in config.VARIABLES:
        for variable in (name, f"{name}_FILE"):
            if variable in os.environ:
                monkeypatch.delenv(variable)
    monkeypatch.setenv("PORT", "9123")
    assert config.load().port == 9123


def test_a_bot_token_has_plain_digits() -> None:
    with pytest.raises(ConfigurationError, match="BOT_TOKEN"):
        config.load({"BOT_TOKEN": "١٢٣٤٥٦٧٨٩:" + TOKEN.partition(":")[2]})


def test_a_list_of_secrets_that_names_none_is_a_fault() -> None:
    with pytest.raises(config.ConfigurationError) as caught:
        config.load({"STRIPE_SECRET_KEY": "sk_test_0123456789", "STRIPE_WEBHOOK_SECRET": " , "})
    assert any("STRIPE_WEBHOOK_SECRET" in fault for fault in caught.value.faults)
    assert config.load({"STRIPE_SECRET_KEY": "sk_test_0123456789"}).stripe_webhook_secrets == ()


TLS = {name: GOOD[name][0] for name in GOOD if name.startswith("TERMINAL_TLS")}


def test_a_terminal_host_is_reached_with_a_certificate_or_not_at_all(write: Write) -> None:
    overlay = write("host.toml", '[terminal]\nhost = "terminals.example:7441"\n')
    assert [fault.split(":")[0] for fault in faults_of({"CONFIG": overlay})] == list(TLS)
    assert config.load({"CONFIG": overlay, **TLS}).facts.terminal.host == "terminals.example:7441"


def test_certificates_that_are_none(write: Write, tmp_path: Path) -> None:
    text, stranger = write("text", "no certificate"), AUTHORITY.papers("desk", "stranger")
    (fault,) = faults_of({**TLS, "TERMINAL_TLS_CA": text})
    assert fault == "TERMINAL_TLS_CA: no certificate of an authority"
    for wrong in ({"TERMINAL_TLS_KEY": str(stranger.key)}, {"TERMINAL_TLS_KEY": text}, {"TERMINAL_TLS_CERT": text}):
        (fault,) = faults_of({**TLS, **wrong})
        assert fault == "TERMINAL_TLS_KEY: not the key of the certificate TERMINAL_TLS_CERT"
    (fault,) = faults_of({**TLS, "TERMINAL_TLS_KEY": str(tmp_path)})
    assert fault == "TERMINAL_TLS_KEY: cannot be read (IsADirectoryError)"


def test_an_encrypted_key_is_a_fault_and_not_a_question(write: Write) -> None:
    key = serialization.load_pem_private_key(PAPERS.key.read_bytes(), None)
    locked = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                               serialization.BestAvailableEncryption(b"pass"))
    (fault,) = faults_of({**TLS, "TERMINAL_TLS_KEY": write("locked", locked.decode())})
    assert fault.startswith("TERMINAL_TLS_KEY: not the key")


def test_a_worker_is_told_of_the_environment_what_windows_needs_and_no_more() -> None:
    given = {"SYSTEMROOT": "C:\\Windows", "BOT_TOKEN": TOKEN, "PATH": "/bin", "MASTER_KEY": KEY}
    assert config.worker_environment(given) == {"SYSTEMROOT": "C:\\Windows"}
