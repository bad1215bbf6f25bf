"""Telegram's formatted text: HTML parse mode, limits and the links it finds by itself.

Offsets and lengths of entities are UTF-16 code units; offsets in errors are UTF-8 bytes, both as Telegram has them.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from sandbox.telegram.errors import bad_request

LONGEST_TEXT = 4096  # UTF-16 code units, after entities are parsed
TAGS = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "code": "code", "pre": "pre",
    "a": "text_link", "tg-spoiler": "spoiler", "span": "spoiler", "blockquote": "blockquote",
    "tg-emoji": "custom_emoji",
}
_CHARACTER = re.compile(r"&(?:(lt|gt|amp|quot)|#([0-9]{1,7})|#x([0-9a-fA-F]{1,6}));")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_ATTRIBUTE = re.compile(r"""\s+([A-Za-z0-9-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9.-]+)))?""")
_START = re.compile(r"""<([A-Za-z0-9-]*)((?:[^<>"']|"[^"]*"|'[^']*')*)>""")
_END = re.compile(r"</([A-Za-z0-9-]*)\s*>")
_FOUND = re.compile(r"(?P<url>https?://[^\s<>\"]+[^\s<>\".,;:!?)'])|(?<![\w/])(?P<bot_command>/[A-Za-z0-9_]{1,32}\b)")


@dataclass(slots=True)
class _Open:
    tag: str
    offset: int
    at: int
    facts: dict[str, Any] = field(default_factory=dict)


def units(text: str) -> int:
    """Length in UTF-16 code units."""
    return len(text) + sum(character > "\uffff" for character in text)


def parse(text: str, parse_mode: str) -> tuple[str, list[dict[str, Any]]]:
    """Plain text and entities; BotApiError 400 in Telegram's words for whatever it would not send."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise bad_request("strings must be encoded in UTF-8")
    if not parse_mode:
        return finish(text, [])
    if parse_mode.lower() == "html":
        return finish(*_parse_html(text))
    raise bad_request(f"unsupported parse_mode {parse_mode}: the sandbox reads HTML")


def finish(text: str, entities: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """Trim, check the length, find links and commands, and bring entities into Telegram's order."""
    text = text.replace("\r", "").replace("\x00", "")
    left = units(text) - units(text.lstrip())
    text = text.strip()
    length = units(text)
    if not text:
        raise bad_request("message text is empty")
    if length > LONGEST_TEXT:
        raise bad_request("message is too long")
    kept = []
    for entity in entities:
        start = max(0, entity["offset"] - left)
        end = min(length, entity["offset"] + entity["length"] - left)
        if end > start:
            kept.append({**entity, "offset": start, "length": end - start})
    kept += _find(text, kept)
    return text, sorted(kept, key=lambda entity: (entity["offset"], -entity["length"]))


def _find(text: str, entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Links and commands in plain sight, where nothing else claims the place."""
    taken = [(e["offset"], e["offset"] + e["length"]) for e in entities if e["type"] in ("code", "pre", "text_link")]
    found = []
    for match in _FOUND.finditer(text):
        start = units(text[:match.start()])
        end = start + units(match.group())
        if all(end <= first or start >= last for first, last in taken):
            found.append({"type": match.lastgroup, "offset": start, "length": end - start})
    return found


def _parse_html(source: str) -> tuple[str, list[dict[str, Any]]]:
    parts: list[str] = []
    offset = at = 0
    opened: list[_Open] = []
    entities: list[dict[str, Any]] = []
    while at < len(source):
        if source.startswith("</", at):
            at = _close(source, at, offset, opened, entities, "".join(parts))
        elif source[at] == "<":
            at = _open(source, at, offset, opened)
        else:
            character, at = _character(source, at)
            parts.append(character)
            offset += units(character)
    if opened:
        raise _fault(f"Can't find end tag corresponding to start tag \"{opened[-1].tag}\"")
    return "".join(parts), entities


def _character(source: str, at: int) -> tuple[str, int]:
    """One character, or the four named and the numeric references Telegram knows; others stay as they are."""
    match = _CHARACTER.match(source, at) if source[at] == "&" else None
    if match is None:
        return source[at], at + 1
    name, decimal, hexadecimal = match.groups()
    if name:
        return _NAMED[name], match.end()
    code = int(decimal) if decimal else int(hexadecimal, 16)
    if not 0 < code < 0x110000 or 0xD800 <= code < 0xE000:
        return source[at], at + 1
    return chr(code), match.end()


def _decoded(text: str) -> str:
    return _CHARACTER.sub(lambda found: _character(found.group(), 0)[0], text)


def _open(source: str, at: int, offset: int, opened: list[_Open]) -> int:
    match = _START.match(source, at)
    if match is None:
        raise _fault(f"Unclosed start tag at byte offset {_bytes(source, at)}")
    tag = match.group(1).lower()
    if tag not in TAGS:
        raise _fault(f'Unsupported start tag "{tag}" at byte offset {_bytes(source, at)}')
    attributes = {name.lower(): _decoded(double or single or bare)
                  for name, double, single, bare in _ATTRIBUTE.findall(match.group(2))}
    opened.append(_Open(tag, offset, at, _facts(tag, attributes, _bytes(source, at))))
    return match.end()


def _facts(tag: str, attributes: dict[str, str], at: int) -> dict[str, Any]:
    if tag == "a":
        return {"url": attributes.get("href", "")}
    if tag == "span" and attributes.get("class") != "tg-spoiler":
        raise _fault(f'Tag "span" must have class "tg-spoiler" at byte offset {at}')
    if tag == "tg-emoji":
        return {"custom_emoji_id": attributes.get("emoji-id", "")}
    if tag == "blockquote" and "expandable" in attributes:
        return {"type": "expandable_blockquote"}
    if tag in ("code", "pre") and attributes.get("class", "").startswith("language-"):
        return {"language": attributes["class"].removeprefix("language-")}
    return {}


def _close(source: str, at: int, offset: int, opened: list[_Open], entities: list[dict[str, Any]], text: str) -> int:
    if not opened:
        raise _fault(f"Unexpected end tag at byte offset {_bytes(source, at)}")
    match = _END.match(source, at)
    if match is None:
        raise _fault(f"Unclosed end tag at byte offset {_bytes(source, at)}")
    last, tag = opened.pop(), match.group(1).lower()
    if tag and tag != last.tag:
        raise _fault(f'Unmatched end tag at byte offset {_bytes(source, at)}, '
                     f'expected "</{last.tag}>", found "</{tag}>"')
    entity = {"type": TAGS[last.tag], "offset": last.offset, "length": offset - last.offset, **last.facts}
    if entity["length"] and _is_sendable(entity, opened, text):
        entities.append(entity)
    return match.end()


def _is_sendable(entity: dict[str, Any], opened: list[_Open], text: str) -> bool:
    if entity["type"] == "text_link":
        entity["url"] = entity["url"] or text.encode("utf-16-le")[entity["offset"] * 2:].decode("utf-16-le")
        return re.match(r"(https?|tg|tel|mailto):", entity["url"]) is not None
    if entity["type"] == "code" and opened and opened[-1].tag == "pre":
        if "language" in entity:
            opened[-1].facts["language"] = entity["language"]
        return False
    if entity["type"] == "code":
        entity.pop("language", None)
    return True


def _bytes(source: str, at: int) -> int:
    return len(source[:at].encode())


def _fault(text: str) -> Exception:
    return bad_request(f"can't parse entities: {text}")
