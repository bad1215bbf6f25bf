"""Accounts and positions in the chat: their texts and their buttons."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from html import escape

from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from bot import keyboards, numbers, texts
from bot.callbacks import AskClose, Close, Look, MakePrimary, ShowPositions
from bot.keyboards import Links
from models.account import Account, AccountStatus, Route
from models.position import ActKind, ActStatus, PositionAct
from services.positions import Portfolio
from terminal.protocol import Position

MOST_ROWS = 20
MOST_SWITCHES = 8
LABEL = 24
GAP = "\n\n"
LONGEST = 3400  # a message has 4096 characters, and must not be cut within a tag


def written(account: Account, found: Portfolio | None, now: datetime) -> str:
    """What is open on an account; None when its terminal has never answered."""
    name = escape(account.label)
    if found is None:
        return texts.ACCOUNT_SILENT.format(account=name, clock=numbers.clock_to_second(now))
    lines = [f"<b>{name}</b> · {numbers.money(found.snapshot.equity, found.snapshot.currency)}", *_changes(found)]
    rows = [_line(p, found.digits.get(p.symbol)) for p in found.positions] or [texts.NO_POSITIONS]
    lines.append(fitting(rows, MOST_ROWS, "\n"))
    told = texts.POSITIONS_STALE if found.stale else texts.POSITIONS_AS_OF
    lines.append(told.format(clock=numbers.clock_to_second(found.snapshot.taken_at)))
    return "\n".join(lines)


def _changes(found: Portfolio) -> list[str]:
    """How equity has moved, and what is open of it; an empty line is left out."""
    currency = found.snapshot.currency
    known = [(found.day_change, "today"), (found.week_change, "in a week"),
             (found.total_profit if found.positions else None, "open")]
    parts = [f"{_arrow(amount)}{numbers.signed_money(amount, currency)} {span}"
             for amount, span in known if amount is not None]
    return [" · ".join(parts)] if parts else []


def _arrow(amount: Decimal) -> str:
    return "▲ " if amount > 0 else "▼ " if amount < 0 else ""


def _line(p: Position, digits: int | None) -> str:
    arrow = "▲" if p.side == "buy" else "▼"
    way = f"{numbers.price(p.entry_price, digits)} → {numbers.price(p.current_price, digits)}"
    swap = f" · swap {numbers.signed(p.swap, 2)}" if p.swap else ""
    return (f"{arrow} <b>{escape(p.symbol)}</b> {numbers.lots(p.volume)} · {way} · "
            f"<b>{numbers.signed(p.profit, 2)}</b>{swap}")


def keyboard(links: Links, telegram_id: int, account: Account, linked: Sequence[Account],
             found: Portfolio | None) -> InlineKeyboardMarkup:
    """Refresh, the way to close something, the other accounts, the app."""
    acts = [_show(telegram_id, account, Look.REFRESH, texts.REFRESH)]
    if found is not None and found.positions and account.route != Route.DEVICE:
        acts.append(_show(telegram_id, account, Look.TO_CLOSE, texts.CLOSE_SOME))
    return keyboards.rowed([acts, *_switches(telegram_id, account, linked, Look.SWITCH),
                            links.open_app("/app/positions")])


def _show(telegram_id: int, account: Account, look: Look, text: str) -> InlineKeyboardButton:
    data = ShowPositions(telegram_id=telegram_id, account_id=account.id, look=look)
    return InlineKeyboardButton(text=text, callback_data=data.pack())


def _switches(telegram_id: int, account: Account, linked: Sequence[Account],
              look: Look) -> list[list[InlineKeyboardButton]]:
    """The other accounts, two in a row."""
    others = [_show(telegram_id, other, look, short(other)) for other in linked if other.id != account.id]
    shown = others[:MOST_SWITCHES]
    return [shown[start:start + 2] for start in range(0, len(shown), 2)]


def short(account: Account) -> str:
    """An account's name on a button."""
    star = "★ " if account.is_primary else ""
    return star + (account.label if len(account.label) <= LABEL else f"{account.label[:LABEL - 1]}…")


def to_close(account: Account, found: Portfolio) -> str:
    """The question which position to close."""
    if not found.positions:
        return texts.NOTHING_TO_CLOSE.format(account=escape(account.label))
    if account.route == Route.DEVICE:
        return texts.CLOSE_IN_TERMINAL.format(account=escape(account.label))
    more = texts.MORE_IN_APP.format(count=len(found.positions) - MOST_ROWS) if len(found.positions) > MOST_ROWS else ""
    return texts.CLOSE_WHICH.format(account=escape(account.label)) + more


def to_close_keyboard(links: Links, telegram_id: int, account: Account, linked: Sequence[Account],
                      found: Portfolio) -> InlineKeyboardMarkup:
    """A button for each open position that can be closed from here, and the other accounts."""
    rows = []
    for p in found.positions[:MOST_ROWS] if account.route != Route.DEVICE else ():
        arrow = "▲" if p.side == "buy" else "▼"
        text = f"{p.symbol} {arrow} {numbers.lots(p.volume)} · {numbers.signed(p.profit + p.swap, 2)}"
        data = AskClose(telegram_id=telegram_id, account_id=account.id, ticket=p.ticket)
        rows.append([InlineKeyboardButton(text=text, callback_data=data.pack())])
    return keyboards.rowed([*rows, *_switches(telegram_id, account, linked, Look.TO_CLOSE),
                            [_show(telegram_id, account, Look.SWITCH, texts.BACK_TO_POSITIONS)],
                            links.open_app("/app/positions")])


def question(account: Account, found: Portfolio, p: Position) -> str:
    """Whether to close this position, with its figures as they stand."""
    return texts.CLOSE_ASK.format(
        line=_line(p, found.digits.get(p.symbol)), account=escape(account.label), lots=numbers.lots(p.volume),
        result=numbers.signed_money(p.profit + p.swap, found.snapshot.currency),
        clock=numbers.clock_to_second(found.snapshot.taken_at))


def question_keyboard(telegram_id: int, account: Account, p: Position) -> InlineKeyboardMarkup:
    """Close, for the very volume that was shown, or keep."""
    data = Close(telegram_id=telegram_id, account_id=account.id, ticket=p.ticket, volume=plain(p.volume))
    yes = InlineKeyboardButton(text=texts.CLOSE_YES.format(lots=numbers.lots(p.volume)), callback_data=data.pack(),
                               style="danger")
    return keyboards.rowed([[yes], [_show(telegram_id, account, Look.TO_CLOSE, texts.CLOSE_NO)]])


def back_keyboard(telegram_id: int, account: Account) -> InlineKeyboardMarkup:
    """The way back to what is open."""
    return keyboards.rowed([[_show(telegram_id, account, Look.SWITCH, texts.BACK_TO_POSITIONS)]])


def plain(volume: Decimal) -> str:
    """A volume as buttons carry it."""
    return format(volume.normalize(), "f")


def outcome(act: PositionAct, account: str, digits: int | None = None) -> str:
    """What has become of an act, or that nobody knows yet."""
    return told_act({"kind": act.kind, "status": act.status, "symbol": act.symbol, "account": account,
                     "volume": None if act.volume is None else str(act.volume),
                     "price": None if act.price is None else str(act.price), "reason": act.reason,
                     "error": act.error}, digits)


def told_act(of: dict[str, str | None], digits: int | None = None) -> str:
    """The same, from what the outbox was given."""
    head = f"<b>{escape(of['symbol'] or '')}</b> · {escape(of['account'] or '')}"
    is_close = of["kind"] == ActKind.CLOSE
    if of["status"] == ActStatus.REFUSED and of.get("target"):
        why = texts.reason(of["reason"], of["error"])
        return f"⚠️ {head}\n" + texts.TARGET_REFUSED.format(target=of["target"], targets=of["targets"], why=why)
    if of["status"] == ActStatus.REFUSED:
        return f"⚠️ {head}\n" + texts.ACT_REFUSED[is_close].format(why=texts.reason(of["reason"], of["error"]))
    if of["status"] != ActStatus.DONE:
        return f"⏳ {head}\n{texts.ACT_OPEN}"
    if not is_close:
        return f"✅ {head}\n{texts.ACT_MOVED}"
    lots = numbers.lots(Decimal(of["volume"] or 0))
    at = f" @ {numbers.price(Decimal(of['price']), digits)}" if of["price"] else ""
    return f"✅ {head}\n" + texts.ACT_CLOSED.format(lots=lots, at=at)


def accounts(linked: Sequence[Account], figures: Sequence[Portfolio | None]) -> str:
    """The list of accounts, as far as one message goes."""
    rows = [_account(row, found) for row, found in zip(linked, figures, strict=True)]
    return f"{texts.ACCOUNTS_HEAD}\n\n{fitting(rows, len(rows), GAP)}"


def fitting(rows: Sequence[str], most: int, gap: str) -> str:
    """As many rows as one message takes, and how many are left out."""
    kept = list(rows[:most])
    while len(gap.join(kept)) > LONGEST:
        kept.pop()
    return gap.join(kept) + (texts.MORE_IN_APP.format(count=len(rows) - len(kept)) if len(kept) < len(rows) else "")


def _account(account: Account, found: Portfolio | None) -> str:
    star = "★ " if account.is_primary else ""
    figure = numbers.money(found.snapshot.equity, found.snapshot.currency) if found else texts.NO_ANSWER
    age = " ⚠️" if found is not None and found.stale else ""
    head = f"{star}<b>{escape(account.label)}</b> · {escape(account.broker)} ·{escape(account.login[-4:])}"
    return f"{head}\n{_standing(account)} · {figure}{age}"


def _standing(account: Account) -> str:
    if account.status != AccountStatus.VERIFIED:
        return texts.ACCOUNT_TROUBLED.format(why=texts.reason(account.trouble)) if account.trouble \
            else texts.ACCOUNT_PENDING
    return texts.ACCOUNT_VERIFIED if account.can_trade else texts.ACCOUNT_WATCHED


def accounts_keyboard(links: Links, telegram_id: int, linked: Sequence[Account]) -> InlineKeyboardMarkup:
    """A button to make another account the primary, for each that can be it."""
    able = [row for row in linked if not row.is_primary and row.status == AccountStatus.VERIFIED]
    rows = [[InlineKeyboardButton(
        text=texts.MAKE_PRIMARY.format(account=short(row)),
        callback_data=MakePrimary(telegram_id=telegram_id, account_id=row.id).pack())] for row in able[:MOST_SWITCHES]]
    return keyboards.rowed([*rows, links.open_app("/app/accounts")])
