"""Reading ids, cursors and switches from paths and queries."""

import re

from aiohttp import web

from services.errors import InvalidRequest, NotFound

_ID = re.compile(r"[1-9][0-9]{0,17}")
_DEVICE_ID = re.compile(r"[A-Za-z0-9_]{1,32}")
MOST_ON_A_PAGE = 100


def id_of(request: web.Request, name: str = "id") -> int:
    """The id in the path; what cannot be an id names nothing: NotFound."""
    text = request.match_info[name]
    if not _ID.fullmatch(text):
        raise NotFound
    return int(text)


def device_id_of(request: web.Request) -> str:
    """The device's id in the path; NotFound for what cannot be one."""
    text = request.match_info["id"]
    if not _DEVICE_ID.fullmatch(text):
        raise NotFound
    return text


def cursor_of(request: web.Request) -> int | None:
    """Where the page begins; InvalidRequest when it is not one of our cursors."""
    text = request.query.get("cursor")
    if text is None or text == "":
        return None
    if not _ID.fullmatch(text):
        raise InvalidRequest("The cursor is not one of ours.")
    return int(text)


def limit_of(request: web.Request, default: int = 50) -> int:
    """How many items a page has."""
    text = request.query.get("limit", str(default))
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MOST_ON_A_PAGE:
        raise InvalidRequest(f"limit is a number from 1 to {MOST_ON_A_PAGE}.")
    return int(text)


def switch_of(request: web.Request, name: str) -> bool:
    """A true/false query parameter, false when absent."""
    if not request.query_string:
        return False
    text = request.query.get(name, "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise InvalidRequest(f"{name} is true or false.")
    return text in ("true", "1")
