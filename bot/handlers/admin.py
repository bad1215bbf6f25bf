"""/grant, /refund and /payments, for admins. To everybody else these commands do not exist."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape, unescape
from typing import Any

from aiogram import Bot, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message, TelegramObject, User

from bot import keyboards, numbers, texts
from bot.answers import answer, rewrite
from bot.callbacks import Answer, Refund
from bot.clock import now
from bot.replies import Replies
from models.billing import OperationState
from models.user import RoleName
from services import billing, currencies, manual_grants, refunds, statements, tiers, users
from services.billing import Cashier
from services.desk import Desk
from services.errors import BillingUnavailable, DomainError, NotFound, OutcomeUnknown, PaymentRefused
from services.manual_grants import Gift
from services.payments import protocol
from services.payments.protocol import PaymentError
from services.receipts import COMES_IN, Receipt
from services.refunds import Asked, NamesCharges, Refundable
from services.statements import Statement
from services.tiers import title

DOOR = "chat"
# The worker gives an update 30 seconds; what Stripe has not answered by then is finished by the loop.
PATIENCE_SECONDS = 20.0
_TELEGRAM_ID, _DAYS = re.compile(r"[1-9][0-9]{0,14}"), re.compile(r"[1-9][0-9]{0,3}")
_NAME = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Admin:
    user_id: int
    telegram_id: int


async def is_admin(_event: TelegramObject, desk: Desk, event_from_user: User | None = None) -> bool | dict[str, Any]:
    """Lets pass who holds the role in the database; hands on who that is."""
    if event_from_user is None:
        return False
    async with desk.database.reading() as session:
        user = await users.by_telegram_id(session, event_from_user.id)
        roles = await users.roles_of(session, user.id) if user is not None else []
    return {"admin": Admin(user.id, user.telegram_id)} if user is not None and RoleName.ADMIN in roles else False


def router() -> Router:
    made = Router(name="admin")
    made.message.register(grant, Command("grant"), is_admin)
    made.message.register(refund, Command("refund"), is_admin)
    made.message.register(payments, Command("payments"), is_admin)
    made.callback_query.register(decide_refund, Refund.filter(), is_admin)
    return made


async def grant(message: Message, command: CommandObject, desk: Desk, replies: Replies, admin: Admin) -> None:
    """Give a user a tier for some days; the same message counts once."""
    who, tier_name, days, *rest = [*(command.args or "").split(maxsplit=3), "", "", ""]
    tier = desk.catalogue.named(tier_name.lower())
    if not _TELEGRAM_ID.fullmatch(who) or tier is None or tier.rank == 0 or not _DAYS.fullmatch(days):
        paid = ", ".join(known.name for known in desk.catalogue if known.rank)
        replies.say(texts.GRANT_USAGE.format(tiers=paid))
        return
    moment = now()
    gift = Gift(int(who), tier, int(days), DOOR, admin.user_id, rest[0] or None,
                f"chat:{message.chat.id}:{message.message_id}")
    try:
        async with desk.database.writing() as session:
            until = await manual_grants.give(session, gift, moment)
            user = await users.by_telegram_id(session, gift.telegram_id)
    except NotFound:
        replies.say(texts.STRANGER)
        return
    assert user is not None
    replies.say(texts.GRANTED.format(name=escape(user.first_name), telegram_id=user.telegram_id,
                                     tier=title(tier.name), until=numbers.day(until, moment)))


async def refund(_message: Message, command: CommandObject, desk: Desk, cashiers: Mapping[str, Cashier],
                 replies: Replies, admin: Admin) -> None:
    """Show whom, what and how much, and ask; nothing moves before Confirm."""
    charge, amount, *_ = [*(words := (command.args or "").split()), "", ""]
    if len(words) > 2 or not _NAME.fullmatch(charge):
        replies.say(texts.REFUND_USAGE)
        return
    found = await _found(desk, cashiers, charge)
    if found is None:
        replies.say(texts.NO_CHARGE)
        return
    if found.left_minor == 0:
        replies.say(texts.NOTHING_LEFT)
        return
    wanted = currencies.read(amount, found.paid.currency) if amount else found.left_minor
    if wanted is None:
        replies.say(texts.REFUND_USAGE)
        return
    refunds.check(found, _cashier(cashiers, found.provider).payments, wanted)
    asked = Refund(answer=Answer.APPROVE, entry_id=found.entry_id, amount_minor=wanted, number=found.number,
                   telegram_id=admin.telegram_id)
    replies.say(await _shown(desk, texts.REFUND_ASK, found, wanted), keyboards.refund(asked))


async def decide_refund(callback: CallbackQuery, callback_data: Refund, desk: Desk, bot: Bot,
                        cashiers: Mapping[str, Cashier], admin: Admin) -> None:
    """Confirm acts as often as it is tapped to one effect; Cancel takes the buttons away."""
    if callback_data.telegram_id != admin.telegram_id:
        await answer(bot, callback, texts.OUTDATED_BUTTON)
        return
    asked = Asked(callback_data.entry_id, callback_data.amount_minor, callback_data.number, admin.user_id, DOOR)
    if callback_data.answer == Answer.REJECT:
        async with desk.database.writing() as session:
            refunds.refuse(session, now(), asked, "cancelled")
        told = texts.REFUND_CANCELLED
    else:
        told = await _confirmed(desk, cashiers, asked)
    await answer(bot, callback, unescape(re.sub("<[^>]+>", "", told.partition("\n")[0])))
    await rewrite(bot, callback, told, InlineKeyboardMarkup(inline_keyboard=[]))


async def _confirmed(desk: Desk, cashiers: Mapping[str, Cashier], asked: Asked) -> str:
    """Write the intent, act, and say how it went. What is refused goes on record too."""
    moment = now()
    try:
        async with desk.database.reading() as session:
            found = await refunds.by_entry(session, asked.entry_id)
        cashier = _cashier(cashiers, found.provider)
        async with desk.database.writing() as session:
            operation = await refunds.ask(session, cashier.payments, asked, moment)
        if operation.state != OperationState.DONE:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await billing.carry_out(cashier, operation, moment)
    except (OutcomeUnknown, TimeoutError):
        return texts.REFUND_OPEN
    except DomainError as error:
        async with desk.database.writing() as session:
            refunds.refuse(session, moment, asked, error.code)
        if isinstance(error, PaymentRefused):
            return texts.REFUND_FAILED.format(why=escape(error.detail))
        return texts.error(error)
    return await _shown(desk, texts.REFUND_DONE, found, asked.amount_minor)


async def _found(desk: Desk, cashiers: Mapping[str, Cashier], charge: str) -> Refundable | None:
    """The payment of this name in the books; a provider may know it by another name."""
    async with desk.database.reading() as session:
        found = await refunds.named(session, charge)
    for cashier in cashiers.values():
        if found is None and isinstance(cashier.payments, NamesCharges):
            try:
                known = await cashier.payments.transaction_of(charge)
            except PaymentError:
                continue
            except protocol.OutcomeUnknown as error:
                raise OutcomeUnknown from error
            async with desk.database.reading() as session:
                found = await refunds.named(session, known) if known is not None else None
    return found


def _cashier(cashiers: Mapping[str, Cashier], provider: str) -> Cashier:
    if provider not in cashiers:
        raise BillingUnavailable
    return cashiers[provider]


async def _shown(desk: Desk, text: str, found: Refundable, amount_minor: int) -> str:
    async with desk.database.reading() as session:
        user = await users.by_id(session, found.user_id)
    currency = found.paid.currency
    return text.format(name=escape(user.first_name), telegram_id=user.telegram_id,
                       amount=currencies.written(amount_minor, currency),
                       paid=currencies.written(found.paid.amount_minor, currency),
                       left=currencies.written(found.left_minor, currency), charge=escape(found.transaction_id))


async def payments(_message: Message, command: CommandObject, desk: Desk, replies: Replies) -> None:
    """What the desk knows of a user's money."""
    who = (command.args or "").strip()
    if not _TELEGRAM_ID.fullmatch(who):
        replies.say(texts.STRANGER)
        return
    moment = now()
    try:
        async with desk.database.reading() as session:
            found = await statements.of(session, int(who), moment)
            tier = await tiers.tier_of(session, desk.catalogue, found.user.id, moment)
    except NotFound:
        replies.say(texts.STRANGER)
        return
    head = texts.PAYMENTS_HEAD.format(name=escape(found.user.first_name), telegram_id=found.user.telegram_id,
                                      tier=title(tier.name))
    replies.say("\n".join([head, *_parts(found, moment)]))


def _parts(found: Statement, moment: datetime) -> list[str]:
    rows: dict[str, list[list[str]]] = {
        "movements": [_movement(one, moment) for one in found.movements],
        "subscriptions": [[row.tier, row.status, numbers.day(row.current_period_end, moment),
                           row.provider_subscription_id] for row in found.subscriptions],
        "grants": [[one.tier, one.source, f"until {numbers.day(one.ends_at, moment)}",
                    f"revoked: {one.reason}" if one.revoked_at else ""] for one in found.grants],
        "open": [[one.kind, one.state, numbers.day(one.created_at, moment)] for one in found.open],
        "dead": [[event_id, error] for event_id, error in found.dead]}
    told = [f"\n{texts.PAYMENTS_PARTS[part]}\n<pre>{escape(_aligned(lines))}</pre>"
            for part, lines in rows.items() if lines]
    return told if found.movements else [texts.NO_MOVEMENTS, *told]


def _movement(one: Receipt, moment: datetime) -> list[str]:
    amount = one.money.amount_minor if one.kind in COMES_IN else -one.money.amount_minor
    return [numbers.day(one.paid_at, moment), one.kind, currencies.written(amount, one.money.currency),
            one.invoice_id or ""]


def _aligned(rows: list[list[str]]) -> str:
    """Columns as wide as their widest cell."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                     for row in rows)
