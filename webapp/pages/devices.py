"""Devices on the Accounts page: a row each, and the fragment of what the doctor of devices has found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from services import doctor
from services.devices import DeviceView
from services.doctor import Diagnosis, Finding
from services.doctor_symbols import Checked
from webapp import keys
from webapp.pages.rendering import fragment
from webapp.paths import device_id_of
from webapp.security import now as clock
from webapp.security import signed_in

STATES = {"active": "Active", "offline": "Offline"}
WAITING = "Waiting for its first report"
NOT_TRADING = "Trading is switched off in its terminal. Check-up says where."

# state: (mark, word, tone)
SIGNS = {"bad": ("✕", "Fault", "bad"), "warn": ("!", "Look at it", "warn"), "unknown": ("?", "Not known", "even"),
         "ok": ("✓", "In order", "good")}
VERDICTS = {"bad": "Something keeps it from trading", "warn": "It trades, with something to look at",
            "unknown": "Not everything is known yet", "ok": "Everything is in order"}
ORDER = ("bad", "warn", "unknown")
CLEAR = ("found", "alias", "edited")


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device; ``words`` is how it stands, ``account`` the one it serves, "" for none."""

    id: str
    name: str
    status: str
    words: str
    last_seen_at: datetime | None
    version: str | None
    warning: str | None
    has_previous_key: bool
    requires_envelope: bool
    account: str
    revoke_message: str


@dataclass(frozen=True, slots=True)
class Line:
    """One thing the doctor has looked at, with the sign and the word of its state."""

    code: str
    mark: str
    word: str
    tone: str
    title: str
    detail: str
    fix: str


@dataclass(frozen=True, slots=True)
class SymbolLine:
    """A symbol of signals as the broker has it."""

    symbol: str
    broker_symbol: str | None
    mark: str
    tone: str
    detail: str


def by_account(held: Iterable[DeviceView], labels: Mapping[int, str]) -> dict[int | None, tuple[DeviceRow, ...]]:
    """The devices in use under the account each serves, under None those that serve none of ``labels``."""
    serving: dict[int | None, list[DeviceView]] = {}
    for one in held:
        served = one.account_id if one.account_id in labels else None
        serving.setdefault(served, []).append(one)
    return {served: tuple(_row(one, labels.get(served) if served is not None else None, len(rows) > 1) for one in rows)
            for served, rows in serving.items()}


def _row(of: DeviceView, label: str | None, has_others: bool) -> DeviceRow:
    is_new = of.last_seen_at is None
    return DeviceRow(
        of.id, of.name, "offline" if is_new else of.status, WAITING if is_new else STATES.get(of.status, "Offline"),
        of.last_seen_at, of.version, NOT_TRADING if of.is_trading_allowed is False else None, of.has_previous_key,
        of.requires_envelope, str(of.account_id) if label is not None else "", _consequence(label, has_others))


def _consequence(label: str | None, has_others: bool) -> str:
    """What revoking does, short enough for Telegram's popup."""
    if label is None:
        return "Its terminal is shut out at once and for good."
    rest = (f"Others still serve {label[:60]}." if has_others else
            f"{label[:60]} is no longer reported. What is open there stays open at your broker.")
    return f"Its terminal stops receiving orders at once and for good. {rest}"


@signed_in("reads")
async def examined(request: web.Request, user_id: int) -> web.Response:
    """What was looked at: troubles first, each with what helps, then what is in order."""
    now = clock()
    found = await doctor.examine(request.app[keys.desk], user_id, device_id_of(request), now)
    return fragment(request, "fragments/doctor.html", diagnosis(found), now)


def diagnosis(found: Diagnosis) -> dict[str, object]:
    """What the template shows."""
    mark, _, tone = SIGNS[found.state]
    troubles = sorted((one for one in found.findings if one.state in ORDER), key=lambda one: ORDER.index(one.state))
    return {
        "mark": mark, "tone": tone, "verdict": VERDICTS[found.state], "as_of": found.as_of,
        "troubles": _lines(troubles), "fine": _lines(one for one in found.findings if one.state not in ORDER),
        "symbols": _symbols(found.symbols)}


def _lines(found: Iterable[Finding]) -> list[Line]:
    return [Line(one.code, *SIGNS[one.state], one.title, one.detail, one.fix) for one in found]


def _symbols(found: Sequence[Checked]) -> list[SymbolLine]:
    """Those with a trouble first."""
    lines = []
    for one in found:
        sign = SIGNS["ok" if one.state in CLEAR else "unknown" if one.state == "unknown" else "warn"]
        lines.append(SymbolLine(one.sought.symbol, one.broker_symbol, sign[0], sign[2], one.detail))
    return sorted(lines, key=lambda line: line.tone == "good")
