"""Turning views into HTML: one strict environment, and fragments that are only sent when they have changed."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import web

from runtime import strict_json
from webapp import keys
from webapp.bodies import is_known
from webapp.pages import assets, expert, format, headers

TEMPLATES = Path(__file__).parent.parent / "templates"


def environment(app: web.Application, files: assets.Assets) -> jinja2.Environment:
    """Everything is escaped, and a name a template asks for in vain is an error, not a hole in the page."""
    made = aiohttp_jinja2.setup(
        app, loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False)
    made.globals["static"] = files.url
    made.globals["expert_path"] = expert.PATH
    made.globals["modules"] = files.modules
    made.filters["instant"] = strict_json.instant
    made.filters["plain"] = format.plain
    return made


def page(request: web.Request, template: str, context: Mapping[str, Any]) -> web.Response:
    """A whole page, the same for everyone."""
    text = aiohttp_jinja2.render_string(template, request, context)
    return _html(text, headers.of_page(request.app[keys.console_origin]))


def fragment(request: web.Request, template: str, context: Mapping[str, Any], now: datetime, *,
             pending: int | None = None) -> web.Response:
    """A piece of a page; 304 without a body when the browser shows this very text already.

    The clock and the count beside the text travel in headers, so that they alone are no change.
    """
    text = aiohttp_jinja2.render_string(template, request, context)
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    told = headers.of_fragment(request.app[keys.console_origin])
    told |= {"ETag": tag, "X-Server-Time": strict_json.instant(now)}
    if pending is not None:
        told["X-Pending-Count"] = str(pending)
    if is_known(request, tag):
        return web.Response(status=304, headers=told)
    return _html(text, told)


def _html(text: str, told: Mapping[str, str]) -> web.Response:
    return web.Response(text=text, content_type="text/html", headers=told)
