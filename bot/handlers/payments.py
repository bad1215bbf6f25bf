"""Payments in Stars: the question before, the payment, the refund; /paysupport, and plans bought from the chat."""

import secrets
from collections.abc import Mapping
from html import escape

import structlog
from aiogram import Bot, F, Router
from aiogram.exceptions import TelegramAPIError
from aiogram.filters import Command
from aiogram.types import BotSubscriptionUpdated, CallbackQuery, Message, PreCheckoutQuery, Update

from bot import keyboards, texts
from bot.answers import answer
from bot.callbacks import BuyPlan
from bot.clock import now
from bot.replies import Replies
from services import billing, operations, stars
from services.billing import Cashier
from services.desk import Desk
from services.errors import BillingUnavailable
from services.stars import Payment, Question

log = structlog.get_logger(__name__)

# Telegram waits ten seconds for the answer; what is later than that is not heard.
ANSWER_SECONDS = 4


def router() -> Router:
    """What Telegram tells: for everybody, because who has paid is served whoever they are."""
    made = Router(name="payments")
    made.pre_checkout_query.register(allow)
    made.message.register(paid, F.successful_payment)
    made.message.register(refunded, F.refunded_payment)
    made.subscription.register(changed)
    made.message.register(support, Command("paysupport"))
    return made


def buying() -> Router:
    """What members ask for."""
    made = Router(name="buying")
    made.callback_query.register(buy, BuyPlan.filter())
    return made


async def allow(query: PreCheckoutQuery, bot: Bot, desk: Desk, cashiers: Mapping[str, Cashier]) -> None:
    """Let them pay, or say why not. An answer that comes too late charges nobody."""
    code: str | None = "closed"
    if (cashier := cashiers.get(stars.PROVIDER)) is not None:
        asked = Question(query.from_user.id, query.invoice_payload, query.total_amount, query.currency)
        async with desk.database.reading() as session:
            code = await stars.refusal(session, cashier.rules, cashier.prices, asked, now())
    try:
        await bot.answer_pre_checkout_query(query.id, ok=code is None, request_timeout=ANSWER_SECONDS,
                                            error_message=texts.NOT_FOR_SALE[code] if code else None)
    except TelegramAPIError as error:
        log.warning("payer_not_answered", error=type(error).__name__)
    if code is not None:
        log.info("payment_refused", code=code)


async def paid(message: Message, desk: Desk, cashiers: Mapping[str, Cashier], event_update: Update) -> None:
    """The only thing that opens a plan. Raised errors leave the update in the inbox, to be handled again."""
    told = message.successful_payment
    assert told is not None
    if told.currency != "XTR":
        log.error("payment_in_other_currency", currency=told.currency)
        return
    payment = Payment(
        told.telegram_payment_charge_id, message.chat.id, told.invoice_payload, told.total_amount, message.date,
        stars.instant(told.subscription_expiration_date) if told.subscription_expiration_date else None,
        is_first=not told.is_recurring or bool(told.is_first_recurring), update_id=event_update.update_id)
    async with desk.database.writing() as session:
        await stars.paid(session, _cashier(cashiers).rules, payment, now())
    desk.wakes.outbox.set()


async def refunded(message: Message, desk: Desk) -> None:
    told = message.refunded_payment
    assert told is not None
    async with desk.database.writing() as session:
        await stars.refunded(session, told.telegram_payment_charge_id, told.total_amount, message.date, now())


async def changed(subscription: BotSubscriptionUpdated, desk: Desk, cashiers: Mapping[str, Cashier],
                  event_update: Update) -> None:
    """Cancelled, switched on again, or not renewed for lack of Stars."""
    async with desk.database.writing() as session:
        await stars.changed(session, _cashier(cashiers).rules, subscription.invoice_payload, subscription.state,
                            event_update.update_id, now())


async def support(_message: Message, replies: Replies, pay_support: str) -> None:
    """Telegram requires this command of whoever sells for Stars."""
    replies.say(texts.PAY_SUPPORT.format(support=escape(pay_support)))


async def buy(callback: CallbackQuery, callback_data: BuyPlan, bot: Bot, desk: Desk, replies: Replies,
              cashiers: Mapping[str, Cashier], user_id: int) -> None:
    """The link is made on the tap: each is an order of its own."""
    cashier, moment, kind = _cashier(cashiers), now(), "change_plan" if callback_data.is_change else "checkout"
    if not cashier.prices:
        raise BillingUnavailable
    arguments = billing.arguments_of(cashier, callback_data.tier)
    async with desk.database.writing() as session:
        operation = await operations.start(session, secrets.token_hex(16), user_id, kind, arguments, moment)
    made = await billing.carry_out(cashier, operation, moment)
    await answer(bot, callback, texts.INVOICE_READY if "url" in made.body else texts.PLAN_RUNS)
    if "url" in made.body:
        replies.say(texts.INVOICE_READY, keyboards.link(texts.PAY_STARS, made.body["url"]))


def _cashier(cashiers: Mapping[str, Cashier]) -> Cashier:
    found = cashiers.get(stars.PROVIDER)
    if found is None:
        raise BillingUnavailable
    return found
