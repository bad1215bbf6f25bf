"""The methods about Stars that were paid: answers before a payment, refunds, subscriptions, the bot's own books."""

from typing import Any

from sandbox.telegram import paying, views
from sandbox.telegram.api import Telegram
from sandbox.telegram.errors import bad_request
from sandbox.telegram.messages import TOO_OLD
from sandbox.telegram.params import Params

MOST_TRANSACTIONS = 100


async def answer_pre_checkout_query(telegram: Telegram, params: Params) -> bool:
    """Let the payer pay or tell them why not, as long as they still wait."""
    is_ok, reason = params.flag("ok"), params.text("error_message")
    if not is_ok and not reason:
        raise bad_request('parameter "error_message" is required')
    waiting = telegram.checkouts.get(params.text("pre_checkout_query_id"))
    if waiting is None or waiting.done():
        raise bad_request(TOO_OLD)
    waiting.set_result("" if is_ok else reason)
    return True


async def refund_star_payment(telegram: Telegram, params: Params) -> bool:
    user_id, charge_id = _user_id(telegram, params), params.text("telegram_payment_charge_id")
    if not charge_id:
        raise bad_request("CHARGE_ID_EMPTY")
    payment = telegram.books.find(charge_id)
    if payment is None or payment.user_id != user_id:
        raise bad_request("CHARGE_ID_INVALID")
    paying.refund(telegram, payment)
    return True


async def edit_user_star_subscription(telegram: Telegram, params: Params) -> bool:
    """Stop a subscription's renewal, or allow its user to switch it on again: the bot cannot do that for them.

    Named by its first payment. https://core.telegram.org/method/payments.botCancelStarsSubscription
    """
    user_id = _user_id(telegram, params)
    subscription = telegram.books.subscriptions.get(params.text("telegram_payment_charge_id"))
    if subscription is None or subscription.user_id != user_id:
        raise bad_request("CHARGE_ID_INVALID")
    paying.catch_up(telegram)
    subscription.bot_canceled = params.flag("is_canceled")
    if subscription.bot_canceled:
        subscription.state = "canceled"
    telegram.books.save_subscription(subscription)
    return True


async def get_star_transactions(telegram: Telegram, params: Params) -> dict[str, Any]:
    """Oldest first."""
    paying.catch_up(telegram)
    offset = params.integer("offset")
    limit = params.integer("limit", MOST_TRANSACTIONS) or MOST_TRANSACTIONS
    if offset < 0:
        raise bad_request("negative offset specified")
    limit = min(max(limit, 1), MOST_TRANSACTIONS)
    return {"transactions": [views.transaction(telegram.state, found)
                             for found in telegram.books.transactions[offset:offset + limit]]}


async def get_my_star_balance(telegram: Telegram, params: Params) -> dict[str, int]:
    paying.catch_up(telegram)
    return {"amount": telegram.books.balance()}


def _user_id(telegram: Telegram, params: Params) -> int:
    user_id = params.integer("user_id")
    if user_id not in telegram.state.people:
        raise bad_request("USER_ID_INVALID")
    return user_id
