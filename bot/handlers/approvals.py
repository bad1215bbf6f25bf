"""Approve and Reject on a card."""

from aiogram import Bot, Router
from aiogram.types import CallbackQuery

from bot import texts
from bot.answers import answer
from bot.callbacks import Answer, Decide
from bot.clock import now
from models.approval import ApprovalStatus, Door
from services import approvals
from services.desk import Desk


def router() -> Router:
    made = Router(name="approvals")
    made.callback_query.register(decide, Decide.filter())
    return made


async def decide(callback: CallbackQuery, callback_data: Decide, bot: Bot, desk: Desk, user_id: int) -> None:
    """Commit the decision, then answer the tap; the card's edit is owed in the same transaction."""
    approves = callback_data.answer == Answer.APPROVE
    async with desk.database.writing() as session:
        if approves:
            _, decided = await approvals.approve(session, desk.approval_rules, user_id, callback_data.approval_id,
                                                 None, Door.CHAT, now(), hash_prefix=callback_data.terms)
        else:
            _, decided = await approvals.reject(session, user_id, callback_data.approval_id, None, Door.CHAT, now())
    desk.wakes.orders.set()
    desk.wakes.outbox.set()
    if decided:
        status = ApprovalStatus.APPROVED if approves else ApprovalStatus.REJECTED
        desk.metrics.decisions.labels(status, Door.CHAT).inc()
    first, again = (texts.APPROVED, texts.APPROVED_BEFORE) if approves else (texts.REJECTED, texts.REJECTED_BEFORE)
    await answer(bot, callback, first if decided else again)
