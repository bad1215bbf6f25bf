"""Logs: one JSON object a line whatever is thrown at them, and no secret in any."""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from runtime import logs

TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw_"
SECRETS = {
    "bot token": TOKEN,
    "bot token in an address": f"https://api.telegram.org/bot{TOKEN}/sendMessage",
    "stripe key": "sk_live_51CanaryCanaryCanary",
    "restricted stripe key": "rk_test_51CanaryCanaryCanary",
    "webhook secret": "whsec_CanaryCanaryCanary",
    "access token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.Canary-Canary_Canary",
    "launch data": "tgWebAppData=query_id%3DCanary",
    "launch hash": "hash=" + "ab" * 32,
    "signature": "v1=" + "cd" * 32,
    "private key": "-----BEGIN PRIVATE KEY-----\nCanaryCanary\n-----END PRIVATE KEY-----",
    "password in an address": "postgresql+asyncpg://desk:Canary-Canary@host/db",
}
HOSTILE = ["\n", "\r\n", "\x1b[31mred", "\u2028", "\u2029", "\x00", "\x85", '"}\n{"event": "forged"}', "\ud800", "\\n"]


@pytest.fixture
def written() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Configure the logs onto a stream of ours; the call returns what has been written, line by line."""
    root, stream = logging.getLogger(), io.StringIO()
    before, level, structure = root.handlers[:], root.level, structlog.get_config()
    logs.configure("debug", stream=stream)

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]

    yield lines
    root.handlers = before
    root.setLevel(level)
    structlog.configure(**structure)


Lines = Callable[[], list[dict[str, Any]]]


def raw(lines: Lines) -> str:
    return json.dumps(lines(), ensure_ascii=False)


def canary_of(secret: str) -> str:
    return next(part for part in ("Canary-Canary", "Canary", "AAHdqTcv", "abab", "cdcd") if part in secret)


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
@pytest.mark.parametrize("way", ["event", "value", "nested", "bytes", "exception", "library", "chained"])
def test_secrets_are_hidden_by_their_looks(secret: str, way: str, written: Lines) -> None:
    log = structlog.get_logger("test")
    if way == "event":
        log.info(f"said {secret} today")
    elif way == "value":
        log.info("said", text=secret)
    elif way == "nested":
        log.info("said", body={"deep": [{"inside": secret}]})
    elif way == "bytes":
        log.info("said", text=secret.encode())
    elif way == "library":
        logging.getLogger("some.library").warning("said %s", secret)
    else:
        try:
            try:
                raise ValueError(secret)
            except ValueError as error:
                if way == "exception":
                    raise
                raise RuntimeError("other") from error
        except Exception:
            log.exception("failed")
    assert len(written()) == 1
    assert canary_of(secret) not in raw(written) and logs.HIDDEN in raw(written)


@pytest.mark.parametrize("key", ["token", "refresh_token", "secret", "sealed_secret", "password", "init_data",
                                 "Authorization", "signature", "master_key", "Cookie", "payload"])
def test_secrets_are_hidden_by_their_names(key: str, written: Lines) -> None:
    structlog.get_logger("test").info("said", **{key: "hunter2"}, headers={key: "hunter3"}, rows=[{"a": {key: 4711}}])
    assert not any(told in raw(written) for told in ("hunter", "4711"))
    assert written()[0][key] == logs.HIDDEN


def test_harmless_values_stay(written: Lines) -> None:
    structlog.get_logger("test").info("said", count=3, share=0.5, ok=True, none=None, has_token=True, name="Ann")
    line = written()[0]
    assert (line["count"], line["share"], line["ok"], line["none"], line["has_token"], line["name"]) == (
        3, 0.5, True, None, True, "Ann")


def test_registered_secrets_are_hidden_wherever_they_are(written: Lines) -> None:
    logs.register_secret("canary-registered")
    logs.register_secret("canary-registered-and-longer")
    logs.register_secret("short")
    structlog.get_logger("test").info("a canary-registered-and-longer b", text="xcanary-registeredx short")
    logging.getLogger("lib").warning("%s", {"a": ["canary-registered"]})
    assert "canary" not in raw(written) and "longer" not in raw(written)
    assert written()[0]["text"].endswith(" short"), "too short a secret would hide half of everything"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_line_is_a_line(text: str, written: Lines) -> None:
    structlog.get_logger("test").info(f"a{text}b", value=f"c{text}d", **{f"key{text}": 1})
    logging.getLogger("lib").warning("e%sf", text)
    first, second = written()
    assert first["event"] == f"a{text}b" and first["value"] == f"c{text}d"
    assert second["event"] == f"e{text}f" and second["level"] == "warning"


@given(st.text(), st.text())
def test_any_text_is_one_line_of_ascii(event: str, value: str) -> None:
    cleaned = logs.redact(None, "info", {"event": event, "value": value})
    line = json.dumps(cleaned, ensure_ascii=True)
    assert "\n" not in line and line.isascii()


def test_long_texts_keep_their_beginning_and_their_end(written: Lines) -> None:
    structlog.get_logger("test").info("x", text="begin" + "." * 100_000 + "end")
    text = written()[0]["text"]
    assert text.startswith("begin") and text.endswith("end") and len(text) < logs.LONGEST + 10


def test_a_secret_across_the_cut_is_hidden_too(written: Lines) -> None:
    structlog.get_logger("test").info("x", text="." * (logs.LONGEST // 2 - 20) + TOKEN + "." * 5000)
    assert "AAHdq" not in raw(written) and "123456789" not in raw(written)


def test_a_deep_traceback_still_says_what_happened(written: Lines) -> None:
    def sink(depth: int) -> None:
        if depth == 0:
            raise ValueError("the reason")
        sink(depth - 1) if depth % 2 else sink_too(depth - 1)

    def sink_too(depth: int) -> None:
        sink(depth)

    try:
        sink(60)
    except ValueError:
        structlog.get_logger("test").exception("failed")
    assert written()[0]["exception"].endswith("ValueError: the reason")


def test_lines_carry_time_level_logger_and_context(written: Lines) -> None:
    logs.begin(update_id="another's")
    logs.begin(request_id="r-1")
    structlog.get_logger("desk.part").warning("happened")
    logs.note(user_id=7)
    logging.getLogger("lib").error("failed")
    ours, theirs = written()
    assert ours["level"] == "warning" and ours["logger"] == "desk.part" and ours["timestamp"].endswith("Z")
    assert ours["request_id"] == theirs["request_id"] == "r-1"
    assert theirs["user_id"] == 7 and "user_id" not in ours and "update_id" not in ours


async def test_what_one_task_notes_is_not_said_of_another(written: Lines) -> None:
    async def at(number: int, both: asyncio.Barrier) -> None:
        logs.begin(update_id=number)
        await both.wait()
        logs.note(user_id=number * 10)
        await both.wait()
        structlog.get_logger("desk").warning("handled", number=number)

    both = asyncio.Barrier(2)
    await asyncio.gather(at(1, both), at(2, both))
    found = sorted((line["number"], line["update_id"], line["user_id"]) for line in written())
    assert found == [(1, 1, 10), (2, 2, 20)]


def test_libraries_keep_quiet_and_levels_hold(written: Lines) -> None:
    logging.getLogger("sqlalchemy.engine").info("SELECT 1")
    logging.getLogger("aiohttp.access").info("GET /")
    assert written() == []
    logs.configure("error", stream=io.StringIO())
    assert not logging.getLogger("aiohttp.access").isEnabledFor(logging.WARNING)


def test_circles_do_not_end_a_log(written: Lines) -> None:
    circle: dict[str, Any] = {}
    circle["self"] = circle
    structlog.get_logger("test").info("x", circle=circle)
    assert len(written()) == 1
