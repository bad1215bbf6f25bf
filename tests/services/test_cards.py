"""What a card promises: the very volume and loss that approving would mean, or why it would not be sent."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import update

from models.account import Account
from models.approval import Door
from services import approvals, cards
from services.cards import Outlook
from services.desk import Desk
from services.execution import Executor
from terminal.paper.quotes import QuoteFeed
from tests.services import stage
from tests.services.gateways import BROKEN, TroubledLine


@pytest.fixture(autouse=True)
def market(quotes: QuoteFeed) -> None:
    quotes.set_price("EURUSD", *stage.EURUSD)


async def asked(desk: Desk, now: datetime, **changes: Any) -> tuple[int, int]:
    provider_id, user_id = await stage.found(desk, now), await stage.join(desk, now)
    view = await stage.ask(desk, provider_id, now, **changes)
    return user_id, await stage.approval_of(desk.database, user_id, view.id)


async def look(desk: Desk, user_id: int, approval_id: int, now: datetime) -> Outlook:
    async with desk.database.reading() as session:
        view = await approvals.view(session, user_id, approval_id, now)
    return await cards.outlook(desk, view, now)


async def test_the_outlook_is_what_approving_then_does(desk: Desk, now: datetime) -> None:
    user_id, approval_id = await asked(desk, now)
    promised = await look(desk, user_id, approval_id, now)
    assert (promised.volume, promised.loss, promised.refusal) == (Decimal("0.20"), Decimal("-100.00"), None)
    assert (promised.digits, promised.current_price) == (5, Decimal("1.07008"))
    assert promised.account is not None and promised.account.user_id == user_id
    async with desk.database.writing() as session:
        terms_hash = (await approvals.view(session, user_id, approval_id, now)).terms_hash
        await approvals.approve(session, desk.approval_rules, user_id, approval_id, terms_hash, Door.CHAT, now)
    executor = Executor(desk.database, desk.gateways, desk.execution_rules, "w")
    for lease in await executor.take(now, 5):
        await executor.execute(lease, now)
    async with desk.database.reading() as session:
        filled = (await approvals.view(session, user_id, approval_id, now)).order
    assert filled is not None and (filled.volume, filled.fill_price) == (promised.volume, promised.current_price)
    decided = await look(desk, user_id, approval_id, now)
    assert (decided.volume, decided.loss, decided.refusal) == (None, None, None), "the order itself tells now"
    assert decided.account is not None and decided.account.id == filled.account_id


async def test_a_sell_is_seen_from_the_bid(desk: Desk, now: datetime) -> None:
    user_id, approval_id = await asked(desk, now, side="sell", stop_loss=Decimal("1.0750"), take_profits=())
    seen = await look(desk, user_id, approval_id, now)
    assert (seen.current_price, seen.volume, seen.loss) == (Decimal("1.07000"), Decimal("0.20"), Decimal("-100.00"))


async def test_without_a_stop_there_is_no_loss_to_tell(desk: Desk, now: datetime) -> None:
    user_id, approval_id = await asked(desk, now, stop_loss=None)
    seen = await look(desk, user_id, approval_id, now)
    assert (seen.volume, seen.loss, seen.refusal) == (Decimal("0.01"), None, None)


@pytest.mark.parametrize(("changes", "refusal"), [
    ({"symbol": "NOSUCH"}, "unknown_symbol"),
    ({"stop_loss": Decimal("1.0701"), "take_profits": ()}, "stop_beyond_price"),
    ({"entry_price": Decimal("1.0600"), "stop_loss": Decimal("1.0550")}, "price_moved"),
], ids=lambda value: value if isinstance(value, str) else "")
async def test_a_refusal_is_told_before_the_tap(desk: Desk, now: datetime, changes: dict[str, Any],
                                               refusal: str) -> None:
    user_id, approval_id = await asked(desk, now, **changes)
    seen = await look(desk, user_id, approval_id, now)
    assert (seen.refusal, seen.volume, seen.loss) == (refusal, None, None)


async def test_without_an_account_it_says_so(desk: Desk, now: datetime) -> None:
    user_id, approval_id = await asked(desk, now)
    async with desk.database.writing() as session:
        await session.execute(update(Account).values(is_primary=False))
    assert await look(desk, user_id, approval_id, now) == Outlook(None, None, None, None, None, "no_account")


async def test_a_terminal_in_trouble_leaves_the_figures_out(desk: Desk, quotes: QuoteFeed, now: datetime) -> None:
    user_id, approval_id = await asked(desk, now)
    line = TroubledLine(desk.database, quotes)
    line.before["account"] = BROKEN
    for gateways in ({"paper": line}, {}):
        seen = await look(replace(desk, gateways=gateways), user_id, approval_id, now)
        assert seen.account is not None
        assert (seen.digits, seen.current_price, seen.volume, seen.loss, seen.refusal) == (None,) * 5
