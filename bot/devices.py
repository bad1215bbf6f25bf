"""Devices in the chat: their texts and their buttons."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from bot import keyboards, numbers, texts
from bot.callbacks import AddDevice, Revoke, Step
from bot.keyboards import Links
from bot.positions import GAP, LABEL, fitting
from services import tiers
from services.devices import DeviceView
from services.errors import LimitReached
from services.pairing import PairingOffer

MOST_REVOKED = 3
MOST_BUTTONS = 20


def listed(held: Sequence[DeviceView], labels: Mapping[int, str], now: datetime) -> str:
    """The devices of a user as far as one message goes: those in use, then the last that were revoked."""
    revoked = [one for one in held if one.status == "revoked"][:MOST_REVOKED]
    rows = [_row(one, labels, now) for one in (*in_use(held), *revoked)]
    if not rows:
        return texts.NO_DEVICES
    return f"{texts.DEVICES_HEAD}\n\n{fitting(rows, len(rows), GAP)}"


def in_use(held: Sequence[DeviceView]) -> list[DeviceView]:
    return [one for one in held if one.status != "revoked"]


def _row(one: DeviceView, labels: Mapping[int, str], now: datetime) -> str:
    name = f"<b>{escape(one.name)}</b>"
    if one.status == "revoked":
        return f"{name}\n{texts.DEVICE_STATES['revoked']}"
    seen = texts.DEVICE_SEEN.format(span=numbers.span(now - one.last_seen_at)) if one.last_seen_at else ""
    state = f"{texts.DEVICE_STATES[one.status]} · {seen}" if seen else texts.DEVICE_NEW
    switched_off = f"\n{texts.DEVICE_NOT_TRADING}" if one.is_trading_allowed is False else ""
    label = labels.get(one.account_id) if one.account_id is not None else None
    return f"{name} · {escape(label) if label else texts.DEVICE_LOOSE}\n{state}{switched_off}"


def keyboard(links: Links, telegram_id: int, held: Sequence[DeviceView]) -> InlineKeyboardMarkup:
    """A way to revoke each device in use, to add one, and to the app."""
    rows = [[_step(telegram_id, one.id, Step.ASK, texts.REVOKE_SOME.format(device=short(one.name)))]
            for one in in_use(held)[:MOST_BUTTONS]]
    add = InlineKeyboardButton(text=texts.ADD_DEVICE, callback_data=AddDevice(telegram_id=telegram_id).pack())
    return keyboards.rowed([*rows, [add], links.open_app("/app/accounts")])


def short(name: str) -> str:
    """A device's name on a button."""
    return name if len(name) <= LABEL else f"{name[:LABEL - 1]}…"


def _step(telegram_id: int, device_id: str, step: Step, text: str, style: str | None = None) -> InlineKeyboardButton:
    data = Revoke(telegram_id=telegram_id, device_id=device_id, step=step)
    return InlineKeyboardButton(text=text, callback_data=data.pack(), style=style)


def question(one: DeviceView, label: str | None) -> str:
    """Whether to revoke a device, with what comes of it."""
    of_account = texts.REVOKE_ACCOUNT.format(account=escape(label)) if label else ""
    return texts.REVOKE_ASK.format(device=escape(one.name), account=of_account)


def question_keyboard(telegram_id: int, one: DeviceView) -> InlineKeyboardMarkup:
    yes = _step(telegram_id, one.id, Step.YES, texts.REVOKE_YES.format(device=short(one.name)), "danger")
    return keyboards.rowed([[yes], [_step(telegram_id, one.id, Step.KEEP, texts.REVOKE_NO)]])


def code(links: Links, made: PairingOffer) -> str:
    """A pairing code and how to use it."""
    return texts.PAIRING.format(code=made.code, desk=escape(links.desk), clock=numbers.clock(made.expires_at))


def limit(of: LimitReached) -> str:
    """The plan has no room for another device, and which one has."""
    more = texts.DEVICE_LIMIT_MORE.format(tier=tiers.title(of.needed)) if of.needed is not None else ""
    return f"{escape(of.detail)}{more}"


def paired(of: Mapping[str, Any], chat_id: int, links: Links) -> tuple[str, InlineKeyboardMarkup]:
    """A device has been made by a code: where its account is linked, and the way to undo it."""
    text = texts.DEVICE_PAIRED.format(device=escape(of["name"]), login=escape(of["login"]),
                                      server=escape(of["server"]))
    button = _step(chat_id, of["device_id"], Step.ASK, texts.REVOKE_SOME.format(device=short(of["name"])))
    return text, keyboards.rowed([links.open_app("/app/accounts", texts.LINK_ACCOUNT), [button]])


def quiet(of: Mapping[str, Any]) -> str:
    """Devices have fallen silent while something is open."""
    since = texts.QUIET_SINCE.format(clock=_clock(of["since"])) if of["since"] else texts.QUIET_EVER
    parts = [texts.QUIET_OPEN[kind][of[kind] != 1].format(count=of[kind])
             for kind in ("positions", "orders") if of[kind]]
    return texts.DEVICES_QUIET.format(devices=_named(of["devices"]), since=since, account=escape(of["account"]),
                                      open=", ".join(parts))


def back(of: Mapping[str, Any]) -> str:
    """They are heard again, or others are."""
    served = texts.BACK_ACCOUNT.format(account=escape(of["account"])) if of["account"] else ""
    is_are = "report" if len(of["devices"]) > 1 else "reports"
    return texts.DEVICES_BACK.format(devices=_named(of["devices"]), report=is_are, account=served)


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"<b>{escape(name)}</b>" for name in names[:MOST_REVOKED]) + (
        f" and {len(names) - MOST_REVOKED} more" if len(names) > MOST_REVOKED else "")


def _clock(text: str) -> str:
    return numbers.clock(datetime.fromisoformat(text))
