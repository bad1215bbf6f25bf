"""A card as it is written: six short lines, every figure in its column, the app's own words for what became of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot import cards, texts
from models.account import Account
from models.approval import ApprovalStatus
from models.order import Order, OrderStatus
from services.approvals import ApprovalView
from services.cards import Outlook
from services.terms import Levels
from terminal.protocol import DealReason
from webapp.pages import cards as pages
from webapp.pages import words

NOW = datetime(2030, 1, 2, 13, 0, tzinfo=UTC)
NARROW = 34
GOLD = ("XAUUSD", 2, "2350.10", "2340.00", ("2360.00", "2370.00", "2390.00"))
EURO = ("EURUSD", 5, "1.11963", "1.11713", ("1.12213", "1.12463", "1.12713"))
BITCOIN = ("BTCUSD", 2, "67636.83", "66736.83", ("68836.83", "70136.83", "72286.83"))
NASDAQ = ("NAS100", 1, "18243.5", "18123.5", tuple(f"{18283 + 40 * step}.5" for step in range(10)))


def view(symbol: str, entry: str | None, stop: str | None, targets: tuple[str, ...], **changes: Any) -> ApprovalView:
    levels = Levels(symbol, "buy", "limit", Decimal(entry) if entry else None, None, Decimal(stop) if stop else None,
                    tuple(Decimal(target) for target in targets), None)
    given = ApprovalView(
        id=1, signal_id=12, user_id=1, status="pending", levels=levels, terms_hash="0" * 64, version=1, provider_id=1,
        provider_name="Desk Alpha", published_at=NOW, visible_at=NOW, expires_at=NOW + timedelta(minutes=15),
        decided_at=None, decided_via=None, reason=None, order=None, account=None)
    return replace(given, **changes)


def table(of: ApprovalView, digits: int, price: str) -> list[str]:
    outlook = Outlook(digits, Decimal(price), None, None, None, "no_account")
    text = cards.write(of, outlook, NOW).replace("\N{NO-BREAK SPACE}", " ")
    assert len(text.splitlines()) <= 6
    return text.split("<pre>")[1].split("</pre>")[0].splitlines()


@pytest.mark.parametrize("market", [GOLD, EURO, BITCOIN, NASDAQ], ids=lambda market: market[0])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
def test_no_line_of_figures_breaks_on_a_narrow_phone(market: tuple[Any, ...], count: int) -> None:
    symbol, digits, entry, stop, targets = market
    rows = table(view(symbol, entry, stop, targets[:count]), digits, entry)
    assert max(map(len, rows)) <= NARROW, rows
    assert [row.split()[0] for row in rows] == ["Entry", "Stop", *(["TP"] if count else [])]
    assert ("R/R" in rows[1]) == bool(count)


def test_three_targets_are_all_there_and_of_ten_it_is_said_how_many_are_not() -> None:
    for symbol, digits, entry, stop, targets in (GOLD, EURO, BITCOIN):
        row = table(view(symbol, entry, stop, targets), digits, entry)[-1].replace(" ", "")
        assert row == "TP" + "".join(targets)
    symbol, digits, entry, stop, targets = NASDAQ
    assert table(view(symbol, entry, stop, targets), digits, entry)[-1] == "TP    18 283.5  18 323.5  +8 more"


def test_a_range_keeps_its_ends_and_gives_up_the_price_of_the_moment() -> None:
    asked = view("BTCUSD", None, "66736.83", ("68836.83",))
    ranged = replace(asked, levels=replace(asked.levels, entry_range=(Decimal("67586.83"), Decimal("67886.83"))))
    assert table(ranged, 2, "67257.92")[0] == "Entry 67 586.83\N{EN DASH}67 886.83"


def order(status: str, reason: str | None = None, error: str | None = None) -> Order:
    return Order(status=status, reason=reason, error=error, volume=Decimal("0.1"), order_type="limit",
                 entry_price=Decimal("2350.1"), fill_price=Decimal("2350.4"), ticket=None, profit=None)


def heard(of: Order) -> tuple[str, str]:
    """What the chat and what the app say of an order, spaces aside."""
    told = pages.decision(view("XAUUSD", "2350.10", None, (), status=ApprovalStatus.APPROVED, order=of,
                               account=Account(currency="USD")), 2).outcome or ""
    return cards.order_state(of, 2)[1].replace("\N{NO-BREAK SPACE}", " "), told.replace("\u202f", " ")


@pytest.mark.parametrize("status", OrderStatus)
def test_chat_and_app_have_the_same_words_for_an_order(status: OrderStatus) -> None:
    reasons = [None, "something_new", *texts.REASONS, *(reason.value for reason in DealReason)]
    for reason in reasons:
        for error in (None, "Market closed"):
            chat, app = heard(order(status, reason, error))
            assert app.lower().startswith(chat.lower()), (chat, app)
            assert "_" not in app and "None" not in app


def test_the_reasons_are_the_same_sentences() -> None:
    assert words.REASON == texts.REASONS
