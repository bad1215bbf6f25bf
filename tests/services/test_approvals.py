"""Approvals: one question, one answer, at most one order, whoever asks how often through whatever door."""

import asyncio
import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from models.account import Account
from models.approval import Approval, ApprovalStatus, Door
from models.audit import AuditEvent
from models.message import OutboxItem, OutboxKind
from models.order import Order
from models.signal import SignalStatus
from services import approvals, signals
from services.approvals import ApprovalView
from services.desk import Desk
from services.errors import (
    AlreadyDecided,
    ApprovalExpired,
    ApprovalWithdrawn,
    DomainError,
    NoAccount,
    NotFound,
    TermsChanged,
    TierTooLow,
)
from services.signals import SignalView
from tests.services import stage


class Question:
    """One user who has been asked about one signal."""

    def __init__(self, desk: Desk, now: datetime, user_id: int, signal: SignalView, approval_id: int) -> None:
        self.desk, self.now = desk, now
        self.user_id, self.signal, self.approval_id = user_id, signal, approval_id

    async def approve(self, *, after: float = 0, door: Door = Door.CHAT, **given: Any) -> tuple[ApprovalView, bool]:
        given = {"user_id": self.user_id, "terms_hash": self.signal.terms_hash, **given}
        async with self.desk.database.writing() as session:
            return await approvals.approve(
                session, self.desk.approval_rules, given.pop("user_id"), self.approval_id, given.pop("terms_hash"),
                door, self.now + timedelta(seconds=after), **given)

    async def reject(self, *, after: float = 0, door: Door = Door.APP, reason: str | None = None,
                     user_id: int | None = None) -> tuple[ApprovalView, bool]:
        async with self.desk.database.writing() as session:
            return await approvals.reject(session, user_id or self.user_id, self.approval_id, reason, door,
                                          self.now + timedelta(seconds=after))

    async def view(self, after: float = 0, user_id: int | None = None) -> ApprovalView:
        async with self.desk.database.reading() as session:
            return await approvals.view(session, user_id or self.user_id, self.approval_id,
                                        self.now + timedelta(seconds=after))

    async def end(self, status: SignalStatus = SignalStatus.CANCELLED) -> None:
        async with self.desk.database.writing() as session:
            await signals.end(session, self.signal.provider_id, self.signal.id, status, self.now)

    async def untouched(self) -> bool:
        """Whether nothing at all has come of it."""
        orders = await stage.count(self.desk.database, Order)
        events = await stage.count(self.desk.database, AuditEvent, AuditEvent.action.in_(["approved", "rejected"]))
        decided = await stage.count(self.desk.database, Approval, Approval.decided_at.is_not(None))
        edits = await stage.count(self.desk.database, OutboxItem, OutboxItem.kind == OutboxKind.EDIT)
        return (orders, events, decided, edits) == (0, 0, 0, 0)


async def put(desk: Desk, now: datetime, tier: str = "premium", **changes: Any) -> Question:
    provider_id, user_id = await stage.found(desk, now), await stage.join(desk, now, tier)
    signal = await stage.ask(desk, provider_id, now, **changes)
    return Question(desk, now, user_id, signal, await stage.approval_of(desk.database, user_id, signal.id))


@pytest.fixture
async def question(desk: Desk, now: datetime) -> Question:
    return await put(desk, now)


async def test_fifty_parallel_answers_are_one_decision(question: Question) -> None:
    kinds = ["approve"] * 25 + ["reject"] * 25
    random.shuffle(kinds)
    results = await asyncio.gather(*(getattr(question, kind)() for kind in kinds), return_exceptions=True)
    winners = [kind for kind, result in zip(kinds, results, strict=True)
               if isinstance(result, tuple) and result[1]]
    assert len(winners) == 1
    outcome = Counter(type(result).__name__ if isinstance(result, Exception) else "answered" for result in results)
    assert outcome == {"answered": 25, "AlreadyDecided": 25}
    for kind, result in zip(kinds, results, strict=True):
        assert isinstance(result, AlreadyDecided) is (kind != winners[0])
    database = question.desk.database
    assert await stage.count(database, Order) == (1 if winners == ["approve"] else 0)
    assert await stage.count(database, AuditEvent, AuditEvent.action.in_(["approved", "rejected"])) == 1
    assert await stage.count(database, OutboxItem, OutboxItem.kind == OutboxKind.EDIT) == 1


async def test_an_approval_writes_everything_in_one_transaction(question: Question) -> None:
    found, decided = await question.approve()
    now, rules = question.now, question.desk.approval_rules
    assert decided and (found.status, found.decided_via, found.decided_at) == ("approved", "chat", now)
    order = found.order
    assert order is not None and found.account is not None
    assert (order.status, order.approval_id, order.user_id) == ("queued", question.approval_id, question.user_id)
    assert order.account_id == found.account.id and order.expires_at == now + rules.execute_within
    assert (order.volume, order.magic) == (None, None), "sized when it is executed"
    async with question.desk.database.reading() as session:
        event = (await session.scalars(select(AuditEvent).where(AuditEvent.action == "approved"))).one()
        edit = (await session.scalars(select(OutboxItem).where(OutboxItem.kind == OutboxKind.EDIT))).one()
    assert (event.subject_id, event.user_id, event.door) == (question.approval_id, question.user_id, "chat")
    assert event.detail == {"terms_hash": question.signal.terms_hash, "account_id": order.account_id}
    assert (edit.approval_id, edit.next_try_at) == (question.approval_id, now + rules.card_settle)


async def test_a_rejection_keeps_its_reason_and_makes_no_order(question: Question) -> None:
    found, decided = await question.reject(reason="too late for me")
    assert decided and (found.status, found.decided_via, found.reason) == ("rejected", "app", "too late for me")
    assert found.order is None and await stage.count(question.desk.database, Order) == 0
    assert await stage.count(question.desk.database, AuditEvent, AuditEvent.action == "rejected") == 1


@pytest.mark.parametrize("answer", ["approve", "reject"])
async def test_the_same_answer_again_is_a_success_even_when_time_is_over(question: Question, answer: str) -> None:
    first, _ = await getattr(question, answer)()
    again, decided = await getattr(question, answer)(after=5000, door=Door.MANDATE)
    assert not decided
    assert (again.status, again.decided_at, again.decided_via) == (first.status, first.decided_at, first.decided_via)
    assert (again.order.id if again.order else None) == (first.order.id if first.order else None)
    assert await stage.count(question.desk.database, AuditEvent, AuditEvent.subject == "approval") == 1


async def test_the_contrary_answer_is_refused(desk: Desk, now: datetime) -> None:
    approved = await put(desk, now)
    await approved.approve()
    with pytest.raises(AlreadyDecided):
        await approved.reject()
    assert (await approved.view()).status == "approved" and await stage.count(desk.database, Order) == 1


async def test_other_terms_are_not_countersigned(question: Question) -> None:
    others = [{"terms_hash": given} for given in ("0" * 64, "", None, question.signal.terms_hash.upper())]
    prefixes = ["0" * 16, "", "%", "_" * 16, "%" * 16, question.signal.terms_hash[:11],
                question.signal.terms_hash[:12] + "%"]
    for given in [*others, *({"hash_prefix": prefix} for prefix in prefixes)]:
        with pytest.raises(TermsChanged):
            await question.approve(**given)
    assert await question.untouched()


async def test_a_prefix_of_the_hash_names_the_terms(question: Question) -> None:
    _, decided = await question.approve(terms_hash=None, hash_prefix=question.signal.terms_hash[:16])
    assert decided


async def test_terms_revised_meanwhile_are_not_countersigned(question: Question) -> None:
    async with question.desk.database.writing() as session:
        revised = await signals.revise(session, question.signal.provider_id, question.signal.id, {"note": "new"},
                                       question.now)
    with pytest.raises(TermsChanged):
        await question.approve()
    assert await question.untouched()
    found, decided = await question.approve(terms_hash=revised.terms_hash)
    assert decided and found.terms_hash == revised.terms_hash and found.version == 2


@pytest.mark.parametrize("answer", ["approve", "reject"])
async def test_time_is_over_to_the_microsecond(question: Question, answer: str) -> None:
    for after in (900, 901, 10**6):
        with pytest.raises(ApprovalExpired):
            await getattr(question, answer)(after=after)
    assert await question.untouched() and (await question.view(900)).status == "expired"
    _, decided = await getattr(question, answer)(after=899.999999)
    assert decided


@pytest.mark.parametrize(("answer", "status"), [("approve", SignalStatus.CANCELLED), ("reject", SignalStatus.CLOSED)])
async def test_a_withdrawn_signal_is_not_answered(question: Question, answer: str, status: SignalStatus) -> None:
    await question.end(status)
    with pytest.raises(ApprovalWithdrawn):
        await getattr(question, answer)()
    assert await question.untouched()
    await stage.spread(question.desk, question.now)
    with pytest.raises(ApprovalWithdrawn):
        await getattr(question, answer)()
    assert await stage.count(question.desk.database, Order) == 0


async def test_anothers_question_is_like_none(question: Question) -> None:
    stranger = await stage.join(question.desk, question.now)
    for act in (question.approve, question.reject, question.view):
        with pytest.raises(NotFound) as caught:
            await act(user_id=stranger)
        assert str(caught.value) == str(NotFound())
    assert await question.untouched()
    missing = Question(question.desk, question.now, question.user_id, question.signal, question.approval_id + 999)
    for act in (missing.approve, missing.reject, missing.view):
        with pytest.raises(NotFound):
            await act()


async def _relink(question: Question, **values: Any) -> None:
    async with question.desk.database.writing() as session:
        await session.execute(update(Account).where(Account.user_id == question.user_id).values(**values))


async def test_a_live_account_needs_a_live_tier(desk: Desk, now: datetime) -> None:
    question = await put(desk, now, tier="free")
    await _relink(question, route="terminal")
    with pytest.raises(TierTooLow) as caught:
        await question.approve(after=900)
    assert caught.value.needed == "premium" and await question.untouched()


async def test_a_paid_tier_covers_a_live_account(question: Question) -> None:
    await _relink(question, route="terminal")
    _, decided = await question.approve()
    assert decided


@pytest.mark.parametrize("values", [{"status": "broken"}, {"is_primary": False}, {"status": "pending"}], ids=str)
async def test_without_an_account_nothing_is_decided(question: Question, values: dict[str, Any]) -> None:
    await _relink(question, **values)
    with pytest.raises(NoAccount):
        await question.approve()
    assert await question.untouched() and (await question.view()).status == "pending"
    _, decided = await question.reject()
    assert decided


async def test_every_refusal_is_a_domain_error_with_a_code_of_its_own() -> None:
    types: list[type[DomainError]] = [AlreadyDecided, ApprovalExpired, ApprovalWithdrawn, NoAccount, NotFound,
                                      TermsChanged, TierTooLow]
    assert len({error.code for error in types}) == len(types)


async def test_a_late_card_is_not_there_before_its_time(desk: Desk, now: datetime) -> None:
    question = await put(desk, now, tier="free")
    for act in (question.approve, question.reject, question.view):
        with pytest.raises(NotFound):
            await act()
    async with desk.database.reading() as session:
        assert await approvals.pending(session, question.user_id, now) == []
        late = now + timedelta(seconds=900)
        assert [view.id for view in await approvals.pending(session, question.user_id, late)] == [question.approval_id]
    shown = await question.view(900)
    assert shown.visible_at == late and shown.expires_at == late + timedelta(seconds=900)
    _, decided = await question.approve(after=1799)
    assert decided


async def test_a_failure_after_the_decision_undoes_it(question: Question) -> None:
    with pytest.raises(RuntimeError):
        async with question.desk.database.writing() as session:
            await approvals.approve(session, question.desk.approval_rules, question.user_id, question.approval_id,
                                    question.signal.terms_hash, Door.APP, question.now)
            raise RuntimeError("the process dies here")
    assert await question.untouched()


async def test_a_sweep_writes_expiry_once_and_owes_the_edit(question: Question) -> None:
    over = question.now + timedelta(seconds=900)

    async def sweep() -> int:
        async with question.desk.database.writing() as session:
            return await approvals.expire_due(session, over, 100)

    assert sum(await asyncio.gather(*(sweep() for _ in range(5)))) == 1
    assert (await question.view(900)).status == "expired"
    assert await stage.count(question.desk.database, OutboxItem, OutboxItem.kind == OutboxKind.EDIT) == 1


async def test_history_tells_the_same_before_and_after_the_sweeps(desk: Desk, now: datetime) -> None:
    provider_id, user_id = await stage.found(desk, now), await stage.join(desk, now)
    views = [await stage.ask(desk, provider_id, now, expires_in_seconds=60 if n == 3 else 900) for n in range(5)]
    questions = [Question(desk, now, user_id, view, await stage.approval_of(desk.database, user_id, view.id))
                 for view in views]
    await questions[0].approve()
    await questions[1].reject()
    await questions[2].end()
    later = now + timedelta(seconds=61)

    async def told() -> dict[str, list[int]]:
        async with desk.database.reading() as session:
            return {status: [view.id for view in (await approvals.history(
                session, user_id, later, statuses=(status,), before_id=None, limit=10))[0]]
                for status in ApprovalStatus}

    ids = [question.approval_id for question in questions]
    expected = {"approved": [ids[0]], "rejected": [ids[1]], "withdrawn": [ids[2]], "expired": [ids[3]],
                "pending": [ids[4]]}
    assert await told() == expected
    await stage.spread(desk, later)
    async with desk.database.writing() as session:
        assert await approvals.expire_due(session, later, 100) == 1
    assert await told() == expected


async def test_history_pages_without_gaps(desk: Desk, now: datetime) -> None:
    provider_id, user_id = await stage.found(desk, now), await stage.join(desk, now)
    for _ in range(7):
        await stage.publish(desk, provider_id, now)
    await stage.spread(desk, now)
    seen: list[int] = []
    before_id: int | None = None
    async with desk.database.reading() as session:
        for _ in range(4):
            page, before_id = await approvals.history(session, user_id, now, statuses=tuple(ApprovalStatus),
                                                      before_id=before_id, limit=3)
            seen += [view.id for view in page]
            if before_id is None:
                break
    assert before_id is None and len(seen) == len(set(seen)) == 7 and seen == sorted(seen, reverse=True)
