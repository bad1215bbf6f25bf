"""Signals: published once however often they come, revised and ended for everyone at the moment of the commit."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from models.approval import Approval, ApprovalStatus
from models.audit import AuditEvent
from models.message import OutboxItem, OutboxKind
from models.signal import FanOut, Signal, SignalStatus, Terms
from services import approvals, signals
from services.desk import Desk
from services.errors import ContradictoryLevels, ExternalIdReused, NotFound, SignalEnded
from services.signals import SignalView
from tests.services import stage


async def revise(desk: Desk, view: SignalView, now: datetime, **changes: object) -> SignalView:
    async with desk.database.writing() as session:
        return await signals.revise(session, view.provider_id, view.id, dict(changes), now)


async def end(desk: Desk, view: SignalView, status: SignalStatus, now: datetime) -> SignalView:
    async with desk.database.writing() as session:
        return await signals.end(session, view.provider_id, view.id, status, now)


async def counts(desk: Desk, view: SignalView, now: datetime) -> dict[str, int]:
    async with desk.database.reading() as session:
        found = await signals.counts(session, view.id, now)
    assert set(found) == {"pending", "approved", "rejected", "expired", "withdrawn"}
    return {status: number for status, number in found.items() if number}


async def test_thirty_parallel_publications_are_one_signal(desk: Desk, now: datetime) -> None:
    provider_id = await stage.found(desk, now)

    async def publish(second: int) -> tuple[SignalView, bool]:
        async with desk.database.writing() as session:
            return await signals.publish(session, provider_id, "once", stage.levels(), 900,
                                         now + timedelta(seconds=second))

    results = await asyncio.gather(*(publish(n) for n in range(30)))
    assert sum(is_new for _, is_new in results) == 1
    assert len({(view.id, view.terms_hash, view.expires_at) for view, _ in results}) == 1
    for table in (Signal, Terms, FanOut):
        assert await stage.count(desk.database, table) == 1
    assert await stage.count(desk.database, AuditEvent, AuditEvent.action == "signal_published") == 1


async def test_an_external_id_with_another_body_is_refused(desk: Desk, now: datetime) -> None:
    provider_id, other_id = await stage.found(desk, now), await stage.found(desk, now, "Another")
    first = await stage.publish(desk, provider_id, now, external_id="a")
    for changes in ({"note": "new"}, {"expires_in_seconds": 901}, {"take_profits": ()}):
        with pytest.raises(ExternalIdReused):
            await stage.publish(desk, provider_id, now, external_id="a", **changes)
    again = await stage.publish(desk, provider_id, now, external_id="a", stop_loss=Decimal("1.065080"))
    assert again.id == first.id
    theirs = await stage.publish(desk, other_id, now, external_id="a", note="ids are each provider's own")
    assert theirs.id != first.id


async def test_contradictory_levels_leave_nothing_behind(desk: Desk, now: datetime) -> None:
    provider_id = await stage.found(desk, now)
    with pytest.raises(ContradictoryLevels):
        await stage.publish(desk, provider_id, now, stop_loss=Decimal("1.09"))
    assert await stage.count(desk.database, Signal) == 0
    view = await stage.publish(desk, provider_id, now)
    with pytest.raises(ContradictoryLevels):
        await revise(desk, view, now, stop_loss=Decimal("1.09"))
    async with desk.database.reading() as session:
        assert await signals.view(session, view.id, now) == view


async def test_a_revision_replaces_undecided_cards_only(desk: Desk, now: datetime) -> None:
    provider_id = await stage.found(desk, now)
    decided, undecided = [await stage.join(desk, now) for _ in range(2)]
    view = await stage.ask(desk, provider_id, now)
    first, second = [await stage.approval_of(desk.database, user, view.id) for user in (decided, undecided)]
    async with desk.database.writing() as session:
        await approvals.approve(session, desk.approval_rules, decided, first, view.terms_hash, "app", now)
    revised = await revise(desk, view, now, stop_loss=Decimal("1.06"), note="wider", expires_in_seconds=1800)
    assert revised.version == 2 and revised.terms_hash != view.terms_hash
    assert (revised.levels.stop_loss, revised.levels.note) == (Decimal("1.06"), "wider")
    assert revised.levels.take_profits == view.levels.take_profits
    async with desk.database.reading() as session:  # before any fan-out: the signal's row is the truth
        assert (await approvals.view(session, undecided, second, now)).terms_hash == revised.terms_hash
        assert (await approvals.view(session, decided, first, now)).terms_hash == view.terms_hash
    await stage.spread(desk, now)
    async with desk.database.reading() as session:
        shown = await approvals.view(session, undecided, second, now)
        kept = await approvals.view(session, decided, first, now)
        cards = list(await session.scalars(select(OutboxItem.dedupe_key).where(OutboxItem.kind == OutboxKind.CARD)))
    assert (shown.version, shown.expires_at) == (2, now + timedelta(seconds=1800))
    assert (kept.terms_hash, kept.version, kept.expires_at) == (view.terms_hash, 1, now + timedelta(seconds=900))
    assert sorted(cards) == sorted([f"card:{first}:1", f"card:{second}:1", f"card:{second}:2"])


async def test_absent_stays_and_null_clears(desk: Desk, now: datetime) -> None:
    view = await stage.publish(desk, await stage.found(desk, now), now, note="first")
    cleared = await revise(desk, view, now, stop_loss=None, note=None)
    assert (cleared.levels.stop_loss, cleared.levels.note) == (None, None)
    assert cleared.levels.take_profits == view.levels.take_profits


async def test_a_revision_that_changes_nothing_is_none(desk: Desk, now: datetime) -> None:
    view = await stage.publish(desk, await stage.found(desk, now), now)
    assert await revise(desk, view, now, stop_loss=Decimal("1.0650800")) == view
    assert await stage.count(desk.database, Terms) == 1


async def test_parallel_revisions_are_as_many_versions(desk: Desk, now: datetime) -> None:
    view = await stage.publish(desk, await stage.found(desk, now), now)
    views = await asyncio.gather(*(revise(desk, view, now, note=f"note {n}") for n in range(12)))
    assert sorted(v.version for v in views) == list(range(2, 14))
    assert len({v.terms_hash for v in views}) == 12


@pytest.mark.parametrize("status", [SignalStatus.CANCELLED, SignalStatus.CLOSED])
async def test_ending_withdraws_the_undecided(desk: Desk, now: datetime, status: SignalStatus) -> None:
    provider_id = await stage.found(desk, now)
    approver, rejecter, undecided = [await stage.join(desk, now) for _ in range(3)]
    view = await stage.ask(desk, provider_id, now)
    ids = [await stage.approval_of(desk.database, user, view.id) for user in (approver, rejecter, undecided)]
    async with desk.database.writing() as session:
        await approvals.approve(session, desk.approval_rules, approver, ids[0], view.terms_hash, "chat", now)
        await approvals.reject(session, rejecter, ids[1], "no", "chat", now)
    assert (await end(desk, view, status, now)).status == status
    assert await counts(desk, view, now) == {"approved": 1, "rejected": 1, "withdrawn": 1}, "true before the fan-out"
    async with desk.database.reading() as session:
        assert [standing for _, _, standing in await signals.recent(session, undecided, now, 5)] == ["withdrawn"]
    await stage.spread(desk, now)
    assert await counts(desk, view, now) == {"approved": 1, "rejected": 1, "withdrawn": 1}
    assert await stage.count(desk.database, Approval, Approval.status == ApprovalStatus.WITHDRAWN) == 1
    async with desk.database.reading() as session:
        owed = set(await session.scalars(select(OutboxItem.approval_id).where(OutboxItem.kind == OutboxKind.EDIT)))
    assert owed == set(ids)


async def test_ending_again_the_same_way_is_a_success_and_the_other_way_is_not(desk: Desk, now: datetime) -> None:
    view = await stage.publish(desk, await stage.found(desk, now), now)
    results = await asyncio.gather(*(end(desk, view, SignalStatus.CANCELLED, now) for _ in range(10)))
    assert {result.status for result in results} == {"cancelled"}
    assert await stage.count(desk.database, AuditEvent, AuditEvent.action == "signal_cancelled") == 1
    with pytest.raises(SignalEnded):
        await end(desk, view, SignalStatus.CLOSED, now)
    with pytest.raises(SignalEnded):
        await revise(desk, view, now, note="too late")


async def test_a_signal_is_its_providers_alone(desk: Desk, now: datetime) -> None:
    view = await stage.publish(desk, await stage.found(desk, now), now)
    stranger = await stage.found(desk, now, "Another")
    for attempt in (signals.revise, signals.end):
        with pytest.raises(NotFound):
            async with desk.database.writing() as session:
                await attempt(session, stranger, view.id, SignalStatus.CANCELLED if attempt is signals.end else {}, now)
    async with desk.database.reading() as session:
        for signal_id, provider_id in ((view.id, stranger), (view.id + 1, view.provider_id)):
            with pytest.raises(NotFound):
                await signals.view(session, signal_id, now, provider_id)
        assert (await signals.view(session, view.id, now)).status == "open"


async def test_time_alone_ends_a_signal(desk: Desk, now: datetime) -> None:
    provider_id, user_id = await stage.found(desk, now), await stage.join(desk, now)
    view = await stage.ask(desk, provider_id, now, expires_in_seconds=60)
    just_before, over = now + timedelta(seconds=59), now + timedelta(seconds=60)
    async with desk.database.reading() as session:
        assert (await signals.view(session, view.id, just_before)).status == "open"
        assert (await signals.view(session, view.id, over)).status == "expired"
        assert [status for _, _, status in await signals.recent(session, user_id, just_before, 5)] == ["pending"]
        assert [status for _, _, status in await signals.recent(session, user_id, over, 5)] == ["expired"]
    assert await counts(desk, view, just_before) == {"pending": 1}
    assert await counts(desk, view, over) == {"expired": 1}
    with pytest.raises(SignalEnded):
        await revise(desk, view, over, note="too late")
