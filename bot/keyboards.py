"""Inline keyboards of the chat."""

from dataclasses import dataclass

from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, WebAppInfo

from bot import texts
from bot.callbacks import HASH_DIGITS, Answer, Decide, Refund, SetNotice


@dataclass(frozen=True, slots=True)
class Links:
    """Where the Mini App is; None where Telegram would refuse the address, which must be https.

    ``desk_url`` is where terminals reach the desk, when that is not said by the Mini App's address.
    """

    app_url: str | None
    desk_url: str = ""

    @property
    def desk(self) -> str:
        """The address that a terminal has to allow."""
        return self.desk_url or self.app_url or ""

    def open_app(self, path: str = "/app", text: str = texts.OPEN_APP) -> list[InlineKeyboardButton]:
        """The row with the button that opens the Mini App, empty without one."""
        if self.app_url is None:
            return []
        return [InlineKeyboardButton(text=text, web_app=WebAppInfo(url=f"{self.app_url}{path}"))]


def decide(links: Links, approval_id: int, terms_hash: str) -> InlineKeyboardMarkup:
    """Approve and Reject in one row, Open app below."""
    prefix = terms_hash[:HASH_DIGITS]

    def button(text: str, answer: Answer, style: str) -> InlineKeyboardButton:
        data = Decide(answer=answer, approval_id=approval_id, terms=prefix).pack()
        return InlineKeyboardButton(text=text, callback_data=data, style=style)

    rows = [[button(texts.APPROVE, Answer.APPROVE, "success"), button(texts.REJECT, Answer.REJECT, "danger")]]
    return rowed([*rows, links.open_app(f"/app/approvals?approval={approval_id}")])


def refund(asked: Refund) -> InlineKeyboardMarkup:
    """Confirm and Cancel; ``asked`` is what Confirm carries."""
    cancelled = asked.model_copy(update={"answer": Answer.REJECT})
    return rowed([[
        InlineKeyboardButton(text=texts.CONFIRM, callback_data=asked.pack(), style="danger"),
        InlineKeyboardButton(text=texts.CANCEL, callback_data=cancelled.pack())]])


def app(links: Links, path: str = "/app") -> InlineKeyboardMarkup | None:
    """Only Open app; None when there is nothing to open."""
    row = links.open_app(path)
    return rowed([row]) if row else None


def plans(links: Links, tier: str) -> InlineKeyboardMarkup | None:
    """The way to a plan; None when there is nothing to open."""
    row = links.open_app(f"/app/billing?tier={tier}", texts.SEE_PLANS)
    return rowed([row]) if row else None


def settings(links: Links, notice: str) -> InlineKeyboardMarkup:
    """The other choice of sound, and the app."""
    other = "silent" if notice == "on" else "on"
    switch = InlineKeyboardButton(text=texts.NOTICE_BUTTON[other], callback_data=SetNotice(notice=other).pack())
    return rowed([[switch], links.open_app("/app/settings")])


def link(text: str, url: str) -> InlineKeyboardMarkup:
    """One button that opens an address outside."""
    return rowed([[InlineKeyboardButton(text=text, url=url)]])


def rowed(rows: list[list[InlineKeyboardButton]]) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=[row for row in rows if row])
