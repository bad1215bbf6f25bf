"""A decision against a change of the signal at the same moment: whichever commits first counts."""

import asyncio
from datetime import datetime
from decimal import Decimal

import pytest
from sqlalchemy import select

from models.approval import Approval, Door
from models.signal import SignalStatus
from services import approvals, providers, signals
from services.desk import Desk
from services.errors import ApprovalWithdrawn, TermsChanged
from services.signals import SignalView
from tests.services import stage


async def change(desk: Desk, view: SignalView, how: str, now: datetime) -> None:
    async with desk.database.writing() as session:
        if how == "revise":
            await signals.revise(session, view.provider_id, view.id, {"stop_loss": Decimal("1.06000")}, now)
        else:
            await signals.end(session, view.provider_id, view.id, SignalStatus.CANCELLED, now)


@pytest.mark.parametrize("how", ["revise", "cancel"])
@pytest.mark.parametrize("answer", ["approve", "reject"])
async def test_an_answer_that_waits_for_its_row_does_not_count_after_the_change(desk: Desk, now: datetime, how: str,
                                                                               answer: str) -> None:
    """On PostgreSQL a statement that waits for its row still sees other rows as they were when it began."""
    user_id, provider_id = await stage.join(desk, now), await stage.found(desk, now)
    async with desk.database.writing() as session:
        await providers.follow(session, user_id, provider_id, now)
    view = await stage.ask(desk, provider_id, now)
    approval_id = await stage.approval_of(desk.database, user_id, view.id)

    async def decide() -> None:
        async with desk.database.writing() as session:
            if answer == "approve":
                await approvals.approve(session, desk.approval_rules, user_id, approval_id, view.terms_hash, Door.APP,
                                        now)
            else:
                await approvals.reject(session, user_id, approval_id, None, Door.APP, now)

    async with desk.database.writing() as holder:
        await holder.execute(select(Approval.id).where(Approval.id == approval_id).with_for_update())
        deciding = asyncio.create_task(decide())
        await asyncio.sleep(0.2)
        changing = asyncio.create_task(change(desk, view, how, now))
        await asyncio.sleep(0.2)
        changed_first = changing.done()
    [outcome] = await asyncio.gather(deciding, return_exceptions=True)
    await changing
    if changed_first and (answer, how) != ("reject", "revise"):
        assert isinstance(outcome, TermsChanged | ApprovalWithdrawn), outcome
    else:
        assert outcome is None
