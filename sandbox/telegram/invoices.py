"""The methods that ask for Stars: an invoice as a link, and one in the chat.

Words and ceilings that Telegram's documentation does not give are as the service was seen to answer in 2024 to 2026.
"""

from typing import Any

from sandbox.telegram import markup, views
from sandbox.telegram.api import Telegram
from sandbox.telegram.books import CURRENCY, PERIOD_SECONDS, Invoice, new_slug
from sandbox.telegram.errors import bad_request
from sandbox.telegram.messages import chat_of, reply_to_of, spend
from sandbox.telegram.params import Params

MOST_STARS = 100_000
MOST_STARS_A_PERIOD = 10_000
LONGEST = {"title": 32, "description": 255}
LONGEST_PAYLOAD = 128  # bytes


async def create_invoice_link(telegram: Telegram, params: Params) -> str:
    """The link; a subscription where ``subscription_period`` is given."""
    period = params.integer("subscription_period") if params.text("subscription_period") else None
    invoice = _invoice(params, period)
    telegram.books.save_invoice(invoice)
    return f"https://t.me/${invoice.slug}"


async def send_invoice(telegram: Telegram, params: Params) -> dict[str, Any]:
    """An invoice in the chat, for one payment; it cannot be a subscription."""
    person = chat_of(telegram, params)
    invoice = _invoice(params, None)
    invoice.start_parameter = params.text("start_parameter")
    keyboard = _keyboard(params, invoice.amount)
    reply_to = reply_to_of(telegram, params, person)
    spend(telegram, person)
    message = telegram.state.add_message(
        person.id, from_bot=True, text="", entities=[], reply_markup=keyboard, reply_to=reply_to,
        protected=params.flag("protect_content"), service={"invoice": views.invoice(invoice)}, slug=invoice.slug)
    invoice.message_id = message.message_id
    telegram.books.save_invoice(invoice)
    return views.message(telegram.state, message)


def _invoice(params: Params, period: int | None) -> Invoice:
    title, description, payload = (_required(params, name) for name in ("title", "description", "payload"))
    currency = _required(params, "currency")
    if any(len(params.text(name)) > longest for name, longest in LONGEST.items()):
        raise bad_request("STARS_INVOICE_INVALID")
    if len(payload.encode("utf-8", "replace")) > LONGEST_PAYLOAD:
        raise bad_request("INVOICE_PAYLOAD_INVALID")
    prices = _prices(params)
    if currency != CURRENCY:
        raise bad_request("PAYMENT_PROVIDER_INVALID" if period is None else "SUBSCRIPTION_CURRENCY_INVALID")
    if params.text("provider_token") or len(prices) != 1 or params.integer("max_tip_amount"):
        raise bad_request("STARS_INVOICE_INVALID")
    _check_amount(prices[0], period)
    return Invoice(new_slug(), title, description, payload, prices[0], period)


def _check_amount(amount: int, period: int | None) -> None:
    if not 1 <= amount <= MOST_STARS:
        raise bad_request("CURRENCY_TOTAL_AMOUNT_INVALID")
    if period is None:
        return
    if period != PERIOD_SECONDS:
        raise bad_request("SUBSCRIPTION_PERIOD_INVALID")
    if amount > MOST_STARS_A_PERIOD:
        raise bad_request("SUBSCRIPTION_AMOUNT_INVALID")


def _prices(params: Params) -> list[int]:
    given = params.object("prices", "prices")
    if not isinstance(given, list):
        raise bad_request("can't parse prices JSON object: expected an Array of labeled prices")
    if not given:
        raise bad_request("there must be at least one price")
    return [_price(price) for price in given]


def _price(given: Any) -> int:
    label = given.get("label") if isinstance(given, dict) else None
    amount = given.get("amount") if isinstance(given, dict) else None
    try:
        if isinstance(label, str) and label and isinstance(amount, int | str) and not isinstance(amount, bool):
            return int(amount)
    except ValueError:
        pass
    raise bad_request("can't parse labeled price: a label and a whole amount are expected")


def _keyboard(params: Params, amount: int) -> dict[str, Any]:
    """The invoice's buttons, of which the first pays."""
    keyboard = markup.parse(params.object("reply_markup", "reply keyboard markup"))
    if keyboard is None:
        return {"inline_keyboard": [[{"text": f"Pay ⭐️{amount}", "pay": True}]]}
    if not keyboard["inline_keyboard"][0][0].get("pay"):
        raise bad_request("REPLY_MARKUP_BUY_EMPTY")
    return keyboard


def _required(params: Params, name: str) -> str:
    value = params.text(name)
    if not value.strip():
        raise bad_request(f'parameter "{name}" is required')
    return value
