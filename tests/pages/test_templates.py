"""Templates: nothing inline that the policy would refuse, nothing of anybody's that is not escaped."""

import re
from dataclasses import fields, replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import aiohttp
import jinja2
import pytest
from aiohttp import web

from webapp.pages import assets, rendering
from webapp.pages.accounts import Card as AccountCard
from webapp.pages.cards import Card, Decision, Target
from webapp.pages.devices import DeviceRow, Line, SymbolLine
from webapp.pages.history import ClosedRow
from webapp.pages.portfolio import Total
from webapp.pages.position_rows import Act, Row
from webapp.pages.positions import Change, Choice, Header
from webapp.pages.settings import AccountRow
from webapp.pages.symbols import MapRow

TEMPLATES = sorted(rendering.TEMPLATES.rglob("*.html"))
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}\u202emoc.live\u202c"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Inspector(HTMLParser):
    """Notes every tag and whatever a strict policy forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = {name for name, _ in attrs}
        if tag == "style" or (tag == "script" and "src" not in names):
            self.faults.append(f"inline <{tag}>")
        self.faults += [f"{tag} {name}" for name in names if name.startswith(("on", "hx-on")) or name == "style"]
        self.faults += [f"{tag} {name}={value}" for name, value in attrs
                        if value and re.match(r"\s*(javascript|js):", value)]


def inspect(text: str) -> Inspector:
    found = Inspector()
    found.feed(text)
    return found


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_anything_inline(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert inspect(source).faults == []
    assert not re.search(r"\|\s*safe|autoescape|Markup", source)
    # A trigger filter is JavaScript, which the policy does not let htmx evaluate.
    assert not re.search(r'hx-trigger="[^"]*\[', source)


@pytest.mark.parametrize("path", ["/app", "/app/positions", "/app/accounts", "/app/settings"])
async def test_no_page_has_anything_inline(origin: str, path: str) -> None:
    async with aiohttp.ClientSession() as client, client.get(origin + path) as answer:
        found = inspect(await answer.text())
    assert found.faults == []
    assert found.tags.count("h1") >= 1


@pytest.fixture
def environment() -> jinja2.Environment:
    return rendering.environment(web.Application(), assets.Assets())


CARD = Card(
    id=7, terms_hash="a" * 64, version=2, symbol=HOSTILE, side="buy", order_type="market", entry="1", current="2",
    moved="up", stop="3", stop_distance="4", has_risk=True, targets=(Target("TP 1", "5", "1.0 R"),), volume="0.10",
    is_estimate=True, account=HOSTILE, loss="6", warning=HOSTILE, can_approve=True, provider=HOSTILE,
    note=HOSTILE, why=HOSTILE, published_at=NOW, expires_at=NOW)
DECISION = Decision(
    id=7, symbol=HOSTILE, side="sell", status="approved", mark="✓", answered="Approved", at=NOW, outcome=HOSTILE,
    tone="warn", result="1", ticket=5, provider=HOSTILE, is_settled=True)
HEADER = Header(
    id=3, account=HOSTILE, place=HOSTILE, login_tail=HOSTILE, equity="1", equity_plain="1.00", currency="USD",
    profit="2", sign="gain", day=Change("3", "4", "loss"), week=None,
    balance="4", free_margin="5", margin="6", margin_level="7", drawdown="8",
    drawdown_bar="9", max_drawdown="10", as_of=NOW, is_stale=True)
ACT = Act("close", "Close", HOSTILE, HOSTILE, HOSTILE, HOSTILE, "{}", "reject", HOSTILE)
ROW = Row(ticket=1, symbol=HOSTILE, side="buy", volume="1", entry="2", current="3", stop="4", stop_distance="5",
          target="6", target_distance="7", profit="8", points="9", sign="loss", swap="10", opened_at=NOW,
          under_way=None, acts=(ACT,))
CHOICES = [Choice(3, HOSTILE, True, True, True), Choice(4, HOSTILE, False, False, False)]
CLOSED = ClosedRow(id=1, position_id=2, symbol=HOSTILE, side="sell", volume="1", entry="2", exit="3", net="4",
                   sign="loss", reason="5", costs="6", held="7", closed_at=NOW)
DEVICE = DeviceRow("dv_1", HOSTILE, "active", "Active", NOW, HOSTILE, HOSTILE, True, True, "3", HOSTILE)
FINDING = Line("device", "✕", "Fault", "bad", "Device", HOSTILE, HOSTILE)
LINKED = AccountCard(
    id=3, label=HOSTILE, route="device", login=HOSTILE, server=HOSTILE, login_tail=HOSTILE, broker=HOSTILE,
    place=HOSTILE, is_primary=True, is_only=False, can_be_primary=True, mark="✓", status="Verified", tone="good",
    status_more="", note=None, advice=HOSTILE, can_relink=True, equity="1", equity_plain="1", currency="USD",
    as_of=NOW, is_stale=True, silence="", sizing="1 %", mode="fixed", size="0.1", problems=1, mapped=2,
    devices=(DEVICE,), primary_message=HOSTILE, unlink_message=HOSTILE)
FRAGMENTS = {
    "pending": {"cards": [CARD]},
    "decided": {"decisions": [DECISION], "has_more": True},
    "decision": {"decision": DECISION},
    "positions": {"header": HEADER, "rows": [ROW], "choices": CHOICES, "warning": HOSTILE,
                  "totals": [Total("USD", HOSTILE, "1", "2", "gain")]},
    "positions_silent": {"choices": CHOICES, "account": HOSTILE, "why": HOSTILE},
    "closed": {"choices": CHOICES, "rows": [CLOSED], "has_more": True},
    "accounts": {"accounts": [LINKED], "devices": [DEVICE], "has_devices": True, "limit": "x"},
    "doctor": {"mark": "✕", "tone": "bad", "verdict": "x", "as_of": NOW, "troubles": [FINDING], "fine": [FINDING],
               "symbols": [SymbolLine(HOSTILE, HOSTILE, "!", "warn", "x")]},
    "symbols": {"rows": [MapRow(HOSTILE, HOSTILE, HOSTILE, True)]},
    "settings": {"first_name": HOSTILE, "tier": "Free", "covers": "x", "delay_minutes": 15, "cards_sound": True,
                 "accounts": [AccountRow(HOSTILE, HOSTILE, "1 %", True)], "bot_link": "https://t.me/bot"},
}


@pytest.mark.parametrize("name", FRAGMENTS)
def test_hostile_text_stays_text(environment: jinja2.Environment, name: str) -> None:
    text = environment.get_template(f"fragments/{name}.html").render(FRAGMENTS[name])
    found = inspect(text)
    assert found.faults == []
    assert "script" not in found.tags and "img" not in found.tags
    assert "&lt;script&gt;" in text and "{{ 7*7 }}" in text
    assert "None" not in text and "NaN" not in text


def test_text_of_others_cannot_turn_round_what_surrounds_it(environment: jinja2.Environment) -> None:
    card = replace(CARD, symbol="XAUUSD", warning=None, why="")
    text = environment.get_template("fragments/pending.html").render(cards=[card])
    assert "moc.live" in text and "\u202e" not in text


def test_a_card_with_nothing_but_the_bare_terms_is_whole(environment: jinja2.Environment) -> None:
    nothing = {field.name: None for field in fields(Card) if "None" in str(field.type)}
    text = environment.get_template("fragments/pending.html").render(
        cards=[replace(CARD, **nothing, targets=(), version=1, moved="", has_risk=False, can_approve=False)])
    assert "None" not in text
    assert text.count("disabled") == 1


def test_a_missing_name_is_an_error_and_not_a_hole(environment: jinja2.Environment) -> None:
    with pytest.raises(jinja2.UndefinedError):
        environment.get_template("fragments/decision.html").render()
