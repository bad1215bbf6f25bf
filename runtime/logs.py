"""Structured logs: one JSON object a line, with request and update ids, and without secrets."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, TextIO

import structlog

LONGEST = 2000
HIDDEN = "[hidden]"
_KEYS = re.compile(r"token|secret|password|init_data|authorization|signature|master_key|cookie|payload", re.I)
_VALUES = re.compile(
    r"\d{6,20}:[A-Za-z0-9_-]{30,64}"                    # bot tokens, also inside request addresses
    r"|\b[sr]k_(?:live|test)_[A-Za-z0-9]{8,}|\bwhsec_[A-Za-z0-9]{8,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"
    r"|tgWebAppData=\S+|\bhash=[0-9a-f]{64}|\bv1=[0-9a-f]{64}"
    r"|-----BEGIN [^-]+-----[\s\S]*?-----END [^-]+-----"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
_known: set[str] = set()
# One variable for all: a request is noted thousands of times a second, and hardly ever written about.
_about: ContextVar[Mapping[str, Any]] = ContextVar("about", default={})  # noqa: B039  # never changed in place


def register_secret(value: str) -> None:
    """Never let this exact text appear in a log."""
    if len(value) >= 8:
        _known.add(value)


def begin(**about: Any) -> None:
    """From here on what this task logs is about this request, update or message, and nothing else."""
    _about.set(about)


def note(**about: Any) -> None:
    """What has become known since about what this task is at."""
    _about.set({**_about.get(), **about})


def configure(level: str, *, stream: TextIO | None = None) -> None:
    """Send everything, our own events and the libraries', to ``stream`` (stderr) as JSON lines."""
    shared: list[Any] = [
        _with_context, structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.format_exc_info, redact]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(), wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.JSONRenderer(ensure_ascii=True)]))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in ("aiohttp.access", "sqlalchemy", "aiosqlite", "alembic", "asyncio", "aiogram.event", "httpx",
                  "stripe"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def _with_context(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in _about.get().items():
        event.setdefault(key, value)
    return event


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide secrets by the name of their key and by what they look like; keep events short."""
    for key, value in event.items():
        if _KEYS.search(key) and value is not None and not isinstance(value, bool):
            event[key] = HIDDEN
        elif not isinstance(value, bool | int | float | type(None)):
            event[key] = clean(value if isinstance(value, str) else repr(_hide_named(value)))
    return event


def _hide_named(value: Any, depth: int = 6) -> Any:
    """The value with what secret-sounding keys hold in it hidden."""
    if depth and isinstance(value, Mapping):
        return {key: HIDDEN if isinstance(key, str) and _KEYS.search(key) else _hide_named(inner, depth - 1)
                for key, inner in value.items()}
    if depth and isinstance(value, list | tuple):
        return [_hide_named(inner, depth - 1) for inner in value]
    return value


def clean(text: str) -> str:
    """The text without secrets, cut to a bearable length in the middle: a traceback says what it means at its end."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _VALUES.sub(HIDDEN, text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST // 2]} … {text[-LONGEST // 2:]}"
