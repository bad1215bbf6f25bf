"""What keeps a device from trading well: its terminal, its account, and what its broker has of the signals' symbols."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.account import Account, AccountStatus, Route
from models.device import Device, DeviceSymbol
from services import devices, doctor_symbols, reasons, reports, symbol_reports
from services.desk import Desk
from services.doctor_symbols import Checked
from services.doctor_words import TITLES, WORDS, State
from services.sizing import sizing_of
from terminal.protocol import Report

# The oldest Expert Advisor that does all that this desk relies on.
EA_NEEDED = "1.0.0"
REPORTED_WITHIN = timedelta(minutes=2)
SLOW_PING_MS = 1_000
# How far the told offset of a server's clock may be from a quarter of an hour, which every time zone is a multiple of.
CLOCK_TOLERANCE, QUARTER = 60, 900
# A stop that is nearer than this share of the price is an unusual one.
USUAL_STOP = Decimal("0.003")
KNOWN_FILLINGS = {"fok", "ioc", "return"}
_WORST = (State.OK, State.UNKNOWN, State.WARN, State.BAD)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, in the words of ``doctor_words``."""

    code: str
    state: State
    title: str
    detail: str
    fix: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The worst state of all, and everything that was looked at; ``as_of`` is when the device last said anything."""

    state: State
    as_of: datetime | None
    findings: tuple[Finding, ...]
    symbols: tuple[Checked, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    """What is known when the doctor looks."""

    device: Device
    account: Account | None
    report: Report | None
    terminal: dict[str, Any]
    count: int
    has_listed: bool
    symbols: tuple[Checked, ...]
    sizing: dict[str, str]


async def examine(desk: Desk, user_id: int, device_id: str, now: datetime) -> Diagnosis:
    """Look at everything the desk knows of a device; NotFound for one that is not the user's."""
    async with desk.database.reading() as session:
        device = await devices.owned(session, user_id, device_id)
        account = await session.get(Account, device.account_id) if device.account_id is not None else None
    report = await reports.reported(desk.database, desk.redis, device_id)
    async with desk.database.reading() as session:
        case = await _case(session, desk, device, account, report, now)
    findings = tuple(_findings(case, now))
    moments = [moment for moment in (device.last_seen_at, report.received_at if report else None) if moment is not None]
    return Diagnosis(max((one.state for one in findings), key=_WORST.index), max(moments, default=None), findings,
                     case.symbols)


async def _case(session: AsyncSession, desk: Desk, device: Device, account: Account | None, report: Report | None,
                now: datetime) -> _Case:
    count = await session.scalar(select(func.count()).where(DeviceSymbol.device_id == device.id)) or 0
    terminal = device.terminal or {}
    has_listed = symbol_reports.LISTED_AT in terminal
    wanted = await doctor_symbols.sought(session, device.user_id, now)
    if has_listed:
        found = await doctor_symbols.checked(session, device.id, device.account_id, wanted)
    else:
        found = [Checked(one, None, "unknown") for one in wanted]
    return _Case(device, account, report, terminal, count, has_listed, tuple(found),
                 sizing_of(account.sizing if account is not None else {}, desk.execution_rules.sizing))


def _says(code: str, outcome: str, **figures: Any) -> Finding:
    words = WORDS[code][outcome]
    return Finding(code, words.state, TITLES[code], words.detail.format(**figures), words.fix.format(**figures))


def _findings(case: _Case, now: datetime) -> Iterable[Finding]:
    """The device and its account first, then its terminal, then its broker."""
    yield _device(case, now)
    yield _account(case)
    yield _snapshot(case, now)
    yield from _terminal(case)
    yield _trading(case)
    mode = case.report.account.margin_mode if case.report is not None else "unknown"
    yield _says("margin_mode", mode)
    yield _symbol_list(case)
    if case.has_listed:
        yield from _symbols([one for one in case.symbols if one.row is not None], case)
    else:
        for code in ("symbols", "closed_symbols", "filling", "stops_level", "tick_values", "least_volume"):
            yield _says(code, "unknown")


def _device(case: _Case, now: datetime) -> Finding:
    seen_at = case.device.last_seen_at
    if case.device.revoked_at is not None:
        return _says("device", "revoked")
    if seen_at is None:
        return _says("device", "never")
    return _says("device", "quiet" if now - seen_at > devices.OFFLINE_AFTER else "heard", at=_clock(seen_at))


def _account(case: _Case) -> Finding:
    account, report = case.account, case.report
    if account is None or account.unlinked_at is not None:
        return _says("account", "none")
    if account.route != Route.DEVICE:
        return _says("account", "other_route")
    if report is not None and (report.account.login, report.account.server) != (account.login, account.server):
        return _says("account", "elsewhere", login=report.account.login, server=report.account.server,
                     own_login=account.login, own_server=account.server)
    if account.status != AccountStatus.VERIFIED:
        reason = reasons.WORDS.get(account.trouble or "", "it has to be verified")
        return _says("account", "broken", reason=reason)
    return _says("account", "linked")


def _snapshot(case: _Case, now: datetime) -> Finding:
    if case.report is None:
        return _says("snapshot", "none")
    received_at = case.report.received_at
    return _says("snapshot", "fresh" if now - received_at <= REPORTED_WITHIN else "old", at=_clock(received_at))


def _terminal(case: _Case) -> Iterable[Finding]:
    told = case.terminal
    if symbol_reports.TOLD_AT not in told:
        yield _says("terminal", "silent")
        for code in ("version", "algo_trading", "expert", "connection", "clock"):
            yield _says(code, "unknown")
        return
    yield _says("terminal", "told", build=told["build"],
                at=_clock(datetime.fromisoformat(told[symbol_reports.TOLD_AT])))
    version = told["version"]
    yield _says("version", "old" if _number(version) < _number(EA_NEEDED) else "new", version=version,
                needed=EA_NEEDED)
    yield _says("algo_trading", "on" if told["trade_allowed"] else "off")
    yield _says("expert", "on" if told["expert_allowed"] else "off")
    yield _connection(told["connected"], told["ping_ms"])
    yield _server_clock(told["utc_offset_seconds"])


def _number(version: str) -> tuple[int, ...]:
    """As far as it is made of numbers: 1.10.2-beta is 1, 10, 2 and 1.9 is 1, 9, 0."""
    parts = [int(part) for part in version.split("-")[0].split("+")[0].split(".") if part.isdecimal()]
    return (*parts, 0, 0, 0)[:3]


def _connection(is_connected: bool, ping: int | None) -> Finding:
    if not is_connected:
        return _says("connection", "lost")
    if ping is not None and ping > SLOW_PING_MS:
        return _says("connection", "slow", ping=ping)
    return _says("connection", "good", ping=f", {ping} ms away" if ping is not None else "")


def _server_clock(offset: int) -> Finding:
    whole = round(offset / QUARTER) * QUARTER
    is_whole = abs(offset - whole) <= CLOCK_TOLERANCE and abs(whole) <= 14 * 3600
    shown = abs(whole if is_whole else offset)
    text = f"{'-' if offset < 0 else '+'}{shown // 3600:02}:{shown % 3600 // 60:02}"
    return _says("clock", "whole" if is_whole else "odd", offset=text)


def _trading(case: _Case) -> Finding:
    told = [case.terminal["account_allowed"]] if "account_allowed" in case.terminal else []
    told += [case.report.account.can_trade] if case.report is not None else []
    return _says("trading", "unknown" if not told else "on" if all(told) else "off")


def _symbol_list(case: _Case) -> Finding:
    if not case.has_listed:
        return _says("symbol_list", "partly" if case.count or case.terminal else "none")
    return _says("symbol_list", "cut" if case.count >= symbol_reports.MOST else "whole", count=case.count)


def _symbols(there: list[Checked], case: _Case) -> Iterable[Finding]:
    lost = [one for one in case.symbols if one.row is None]
    needed = [one for one in lost if one.sought.is_sent]
    yield _says("symbols", "needed" if needed else "some" if lost else "found", symbols=_names(needed or lost))
    yield _some("closed_symbols", "some", "open", [one for one in there if one.state == "closed"])
    yield _some("filling", "none", "good", [one for one in there if one.row is not None
                                            and not KNOWN_FILLINGS & set(one.row.spec["filling"])])
    levels = [f"{one.sought.symbol} {one.spec.stops_level}" for one in there if one.spec and one.spec.stops_level]
    yield _says("stops_level", "kept" if levels else "free", symbols=", ".join(levels))
    yield _some("tick_values", "missing", "told", [one for one in there if one.row is not None
                                                   and one.row.bid is not None and one.row.tick_value is None])
    yield _least_volume(there, case)


def _least_volume(there: list[Checked], case: _Case) -> Finding:
    if case.sizing["mode"] == "fixed":
        wanted = Decimal(case.sizing["volume"])
        return _some("least_volume", "fixed", "enough",
                     [one for one in there if one.spec is not None and wanted < one.spec.volume_min],
                     volume=_plain(wanted))
    if case.report is None:
        return _says("least_volume", "unknown")
    account, risk = case.report.account, Decimal(case.sizing["value"])
    budget = max(account.equity, Decimal(0)) * risk / 100
    return _some("least_volume", "small", "enough", [one for one in there if _is_too_large(one, budget)],
                 risk=_plain(risk), equity=_plain(account.equity), currency=account.currency)


def _is_too_large(one: Checked, budget: Decimal) -> bool:
    """Whether the least volume loses more than the budget on the way to a stop as they usually are."""
    if one.row is None or one.spec is None or one.row.tick_value is None:
        return False
    way = one.sought.way or (one.row.bid * USUAL_STOP if one.row.bid is not None else None)
    return way is not None and way / one.spec.tick_size * one.row.tick_value * one.spec.volume_min > budget


def _some(code: str, outcome: str, otherwise: str, found: list[Checked], **figures: str) -> Finding:
    return _says(code, outcome if found else otherwise, symbols=_names(found), **figures)


def _names(found: Iterable[Checked]) -> str:
    return ", ".join(one.sought.symbol for one in found)


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
